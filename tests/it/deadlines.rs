//! The deadlines of a connection: to end a message, to identify itself, to read its replies. The wait for the draw has none.

use std::fs;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, Bet, DRAWN, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, inform_winners, register_bet_failed,
    register_bets, welcome,
};
use crate::fixture::{Server, Wire, wait_for, wait_for_nth};

const SHORT: Duration = Duration::from_millis(300);

/// A server of two agencies. The timeouts in `short` last [`SHORT`], and the others longer than any test.
fn server_with_short(short: &[&str]) -> Server {
    Server::start_with(2, |command| {
        for name in ["SILENCE_TIMEOUT", "MESSAGE_TIMEOUT", "UNREAD_TIMEOUT"] {
            command.env(name, if short.contains(&name) { format!("{SHORT:?}") } else { "1h".to_owned() });
        }
    })
}

/// Sends `bytes` again and again, with pauses much shorter than any deadline, until the server closes the connection.
fn insist(mut wire: Wire, bytes: &[u8]) {
    const ENOUGH: usize = 1000;
    for _ in 0..ENOUGH {
        if wire.0.write_all(bytes).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{bytes:?} was accepted {ENOUGH} times");
}

#[test]
fn a_message_has_a_deadline_that_no_further_byte_extends() {
    let server = server_with_short(&["MESSAGE_TIMEOUT"]);
    let mut wire = server.connect_as(1);
    // A bet of 538 bytes, which come one by one.
    let names = [b'x'; 255];
    wire.send(&register_bets(&[Bet { first_name: &names, last_name: &names, ..Bet::of(1, 7, 7) }])[..14]);
    insist(wire, &[0]);
    wait_for(&server.process, "expire_connection | result: success | ip: 127.0.0.1 | reason: a message took longer");
    assert_eq!(server.bets(), "");
}

#[test]
fn a_message_that_ends_in_time_starts_the_deadline_of_the_next() {
    let deadline = Duration::from_secs(2);
    let server = Server::start_with(1, |command| {
        command.env("MESSAGE_TIMEOUT", format!("{deadline:?}"));
    });
    let mut wire = server.connect_as(1);
    // Each message takes a fraction of the deadline, and all of them together longer.
    let began = Instant::now();
    while began.elapsed() < deadline + deadline / 10 {
        let hello = hello(1);
        wire.send(&hello[..5]);
        thread::sleep(deadline / 20);
        wire.send(&hello[5..]).expect(&welcome(0, OPEN));
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let server = server_with_short(&["SILENCE_TIMEOUT"]);
    server.connect().expect_closed();
    wait_for(&server.process, "reason: it named no agency within SILENCE_TIMEOUT");
}

#[test]
fn an_ack_or_half_a_line_does_not_extend_the_silence_timeout() {
    let server = server_with_short(&["SILENCE_TIMEOUT"]);
    thread::scope(|scope| {
        for idle_talk in [ACK, b"x"] {
            let wire = server.connect();
            scope.spawn(move || insist(wire, idle_talk));
        }
    });
    wait_for_nth(&server.process, "expire_connection", 2);
}

#[test]
fn a_connection_that_does_not_read_its_replies_is_closed() {
    let server = server_with_short(&["UNREAD_TIMEOUT"]);
    let mut wire = server.connect();
    let hellos = hello(1).repeat(1000);
    let error = loop {
        if let Err(error) = wire.0.write_all(&hellos) {
            break error;
        }
    };
    assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it was not closed: {error}");
    wait_for(&server.process, "reason: its replies stayed unread for longer than UNREAD_TIMEOUT");
}

#[test]
fn unread_replies_take_a_bounded_part_of_the_kernels_memory() {
    let server = server_with_short(&["UNREAD_TIMEOUT"]);
    let mut wire = server.connect_as(1);
    for _ in 0..100 {
        wire.send(&register_bets(&[Bet::of(1, 7, 7574); 1000])).expect(REGISTER_BET_OK);
    }
    wire.send(ALL_BETS_SENT);
    server.connect_as(2).send(ALL_BETS_SENT).send(&hello(2)).expect(&welcome(0, DRAWN));
    // The kernel gives a connection the more room the more it has carried, so this one reads ten lists at first.
    let mut reader = server.connect();
    reader.send(&hello(1)).expect(&welcome(100_000, DRAWN));
    let list = inform_winners(&[7; 100_000]);
    for _ in 0..10 {
        reader.send(REQUEST_WINNERS).expect(&list);
    }
    reader.send(&REQUEST_WINNERS.repeat(60));
    let mut most = 0;
    while !server.process.lines().iter().any(|line| line.contains("UNREAD_TIMEOUT")) {
        // Not their sum: the kernel's table may list a connection twice while it is read in pieces.
        most = server.send_queues().into_iter().fold(most, usize::max);
    }
    // Without a bound, Linux keeps 4 MiB for such a connection.
    assert!((1..=262_144).contains(&most), "{most} bytes wait to be sent");
    let until = Instant::now() + Duration::from_secs(20);
    while !server.send_queues().is_empty() {
        assert!(Instant::now() < until, "unread replies outlast their connection");
    }
}

#[test]
fn an_agency_that_waits_for_the_draw_waits_as_long_as_it_takes() {
    let server = server_with_short(&["SILENCE_TIMEOUT", "MESSAGE_TIMEOUT", "UNREAD_TIMEOUT"]);
    let mut parked = server.connect();
    parked.send(&register_bets(&[Bet::of(1, 7, 7574)])).expect(&[0, 2]);
    parked.send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    wait_for(&server.process, "cierre_agencia");
    // Three times the deadline of others passes.
    for nth in 1..=3 {
        server.connect().expect_closed();
        wait_for_nth(&server.process, "expire_connection", nth);
    }
    server.connect_as(2).send(ALL_BETS_SENT);
    parked.expect(&inform_winners(&[7]));
}

#[test]
fn keep_alive_runs_on_the_connection_of_a_parked_agency() {
    let server = Server::start(2);
    let mut parked = server.connect_as(1);
    parked.send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    wait_for(&server.process, "cierre_agencia");
    let peer = parked.0.local_addr().expect("an address").port();
    let (local, remote) = (format!(":{:04X}", server.port), format!(":{peer:04X}"));
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut of_the_server = fields.filter(|fields| fields[1].ends_with(&local) && fields[2].ends_with(&remote));
    let fields = of_the_server.next().expect("the server's end of the connection");
    assert!(fields[5].starts_with("02:"), "the timer of keep-alive does not run: {fields:?}");
}

#[test]
fn a_refused_connection_that_goes_on_sending_is_closed() {
    let server = Server::start(1);
    let mut wire = server.connect();
    wire.send(&[0, 99]).expect(&register_bet_failed(1));
    let mut sent = 0;
    while wire.0.write_all(&[0; 8192]).is_ok() {
        sent += 8192;
        assert!(sent < 1 << 28, "it reads and discards without end");
    }
    wait_for(&server.process, "close_connection");

    let mut wire = server.connect();
    wire.send(&[0, 99]).expect(&register_bet_failed(1));
    insist(wire, &[0]);
}

#[test]
fn two_hundred_parked_agencies_cost_no_processor_time() {
    const CROWD: u32 = 200;
    let server = Server::start(CROWD + 1);
    let mut crowd: Vec<Wire> = (1..=CROWD).map(|agency| server.connect_as(agency)).collect();
    for wire in &mut crowd {
        wire.send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    }
    wait_for_nth(&server.process, "cierre_agencia", CROWD as usize);
    let before = server.process.usage().expect("usage").processor;
    thread::sleep(Duration::from_secs(1));
    let used = server.process.usage().expect("usage").processor - before;
    // The resolution is 10 ms. A loop without rest would use the whole second.
    assert!(used <= Duration::from_millis(50), "{used:?} in a second of waiting");
    server.connect_as(CROWD + 1).send(ALL_BETS_SENT);
    for wire in &mut crowd {
        wire.expect(&inform_winners(&[]));
    }
}
