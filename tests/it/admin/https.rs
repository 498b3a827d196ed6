//! HTTPS: the same, to clients that trust the certificate of the server.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use loteria::server::admin::{MAX_CLIENTS, Snapshot};
use loteria_tools::http;
use rustix::process::Signal;

use crate::fixture::{
    Certificates, PATIENCE, ROW, Server, Wire, admin_address, installed, programs, run, start, wait_for, with_admin,
};

/// A server of `agencies` with an admin port and certificates, which requires TLS or not.
fn secure_server(certificates: &Certificates, agencies: u32, required: bool) -> Server {
    Server::start_with(agencies, |command| {
        with_admin(command);
        certificates.serve(command.env("TLS_REQUIRED", required.to_string()));
    })
}

/// A connection to the admin port over TLS.
fn connect(server: &Server, certificates: &Certificates) -> Wire {
    let socket = TcpStream::connect(admin_address(&server.process)).expect("it accepts");
    Wire::over(socket, Some(certificates.connect()))
}

/// The same, on which a test writes and reads the bytes of TLS itself.
fn raw(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(admin_address(&server.process)).expect("it accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket
}

/// The first bytes of a handshake.
fn client_hello(certificates: &Certificates) -> Vec<u8> {
    let mut bytes = Vec::new();
    certificates.connect().flush(&mut bytes).expect("a Vec takes everything");
    bytes
}

#[test]
fn http_and_https_share_the_admin_port_where_tls_is_not_required() {
    let certificates = Certificates::shared();
    let server = secure_server(certificates, 1, false);
    let (address, tls) = (admin_address(&server.process), certificates.connector(None));
    for path in ["/", "/status.json", "/metrics", "/healthz", "/nothing"] {
        let secure = http::get_secure(&address, path, &tls).expect("a response over HTTPS");
        let plain = http::get(&address, path).expect("a response over HTTP");
        assert_eq!((secure.status, &secure.head[1..2]), (plain.status, &plain.head[1..2]), "{path}");
        assert!(!secure.body.is_empty(), "{path}");
    }
}

#[test]
fn required_tls_leaves_only_https_at_the_admin_port() {
    let certificates = Certificates::shared();
    let server = secure_server(certificates, 1, true);
    let plain = server.get("/status.json");
    assert_eq!(
        (plain.status, plain.body.as_str()),
        (400, "TLS_REQUIRED is set: ask over HTTPS, with https:// in the address\n")
    );
    let address = admin_address(&server.process);
    let health = http::get_secure(&address, "/healthz", &certificates.connector(None)).expect("a response");
    assert_eq!((health.status, health.body.as_str()), (200, "ok, active\n"));
}

#[test]
fn curl_trusts_the_admin_port_by_its_authority_alone() {
    let Some(mut curl) = installed("curl") else { return };
    let (certificates, foreign) = (Certificates::shared(), Certificates::new());
    let server = secure_server(certificates, 2, true);
    let url = admin_address(&server.process).replace("127.0.0.1", "https://localhost") + "/status.json";
    let output =
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--cacert"]).arg(certificates.ca()).arg(&url).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let snapshot: Snapshot = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(snapshot.round.agencies, 2);
    let mut curl = Command::new("curl");
    let output =
        curl.args(["--silent", "--noproxy", "*", "--cacert"]).arg(foreign.ca()).arg(&url).output().expect("it runs");
    assert!(!output.status.success(), "{output:?}");
    wait_for(&server.process, "action: tls_admin | result: fail | ip: 127.0.0.1 | error: TLS: received fatal alert");
}

#[test]
fn a_long_status_arrives_whole_over_https() {
    let certificates = Certificates::shared();
    let server = secure_server(certificates, 20_000, true);
    let mut wire = connect(&server, certificates);
    // Two megabytes: more than the kernel buffers, so the server has to go on many times.
    wire.send(b"GET /status.json HTTP/1.1\r\n\r\n");
    let mut response = String::new();
    wire.0.read_to_string(&mut response).expect("an end with close_notify");
    let (_, body) = response.split_once("\r\n\r\n").expect("a head");
    let snapshot: Snapshot = serde_json::from_str(body).expect("JSON");
    assert_eq!((snapshot.agencies.len(), body.len() > 1_500_000), (20_000, true));
}

#[test]
fn events_follow_each_other_over_https_until_the_reader_ends() {
    let certificates = Certificates::shared();
    let server = secure_server(certificates, 1, true);
    let mut wire = connect(&server, certificates);
    wire.send(b"GET /events HTTP/1.1\r\n\r\n");
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while text.matches("\ndata: {").count() < 3 {
        let bytes = wire.0.read(&mut buffer).expect("events");
        assert_ne!(bytes, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
    }
    wire.end();
    // Without an end there would be another event each second.
    const MOST_BYTES: u64 = 64 << 10;
    let mut rest = Vec::new();
    let _ = (&mut wire.0).take(MOST_BYTES).read_to_end(&mut rest);
    assert!((rest.len() as u64) < MOST_BYTES, "it goes on");
}

#[test]
fn handshakes_without_end_at_the_admin_port_keep_no_one_out() {
    let certificates = Certificates::shared();
    let server = secure_server(certificates, 1, true);
    let (began, hello) = (Instant::now(), client_hello(certificates));
    let mut idle: Vec<TcpStream> = (0..MAX_CLIENTS + 10).map(|_| raw(&server)).collect();
    for (number, socket) in idle.iter_mut().enumerate() {
        // Those that made room for others are reset.
        let _ = socket.write_all(&hello[..if number % 2 == 0 { hello.len() } else { 20 }]);
    }
    let agency = start(certificates_of(&mut server.agency_with_rows(1, ROW), certificates));
    wait_for(&server.process, "action: cierre_agencia | result: success");
    let tls = certificates.connector(None);
    let health = http::get_secure(&admin_address(&server.process), "/healthz", &tls).expect("a response");
    assert_eq!(health.status, 200);
    let last = idle.last_mut().expect("there are some");
    let ended = last.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(matches!(ended, Ok(_) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
    assert!(began.elapsed() >= Duration::from_secs(4), "it was given time");
    drop(agency);
}

fn certificates_of<'c>(agency: &'c mut Command, certificates: &Certificates) -> &'c mut Command {
    certificates.trust(agency);
    agency
}

#[test]
fn a_request_that_is_cut_is_not_answered() {
    let certificates = Certificates::shared();
    let server = secure_server(certificates, 1, true);
    let mut wire = connect(&server, certificates).ready();
    wire.send(b"GET / HTTP/1.1\r\n");
    wire.0.shutdown(std::net::Shutdown::Write).expect("cut");
    wire.expect_closed();
    wait_for(
        &server.process,
        "action: tls_admin | result: fail | ip: 127.0.0.1 | error: TLS: the connection was cut off",
    );
    let mut garbage = raw(&server);
    garbage.write_all(&[0x16; 300]).expect("sent");
    let mut answer = Vec::new();
    garbage.read_to_end(&mut answer).expect("an alert and an end");
    assert!(answer.starts_with(&[0x15, 3, 3, 0, 2, 2]), "{answer:02x?}");
}

#[test]
fn sighup_gives_the_admin_port_its_new_certificate() {
    let (old, new) = (Certificates::new(), Certificates::new());
    let server = secure_server(&old, 1, true);
    let (of_old, of_new) = (old.files("server"), new.files("server"));
    std::fs::copy(of_new.0, of_old.0).expect("copied");
    std::fs::copy(of_new.1, of_old.1).expect("copied");
    server.process.signal(Signal::HUP);
    wait_for(&server.process, "action: tls_certificates | result: success");
    let address = admin_address(&server.process);
    assert_eq!(http::get_secure(&address, "/healthz", &new.connector(None)).expect("a response").status, 200);
    assert!(http::get_secure(&address, "/healthz", &old.connector(None)).is_err());
}

#[test]
fn the_status_command_asks_over_https_whom_it_trusts() {
    let (certificates, foreign) = (Certificates::shared(), Certificates::new());
    let server = secure_server(certificates, 2, true);
    let (url, folder) = (format!("https://{}", admin_address(&server.process)), tempfile::tempdir().expect("a folder"));
    let status = |arguments: &[&str]| {
        let mut tool = Command::new(programs().loteria);
        let tool = tool.env_clear().env("ADMIN_ADDRESS", url.trim_start_matches("https://")).current_dir(folder.path());
        certificates.serve(tool.env("TLS_REQUIRED", "true"));
        run(tool.arg("status").args(arguments))
    };
    let ca = |certificates: &Certificates| certificates.ca().to_str().expect("text").to_owned();
    // What is configured here tells that it is HTTPS.
    for arguments in [&["--ca", &ca(certificates), &url][..], &["--ca", &ca(certificates)]] {
        let ended = status(arguments);
        assert!(ended.status.success(), "{:#?}", ended.lines);
        assert_eq!(ended.lines_with("0 of 2 agencies closed, waiting for 1, 2").len(), 1, "{:#?}", ended.lines);
    }
    let refused = |arguments: &[&str], why: &str| {
        let ended = status(arguments);
        assert_eq!((ended.status.code(), ended.lines.len()), (Some(1), 1), "{:#?}", ended.lines);
        assert!(ended.lines[0].starts_with("loteria: ") && ended.lines[0].contains(why), "{:#?}", ended.lines);
    };
    refused(&[&url], "is asked over HTTPS, which needs --ca");
    refused(&[], "is asked over HTTPS, which needs --ca");
    refused(&["--ca", &ca(&foreign), &url], "is not trusted: TLS: invalid peer certificate: UnknownIssuer");
    refused(&["--ca", "nowhere", &url], "nowhere: ");
    refused(&[url.trim_start_matches("https://")], "it answers 400");
}
