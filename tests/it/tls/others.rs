//! Programs that are not ours at the other end: OpenSSL's, and Python's `ssl`.

use std::fs;
use std::process::Command;

use super::{Files, server_of};
use crate::fixture::{Certificates, FakeServer, ROW, Server, agency, fails_with, repository, start, succeeded};
use loteria_tools::Process;
use loteria_tools::certificates::{SERVER_NAMES, Subject};

/// An agency in Python, over TLS.
pub fn python_agency(server: &Server, certificates: &Certificates, id: u32, identity: Option<&Files>) -> Process {
    let file = server.folder.path().join(format!("agency-{id}.csv"));
    fs::write(&file, ROW).expect("written");
    let mut command = Command::new("python3");
    command.arg(repository().join("examples/agency.py")).arg("--ca").arg(certificates.ca());
    command.args(["--id", &id.to_string(), "--server", &format!("localhost:{}", server.port), "--patience", "1"]);
    if let Some((certificate, key)) = identity {
        command.arg("--certificate").arg(certificate).arg("--key").arg(key);
    }
    start(command.arg(file))
}

#[test]
fn agencies_in_python_and_ours_share_a_round_over_tls() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |command| {
        command.env("NUM_AGENCIES", "2").env("TLS_REQUIRED", "true");
    });
    let files = [1, 2].map(|agency| certificates.issue_agency(agency));
    let python = python_agency(&server, &certificates, 1, Some(&files[0]));
    let ours = start(&mut super::secure_agency(&server, &certificates, 2, Some(&files[1]), ROW));
    for agency in [python, ours] {
        assert_eq!(succeeded(agency).lines_with("cant_ganadores: 1").len(), 1);
    }
    let said = server.stop();
    assert!(said.lines_with("action: tls | result: fail").is_empty(), "{:#?}", said.lines);
}

#[test]
fn openssl_gets_its_line_back_and_trusts_the_certificate() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |_| ());
    let script = format!(
        "echo hola | timeout 10 openssl s_client -quiet -verify_return_error -verify_hostname localhost -CAfile {} \
         -connect 127.0.0.1:{}",
        certificates.ca().display(),
        server.port
    );
    let ended = succeeded(start(Command::new("bash").args(["-c", &script])));
    assert_eq!(ended.lines_with("hola").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn an_agency_refuses_a_server_whose_certificate_has_expired() {
    let certificates = Certificates::new();
    // Our server would not start with it, but it may expire while a server runs.
    let subject = Subject { name: "old", names: &SERVER_NAMES, is_server: true, days: -1 };
    let (certificate, key) = certificates.issue(subject);
    let mut command = Command::new("openssl");
    // With -www it does not end with its standard input.
    command.args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert"]).arg(certificate).arg("-key").arg(key);
    let server = start(&mut command);
    let line = server.wait_for("ACCEPT 127.0.0.1:").expect("it listens");
    let port = line.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ours = agency(folder.path(), 1, port, ROW);
    certificates.trust(&mut ours);
    fails_with(start(&mut ours), "certificate expired");
    server.wait_for("alert certificate expired").expect("its line");
    server.kill();
}

/// A server in Python, for one agency of one bet, which wins. It wants a certificate for agency 1.
const PYTHON_SERVER: &str = r#"
import socket, ssl, struct, sys
certificate, key, ca = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(certificate, key)
tls.load_verify_locations(ca)
tls.verify_mode = ssl.CERT_REQUIRED
listener = socket.create_server(("127.0.0.1", 0))
print("port:", listener.getsockname()[1], flush=True)
agency = tls.wrap_socket(listener.accept()[0], server_side=True, suppress_ragged_eofs=False)
assert ("DNS", "agency-1") in agency.getpeercert()["subjectAltName"]
def read(size):
    data = b""
    while len(data) < size:
        part = agency.recv(size - len(data))
        assert part, "the agency ended its side"
        data += part
    return data
def hear(*messages):
    expected = b"".join(messages)
    assert read(len(expected)) == expected
hear(bytes.fromhex("0008 0002 00000001 0000"))
agency.sendall(bytes.fromhex("000a 0000000000000000 00 00000000"))
hear(bytes.fromhex("0001 00000001"))
(length,) = struct.unpack(">Q", read(8))
read(length)
agency.sendall(bytes.fromhex("0002"))
hear(bytes.fromhex("0005 0006"))
agency.sendall(bytes.fromhex("0007 0000000000000001 00000001"))
assert agency.recv(1) == b"", "close_notify"
print("done", flush=True)
"#;

#[test]
fn our_agency_is_served_by_a_server_in_python() {
    let certificates = Certificates::new();
    let (certificate, key) = certificates.files("server");
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON_SERVER]).args([certificate, key, certificates.ca()]);
    let server = start(&mut command);
    let port = server.wait_for("port: ").expect("it listens").trim_start_matches("port: ").parse().expect("a port");
    let folder = FakeServer::start().folder;
    let mut ours = agency(folder.path(), 1, port, ROW);
    let (certificate, key) = certificates.issue_agency(1);
    certificates.trust(ours.env("CLI_TLS_CERTIFICATE_FILE", certificate).env("CLI_TLS_KEY_FILE", key));
    assert_eq!(succeeded(start(&mut ours)).lines_with("cant_ganadores: 1").len(), 1);
    let ended = succeeded(server);
    assert_eq!(ended.lines.last().map(String::as_str), Some("done"), "{:#?}", ended.lines);
}
