//! Each code of `protocol.md` that a peer can cause, and the fate of its connection. A refused batch stores nothing.

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, BIRTHDATE, Bet, CLOSED, DRAWN, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, hello_in_version,
    inform_winners, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{Server, allow_descriptors_for, through_bash, wait_for};
use rustix::process::Signal;

/// The server must answer `request` on a new connection with `code` and close.
#[track_caller]
fn closes_with(server: &Server, request: &[u8], code: u16) {
    server.connect().send(request).expect(&register_bet_failed(code)).expect_closed();
}

/// The server must answer `request` on a new connection with `code` and go on.
#[track_caller]
fn goes_on_after(server: &Server, request: &[u8], code: u16) {
    let mut agency = server.connect();
    agency.send(request).expect(&register_bet_failed(code)).send(&hello(1)).expect(&welcome(0, OPEN));
}

fn batch(bet: Bet<'_>) -> Vec<u8> {
    register_bets(&[Bet::of(1, 1, 1), bet, Bet::of(1, 2, 2)])
}

#[test]
fn a_type_that_no_agency_may_send_is_code_1_and_closes() {
    let server = Server::start(1);
    for message_type in [0, 2, 12, 255] {
        closes_with(&server, &[0, message_type], 1);
    }
    closes_with(&server, &register_bet_failed(1), 1);
    closes_with(&server, &inform_winners(&[1, 2]), 1);
    closes_with(&server, &welcome(1, OPEN), 1);
    assert_eq!(server.bets(), "");
}

#[test]
fn an_invalid_bet_is_code_2_and_nothing_of_its_batch_is_stored() {
    let server = Server::start(1);
    let valid = Bet::of(1, 3, 3);
    let (long, longest) = ("é".repeat(128), "x".repeat(255));
    let tomorrow = (time::OffsetDateTime::now_utc().unix_timestamp() / 86_400 + 1) * 86_400;
    for invalid in [
        Bet { first_name: b"", ..valid },
        Bet { last_name: b"", ..valid },
        Bet { first_name: long.as_bytes(), ..valid },
        Bet { last_name: b"Paz\n1,Eva,Sosa,4,2000-01-01,7574", ..valid },
        Bet { last_name: "Paz\u{85}".as_bytes(), ..valid },
        Bet { document: 100_000_000, ..valid },
        Bet { document: u32::MAX, ..valid },
        Bet { birthdate: BIRTHDATE + 1, ..valid },
        Bet { birthdate: -2_208_988_800 - 86_400, ..valid },
        Bet { birthdate: tomorrow, ..valid },
        Bet { birthdate: i64::MAX, ..valid },
        Bet { birthdate: i64::MIN, ..valid },
        Bet { number: 10_000, ..valid },
        Bet { number: u32::MAX, ..valid },
    ] {
        goes_on_after(&server, &batch(invalid), 2);
    }
    assert_eq!(server.bets(), "");

    let extremes = [
        Bet { first_name: longest.as_bytes(), last_name: b"x", document: 99_999_999, number: 9999, ..valid },
        Bet { document: 0, birthdate: -2_208_988_800, number: 0, ..valid },
        Bet { birthdate: tomorrow - 86_400, ..valid },
    ];
    server.connect().send(&register_bets(&extremes)).expect(REGISTER_BET_OK);
    assert_eq!(server.bets().lines().count(), 3);
}

#[test]
fn a_malformed_message_is_code_3_and_closes() {
    let server = Server::start(1);
    let valid = register_bets(&[Bet::of(1, 1, 1)]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = valid.clone();
        bytes[at] = byte;
        bytes
    };
    // The bet's length, then the length of its first name, each one too many (with a byte to fill it) and one too few.
    closes_with(&server, &[&changed(13, valid[13] + 1), [0].as_slice()].concat(), 3);
    closes_with(&server, &changed(13, valid[13] - 1), 3);
    closes_with(&server, &changed(21, valid[21] + 1), 3);
    closes_with(&server, &changed(21, valid[21] - 1), 3);
    closes_with(&server, &changed(18, 255), 3);
    // Not a bet at all, more than a message may have, more bets than a batch may have, a credential too long.
    closes_with(&server, &[&[0, 1, 0, 0, 0, 1], [0; 8].as_slice()].concat(), 3);
    closes_with(&server, &[&[0, 1, 0, 0, 0, 1], [255; 8].as_slice()].concat(), 3);
    closes_with(&server, &[0, 1, 0, 0, 4, 1], 3);
    closes_with(&server, &[0, 8, 0, 1, 0, 0, 0, 1, 1, 0], 3);
    closes_with(&server, &batch(Bet { first_name: b"Jos\xe9", ..Bet::of(1, 3, 3) }), 3);
    closes_with(&server, &batch(Bet { last_name: b"\xff", ..Bet::of(1, 3, 3) }), 3);
    assert_eq!(server.bets(), "");
}

#[test]
fn a_message_that_ends_with_the_connection_is_not_applied() {
    let server = Server::start(1);
    let batch = register_bets(&[Bet::of(1, 1, 1)]);
    server.connect().send(&batch[..batch.len() - 1]).end().expect_closed();
    assert_eq!(server.bets(), "");
}

#[test]
fn another_agencys_bet_is_code_4_and_nothing_of_its_batch_is_stored() {
    let server = Server::start(2);
    let (own, other) = (Bet::of(1, 1, 1), Bet::of(2, 2, 2));
    let mut agency = server.connect();
    agency.send(&register_bets(&[own, other])).expect(&register_bet_failed(4));
    agency.send(&register_bets(&[own])).expect(REGISTER_BET_OK);
    agency.send(&register_bets(&[other])).expect(&register_bet_failed(4));
    agency.send(&register_bets(&[own, other])).expect(&register_bet_failed(4));
    agency.send(&hello(2)).expect(&register_bet_failed(4));
    // An unknown agency, on the connection of agency 1.
    agency.send(&register_bets(&[Bet::of(9, 1, 1)])).expect(&register_bet_failed(4));
    agency.send(&register_bets(&[own])).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), own.row().repeat(2));
}

#[test]
fn an_unknown_agency_is_code_5_and_closes() {
    let server = Server::start(2);
    for agency in [0, 3, u32::MAX] {
        closes_with(&server, &hello(agency), 5);
        closes_with(&server, &register_bets(&[Bet::of(agency, 1, 1)]), 5);
    }
    assert_eq!(server.bets(), "");
}

#[test]
fn a_bet_after_the_closing_is_code_6_and_is_not_stored() {
    let server = Server::start(2);
    let bet = Bet::of(1, 1, 7574);
    let mut agency = server.connect_as(1);
    agency.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    // In the same piece as the closing, in another, after Hello again, and after the draw.
    agency.send(&[ALL_BETS_SENT, &register_bets(&[bet])].concat()).expect(&register_bet_failed(6));
    agency.send(&hello(1)).expect(&welcome(1, CLOSED));
    agency.send(&register_bets(&[bet])).expect(&register_bet_failed(6));
    server.connect_as(2).send(ALL_BETS_SENT);
    wait_for(&server.process, "action: sorteo | result: success");
    agency.send(&hello(1)).expect(&welcome(1, DRAWN)).send(&register_bets(&[bet])).expect(&register_bet_failed(6));
    agency.send(REQUEST_WINNERS).expect(&inform_winners(&[1]));
    server.connect().send(&register_bets(&[bet])).expect(&register_bet_failed(6));
    assert_eq!(server.bets(), bet.row());
}

#[test]
fn an_agency_that_closes_twice_in_a_turn_closes_once() {
    let server = Server::start(2);
    let mut agency = server.connect_as(1);
    agency.send(&[ALL_BETS_SENT, ALL_BETS_SENT, &hello(1)].concat()).expect(&welcome(0, CLOSED));
    let ended = server.stop();
    assert_eq!(ended.lines_with("action: cierre_agencia | result: success").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn a_closing_or_request_without_an_agency_is_code_7_and_closes() {
    let server = Server::start(1);
    closes_with(&server, ALL_BETS_SENT, 7);
    closes_with(&server, REQUEST_WINNERS, 7);
    closes_with(&server, &[ACK, ACK, REQUEST_WINNERS].concat(), 7);
    let mut refused = server.connect();
    refused.send(&register_bets(&[Bet::of(1, 100_000_000, 1)])).expect(&register_bet_failed(2));
    refused.send(ALL_BETS_SENT).expect(&register_bet_failed(7)).expect_closed();
    server.connect_as(1);
}

#[test]
fn a_batch_that_can_not_be_written_whole_is_code_9_and_taken_back() {
    let server = Server::start_with(1, |command| {
        // A file of at most one block. The signal that says so is ignored, as children of a shell inherit it.
        through_bash(command, "trap '' XFSZ; ulimit -f 1; exec \"$0\"");
    });
    let (bet, bets) = (Bet::of(1, 1, 1), vec![Bet::of(1, 1, 1); 40]);
    let mut agency = server.connect_as(1);
    agency.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    // Of two batches in one turn, the first is told, and nothing behind it can be understood.
    server.process.signal(Signal::STOP);
    agency.send(&register_bets(&bets).repeat(2));
    server.process.signal(Signal::CONT);
    agency.expect(&register_bet_failed(9)).expect_closed();
    let mut again = server.connect();
    again.send(&hello(1)).expect(&welcome(1, OPEN)).send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), bet.row().repeat(2));
}

#[test]
fn a_newer_connection_is_code_10_for_the_older_and_closes_it() {
    let server = Server::start(2);
    let bet = Bet::of(1, 1, 1);
    let mut first = server.connect();
    first.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    let mut second = server.connect();
    second.send(&hello(1)).expect(&welcome(1, OPEN));
    first.expect(&register_bet_failed(10)).expect_closed();
    let mut third = server.connect();
    third.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    second.expect(&register_bet_failed(10)).expect_closed();
    third.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), bet.row().repeat(3));
}

#[test]
fn a_type_or_version_that_is_not_spoken_is_refused_from_its_first_bytes() {
    let server = Server::start(1);
    for message_type in [2, 3, 7, 9, 10, 11] {
        closes_with(&server, &[0, message_type], 1);
    }
    closes_with(&server, &[0, 8, 0, 3], 11);
    closes_with(&server, &[0, 8, 0xff, 0xff], 11);
}

#[test]
fn an_unknown_version_is_code_11_and_closes() {
    let server = Server::start(1);
    closes_with(&server, &hello_in_version(0, 1), 11);
    closes_with(&server, &hello_in_version(3, 1), 11);
    server.connect().send(&hello_in_version(1, 1)).expect(&welcome(0, OPEN));
}

#[test]
fn one_connection_too_many_is_code_12_and_closes() {
    // It is told before a handshake, in plain.
    if crate::OVER_TLS {
        return;
    }
    let server = Server::start_with(2, |command| allow_descriptors_for(command, 2));
    let [mut first, _second] = [1, 2].map(|agency| server.connect_as(agency));
    server.connect().expect(&register_bet_failed(12)).expect_closed();
    first.send(&register_bets(&[Bet::of(1, 1, 1)])).expect(REGISTER_BET_OK);
}

#[test]
fn a_connection_that_is_closed_makes_room_at_once() {
    let server = Server::start_with(1, |command| allow_descriptors_for(command, 1));
    for _ in 0..20 {
        server.connect().send(b"hola").end().expect(b"hola").expect_closed();
    }
    assert!(!server.process.lines().iter().any(|line| line.contains("accept_connections | result: fail")));
}

#[test]
fn the_end_of_the_server_is_code_12_for_every_agency() {
    let server = Server::start(2);
    let mut agencies = [server.connect(), server.connect()];
    agencies[0].send(&hello(1)).expect(&welcome(0, OPEN));
    agencies[1].send(&register_bets(&[Bet::of(2, 1, 1)])).expect(REGISTER_BET_OK).send(REQUEST_WINNERS);
    server.process.terminate();
    for agency in &mut agencies {
        agency.expect(&register_bet_failed(12)).expect_closed();
    }
}

#[test]
fn after_a_refused_batch_nothing_is_stored_until_the_next_hello() {
    let server = Server::start(2);
    let (good, bad) = (Bet::of(1, 1, 7574), Bet::of(1, 100_000_000, 1));
    let mut agency = server.connect();
    let pipelined = [&[good], &[bad], &[good], &[good]].map(|batch| register_bets(batch)).concat();
    agency.send(&[&hello(1), pipelined.as_slice(), ALL_BETS_SENT].concat());
    agency.expect(&welcome(0, OPEN)).expect(REGISTER_BET_OK);
    for _refused in ["the bad one", "the two behind it", "", "the closing"] {
        agency.expect(&register_bet_failed(2));
    }
    agency.send(&register_bets(&[good])).expect(&register_bet_failed(2));
    assert_eq!(server.bets(), good.row());
    agency.send(&hello(1)).expect(&welcome(1, OPEN)).send(&register_bets(&[good])).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), good.row().repeat(2));

    // The same with another code after which a connection goes on.
    agency.send(&[register_bets(&[Bet::of(2, 1, 1)]), register_bets(&[good])].concat());
    agency.expect(&register_bet_failed(4)).expect(&register_bet_failed(4));
    assert_eq!(server.bets(), good.row().repeat(2));
}

#[test]
fn an_agency_without_hello_goes_on_after_a_refused_batch() {
    let server = Server::start(1);
    let (good, bad) = (Bet::of(1, 1, 7574), Bet::of(1, 100_000_000, 1));
    let mut agency = server.connect();
    let pipelined = [&[bad], &[good], &[bad], &[good]].map(|batch| register_bets(batch)).concat();
    agency.send(&pipelined).expect(&register_bet_failed(2)).expect(REGISTER_BET_OK);
    agency.expect(&register_bet_failed(2)).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), good.row().repeat(2));
}

#[test]
fn what_follows_an_error_that_closes_is_not_applied() {
    let server = Server::start(1);
    let good = register_bets(&[Bet::of(1, 1, 7574)]);
    closes_with(&server, &[[0, 99].as_slice(), &good, &good].concat(), 1);
    server.connect_as(1);
    assert_eq!(server.bets(), "");
}
