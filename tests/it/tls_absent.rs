//! Programs that were built without the cargo feature `tls`.
#![cfg(not(feature = "tls"))]

use crate::fixture::{Certificates, Server, misconfigured, programs, wait_for};

#[test]
fn a_certificate_is_refused_by_a_program_without_tls() {
    const WHY: &str = "this program was built without TLS; build it with the cargo feature tls";
    let (certificates, folder) = (Certificates::shared(), tempfile::tempdir().expect("a folder"));
    let mut server = programs().server(folder.path());
    certificates.serve(&mut server);
    let mut agency = programs().client(folder.path(), 1, 1);
    certificates.trust(&mut agency);
    for program in [&mut server, &mut agency] {
        let error = misconfigured(program);
        assert!(error.contains(WHY), "{error}");
    }
}

#[test]
fn a_handshake_gets_an_alert_from_a_server_without_tls() {
    let server = Server::start(1);
    let mut wire = server.connect();
    wire.send(&[0x16, 3, 1, 2, 0, 1]).expect(loteria::tls::HANDSHAKE_FAILURE).expect_closed();
    wait_for(&server.process, "a TLS handshake, and TLS_CERTIFICATE_FILE is not set");
}
