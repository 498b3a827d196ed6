//! Handshakes that fail, never end, or are no handshakes, and streams that are cut.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::{connect_with, secure_agency, server_of, wait_for_error};
use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, hello2, inform_winners, register_bet_failed,
    register_bets, welcome,
};
use crate::fixture::{
    Certificates, ROW, Server, Wire, allow_descriptors_for, fails_with, start, wait_for, wait_for_nth,
};
use loteria::tls::HANDSHAKE_FAILURE;
use rustix::process::Signal;

/// A connection on which a test writes and reads the bytes of TLS itself.
fn raw(server: &Server) -> Wire {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("it accepts");
    Wire::over(stream, None)
}

/// The first bytes of a connection of our client: its ClientHello.
fn client_hello(certificates: &Certificates) -> Vec<u8> {
    let mut bytes = Vec::new();
    certificates.connect().flush(&mut bytes).expect("a Vec takes everything");
    bytes
}

/// Everything that the server sends until it closes.
fn answer(mut wire: Wire) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire.0.read_to_end(&mut bytes).expect("an end, and no reset");
    bytes
}

/// A fatal alert with this description, in plain.
fn alert(description: u8) -> [u8; 7] {
    [0x15, 3, 3, 0, 2, 2, description]
}

#[test]
fn garbage_behind_0x16_ends_with_an_alert_and_one_line() {
    let server = server_of(Certificates::shared(), false, |_| ());
    for (number, garbage) in (1..).zip([&[0x16; 300][..], b"\x16hola\n", &[0x16, 3, 1, 0, 4, 1, 0, 0, 0]]) {
        let mut wire = raw(&server);
        wire.send(garbage);
        let bytes = answer(wire);
        assert!(bytes.starts_with(&[0x15, 3, 3, 0, 2, 2]), "{bytes:02x?}");
        wait_for_nth(&server.process, "action: tls | result: fail", number);
    }
    let failed = server.stop();
    assert_eq!(failed.lines_with("action: tls | result: fail").len(), 3, "{:#?}", failed.lines);
}

#[test]
fn an_oversized_record_is_refused_from_its_length() {
    let server = server_of(Certificates::shared(), false, |_| ());
    let mut wire = raw(&server);
    wire.send(&[0x16, 3, 1, 0xff, 0xff, 1]);
    assert!(!answer(wire).is_empty());
    wait_for_error(&server.process, "action: tls | result: fail");
}

#[test]
fn a_handshake_of_too_many_bytes_is_refused_before_its_end() {
    let server = server_of(Certificates::shared(), false, |_| ());
    let mut wire = raw(&server);
    // A ClientHello of 64,000 bytes, in records of 4,000.
    let mut rest = vec![0; 64_000];
    (rest[0], rest[2], rest[3]) = (1, 0xf9, 0xfc);
    for record in rest.chunks(4000) {
        if wire.0.write_all(&[&[0x16, 3, 1, 0x0f, 0xa0], record].concat()).is_err() {
            break;
        }
    }
    wait_for_error(&server.process, "a handshake of more than 16384 bytes");
}

#[test]
fn a_handshake_that_never_ends_has_a_deadline_of_its_own() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |command| {
        command.env("TLS_HANDSHAKE_TIMEOUT", "300ms").env("SILENCE_TIMEOUT", "1h");
    });
    let hello_bytes = client_hello(certificates);
    let mut unfinished = raw(&server);
    unfinished.send(&hello_bytes[..20]).expect_closed();
    wait_for(&server.process, "a handshake took longer than TLS_HANDSHAKE_TIMEOUT");
    let mut unanswered = raw(&server);
    unanswered.send(&hello_bytes);
    // It reads the server's flight, and never finishes its own.
    let _ = unanswered.0.read_to_end(&mut Vec::new());
    wait_for_nth(&server.process, "a handshake took longer than TLS_HANDSHAKE_TIMEOUT", 2);
    // A completed one has no such deadline.
    let mut wire = connect_with(&server, certificates, None).ready();
    let mut third = raw(&server);
    third.send(&hello_bytes[..1]);
    wait_for_nth(&server.process, "a handshake took longer than TLS_HANDSHAKE_TIMEOUT", 3);
    wire.send(&hello(1)).expect(&welcome(0, OPEN));
}

#[test]
fn a_stream_that_is_cut_is_no_end_of_input() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |_| ());
    // A line without its end is not echoed, and a request for winners not taken for the last word.
    let mut line = connect_with(&server, certificates, None);
    line.send(b"hola");
    line.0.shutdown(std::net::Shutdown::Write).expect("cut");
    line.expect_closed();
    wait_for_error(&server.process, "it ended without close_notify");
    let mut asking = connect_with(&server, certificates, None);
    asking.send(&[&hello(1)[..], ALL_BETS_SENT, REQUEST_WINNERS].concat()).expect(&welcome(0, OPEN));
    asking.0.shutdown(std::net::Shutdown::Write).expect("cut");
    asking.expect_closed();
    wait_for_nth(&server.process, "it ended without close_notify", 2);
    let said = server.stop();
    assert!(said.lines_with("msg: hola").is_empty(), "{:#?}", said.lines);
}

#[test]
fn a_close_notify_behind_a_request_for_winners_still_gets_them() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |command| {
        command.env("NUM_AGENCIES", "2");
    });
    let all = |agency| [&register_bets(&[Bet::of(agency, agency, 7574)])[..], ALL_BETS_SENT, REQUEST_WINNERS].concat();
    let mut first = connect_with(&server, certificates, None);
    first.send(&all(1)).end().expect(REGISTER_BET_OK);
    wait_for(&server.process, "action: cierre_agencia | result: success");
    let mut last = connect_with(&server, certificates, None);
    last.send(&all(2)).end().expect(&[REGISTER_BET_OK, &inform_winners(&[2])].concat()).expect_closed();
    first.expect(&inform_winners(&[1])).expect_closed();
}

#[test]
fn an_agency_does_not_take_a_cut_stream_for_an_answer() {
    let server = crate::fixture::FakeServer::start();
    let certificates = Certificates::shared();
    let mut agency = server.agency(1, ROW);
    certificates.trust(agency.env("CLI_RETRY_TIMEOUT", "300ms"));
    let agency = start(&mut agency);
    let (stream, _) = server.listener.accept().expect("it connects");
    let mut wire = Wire::over(stream, Some(certificates.accept()));
    wire.expect(&hello2(1));
    wire.0.shutdown(std::net::Shutdown::Both).expect("cut");
    wait_for(&agency, "it ended without close_notify");
}

#[test]
fn required_tls_refuses_plain_agencies_with_code_13_and_plain_lines() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |command| {
        command.env("TLS_REQUIRED", "true");
    });
    fails_with(start(&mut server.agency_with_rows(1, ROW)), "code 13: the server asks for TLS, see tls.caFile");
    wait_for(&server.process, "a connection without TLS, and TLS_REQUIRED is set");
    server.connect().send(&register_bets(&[Bet::of(1, 1, 1)])).expect(&register_bet_failed(13)).expect_closed();
    server.connect().send(b"hola\n").expect_closed();
    assert_eq!(server.bets(), "");
    connect_with(&server, certificates, None).send(b"hola\n").expect(b"hola\n").expect_closed();
}

#[test]
fn plain_and_tls_share_a_port_where_tls_is_not_required() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |_| ());
    let mut secure = connect_with(&server, certificates, None);
    secure.send(&hello(1)).expect(&welcome(0, OPEN));
    server.connect().send(&hello(2)).expect(&welcome(0, OPEN));
    server.connect().send(b"hola\n").expect(b"hola\n").expect_closed();
    // A takeover does not care which it was.
    server.connect().send(&hello(1)).expect(&welcome(0, OPEN));
    secure.expect(&register_bet_failed(10)).expect_closed();
}

#[test]
fn a_server_without_tls_says_so_to_a_tls_agency() {
    let certificates = Certificates::shared();
    let server = Server::start(2);
    fails_with(start(&mut secure_agency(&server, certificates, 1, None, ROW)), "HandshakeFailure");
    wait_for_error(&server.process, "a TLS handshake, and TLS_CERTIFICATE_FILE is not set");
    let mut wire = raw(&server);
    wire.send(&client_hello(certificates));
    assert_eq!(answer(wire), HANDSHAKE_FAILURE);
    assert_eq!(HANDSHAKE_FAILURE, alert(40));
}

#[test]
fn older_versions_and_renegotiation_are_refused() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |_| ());
    let address = format!("127.0.0.1:{}", server.port);
    let client = |options: &[&str], input: &str| {
        let script =
            format!("printf '{input}' | timeout 10 openssl s_client -connect {address} {} 2>&1", options.join(" "));
        start(Command::new("bash").args(["-c", &script])).wait().expect("it ended")
    };
    let old = client(&["-tls1_2"], "");
    assert!(!old.lines_with("protocol version").is_empty(), "{:#?}", old.lines);
    wait_for_error(&server.process, "peer is incompatible");
    // `R` renegotiates. OpenSSL itself knows that TLS 1.3 can't; the connection goes on or ends, and nothing else happens.
    let again = client(&["-tls1_3"], "R\\n");
    assert!(
        again.lines_with("RENEGOTIATING").is_empty() || !again.lines_with("error").is_empty(),
        "{:#?}",
        again.lines
    );
    connect_with(&server, certificates, None).send(&hello(1)).expect(&welcome(0, OPEN));
}

#[test]
fn handshakes_without_end_keep_no_agency_out() {
    let certificates = Certificates::shared();
    // Room for two handshakes.
    let server = server_of(certificates, false, |command| {
        command.env("MAX_ANONYMOUS_BYTES", "65536");
    });
    let hello_bytes = client_hello(certificates);
    let mut flood: Vec<Wire> = (0..50).map(|_| raw(&server)).collect();
    for wire in &mut flood {
        wire.send(&hello_bytes);
    }
    for agency in 1..=2 {
        connect_with(&server, certificates, None).send(&hello(agency)).expect(&welcome(0, OPEN));
    }
    assert!(server.state_number("bytes_en_buffers") <= 65_536);
    wait_for(&server.process, "MAX_ANONYMOUS_BYTES reached");
    // Those of agencies do not count there: four of them would not fit.
    let mut wires: Vec<Wire> = (1..=4)
        .map(|agency| {
            let mut wire = connect_with(&server, certificates, None);
            wire.send(&hello(agency)).expect(&welcome(0, OPEN));
            wire
        })
        .collect();
    for (agency, wire) in (1..).zip(&mut wires) {
        wire.send(&hello(agency)).expect(&welcome(0, OPEN));
    }
}

#[test]
fn a_hundred_handshakes_at_once_are_all_completed() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |_| ());
    server.process.signal(Signal::STOP);
    let mut wires: Vec<Wire> = (0..100).map(|_| connect_with(&server, certificates, None)).collect();
    // Each has sent its ClientHello before the server wakes.
    for wire in &mut wires {
        wire.0.set_nonblocking(true).expect("set");
        assert!(wire.0.shake_hands().is_err());
        wire.0.set_nonblocking(false).expect("set");
    }
    server.process.signal(Signal::CONT);
    for wire in &mut wires {
        wire.send(b"hola\n").expect(b"hola\n");
    }
}

#[test]
fn a_server_without_room_has_a_tls_agency_try_again() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, false, |command| allow_descriptors_for(command, 1));
    let mut first = connect_with(&server, certificates, None);
    first.send(&hello(1)).expect(&welcome(0, OPEN));
    let mut second = secure_agency(&server, certificates, 2, None, ROW);
    let second = start(second.env("CLI_RETRY_TIMEOUT", "30s"));
    wait_for(&second, "action: connect | result: in_progress");
    drop(first);
    wait_for(&second, "esperando_sorteo");
}
