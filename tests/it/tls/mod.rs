//! TLS: who is believed, who is refused and with which line, and programs that are not ours at the other end. The promises
//! that do not depend on the transport are in `tests/tls/`.
#![cfg(feature = "tls")]

mod certificates;
mod files;
mod handshakes;
mod others;

use std::path::PathBuf;
use std::process::Command;

use crate::fixture::{Certificates, Server, Wire, agency};
use loteria_tools::Process;

/// The files of a certificate and its key.
type Files = (PathBuf, PathBuf);

/// A server over TLS, which takes certificates of agencies if it `asks`.
fn server_of(certificates: &Certificates, asks: bool, configure: impl FnOnce(&mut Command)) -> Server {
    Server::start_with(4, |command| {
        certificates.serve(command.env("LOGGING_LEVEL", "DEBUG"));
        if asks {
            command.env("TLS_CLIENT_CA_FILE", certificates.ca());
        }
        configure(command);
    })
}

/// An agency's program over TLS that sends `rows`, with a certificate if it has one. It does not try for long.
fn secure_agency(
    server: &Server,
    certificates: &Certificates,
    id: u32,
    identity: Option<&Files>,
    rows: &str,
) -> Command {
    let mut command = agency(server.folder.path(), id, server.port, rows);
    certificates.trust(command.env("CLI_RETRY_TIMEOUT", "300ms"));
    if let Some((certificate, key)) = identity {
        command.env("CLI_TLS_CERTIFICATE_FILE", certificate).env("CLI_TLS_KEY_FILE", key);
    }
    command
}

/// A connection over TLS with a certificate.
fn connect_with(server: &Server, certificates: &Certificates, identity: Option<Files>) -> Wire {
    let stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).expect("it accepts");
    Wire::over(stream, Some(certificates.connect_with(identity)))
}

/// Waits for the line in which `process` gives the error of TLS.
#[track_caller]
fn wait_for_error(process: &Process, error: &str) -> String {
    let line = crate::fixture::wait_for(process, error);
    assert!(line.contains("action: tls | result: fail"), "{line}");
    line
}
