//! Each limit at its edge: a request at the limit is served, and one beyond it is refused as soon as its length or count has
//! arrived, before any memory is taken for it. A peer that does not read its replies is not read either.

use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{
    Bet, OPEN, REGISTER_BET_OK, hello, hello_with, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{PATIENCE, Server, Wire, allow_descriptors_for, wait_for, wait_for_nth};
use rustix::process::Signal;

fn server_with(name: &str, value: usize) -> Server {
    Server::start_with(2, |command: &mut Command| {
        command.env(name, value.to_string());
    })
}

/// The start of a RegisterBets with so many bets.
fn announce_bets(bets: u32) -> Vec<u8> {
    [&[0, 1], bets.to_be_bytes().as_slice()].concat()
}

#[test]
fn a_message_beyond_max_message_bytes_is_refused_from_its_length() {
    const LIMIT: usize = 8192;
    let server = server_with("MAX_MESSAGE_BYTES", LIMIT);
    let name = [b'x'; 255];
    let long = Bet { first_name: &name, last_name: &name, ..Bet::of(1, 7, 7) };
    let mut bets = vec![long; 14];
    let missing = LIMIT - register_bets(&bets).len() - 8 - 28;
    assert!((2..=510).contains(&missing), "{missing} bytes for the names of the last bet");
    bets.push(Bet { first_name: &name[..missing / 2], last_name: &name[..missing - missing / 2], ..long });
    let message = register_bets(&bets);
    assert_eq!(message.len(), LIMIT);
    server.connect().send(&message).expect(REGISTER_BET_OK);

    // The same with a last bet that is a byte longer. Its length is sent, and nothing behind that.
    let last_bet = message.len() - missing - 28;
    let mut refused = message[..last_bet].to_vec();
    refused[last_bet - 1] += 1;
    server.connect().send(&refused).expect(&register_bet_failed(3)).expect_closed();
    assert_eq!(server.bets().lines().count(), bets.len());
}

#[test]
fn a_bet_as_long_as_memory_is_refused_from_its_length() {
    let server = Server::start(1);
    for length in [65_536 - 13_u64, 1 << 31, 1 << 63, u64::MAX, u64::MAX - 13] {
        let announced = [announce_bets(1), length.to_be_bytes().to_vec()].concat();
        server.connect().send(&announced).expect(&register_bet_failed(3)).expect_closed();
    }
    assert!(server.process.usage().expect("usage").peak_kib < 64 * 1024);
}

#[test]
fn a_batch_beyond_max_batch_bets_is_refused_from_its_count() {
    let server = server_with("MAX_BATCH_BETS", 3);
    server.connect().send(&register_bets(&[Bet::of(1, 7, 7); 3])).expect(REGISTER_BET_OK);
    for bets in [4, u32::MAX] {
        server.connect().send(&announce_bets(bets)).expect(&register_bet_failed(3)).expect_closed();
    }
}

#[test]
fn a_batch_beyond_max_agency_bets_is_refused_whole() {
    let server = server_with("MAX_AGENCY_BETS", 5);
    let batch = |agency, bets| register_bets(&vec![Bet::of(agency, 7, 7); bets]);
    let mut wire = server.connect();
    wire.send(&[batch(1, 3), batch(1, 3), batch(1, 2), batch(1, 1)].concat());
    wire.expect(&[REGISTER_BET_OK, &register_bet_failed(6), REGISTER_BET_OK, &register_bet_failed(6)].concat());
    wait_for_nth(&server.process, "see MAX_AGENCY_BETS", 2);
    wire.send(&hello(1)).expect(&welcome(5, OPEN));
    server.connect().send(&batch(2, 5)).expect(REGISTER_BET_OK);
    assert_eq!(server.bets().lines().count(), 5 + 5);
}

#[test]
fn a_credential_beyond_255_bytes_is_refused_from_its_length() {
    let server = Server::start(1);
    server.connect().send(&hello_with(1, &[b'x'; 255])).expect(&welcome(0, OPEN));
    let too_long = hello_with(1, &[b'x'; 256]);
    server.connect().send(&too_long[..10]).expect(&register_bet_failed(3)).expect_closed();
}

#[test]
fn an_echo_line_beyond_max_echo_line_bytes_is_refused_before_its_end() {
    let server = server_with("MAX_ECHO_LINE_BYTES", 10);
    server.connect().send(b"0123456789\n").expect(b"0123456789\n").expect_closed();
    server.connect().send(b"0123456789").end().expect(b"0123456789").expect_closed();
    server.connect().send(b"0123456789\r\n").expect_closed();
    server.connect().send(b"0123456789x").expect_closed();
}

#[test]
fn a_message_may_be_longer_than_a_connections_share_of_a_turn() {
    let server = server_with("MAX_TURN_BYTES", 512);
    let bets = [Bet::of(1, 7, 7); 100];
    server.connect().send(&register_bets(&bets)).expect(REGISTER_BET_OK).send(&hello(1)).expect(&welcome(100, OPEN));
}

/// The commits of a server that finds `batches` batches of one bet on one connection.
fn commits_of(batches: usize, name: &str, value: usize) -> usize {
    let server = server_with(name, value);
    let mut wire = server.connect_as(1);
    // The server finds all of them when it wakes.
    server.process.signal(Signal::STOP);
    wire.send(&register_bets(&[Bet::of(1, 7, 7)]).repeat(batches));
    server.process.signal(Signal::CONT);
    wire.expect(&REGISTER_BET_OK.repeat(batches));
    server.state_number("commits")
}

#[test]
fn a_turn_reads_at_most_max_turn_bytes_of_a_connection() {
    // A record is decrypted whole.
    if crate::OVER_TLS {
        return;
    }
    const BATCHES: usize = 50;
    let bytes = BATCHES * register_bets(&[Bet::of(1, 7, 7)]).len();
    let commits = commits_of(BATCHES, "MAX_TURN_BYTES", 512);
    assert!(commits >= bytes / 512, "{commits} commits of {bytes} bytes");
    let commits = commits_of(BATCHES, "MAX_TURN_BYTES", 8192);
    assert!(commits < bytes / 512, "{commits} commits of {bytes} bytes that could have been one");
}

#[test]
fn a_turn_gives_at_most_max_turn_answers_to_a_connection() {
    const BATCHES: usize = 50;
    let commits = commits_of(BATCHES, "MAX_TURN_ANSWERS", 3);
    assert!(commits >= BATCHES / 3, "{commits} commits");
    let commits = commits_of(BATCHES, "MAX_TURN_ANSWERS", 64);
    assert!(commits < BATCHES / 3, "{commits} commits of what could have been one");
}

#[test]
fn a_connection_beyond_max_connections_is_told_so_though_it_has_spoken() {
    // It is told before a handshake, in plain.
    if crate::OVER_TLS {
        return;
    }
    let server = Server::start_with(2, |command| allow_descriptors_for(command, 2));
    let [mut served, _other] = [1, 2].map(|agency| server.connect_as(agency));
    // The server finds the next connection and its Hello together when it wakes.
    server.process.signal(Signal::STOP);
    let mut refused = server.connect();
    refused.send(&hello(1));
    server.process.signal(Signal::CONT);
    let mut answer = Vec::new();
    refused.0.read_to_end(&mut answer).expect("an end, and no reset");
    assert_eq!(answer, register_bet_failed(12));
    served.send(&hello(1)).expect(&welcome(0, OPEN));
}

#[test]
fn the_oldest_connection_without_an_agency_makes_room_for_a_new_one() {
    let server = Server::start_with(2, |command| allow_descriptors_for(command, 3));
    let mut agency = server.connect_as(1);
    let mut silent = [server.connect(), server.connect()];
    wait_for_nth(&server.process, "action: accept_connections | result: success", 3);
    let mut newcomer = server.connect_as(2);
    silent[0].expect_closed();
    silent[1].send(b"hola\n").expect(b"hola\n");
    for (number, wire) in (1..).zip([&mut agency, &mut newcomer]) {
        wire.send(&hello(number)).expect(&welcome(0, OPEN));
    }
}

#[test]
fn max_connections_keeps_room_for_every_agency_and_sixteen_newcomers() {
    const AGENCIES: u32 = 30;
    for (configured, allowed) in [(1, AGENCIES + 16), (AGENCIES + 20, AGENCIES + 20)] {
        let server = Server::start_with(AGENCIES, |command| {
            command.env("MAX_CONNECTIONS", configured.to_string());
        });
        let mut newcomers: Vec<Wire> = (AGENCIES..allowed).map(|_| server.connect()).collect();
        let agencies: Vec<Wire> = (1..=AGENCIES).map(|agency| server.connect_as(agency)).collect();
        assert_eq!(server.state_number("conexiones"), allowed as usize);
        // One more takes the place of the oldest newcomer.
        let mut last = server.connect();
        newcomers[0].expect_closed();
        last.send(b"hola\n").expect(b"hola\n");
        drop(agencies);
    }
}

/// TCP_CLOSE_WAIT in /proc/net/tcp: the peer has closed its side.
const CLOSE_WAIT: &str = "08";

#[test]
fn a_connection_that_ends_makes_room_for_a_simultaneous_new_one() {
    // A handshake takes more turns than one.
    if crate::OVER_TLS {
        return;
    }
    let server = Server::start_with(2, |command| allow_descriptors_for(command, 1));
    let old = server.connect_as(1);
    // The server finds both when it wakes.
    server.process.signal(Signal::STOP);
    drop(old);
    let mut new = server.connect();
    new.send(&hello(2));
    server.wait_for_connections(1, |state, _| state == CLOSE_WAIT);
    server.process.signal(Signal::CONT);
    new.expect(&welcome(0, OPEN));
}

/// The first `bytes` of a batch of 100 bets of `agency`.
fn part_of_batch(agency: u32, bytes: usize) -> Vec<u8> {
    let mut batch = register_bets(&[Bet::of(agency, 7, 7); 100]);
    batch.truncate(bytes);
    batch
}

#[test]
fn only_connections_without_an_agency_share_max_anonymous_bytes() {
    // Two handshakes take all of it: see `tests/it/tls.rs`.
    if crate::OVER_TLS {
        return;
    }
    const LIMIT: usize = 65_536;
    const PART: usize = 4096;
    let server = server_with("MAX_ANONYMOUS_BYTES", LIMIT);
    let mut sharing: Vec<Wire> = (0..LIMIT / PART).map(|_| server.connect()).collect();
    for wire in &mut sharing {
        wire.send(&part_of_batch(1, PART));
    }
    server.wait_for_state("bytes_en_buffers", LIMIT);
    server.connect().send(&part_of_batch(1, 1000)).expect(&register_bet_failed(12)).expect_closed();
    server.connect().send(&[b'x'; 1000]).expect_closed();
    wait_for_nth(&server.process, "MAX_ANONYMOUS_BYTES", 2);

    // A Hello needs no room there, even in pieces, and neither does a whole batch.
    let mut agency = server.connect();
    for byte in hello(1) {
        agency.send(&[byte]);
    }
    agency.expect(&welcome(0, OPEN)).send(&part_of_batch(1, PART));
    server.wait_for_state("bytes_en_buffers", LIMIT + PART);
    agency.send(&part_of_batch(1, 1 << 16)[PART..]).expect(REGISTER_BET_OK);
    server.connect().send(&part_of_batch(2, 1 << 16)).expect(REGISTER_BET_OK);

    // The connections that share it can go on, and leave their room to the next.
    let rest = part_of_batch(2, 1 << 16);
    sharing[0].send(&part_of_batch(1, 1 << 16)[PART..]).expect(&register_bet_failed(10)).expect_closed();
    drop(sharing.pop());
    wait_for(&server.process, "the connection ended in the middle of a message");
    let mut next = server.connect();
    next.send(&rest[..PART]);
    server.wait_for_state("bytes_en_buffers", LIMIT - PART);
    next.send(&rest[PART..]).expect(REGISTER_BET_OK);
    assert_eq!(server.bets().lines().count(), 300);
}

#[test]
fn a_crowd_of_unfinished_batches_takes_bounded_memory() {
    const LIMIT: usize = 4 << 20;
    const PEAK_KIB: u64 = 16 * 1024;
    let server = Server::start_with(1, |command| {
        command.env("MAX_ANONYMOUS_BYTES", LIMIT.to_string());
    });
    let mut agency = server.connect_as(1);
    agency.send(&part_of_batch(1, 4096));

    let unfinished = [announce_bets(1), 65_000_u64.to_be_bytes().to_vec(), vec![0; 60 * 1024]].concat();
    let began = Instant::now();
    let mut crowd: Vec<Wire> = (0..500).map(|_| server.connect()).collect();
    for wire in &mut crowd {
        // It may be refused before it has said it all.
        let _ = wire.0.write_all(&unfinished);
    }
    while server.state_number("conexiones") > 1 + LIMIT / unfinished.len() {
        assert!(began.elapsed() < PATIENCE, "those that are refused are closed");
    }
    agency.send(&part_of_batch(1, 1 << 16)[4096..]).expect(REGISTER_BET_OK);
    server.connect().send(&hello(1)).expect(&welcome(100, OPEN));
    let peak = server.process.usage().expect("usage").peak_kib;
    assert!(peak < PEAK_KIB, "{peak} KiB of {PEAK_KIB}");
}

#[test]
fn a_peer_that_leaves_max_unsent_bytes_unread_is_not_read() {
    // It writes from two threads, which a channel can't.
    if crate::OVER_TLS {
        return;
    }
    const LIMIT: usize = 1024;
    /// The most that the server reads from a connection before it reads from the next.
    const SLICE: usize = 32 * 1024;
    let server = server_with("MAX_UNSENT_BYTES", LIMIT);
    let mut wire = Wire::connect_unbuffered(server.port);
    wire.0.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let hellos = hello(1).repeat(1000);
    let mut sent = 0;
    let blocked = loop {
        match wire.0.write(&hellos[sent % hellos.len()..]) {
            Ok(bytes) => sent += bytes,
            Err(error) => break error,
        }
        assert!(sent < 1 << 27, "it is read though it does not read");
    };
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock, "{blocked}");
    // The input of a slice waits behind the replies, which exceed the limit by a reply at most.
    let buffered = server.state_number("bytes_en_buffers");
    assert!(buffered <= 2 * (LIMIT + 11) + SLICE + 10, "{buffered} bytes");

    // Nothing is lost: everything goes on once the replies are read.
    wire.0.set_write_timeout(None).expect("no timeout");
    let rest = (hellos.len() - sent % hellos.len()) % hello(1).len();
    let mut writing = wire.0.try_clone().expect("a second handle");
    let finish = std::thread::spawn(move || writing.write_all(&hello(1)[hello(1).len() - rest..]));
    let welcome = welcome(0, OPEN);
    for _ in 0..(sent + rest) / hello(1).len() {
        wire.expect(&welcome);
    }
    finish.join().expect("joined").expect("written");
    assert!(server.state_number("bytes_en_buffers") <= 128, "an idle connection keeps next to nothing");
}
