//! A reply that is late, half, impossible or about another round: an agency neither waits for ever nor takes it for good.

use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, CLOSED, DRAWN, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello2, inform_winners, register_bet_failed,
    welcome2,
};
use crate::fixture::{FakeServer, ROW, ROW_BET, Wire, bets, fails_with, rows, start, succeeded, wait_for};
use loteria_tools::Process;

/// Plays the server for an agency whose one bet is stored, up to its request for winners.
fn hear_the_request(wire: &mut Wire, state: u8) {
    wire.expect(&hello2(1)).send(&welcome2(&[ROW_BET], state)).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
}

/// An agency of one bet that waits 300 ms for a reply.
fn impatient_agency(server: &FakeServer) -> Process {
    start(server.agency(1, ROW).env("CLI_REPLY_TIMEOUT", "300ms"))
}

/// Waits until the agency has ended its side, and tells whether it reset the connection.
fn is_reset(wire: &mut Wire) -> bool {
    match wire.0.read_to_end(&mut Vec::new()) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            true
        }
    }
}

#[test]
fn half_a_list_of_winners_is_not_waited_for_for_ever() {
    for sent in [1, 9, 12] {
        let server = FakeServer::start();
        let agency = impatient_agency(&server);
        let mut half = server.accept();
        hear_the_request(&mut half, CLOSED);
        half.send(&inform_winners(&[1])[..sent]);
        let mut whole = server.accept();
        hear_the_request(&mut whole, DRAWN);
        whole.send(&inform_winners(&[1]));
        let ended = succeeded(agency);
        assert_eq!(ended.lines_with("does not reply in time, see reply.timeout").len(), 1, "{:#?}", ended.lines);
    }
}

#[test]
fn a_byte_now_and_then_does_not_pass_for_a_reply() {
    let server = FakeServer::start();
    let agency = impatient_agency(&server);
    let mut slow = server.accept();
    slow.expect(&hello2(1));
    for byte in welcome2(&[ROW_BET], OPEN) {
        if slow.0.write_all(&[byte]).is_err() {
            break;
        }
        // The subject of the test is a reply that takes longer than the timeout, though none of its bytes does.
        thread::sleep(Duration::from_millis(100));
    }
    let mut wire = server.accept();
    hear_the_request(&mut wire, OPEN);
    wire.send(&inform_winners(&[]));
    succeeded(agency);
}

#[test]
fn a_reply_in_pieces_is_one_as_long_as_it_is_whole_in_time() {
    let server = FakeServer::start();
    let agency = start(&mut server.agency(1, ROW));
    let mut wire = server.accept();
    wire.expect(&hello2(1));
    welcome2(&[ROW_BET], DRAWN).iter().for_each(|byte| _ = wire.send(&[*byte]));
    wire.expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    inform_winners(&[1]).iter().for_each(|byte| _ = wire.send(&[*byte]));
    succeeded(agency);
}

#[test]
fn more_winners_than_bets_are_an_error() {
    let server = FakeServer::start();
    let agency = start(&mut server.agency(1, ROW));
    let mut wire = server.accept();
    hear_the_request(&mut wire, DRAWN);
    wire.send(&inform_winners(&[1, 1]));
    fails_with(agency, "tells 2 winners of the 1 bets of this agency");
}

#[test]
fn a_count_that_goes_back_is_an_error_with_both_numbers() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, &rows(9)).env("CLI_BATCH_MAXAMOUNT", "3").env("CLI_BATCH_WINDOW", "1"));
    let mut wire = server.accept();
    wire.expect(&hello2(1)).send(&welcome2(&bets(2), OPEN)).expect(&[0, 1]).send(REGISTER_BET_OK);
    wait_for(&agency, "action: apuesta_enviada");
    drop(wire);
    server.accept().expect(&hello2(1)).send(&welcome2(&bets(4), OPEN));
    let ended = fails_with(agency, "has 4 bets of this agency, and 5 were stored before");
    assert_eq!(ended.lines_with("action: apuesta_enviada").len(), 1);
}

#[test]
fn an_agency_resets_each_connection_that_did_not_end_well() {
    let server = FakeServer::start();
    let agency = impatient_agency(&server);
    let mut silent = server.accept();
    assert!(is_reset(silent.expect(&hello2(1))), "it gave up");
    let mut full = server.accept();
    full.expect(&hello2(1)).send(&register_bet_failed(12));
    assert!(is_reset(&mut full), "it goes on later");
    let mut good = server.accept();
    hear_the_request(&mut good, DRAWN);
    good.send(&inform_winners(&[]));
    assert!(!is_reset(&mut good), "the end is a good one");
    succeeded(agency);
}

#[test]
fn an_agency_without_hello_resets_nothing() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, ROW).env("CLI_HANDSHAKE", "false").env("CLI_REPLY_TIMEOUT", "100ms"));
    assert!(!is_reset(&mut server.accept()));
    fails_with(agency, "so nothing is sent again");
}

#[test]
fn an_agency_that_was_taken_over_comes_back_once() {
    let server = FakeServer::start();
    let agency = start(&mut server.agency(1, ROW));
    for _ in 0..2 {
        server.accept().expect(&hello2(1)).send(&register_bet_failed(10));
    }
    let ended = fails_with(agency, "code 10: a newer connection");
    assert_eq!(ended.lines_with("connect | result: in_progress").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn an_agency_without_hello_that_was_taken_over_does_not_come_back() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, ROW).env("CLI_HANDSHAKE", "false"));
    server.accept().expect(&[0, 1]).send(&register_bet_failed(10));
    let ended = fails_with(agency, "code 10: a newer connection");
    assert!(ended.lines_with("in_progress").is_empty(), "{:#?}", ended.lines);
}
