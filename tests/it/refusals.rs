//! What the central refuses, with which code, and what becomes of the connection: each code of `protocol.md` that a socket
//! can provoke. A refused batch stores nothing.

use std::process::Command;

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, BIRTHDATE, Bet, CLOSED, DRAWN, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, hello_in_version,
    inform_winners, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{Central, programs, start, wait_for, wait_for_nth};
use loteria_tools::port_of;

/// Says `request` over a new connection; the central must answer with `code` and close.
#[track_caller]
fn closes_with(central: &Central, request: &[u8], code: u16) {
    central.connect().send(request).expect(&register_bet_failed(code)).expect_closed();
}

/// Says `request` over a new connection; the central must answer with `code` and go on.
#[track_caller]
fn goes_on_after(central: &Central, request: &[u8], code: u16) {
    let mut agency = central.connect();
    agency.send(request).expect(&register_bet_failed(code)).send(&hello(1)).expect(&welcome(0, OPEN));
}

fn batch(bet: Bet<'_>) -> Vec<u8> {
    register_bets(&[Bet::of(1, 1, 1), bet, Bet::of(1, 2, 2)])
}

#[test]
fn a_type_that_no_agency_may_send_is_code_1_and_closes() {
    let central = Central::start(1);
    for message_type in [0, 2, 10, 255] {
        closes_with(&central, &[0, message_type], 1);
    }
    closes_with(&central, &register_bet_failed(1), 1);
    closes_with(&central, &inform_winners(&[1, 2]), 1);
    closes_with(&central, &welcome(1, OPEN), 1);
    assert_eq!(central.bets(), "");
}

#[test]
fn a_bet_that_is_not_valid_is_code_2_and_nothing_of_its_batch_is_stored() {
    let central = Central::start(1);
    let valid = Bet::of(1, 3, 3);
    let (long, longest) = ("é".repeat(128), "x".repeat(255));
    let tomorrow = (time::OffsetDateTime::now_utc().unix_timestamp() / 86_400 + 1) * 86_400;
    for invalid in [
        Bet { first_name: b"", ..valid },
        Bet { last_name: b"", ..valid },
        Bet { first_name: long.as_bytes(), ..valid },
        Bet { last_name: b"Paz\n1,Eva,Sosa,4,2000-01-01,7574", ..valid },
        Bet { last_name: "Paz\u{85}".as_bytes(), ..valid },
        Bet { document: 0, ..valid },
        Bet { document: 100_000_000, ..valid },
        Bet { birthdate: BIRTHDATE + 1, ..valid },
        Bet { birthdate: -2_208_988_800 - 86_400, ..valid },
        Bet { birthdate: tomorrow, ..valid },
        Bet { birthdate: i64::MAX, ..valid },
        Bet { birthdate: i64::MIN, ..valid },
        Bet { number: 10_000, ..valid },
        Bet { number: u32::MAX, ..valid },
    ] {
        goes_on_after(&central, &batch(invalid), 2);
    }
    assert_eq!(central.bets(), "");

    let extremes = [
        Bet { first_name: longest.as_bytes(), last_name: b"x", document: 99_999_999, number: 9999, ..valid },
        Bet { document: 1, birthdate: -2_208_988_800, number: 0, ..valid },
        Bet { birthdate: tomorrow - 86_400, ..valid },
    ];
    central.connect().send(&register_bets(&extremes)).expect(REGISTER_BET_OK);
    assert_eq!(central.bets().lines().count(), 3);
}

#[test]
fn a_malformed_message_is_code_3_and_closes() {
    let central = Central::start(1);
    let valid = register_bets(&[Bet::of(1, 1, 1)]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = valid.clone();
        bytes[at] = byte;
        bytes
    };
    // The bet's length, then the length of its first name, each one too many (with a byte to fill it) and one too few.
    closes_with(&central, &[&changed(13, valid[13] + 1), [0].as_slice()].concat(), 3);
    closes_with(&central, &changed(13, valid[13] - 1), 3);
    closes_with(&central, &changed(21, valid[21] + 1), 3);
    closes_with(&central, &changed(21, valid[21] - 1), 3);
    closes_with(&central, &changed(18, 255), 3);
    // Not a bet at all, more than a message may have, more bets than a batch may have, a credential too long.
    closes_with(&central, &[&[0, 1, 0, 0, 0, 1], [0; 8].as_slice()].concat(), 3);
    closes_with(&central, &[&[0, 1, 0, 0, 0, 1], [255; 8].as_slice()].concat(), 3);
    closes_with(&central, &[0, 1, 0, 0, 4, 1], 3);
    closes_with(&central, &[0, 8, 0, 1, 0, 0, 0, 1, 1, 0], 3);
    closes_with(&central, &batch(Bet { first_name: b"Jos\xe9", ..Bet::of(1, 3, 3) }), 3);
    closes_with(&central, &batch(Bet { last_name: b"\xff", ..Bet::of(1, 3, 3) }), 3);
    assert_eq!(central.bets(), "");
}

#[test]
fn a_message_that_ends_with_the_connection_is_not_applied() {
    let central = Central::start(1);
    let batch = register_bets(&[Bet::of(1, 1, 1)]);
    central.connect().send(&batch[..batch.len() - 1]).end().expect_closed();
    assert_eq!(central.bets(), "");
}

#[test]
fn a_bet_of_another_agency_is_code_4_and_nothing_of_its_batch_is_stored() {
    let central = Central::start(2);
    let (own, other) = (Bet::of(1, 1, 1), Bet::of(2, 2, 2));
    let mut agency = central.connect();
    agency.send(&register_bets(&[own, other])).expect(&register_bet_failed(4));
    agency.send(&register_bets(&[own])).expect(REGISTER_BET_OK);
    agency.send(&register_bets(&[other])).expect(&register_bet_failed(4));
    agency.send(&register_bets(&[own, other])).expect(&register_bet_failed(4));
    agency.send(&hello(2)).expect(&register_bet_failed(4));
    // Of an agency that there is not, the connection being another's.
    agency.send(&register_bets(&[Bet::of(9, 1, 1)])).expect(&register_bet_failed(4));
    agency.send(&register_bets(&[own])).expect(REGISTER_BET_OK);
    assert_eq!(central.bets(), own.row().repeat(2));
}

#[test]
fn an_agency_that_there_is_not_is_code_5_and_closes() {
    let central = Central::start(2);
    for agency in [0, 3, u32::MAX] {
        closes_with(&central, &hello(agency), 5);
        closes_with(&central, &register_bets(&[Bet::of(agency, 1, 1)]), 5);
    }
    assert_eq!(central.bets(), "");
}

#[test]
fn a_bet_after_the_closing_is_code_6_and_is_not_stored() {
    let central = Central::start(2);
    let bet = Bet::of(1, 1, 7574);
    let mut agency = central.connect();
    agency.send(&hello(1)).expect(&welcome(0, OPEN)).send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    // In the same piece as the closing, in another, after Hello again, and after the draw.
    agency.send(&[ALL_BETS_SENT, &register_bets(&[bet])].concat()).expect(&register_bet_failed(6));
    agency.send(&hello(1)).expect(&welcome(1, CLOSED));
    agency.send(&register_bets(&[bet])).expect(&register_bet_failed(6));
    central.connect().send(&hello(2)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT);
    wait_for(&central.process, "action: sorteo | result: success");
    agency.send(&hello(1)).expect(&welcome(1, DRAWN)).send(&register_bets(&[bet])).expect(&register_bet_failed(6));
    agency.send(REQUEST_WINNERS).expect(&inform_winners(&[1]));
    central.connect().send(&register_bets(&[bet])).expect(&register_bet_failed(6));
    assert_eq!(central.bets(), bet.row());
}

#[test]
fn a_connection_without_an_agency_that_closes_or_asks_is_code_7_and_closes() {
    let central = Central::start(1);
    closes_with(&central, ALL_BETS_SENT, 7);
    closes_with(&central, REQUEST_WINNERS, 7);
    closes_with(&central, &[ACK, ACK, REQUEST_WINNERS].concat(), 7);
    let mut refused = central.connect();
    refused.send(&register_bets(&[Bet::of(1, 0, 1)])).expect(&register_bet_failed(2));
    refused.send(ALL_BETS_SENT).expect(&register_bet_failed(7)).expect_closed();
    central.connect().send(&hello(1)).expect(&welcome(0, OPEN));
}

#[test]
fn a_batch_that_can_not_be_written_is_code_9_and_what_was_written_of_it_is_taken_back() {
    // A file of at most one block; the signal that says so is ignored, as a shell's children inherit it.
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Command::new("bash");
    server.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\""]).arg(programs().server).current_dir(folder.path());
    server.env_clear().env("SERVER_PORT", "0").env("NUM_AGENCIES", "1");
    let server = start(&mut server);
    let port = port_of(&server).expect("it listens");

    let (bet, bets) = (Bet::of(1, 1, 1), vec![Bet::of(1, 1, 1); 40]);
    let mut agency = crate::fixture::Wire::connect(port);
    agency.send(&hello(1)).expect(&welcome(0, OPEN)).send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    agency.send(&register_bets(&bets)).expect(&register_bet_failed(9)).expect_closed();
    let mut again = crate::fixture::Wire::connect(port);
    again.send(&hello(1)).expect(&welcome(1, OPEN)).send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    let stored = std::fs::read_to_string(folder.path().join("bets.csv")).expect("bets.csv");
    assert_eq!(stored, bet.row().repeat(2));
}

#[test]
fn a_newer_connection_of_the_agency_is_code_10_for_the_older_and_closes_it() {
    let central = Central::start(2);
    let bet = Bet::of(1, 1, 1);
    let mut first = central.connect();
    first.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    let mut second = central.connect();
    second.send(&hello(1)).expect(&welcome(1, OPEN));
    first.expect(&register_bet_failed(10)).expect_closed();
    let mut third = central.connect();
    third.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    second.expect(&register_bet_failed(10)).expect_closed();
    third.send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    assert_eq!(central.bets(), bet.row().repeat(3));
}

#[test]
fn a_version_that_is_not_spoken_is_code_11_and_closes() {
    let central = Central::start(1);
    closes_with(&central, &hello_in_version(0, 1), 11);
    closes_with(&central, &hello_in_version(2, 1), 11);
    central.connect().send(&hello_in_version(1, 1)).expect(&welcome(0, OPEN));
}

#[test]
fn one_connection_too_many_is_code_12_and_closes() {
    let central = Central::start_with(1, |command| {
        command.env("MAX_CONNECTIONS", "2");
    });
    let mut first = central.connect();
    first.send(&hello(1)).expect(&welcome(0, OPEN));
    let _second = central.connect();
    wait_for_nth(&central.process, "action: accept_connections | result: success", 2);
    central.connect().expect(&register_bet_failed(12)).expect_closed();
    first.send(&register_bets(&[Bet::of(1, 1, 1)])).expect(REGISTER_BET_OK);
}

#[test]
fn a_connection_that_is_closed_makes_room_at_once() {
    let central = Central::start_with(1, |command| {
        command.env("MAX_CONNECTIONS", "1");
    });
    for _ in 0..20 {
        central.connect().send(b"hola").end().expect(b"hola").expect_closed();
    }
    assert!(!central.process.lines().iter().any(|line| line.contains("accept_connections | result: fail")));
}

#[test]
fn the_end_of_the_server_is_code_12_for_every_agency() {
    let central = Central::start(2);
    let mut agencies = [central.connect(), central.connect()];
    agencies[0].send(&hello(1)).expect(&welcome(0, OPEN));
    agencies[1].send(&register_bets(&[Bet::of(2, 1, 1)])).expect(REGISTER_BET_OK).send(REQUEST_WINNERS);
    central.process.terminate();
    for agency in &mut agencies {
        agency.expect(&register_bet_failed(12)).expect_closed();
    }
}

#[test]
fn behind_a_refused_batch_nothing_is_stored_until_hello_is_said_again() {
    let central = Central::start(2);
    let (good, bad) = (Bet::of(1, 1, 7574), Bet::of(1, 0, 1));
    let mut agency = central.connect();
    let pipelined = [&[good], &[bad], &[good], &[good]].map(|batch| register_bets(batch)).concat();
    agency.send(&[&hello(1), pipelined.as_slice(), ALL_BETS_SENT].concat());
    agency.expect(&welcome(0, OPEN)).expect(REGISTER_BET_OK);
    for _refused in ["the bad one", "the two behind it", "", "the closing"] {
        agency.expect(&register_bet_failed(2));
    }
    agency.send(&register_bets(&[good])).expect(&register_bet_failed(2));
    assert_eq!(central.bets(), good.row());
    agency.send(&hello(1)).expect(&welcome(1, OPEN)).send(&register_bets(&[good])).expect(REGISTER_BET_OK);
    assert_eq!(central.bets(), good.row().repeat(2));

    // The same with another code after which a connection goes on.
    agency.send(&[register_bets(&[Bet::of(2, 1, 1)]), register_bets(&[good])].concat());
    agency.expect(&register_bet_failed(4)).expect(&register_bet_failed(4));
    assert_eq!(central.bets(), good.row().repeat(2));
}

#[test]
fn an_agency_that_did_not_say_hello_goes_on_behind_a_refused_batch() {
    let central = Central::start(1);
    let (good, bad) = (Bet::of(1, 1, 7574), Bet::of(1, 0, 1));
    let mut agency = central.connect();
    let pipelined = [&[bad], &[good], &[bad], &[good]].map(|batch| register_bets(batch)).concat();
    agency.send(&pipelined).expect(&register_bet_failed(2)).expect(REGISTER_BET_OK);
    agency.expect(&register_bet_failed(2)).expect(REGISTER_BET_OK);
    assert_eq!(central.bets(), good.row().repeat(2));
}

#[test]
fn what_follows_an_error_that_closes_is_not_applied() {
    let central = Central::start(1);
    let good = register_bets(&[Bet::of(1, 1, 7574)]);
    closes_with(&central, &[[0, 99].as_slice(), &good, &good].concat(), 1);
    central.connect().send(&hello(1)).expect(&welcome(0, OPEN));
    assert_eq!(central.bets(), "");
}
