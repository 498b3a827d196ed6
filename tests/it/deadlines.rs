//! Each deadline: what has begun must end, who has not said who it is must say it, who asked must read; and only the draw is
//! waited for without end.

use std::fs;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, Bet, OPEN, REQUEST_WINNERS, hello, inform_winners, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{Central, Wire, wait_for, wait_for_nth};

const SHORT: &str = "300ms";
/// Longer than a test may take.
const LONG: &str = "1h";

/// A central of two agencies, of whose deadlines these are short.
fn central_with_short(short: &[&str]) -> Central {
    Central::start_with(2, |command| {
        for name in ["SILENCE_TIMEOUT", "MESSAGE_TIMEOUT", "UNREAD_TIMEOUT"] {
            command.env(name, if short.contains(&name) { SHORT } else { LONG });
        }
    })
}

/// Says `bytes` again and again, with pauses much shorter than any deadline, until the other side is gone.
fn insist(wire: &mut Wire, bytes: &[u8]) {
    const ENOUGH: usize = 1000;
    for _ in 0..ENOUGH {
        if wire.0.write_all(bytes).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{bytes:?} was taken {ENOUGH} times");
}

#[test]
fn a_message_that_has_begun_must_end_however_often_another_byte_of_it_comes() {
    let central = central_with_short(&["MESSAGE_TIMEOUT"]);
    let mut wire = central.connect();
    wire.send(&hello(1)).expect(&welcome(0, OPEN));
    // A bet of 538 bytes, of which one comes after the other.
    let names = [b'x'; 255];
    wire.send(&register_bets(&[Bet { first_name: &names, last_name: &names, ..Bet::of(1, 7, 7) }])[..14]);
    insist(&mut wire, &[0]);
    wait_for(&central.process, "expire_connection | result: success | ip: 127.0.0.1 | reason: a message took longer");
    assert_eq!(central.bets(), "");
}

#[test]
fn a_message_that_ends_in_time_starts_the_time_of_the_next() {
    let central = central_with_short(&["MESSAGE_TIMEOUT"]);
    let mut wire = central.connect();
    wire.send(&hello(1)).expect(&welcome(0, OPEN));
    // Each message takes a while, and all of them together much longer than one may.
    for _ in 0..20 {
        let hello = hello(1);
        wire.send(&hello[..5]);
        thread::sleep(Duration::from_millis(40));
        wire.send(&hello[5..]).expect(&welcome(0, OPEN));
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let central = central_with_short(&["SILENCE_TIMEOUT"]);
    central.connect().expect_closed();
    wait_for(&central.process, "reason: it did not say whose it is within SILENCE_TIMEOUT");
}

#[test]
fn saying_what_says_nothing_does_not_keep_a_connection() {
    let central = central_with_short(&["SILENCE_TIMEOUT"]);
    for idle_talk in [ACK, b"x"] {
        insist(&mut central.connect(), idle_talk);
    }
    wait_for_nth(&central.process, "expire_connection", 2);
}

#[test]
fn who_does_not_read_what_it_asked_for_is_closed() {
    let central = central_with_short(&["UNREAD_TIMEOUT"]);
    let mut wire = central.connect();
    wire.0.set_write_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let hellos = hello(1).repeat(1000);
    let error = loop {
        if let Err(error) = wire.0.write_all(&hellos) {
            break error;
        }
    };
    assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it was not closed: {error}");
    wait_for(&central.process, "reason: its replies stayed unread for longer than UNREAD_TIMEOUT");
}

#[test]
fn an_agency_that_waits_for_the_draw_waits_as_long_as_it_takes() {
    let central = central_with_short(&["SILENCE_TIMEOUT", "MESSAGE_TIMEOUT", "UNREAD_TIMEOUT"]);
    let mut parked = central.connect();
    parked.send(&register_bets(&[Bet::of(1, 7, 7574)])).expect(&[0, 2]);
    parked.send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    wait_for(&central.process, "cierre_agencia");
    // Others come and are closed for less, three times over.
    for nth in 1..=3 {
        central.connect().expect_closed();
        wait_for_nth(&central.process, "expire_connection", nth);
    }
    central.connect().send(&hello(2)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT);
    parked.expect(&inform_winners(&[7]));
}

#[test]
fn the_system_finds_out_whether_a_parked_agency_is_still_there() {
    let central = Central::start(2);
    let mut parked = central.connect();
    parked.send(&hello(1)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    wait_for(&central.process, "cierre_agencia");
    let peer = parked.0.local_addr().expect("an address").port();
    let (local, remote) = (format!(":{:04X}", central.port), format!(":{peer:04X}"));
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut of_the_central = fields.filter(|fields| fields[1].ends_with(&local) && fields[2].ends_with(&remote));
    let fields = of_the_central.next().expect("the central's end of the connection");
    assert!(fields[5].starts_with("02:"), "the timer of keep-alive does not run: {fields:?}");
}

#[test]
fn who_was_refused_and_goes_on_sending_is_closed_all_the_same() {
    let central = Central::start(1);
    let mut wire = central.connect();
    wire.send(&[0, 99]).expect(&register_bet_failed(1));
    let mut sent = 0;
    while wire.0.write_all(&[0; 8192]).is_ok() {
        sent += 8192;
        assert!(sent < 1 << 28, "it reads and drops without end");
    }
    wait_for(&central.process, "close_connection");

    let mut wire = central.connect();
    wire.send(&[0, 99]).expect(&register_bet_failed(1));
    insist(&mut wire, &[0]);
}

#[test]
fn many_who_wait_cost_no_processor_time() {
    const CROWD: u32 = 200;
    let central = Central::start_with(CROWD + 1, |command| {
        command.env("SERVER_LISTEN_BACKLOG", "1024");
    });
    let mut crowd: Vec<Wire> = (0..CROWD).map(|_| central.connect()).collect();
    for (agency, wire) in (1..).zip(&mut crowd) {
        wire.send(&hello(agency)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    }
    wait_for_nth(&central.process, "cierre_agencia", CROWD as usize);
    let before = central.process.usage().expect("usage").processor;
    thread::sleep(Duration::from_secs(1));
    let used = central.process.usage().expect("usage").processor - before;
    // A hundredth of a second is what can be told from nothing; a loop that turned for nothing would use all of it.
    assert!(used <= Duration::from_millis(50), "{used:?} in a second of waiting");
    central.connect().send(&hello(CROWD + 1)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT);
    for wire in &mut crowd {
        wire.expect(&inform_winners(&[]));
    }
}
