//! The bytes of the log that a peer can cause are bounded. The prescribed lines of agencies are all there.

use crate::fixture::by_hand::{Bet, register_bet_failed, register_bets};
use crate::fixture::{Outcome, ROW, Server, rows, start, succeeded, wait_for};
use loteria_tools::{agency_files, field};
use rustix::process::Signal;

/// Lines of one peer in a second.
const LINES: usize = 100;

#[test]
fn lines_that_a_peer_causes_are_limited_per_second_and_the_rest_counted() {
    const CONNECTIONS: usize = 300;
    let server = Server::start(1);
    // The server accepts some of them in the same second.
    server.process.signal(Signal::STOP);
    let mut wires: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    wires.iter_mut().for_each(|wire| _ = wire.send(b"hola\n"));
    server.process.signal(Signal::CONT);
    wires.iter_mut().for_each(|wire| wire.expect(b"hola\n").expect_closed());
    drop(wires);
    // Its own lines are not the peer's. Nothing else happens until the second is over.
    let suppressed = wait_for(&server.process, "action: suppress_lines | result: success | ip: 127.0.0.1 | lines: ");
    assert!(suppressed.contains("WARN "), "{suppressed}");
    server.connect().send(b"hola\n").expect(b"hola\n").expect_closed();
    let ended = server.stop();
    let lines: usize = ["accept_connections | result: success", "receive_message", "close_connection"]
        .map(|action| ended.lines_with(action).len())
        .iter()
        .sum();
    let counted = ended.lines_with("suppress_lines").into_iter();
    let counts: Vec<usize> =
        counted.map(|line| field(line, "lines").and_then(|n| n.parse().ok()).expect("n")).collect();
    assert_eq!(lines + counts.iter().sum::<usize>(), 3 * (CONNECTIONS + 1), "{counts:?}");
    assert!(lines >= LINES, "{lines}");
}

#[test]
fn the_prescribed_lines_of_agencies_are_not_limited() {
    const BETS: u32 = 500;
    let server = Server::start(1);
    let agency = start(server.agency_with_rows(1, &rows(BETS)).env("CLI_BATCH_MAXAMOUNT", "1"));
    Outcome::check(&server, &agency_files(server.folder.path()), vec![agency]);
    let ended = server.stop();
    for line in ["apuesta_recibida | result: success | cantidad: 1", "apuesta_almacenada | result: success | dni: "] {
        assert_eq!(ended.lines_with(line).len(), BETS as usize);
    }
    assert_eq!(ended.lines_with("suppress_lines"), [""; 0]);
}

#[test]
fn a_long_line_to_echo_is_a_short_line_of_the_log() {
    let server = Server::start(1);
    let long = [vec![b'\xff'; 8192], b"\n".to_vec()].concat();
    server.connect().send(&long).expect(&long).expect_closed();
    let line = wait_for(&server.process, "action: receive_message | result: success");
    assert!(line.len() < 400, "{} bytes", line.len());
    let text = field(&line, "msg").expect("a value");
    assert!(text.starts_with('\u{fffd}') && text.ends_with("... (24576 bytes)"), "{text}");
}

#[test]
fn batches_behind_a_refused_one_have_no_line_each() {
    let server = Server::start(1);
    let mut wire = server.connect_as(1);
    let batches =
        [[Bet::of(1, 100_000_000, 1)], [Bet::of(1, 1, 1)], [Bet::of(1, 1, 1)]].map(|bets| register_bets(&bets));
    wire.send(&batches.concat()).expect(&register_bet_failed(2).repeat(3));
    drop(wire);
    succeeded(start(&mut server.agency_with_rows(1, ROW)));
    let ended = server.stop();
    let refused = ended.lines_with("action: apuesta_recibida | result: fail");
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(refused[0].contains("document"), "{refused:#?}");
}

#[test]
fn empty_batches_have_no_line_each() {
    const BATCHES: usize = 1000;
    let server = Server::start(1);
    let mut wire = server.connect_as(1);
    server.process.signal(Signal::STOP);
    wire.send(&register_bets(&[]).repeat(BATCHES));
    server.process.signal(Signal::CONT);
    wire.expect(&[0, 2].repeat(BATCHES));
    wait_for(&server.process, "action: suppress_lines");
    let lines = server.stop().lines_with("action: apuesta_recibida | result: success | cantidad: 0").len();
    assert!((LINES / 2..BATCHES).contains(&lines), "{lines}");
}
