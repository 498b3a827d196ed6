//! Each limit at its edge: what is at it is served, what is beyond it is refused as soon as it is announced, before anything is
//! kept for it; and what a peer leaves unread stops what it says from being read.

use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use std::time::Duration;

use crate::fixture::by_hand::{Bet, OPEN, REGISTER_BET_OK, hello, register_bet_failed, register_bets, welcome};
use crate::fixture::{Central, Wire, wait_for, wait_for_nth};
use loteria::server::descriptors::allow_connections;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

fn central_with(name: &str, value: usize) -> Central {
    Central::start_with(2, |command: &mut Command| {
        command.env(name, value.to_string());
    })
}

/// The start of a RegisterBets that says to have so many bets.
fn announce_bets(bets: u32) -> Vec<u8> {
    [&[0, 1], bets.to_be_bytes().as_slice()].concat()
}

#[test]
fn a_message_may_have_max_message_bytes_and_one_more_is_refused_when_its_length_is_said() {
    const LIMIT: usize = 8192;
    let central = central_with("MAX_MESSAGE_BYTES", LIMIT);
    let name = [b'x'; 255];
    let long = Bet { first_name: &name, last_name: &name, ..Bet::of(1, 7, 7) };
    let mut bets = vec![long; 14];
    let missing = LIMIT - register_bets(&bets).len() - 8 - 28;
    assert!((2..=510).contains(&missing), "{missing} bytes for the names of the last bet");
    bets.push(Bet { first_name: &name[..missing / 2], last_name: &name[..missing - missing / 2], ..long });
    let message = register_bets(&bets);
    assert_eq!(message.len(), LIMIT);
    central.connect().send(&message).expect(REGISTER_BET_OK);

    // The same with a bet that says to be a byte longer: nothing of that bet is sent.
    let last_bet = message.len() - missing - 28;
    let mut refused = message[..last_bet].to_vec();
    refused[last_bet - 1] += 1;
    central.connect().send(&refused).expect(&register_bet_failed(3)).expect_closed();
    assert_eq!(central.bets().lines().count(), bets.len());
}

#[test]
fn a_bet_that_says_to_be_as_long_as_memory_is_refused_when_it_says_so() {
    let central = Central::start(1);
    for length in [65_536 - 13_u64, 1 << 31, 1 << 63, u64::MAX, u64::MAX - 13] {
        let announced = [announce_bets(1), length.to_be_bytes().to_vec()].concat();
        central.connect().send(&announced).expect(&register_bet_failed(3)).expect_closed();
    }
    assert!(central.process.usage().expect("usage").peak_kib < 64 * 1024);
}

#[test]
fn a_batch_may_have_max_batch_bets_and_one_more_is_refused_when_it_is_counted() {
    let central = central_with("MAX_BATCH_BETS", 3);
    central.connect().send(&register_bets(&[Bet::of(1, 7, 7); 3])).expect(REGISTER_BET_OK);
    for bets in [4, u32::MAX] {
        central.connect().send(&announce_bets(bets)).expect(&register_bet_failed(3)).expect_closed();
    }
}

#[test]
fn an_agency_may_have_max_agency_bets_and_a_batch_that_goes_beyond_is_refused_whole() {
    let central = central_with("MAX_AGENCY_BETS", 5);
    let batch = |agency, bets| register_bets(&vec![Bet::of(agency, 7, 7); bets]);
    let mut wire = central.connect();
    wire.send(&[batch(1, 3), batch(1, 3), batch(1, 2), batch(1, 1)].concat());
    wire.expect(&[REGISTER_BET_OK, &register_bet_failed(6), REGISTER_BET_OK, &register_bet_failed(6)].concat());
    wait_for_nth(&central.process, "see MAX_AGENCY_BETS", 2);
    wire.send(&hello(1)).expect(&welcome(5, OPEN));
    central.connect().send(&batch(2, 5)).expect(REGISTER_BET_OK);
    assert_eq!(central.bets().lines().count(), 5 + 5);
}

#[test]
fn a_credential_may_have_255_bytes_and_one_more_is_refused_when_its_length_is_said() {
    let central = Central::start(1);
    let hello = |bytes: u16| [&[0, 8, 0, 1, 0, 0, 0, 1], bytes.to_be_bytes().as_slice()].concat();
    central.connect().send(&hello(255)).send(&[b'x'; 255]).expect(&welcome(0, OPEN));
    central.connect().send(&hello(256)).expect(&register_bet_failed(3)).expect_closed();
}

#[test]
fn an_echo_line_may_have_max_echo_line_bytes_and_one_more_is_refused_without_its_end() {
    let central = central_with("MAX_ECHO_LINE_BYTES", 10);
    central.connect().send(b"0123456789\n").expect(b"0123456789\n").expect_closed();
    central.connect().send(b"0123456789").end().expect(b"0123456789").expect_closed();
    central.connect().send(b"0123456789\r\n").expect_closed();
    central.connect().send(b"0123456789x").expect_closed();
}

#[test]
fn a_message_may_be_longer_than_a_connections_share_of_a_turn() {
    let central = central_with("MAX_TURN_BYTES", 512);
    let bets = [Bet::of(1, 7, 7); 100];
    central.connect().send(&register_bets(&bets)).expect(REGISTER_BET_OK).send(&hello(1)).expect(&welcome(100, OPEN));
}

/// How many commits a central makes of `batches` batches of a bet each that wait for it all at once.
fn commits_of(batches: usize, name: &str, value: usize) -> usize {
    let central = central_with(name, value);
    let mut wire = central.connect();
    wire.send(&hello(1)).expect(&welcome(0, OPEN));
    // The central sleeps while they come, and finds all of them when it wakes.
    central.process.signal(Signal::STOP);
    wire.send(&register_bets(&[Bet::of(1, 7, 7)]).repeat(batches));
    central.process.signal(Signal::CONT);
    wire.expect(&REGISTER_BET_OK.repeat(batches));
    central.state_number(1, "commits")
}

#[test]
fn no_more_than_max_turn_bytes_are_taken_from_a_connection_in_a_turn() {
    const BATCHES: usize = 50;
    let bytes = BATCHES * register_bets(&[Bet::of(1, 7, 7)]).len();
    let commits = commits_of(BATCHES, "MAX_TURN_BYTES", 512);
    assert!(commits >= bytes / 512, "{commits} commits of {bytes} bytes");
    let commits = commits_of(BATCHES, "MAX_TURN_BYTES", 8192);
    assert!(commits < bytes / 512, "{commits} commits of {bytes} bytes that could have been one");
}

#[test]
fn no_more_than_max_turn_answers_are_given_to_a_connection_in_a_turn() {
    const BATCHES: usize = 50;
    let commits = commits_of(BATCHES, "MAX_TURN_ANSWERS", 3);
    assert!(commits >= BATCHES / 3, "{commits} commits");
    let commits = commits_of(BATCHES, "MAX_TURN_ANSWERS", 64);
    assert!(commits < BATCHES / 3, "{commits} commits of what could have been one");
}

#[test]
fn one_connection_more_than_max_connections_is_told_so_even_if_it_has_spoken_already() {
    let central = central_with("MAX_CONNECTIONS", 2);
    let mut served = [central.connect(), central.connect()];
    for (agency, wire) in (1..).zip(&mut served) {
        wire.send(&hello(agency)).expect(&welcome(0, OPEN));
    }
    // The central sleeps while the next one comes and speaks, and finds both when it wakes.
    central.process.signal(Signal::STOP);
    let mut refused = central.connect();
    refused.send(&hello(1));
    central.process.signal(Signal::CONT);
    let mut answer = Vec::new();
    refused.0.read_to_end(&mut answer).expect("an end, and no reset");
    assert_eq!(answer, register_bet_failed(12));
    served[0].send(&hello(1)).expect(&welcome(0, OPEN));
}

/// The peer has ended its side: how /proc/net/tcp says it, see enum tcp_state of the kernel.
const CLOSE_WAIT: &str = "08";

#[test]
fn a_connection_that_ends_makes_room_for_one_that_comes_at_the_same_time() {
    let central = central_with("MAX_CONNECTIONS", 1);
    let mut old = central.connect();
    old.send(&hello(1)).expect(&welcome(0, OPEN));
    // The central sleeps meanwhile, and finds both when it wakes.
    central.process.signal(Signal::STOP);
    drop(old);
    let mut new = central.connect();
    new.send(&hello(2));
    central.wait_for_connections(1, |state, _| state == CLOSE_WAIT);
    central.process.signal(Signal::CONT);
    new.expect(&welcome(0, OPEN));
}

/// The first `bytes` of a batch of 100 bets of `agency`.
fn part_of_batch(agency: u32, bytes: usize) -> Vec<u8> {
    let mut batch = register_bets(&[Bet::of(agency, 7, 7); 100]);
    batch.truncate(bytes);
    batch
}

#[test]
fn connections_without_an_agency_share_max_anonymous_bytes_and_those_that_have_one_do_not() {
    const LIMIT: usize = 65_536;
    const PART: usize = 4096;
    let central = central_with("MAX_ANONYMOUS_BYTES", LIMIT);
    let mut sharing: Vec<Wire> = (0..LIMIT / PART).map(|_| central.connect()).collect();
    for wire in &mut sharing {
        wire.send(&part_of_batch(1, PART));
    }
    let mut asked = 1;
    while central.state_number(asked, "bytes_en_buffers") < LIMIT {
        asked += 1;
    }
    central.connect().send(&part_of_batch(1, 1000)).expect(&register_bet_failed(12)).expect_closed();
    central.connect().send(&[b'x'; 1000]).expect_closed();
    wait_for_nth(&central.process, "MAX_ANONYMOUS_BYTES", 2);

    // Whoever says whose it is needs no room there, even if its Hello comes in pieces, and neither does a batch that is whole.
    let mut agency = central.connect();
    for byte in hello(1) {
        agency.send(&[byte]);
        std::thread::sleep(Duration::from_millis(1));
    }
    agency.expect(&welcome(0, OPEN)).send(&part_of_batch(1, PART));
    while central.state_number(asked + 1, "bytes_en_buffers") < LIMIT + PART {
        asked += 1;
    }
    agency.send(&part_of_batch(1, 1 << 16)[PART..]).expect(REGISTER_BET_OK);
    central.connect().send(&part_of_batch(2, 1 << 16)).expect(REGISTER_BET_OK);

    // Those that share it can go on; what they no longer need is the next one's.
    let rest = part_of_batch(2, 1 << 16);
    sharing[0].send(&part_of_batch(1, 1 << 16)[PART..]).expect(&register_bet_failed(10)).expect_closed();
    drop(sharing.pop());
    wait_for(&central.process, "the connection ended in the middle of a message");
    let mut next = central.connect();
    next.send(&rest[..PART]);
    while central.state_number(asked + 2, "bytes_en_buffers") < LIMIT - PART {
        asked += 1;
    }
    next.send(&rest[PART..]).expect(REGISTER_BET_OK);
    assert_eq!(central.bets().lines().count(), 300);
}

#[test]
fn a_crowd_of_unfinished_batches_takes_a_bounded_amount_of_memory_and_no_agencys_place() {
    const LIMIT: usize = 4 << 20;
    const PEAK_KIB: u64 = 16 * 1024;
    let central = Central::start_with(1, |command| {
        command.env("MAX_ANONYMOUS_BYTES", LIMIT.to_string()).env("SERVER_LISTEN_BACKLOG", "4096");
    });
    let mut agency = central.connect();
    agency.send(&hello(1)).expect(&welcome(0, OPEN)).send(&part_of_batch(1, 4096));

    let unfinished = [announce_bets(1), 65_000_u64.to_be_bytes().to_vec(), vec![0; 60 * 1024]].concat();
    let mut crowd: Vec<Wire> = (0..allow_connections(2000)).map(|_| central.connect()).collect();
    for wire in &mut crowd {
        // It may be refused before it has said it all.
        let _ = wire.0.write_all(&unfinished);
    }
    wait_for_nth(&central.process, "MAX_ANONYMOUS_BYTES", crowd.len() - LIMIT / unfinished.len());
    agency.send(&part_of_batch(1, 1 << 16)[4096..]).expect(REGISTER_BET_OK);
    central.connect().send(&hello(1)).expect(&welcome(100, OPEN));
    let peak = central.process.usage().expect("usage").peak_kib;
    assert!(peak < PEAK_KIB, "{peak} KiB of {PEAK_KIB}");
}

#[test]
fn what_a_peer_says_is_not_read_while_it_leaves_max_unsent_bytes_unread() {
    const LIMIT: usize = 1024;
    let central = central_with("MAX_UNSENT_BYTES", LIMIT);
    let mut wire = wire_with_small_buffers(central.port);
    wire.0.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let hellos = hello(1).repeat(1000);
    let mut sent = 0;
    let blocked = loop {
        match wire.0.write(&hellos[sent % hellos.len()..]) {
            Ok(bytes) => sent += bytes,
            Err(error) => break error,
        }
        assert!(sent < 1 << 27, "it is read whatever it leaves unread");
    };
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock, "{blocked}");
    // A turn's worth of input waits for the replies before it, and the replies are a reply beyond the limit at most.
    let buffered = central.state_number(1, "bytes_en_buffers");
    assert!(buffered <= 2 * (LIMIT + 11) + 8192 + 10, "{buffered} bytes");

    // Nothing is lost: it all goes on as soon as the replies are read.
    wire.0.set_write_timeout(None).expect("no timeout");
    let rest = (hellos.len() - sent % hellos.len()) % hello(1).len();
    let mut writing = wire.0.try_clone().expect("a second handle");
    let finish = std::thread::spawn(move || writing.write_all(&hello(1)[hello(1).len() - rest..]));
    let welcome = welcome(0, OPEN);
    for _ in 0..(sent + rest) / hello(1).len() {
        wire.expect(&welcome);
    }
    finish.join().expect("joined").expect("written");
    assert!(central.state_number(2, "bytes_en_buffers") <= 128, "an idle connection keeps next to nothing");
}

/// A connection of which the system itself buffers little.
fn wire_with_small_buffers(port: u16) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.set_send_buffer_size(4096).expect("a small buffer");
    socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("it accepts");
    Wire::over(socket.into())
}
