//! The service manager: it is told when the server is ready, where the round stands and that the server ends.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use crate::fixture::{ROW, Server, installed, programs, repository, start, with_admin};

/// Waits for a message that is `wanted`. Others may come before it.
#[track_caller]
fn expect(manager: &UnixDatagram, wanted: &str) {
    let mut buffer = [0; 4096];
    let mut others = Vec::new();
    loop {
        let bytes = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted:?}: {error}; {others:?}"));
        let message = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
        if message == wanted {
            return;
        }
        others.push(message);
    }
}

fn tell_of_a_round(manager: &UnixDatagram, configure: impl FnOnce(&mut Command)) {
    manager.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    let server = Server::start_with(3, configure);
    expect(manager, "READY=1");
    expect(manager, "STATUS=0 of 3 agencies closed, waiting for 1, 2, 3");
    let parked = start(&mut server.agency_with_rows(2, ROW));
    expect(manager, "STATUS=1 of 3 agencies closed, waiting for 1, 3");
    let others = [1, 3].map(|id| start(&mut server.agency_with_rows(id, "")));
    expect(manager, "STATUS=drawn: 7574 wins, 1 winning bet of 3 agencies");
    drop((parked, others));
    server.stop();
    expect(manager, "STOPPING=1");
}

#[test]
fn the_service_manager_is_told_of_the_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    tell_of_a_round(&manager, |command| _ = command.env("NOTIFY_SOCKET", path));
}

#[test]
fn the_service_manager_may_have_an_abstract_socket() {
    let name = format!("loteria-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("bound");
    tell_of_a_round(&manager, |command| _ = command.env("NOTIFY_SOCKET", format!("@{name}")));
}

#[test]
fn a_service_manager_that_is_gone_or_never_reads_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let configure = |command: &mut Command| {
        with_admin(command);
        command.env("NOTIFY_SOCKET", &path);
    };
    let server = Server::start_with(1, configure);
    assert_eq!(server.get("/healthz").status, 200);
    server.stop();

    let manager = UnixDatagram::bind(&path).expect("bound");
    let (peer, _) = UnixDatagram::pair().expect("a pair");
    peer.set_nonblocking(true).expect("set");
    while peer.send_to(b"full", &path).is_ok() {}
    let server = Server::start_with(1, configure);
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.stop().status.code(), Some(0));
    drop(manager);
}

#[test]
fn systemd_accepts_the_service_and_finds_it_hardened() {
    let Some(mut analyze) = installed("systemd-analyze") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let service = std::fs::read_to_string(repository().join("deploy/loteria.service")).expect("text");
    // The program need not be installed where this test runs.
    let program = programs().server.display().to_string();
    let here = service.replace("/usr/local/bin/loteria-server", &program);
    assert_ne!(here, service);
    let file = folder.path().join("loteria.service");
    std::fs::write(&file, here).expect("written");
    let output = analyze.args(["verify", "--man=no"]).arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("loteria.service:"), "{said}");

    // Ten times the exposure that it may have at most: a service without hardening has 9.6.
    let limits = ["security", "--offline=true", "--no-pager", "--threshold=20"];
    let output = installed("systemd-analyze").expect("it was there before").args(limits).arg(&file).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn systemd_accepts_the_addition_of_the_page_of_security() {
    let Some(mut analyze) = installed("systemd-analyze") else { return };
    let page = std::fs::read_to_string(repository().join("docs/security.md")).expect("text");
    let (_, rest) = page.split_once("```ini\n[Service]\n").expect("the addition");
    let addition = rest.split("```").next().unwrap_or_default();
    let service = std::fs::read_to_string(repository().join("deploy/loteria.service")).expect("text");
    let service = service.replace("/usr/local/bin/loteria-server", &programs().server.display().to_string());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("loteria.service");
    std::fs::write(&file, service.replacen("[Service]\n", &format!("[Service]\n{addition}"), 1)).expect("written");
    let output = analyze.args(["verify", "--man=no"]).arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("loteria.service:"), "{said}");
}
