//! Agencies that speak only messages 1 to 7 are served to the end, and our agency can speak like one.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, Bet, REGISTER_BET_OK, REQUEST_WINNERS, inform_winners, register_bet_failed, register_bets,
};
use crate::fixture::{Central, Wire, programs, start, wait_for, wait_for_nth};
use loteria_tools::check::compare;
use socket2::SockRef;

/// Says one thing at a time: each batch waits for its reply, each reply is acknowledged.
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

fn rows(bets: &[Bet<'_>]) -> String {
    bets.iter().map(Bet::row).collect()
}

#[test]
fn an_agency_without_hello_is_served_to_the_end() {
    let central = Central::start(2);
    let first = [Bet::of(1, 11, 7574), Bet::of(1, 12, 1), Bet::of(1, 13, 7574)];
    let second = [Bet::of(2, 21, 0), Bet::of(2, 22, 7574)];

    let mut one = central.connect();
    send_batches(&mut one, &[&first[..2], &first[2..]], send_whole);
    wait_for(&central.process, "action: cierre_agencia | result: success | agencia: 1");
    let mut two = central.connect();
    send_batches(&mut two, &[&second], send_whole);

    one.expect(&inform_winners(&[11, 13])).send(ACK).end().expect_closed();
    two.expect(&inform_winners(&[22])).send(ACK).end().expect_closed();
    assert_eq!(central.bets(), rows(&first) + &rows(&second));
}

#[test]
fn an_agency_that_sends_byte_by_byte_is_understood() {
    let central = Central::start(1);
    let bets = [Bet::of(1, 11, 7574), Bet::of(1, 12, 1)];
    let mut agency = central.connect();
    send_batches(&mut agency, &[&bets[..1], &bets[1..]], |wire, bytes| {
        for byte in bytes {
            wire.send(&[*byte]);
        }
    });
    agency.expect(&inform_winners(&[11]));
    assert_eq!(central.bets(), rows(&bets));
}

#[test]
fn an_agency_that_says_everything_at_once_is_understood() {
    let central = Central::start(1);
    let bets = [Bet::of(1, 11, 7574), Bet::of(1, 12, 1)];
    let mut agency = central.connect();
    let batches = [register_bets(&bets[..1]), register_bets(&bets[1..])].concat();
    agency.send(&[&batches, ACK, ACK, ALL_BETS_SENT, REQUEST_WINNERS].concat());
    agency.expect(REGISTER_BET_OK).expect(REGISTER_BET_OK).expect(&inform_winners(&[11]));
    assert_eq!(central.bets(), rows(&bets));
}

#[test]
fn a_packet_that_overshoots_8_kilobytes_by_a_bet_is_taken() {
    let central = Central::start(1);
    let mut bets = Vec::new();
    while register_bets(&bets).len() <= 8192 {
        bets.push(Bet::of(1, bets.len() as u32 + 1, 1));
    }
    let mut agency = central.connect();
    send_batches(&mut agency, &[&bets], send_whole);
    agency.expect(&inform_winners(&[]));
    assert_eq!(central.bets(), rows(&bets));
}

#[test]
fn an_ack_is_accepted_anywhere_and_needed_nowhere() {
    let central = Central::start(1);
    let mut agency = central.connect();
    agency.send(&[ACK, ACK, &register_bets(&[Bet::of(1, 11, 7574)]), ACK].concat()).expect(REGISTER_BET_OK);
    agency.send(&[ACK, ALL_BETS_SENT, ACK, REQUEST_WINNERS, ACK].concat()).expect(&inform_winners(&[11]));
    agency.send(&[ACK, REQUEST_WINNERS].concat()).expect(&inform_winners(&[11]));
}

#[test]
fn an_agency_asks_for_its_winners_over_another_connection() {
    let central = Central::start(2);
    central.connect().send(&register_bets(&[Bet::of(1, 11, 7574)])).expect(REGISTER_BET_OK).send(ALL_BETS_SENT);
    wait_for(&central.process, "action: cierre_agencia | result: success | agencia: 1");
    // Without Hello, only a bet says whose connection it is. It is not taken any more, but it is asked for its agency.
    let mut again = central.connect();
    again.send(&register_bets(&[Bet::of(1, 11, 7574)])).expect(&register_bet_failed(6)).send(REQUEST_WINNERS);
    let mut other = central.connect();
    other.send(&register_bets(&[Bet::of(2, 22, 0)])).expect(REGISTER_BET_OK).send(ALL_BETS_SENT);
    again.expect(&inform_winners(&[11]));
    assert_eq!(central.bets(), rows(&[Bet::of(1, 11, 7574), Bet::of(2, 22, 0)]));
}

#[test]
fn our_agency_without_hello_takes_part_in_a_contest() {
    let folder = tempfile::tempdir().expect("a folder");
    let files: Vec<_> = (1..=2).map(|agency| folder.path().join(format!("{agency}.csv"))).collect();
    for (file, bets) in files.iter().zip([250, 99]) {
        let rows = (1..=bets).map(|bet| format!("Ana,Paz,{bet},2000-01-01,{}\n", 7480 + bet));
        fs::write(file, rows.collect::<String>()).expect("written");
    }
    let central = Central::start(2);
    let agency = |(id, file)| start(central.agency(id).env("CLI_BETS_FILE", file).env("CLI_HANDSHAKE", "false"));
    let agencies: Vec<_> = (1..).zip(&files).map(agency).collect();
    for agency in agencies {
        let ended = agency.wait().expect("it ended");
        assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
        assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 1").len(), 1);
    }
    compare(&central.bets_path(), &files).expect("each bet once, in order");
    assert!(central.stop().lines_with("action: hello").is_empty());
}

/// A central by hand, and the agency without Hello that connects to it to send three bets one by one.
fn older_central() -> (Wire, loteria_tools::Process, tempfile::TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("agency.csv"), "Ana,Paz,1,2000-01-01,7574\n".repeat(3)).expect("written");
    let mut agency = programs().client(folder.path(), 3, listener.local_addr().expect("an address").port());
    agency.env("CLI_HANDSHAKE", "false").env("CLI_BATCH_MAXAMOUNT", "1").env("CLI_BATCH_WINDOW", "64");
    let agency = start(&mut agency);
    (Wire::accept(&listener), agency, folder)
}

fn the_row() -> Vec<u8> {
    register_bets(&[Bet { first_name: b"Ana", ..Bet::of(3, 1, 7574) }])
}

/// Whether nothing has arrived, though everything that was going to has had its time: the agency waits for a reply.
fn expect_silence(stream: &TcpStream) {
    stream.set_nonblocking(true).expect("non-blocking");
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(1));
        let error = (&mut &*stream).read(&mut [0]).expect_err("it says nothing before it is answered");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    stream.set_nonblocking(false).expect("blocking");
}

#[test]
fn our_agency_without_hello_acknowledges_every_reply_and_sends_one_batch_at_a_time() {
    let (mut central, agency, _folder) = older_central();
    central.expect(&the_row());
    for _ in 0..2 {
        expect_silence(&central.0);
        central.send(REGISTER_BET_OK).expect(ACK).expect(&the_row());
    }
    expect_silence(&central.0);
    central.send(REGISTER_BET_OK).expect(ACK).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    central.send(&inform_winners(&[1, 1, 1])).expect(ACK).expect_closed();
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 3").len(), 1);
}

#[test]
fn an_agency_that_knows_its_winners_does_not_mind_that_the_central_is_gone_before_its_last_ack() {
    let (mut central, agency, _folder) = older_central();
    central.expect(&the_row());
    for _ in 0..2 {
        central.send(REGISTER_BET_OK).expect(ACK).expect(&the_row());
    }
    central.send(REGISTER_BET_OK).expect(ACK).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    // Both at once: the winners, and a reset that makes whatever the agency writes fail.
    SockRef::from(&central.0).set_linger(Some(std::time::Duration::ZERO)).expect("set");
    agency.signal(rustix::process::Signal::STOP);
    central.0.write_all(&inform_winners(&[1, 1, 1])).expect("sent");
    drop(central);
    agency.signal(rustix::process::Signal::CONT);
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 3").len(), 1);
}

#[test]
fn our_agency_without_hello_does_not_send_again_what_may_be_stored() {
    let (mut central, agency, _folder) = older_central();
    central.expect(&the_row());
    drop(central);
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("action: exit | result: fail").len(), 1, "{:#?}", ended.lines);
    assert!(ended.lines_with("in_progress").is_empty(), "{:#?}", ended.lines);
}

#[test]
fn agencies_old_and_new_draw_together() {
    let central = Central::start(2);
    let mut old = central.connect();
    send_batches(&mut old, &[&[Bet::of(1, 11, 7574)]], send_whole);
    let new = start(&mut central.agency_with_rows(2, "Ana,Paz,22,2000-01-01,7574\r\n"));
    old.expect(&inform_winners(&[11]));
    assert!(new.wait().expect("it ended").status.success());
    wait_for_nth(&central.process, "action: informar_ganadores | result: success", 2);
}
