//! Agencies that speak only messages 1 to 7 are served to the end, and our agency can speak like one.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, Bet, REGISTER_BET_OK, REQUEST_WINNERS, inform_winners, register_bet_failed, register_bets,
};
use crate::fixture::{
    FakeServer, ROW, Server, Wire, asleep, fails_with, rows, start, succeeded, wait_for, wait_for_nth,
};
use loteria::bet::WINNER_NUMBER;
use loteria_tools::check::compare;
use loteria_tools::{Process, agency_files};
use rustix::process::Signal;
use socket2::SockRef;

/// Sends one message at a time: each batch waits for its reply, and each reply is acknowledged.
fn send_batches(agency: &mut Wire, batches: &[&[Bet<'_>]], mut send: impl FnMut(&mut Wire, &[u8])) {
    for batch in batches {
        send(agency, &register_bets(batch));
        agency.expect(REGISTER_BET_OK);
        send(agency, ACK);
    }
    send(agency, ALL_BETS_SENT);
    send(agency, REQUEST_WINNERS);
}

fn send_whole(agency: &mut Wire, bytes: &[u8]) {
    agency.send(bytes);
}

fn rows_of(bets: &[Bet<'_>]) -> String {
    bets.iter().map(Bet::row).collect()
}

#[test]
fn an_agency_without_hello_is_served_to_the_end() {
    let server = Server::start(2);
    let first = [Bet::of(1, 11, 7574), Bet::of(1, 12, 1), Bet::of(1, 13, 7574)];
    let second = [Bet::of(2, 21, 0), Bet::of(2, 22, 7574)];

    let mut one = server.connect();
    send_batches(&mut one, &[&first[..2], &first[2..]], send_whole);
    wait_for(&server.process, "action: cierre_agencia | result: success | agencia: 1");
    let mut two = server.connect();
    send_batches(&mut two, &[&second], send_whole);

    one.expect(&inform_winners(&[11, 13])).send(ACK).end().expect_closed();
    two.expect(&inform_winners(&[22])).send(ACK).end().expect_closed();
    assert_eq!(server.bets(), rows_of(&first) + &rows_of(&second));
}

#[test]
fn an_agency_that_sends_byte_by_byte_is_understood() {
    let server = Server::start(1);
    let bets = [Bet::of(1, 11, 7574), Bet::of(1, 12, 1)];
    let mut agency = server.connect();
    send_batches(&mut agency, &[&bets[..1], &bets[1..]], |wire, bytes| {
        for byte in bytes {
            wire.send(&[*byte]);
        }
    });
    agency.expect(&inform_winners(&[11]));
    assert_eq!(server.bets(), rows_of(&bets));
}

#[test]
fn an_agency_that_sends_everything_at_once_is_understood() {
    let server = Server::start(1);
    let bets = [Bet::of(1, 11, 7574), Bet::of(1, 12, 1)];
    let mut agency = server.connect();
    let batches = [register_bets(&bets[..1]), register_bets(&bets[1..])].concat();
    agency.send(&[&batches, ACK, ACK, ALL_BETS_SENT, REQUEST_WINNERS].concat());
    agency.expect(REGISTER_BET_OK).expect(REGISTER_BET_OK).expect(&inform_winners(&[11]));
    assert_eq!(server.bets(), rows_of(&bets));
}

#[test]
fn a_packet_that_exceeds_8_kilobytes_by_a_bet_is_accepted() {
    let server = Server::start(1);
    let mut bets = Vec::new();
    while register_bets(&bets).len() <= 8192 {
        bets.push(Bet::of(1, bets.len() as u32 + 1, 1));
    }
    let mut agency = server.connect();
    send_batches(&mut agency, &[&bets], send_whole);
    agency.expect(&inform_winners(&[]));
    assert_eq!(server.bets(), rows_of(&bets));
}

#[test]
fn an_ack_is_accepted_anywhere_and_needed_nowhere() {
    let server = Server::start(1);
    let mut agency = server.connect();
    agency.send(&[ACK, ACK, &register_bets(&[Bet::of(1, 11, 7574)]), ACK].concat()).expect(REGISTER_BET_OK);
    agency.send(&[ACK, ALL_BETS_SENT, ACK, REQUEST_WINNERS, ACK].concat()).expect(&inform_winners(&[11]));
    agency.send(&[ACK, REQUEST_WINNERS].concat()).expect(&inform_winners(&[11]));
}

#[test]
fn an_agency_asks_for_its_winners_over_another_connection() {
    let server = Server::start(2);
    server.connect().send(&register_bets(&[Bet::of(1, 11, 7574)])).expect(REGISTER_BET_OK).send(ALL_BETS_SENT);
    wait_for(&server.process, "action: cierre_agencia | result: success | agencia: 1");
    // Without Hello, only a bet identifies the agency of a connection. It is refused after the closing, and still does.
    let mut again = server.connect();
    again.send(&register_bets(&[Bet::of(1, 11, 7574)])).expect(&register_bet_failed(6)).send(REQUEST_WINNERS);
    let mut other = server.connect();
    other.send(&register_bets(&[Bet::of(2, 22, 0)])).expect(REGISTER_BET_OK).send(ALL_BETS_SENT);
    again.expect(&inform_winners(&[11]));
    assert_eq!(server.bets(), rows_of(&[Bet::of(1, 11, 7574), Bet::of(2, 22, 0)]));
}

#[test]
fn our_agency_without_hello_takes_part_in_a_round() {
    let server = Server::start_with(2, |command| {
        command.env("LOGGING_LEVEL", "DEBUG");
    });
    let start = |(id, bets)| start(server.agency_with_rows(id, &rows(bets)).env("CLI_HANDSHAKE", "false"));
    let agencies = [(1, 250), (2, 99)].map(start);
    for agency in agencies {
        let ended = succeeded(agency);
        assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 1").len(), 1);
    }
    compare(&server.bets_path(), &agency_files(server.folder.path()), WINNER_NUMBER).expect("each bet once, in order");
    assert!(server.stop().lines_with("action: hello").is_empty());
}

/// The agency without Hello with three bets, each of which is a batch, and the connection over which it sends them.
fn older_agency() -> (Wire, Process, FakeServer) {
    let server = FakeServer::start();
    let mut agency = server.agency(3, &ROW.repeat(3));
    agency.env("CLI_HANDSHAKE", "false").env("CLI_BATCH_MAXAMOUNT", "1").env("CLI_BATCH_WINDOW", "64");
    let agency = start(&mut agency);
    (server.accept(), agency, server)
}

/// The batch of one of its bets.
fn batch() -> Vec<u8> {
    register_bets(&[Bet { first_name: b"Ana", ..Bet::of(3, 1, 7574) }])
}

/// The agency must wait for a reply and send nothing meanwhile.
#[track_caller]
fn expect_silence(agency: &Process, wire: &mut Wire) {
    asleep(agency.pid());
    wire.0.set_nonblocking(true).expect("set");
    let error = wire.0.read(&mut [0]).expect_err("it sends nothing before it is answered");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    wire.0.set_nonblocking(false).expect("set");
}

#[test]
fn our_agency_without_hello_acknowledges_replies_and_does_not_pipeline() {
    let (mut wire, agency, _server) = older_agency();
    wire.expect(&batch());
    for _ in 0..2 {
        expect_silence(&agency, &mut wire);
        wire.send(REGISTER_BET_OK).expect(ACK).expect(&batch());
    }
    expect_silence(&agency, &mut wire);
    wire.send(REGISTER_BET_OK).expect(ACK).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    wire.send(&inform_winners(&[1, 1, 1])).expect(ACK).expect_closed();
    let ended = succeeded(agency);
    assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 3").len(), 1);
}

#[test]
fn an_agency_that_knows_its_winners_succeeds_though_its_last_ack_fails() {
    let (mut wire, agency, _server) = older_agency();
    wire.expect(&batch());
    for _ in 0..2 {
        wire.send(REGISTER_BET_OK).expect(ACK).expect(&batch());
    }
    wire.send(REGISTER_BET_OK).expect(ACK).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    // The winners and a reset arrive together, so that whatever the agency writes fails.
    SockRef::from(&*wire.0).set_linger(Some(Duration::ZERO)).expect("set");
    agency.signal(Signal::STOP);
    wire.send(&inform_winners(&[1, 1, 1]));
    drop(wire);
    agency.signal(Signal::CONT);
    let ended = succeeded(agency);
    assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 3").len(), 1);
}

#[test]
fn our_agency_without_hello_does_not_send_again_what_may_be_stored() {
    let (mut wire, agency, _server) = older_agency();
    wire.expect(&batch());
    drop(wire);
    let ended = fails_with(agency, "");
    assert!(ended.lines_with("in_progress").is_empty(), "{:#?}", ended.lines);
}

#[test]
fn agencies_old_and_new_draw_together() {
    let server = Server::start(2);
    let mut old = server.connect();
    send_batches(&mut old, &[&[Bet::of(1, 11, 7574)]], send_whole);
    let new = start(&mut server.agency_with_rows(2, ROW));
    old.expect(&inform_winners(&[11]));
    succeeded(new);
    wait_for_nth(&server.process, "action: informar_ganadores | result: success", 2);
}
