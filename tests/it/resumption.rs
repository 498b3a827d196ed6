//! An agency goes on at the first bet that is not stored, whatever broke, and one connection speaks for it at a time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, OPEN, REGISTER_BET_OK, hello, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{FakeServer, ROW, Server, fails_with, rows, run, start, stored, succeeded, sum_of, wait_for};
use loteria_tools::field;

const BETS: u32 = 200;

/// A batch of one bet of agency 1, and its row.
fn batch(document: u32) -> Vec<u8> {
    register_bets(&[Bet::of(1, document, 7574)])
}

fn row(document: u32) -> String {
    Bet::of(1, document, 7574).row()
}

/// A proxy to the server on `port`. It cuts each connection once it has carried as many bytes to the server, or as many
/// to the agency, as the next of `cuts` says. After the last cut it carries everything.
fn cutting_proxy(port: u16, cuts: Vec<(usize, usize)>) -> FakeServer {
    let proxy = FakeServer::start();
    let listener = proxy.listener.try_clone().expect("a second handle");
    thread::spawn(move || {
        let mut cuts = cuts.into_iter();
        while let Ok((agency, _)) = listener.accept() {
            let (to_server, to_agency) = cuts.next().unwrap_or((usize::MAX, usize::MAX));
            let server = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
            let both = || (agency.try_clone().expect("a clone"), server.try_clone().expect("a clone"));
            let ((agency_in, server_out), (agency_out, server_in)) = (both(), both());
            thread::spawn(move || carry(agency_in, server_out, to_server));
            thread::spawn(move || carry(server_in, agency_out, to_agency));
        }
    });
    proxy
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut bytes = [0; 4096];
    while left > 0 {
        let wanted = left.min(bytes.len());
        let Ok(count @ 1..) = from.read(&mut bytes[..wanted]) else { break };
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
        left -= count;
    }
    // The other direction may have closed them already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn an_agency_whose_connection_is_cut_at_any_byte_goes_on_exactly() {
    let server = Server::start(1);
    // In the Hello, in a batch, between batches, in a Welcome, in a reply, behind some replies.
    let cuts = vec![(5, 99), (300, 99), (10, 99), (99, 4), (9_999, 12), (1_000, 31), (2_000, 99), (9_999, 13)];
    let broken = cuts.len();
    let proxy = cutting_proxy(server.port, cuts);
    let mut agency = proxy.agency(1, &rows(BETS));
    let ended = succeeded(start(agency.env("CLI_BATCH_MAXAMOUNT", "5").env("CLI_BATCH_WINDOW", "3")));
    assert_eq!(ended.lines_with("action: connect | result: in_progress").len(), broken);
    assert_eq!(server.bets(), stored(1, &rows(BETS)));
    assert_eq!(field(ended.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some("1"));
}

#[test]
fn an_agency_that_is_started_again_sends_only_what_is_missing() {
    let server = Server::start(1);
    server.connect_as(1).send(&batch(1)).expect(REGISTER_BET_OK);
    let (_, first) = row(1).split_once(',').map(|(agency, row)| (agency.to_owned(), row.to_owned())).expect("fields");
    let ended = succeeded(start(&mut server.agency_with_rows(1, &(first + &rows(BETS)))));
    assert_eq!(sum_of(&ended, "action: apuesta_enviada | result: success", "cantidad"), u64::from(BETS));
    assert_eq!(server.bets(), row(1) + &stored(1, &rows(BETS)));
}

#[test]
fn nothing_counts_that_an_older_connection_of_an_agency_says_later() {
    let server = Server::start(1);
    let (mut older, mut newer) = (server.connect_as(1), server.connect());
    older.send(&batch(1)).expect(REGISTER_BET_OK);
    newer.send(&hello(1)).expect(&welcome(1, OPEN));
    older.send(&batch(2)).send(ALL_BETS_SENT).expect(&register_bet_failed(10)).expect_closed();
    newer.send(&batch(3)).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), row(1) + &row(3));
}

#[test]
fn a_connection_that_speaks_late_does_not_take_over_from_a_newer_one() {
    let server = Server::start(1);
    let [mut hello_late, mut batch_late] = [(); 2].map(|()| server.connect());
    let mut newest = server.connect_as(1);
    hello_late.send(&hello(1)).expect(&register_bet_failed(10)).expect_closed();
    batch_late.send(&batch(1)).expect(&register_bet_failed(10)).expect_closed();
    newest.send(&batch(2)).expect(REGISTER_BET_OK);
    assert_eq!(server.bets(), row(2));
}

#[test]
fn of_two_programs_of_one_agency_one_survives() {
    let server = Server::start(2);
    let older = start(&mut server.agency_with_rows(1, ROW));
    wait_for(&server.process, "action: cierre_agencia");
    let newer = start(&mut server.agency_with_rows(1, ROW));
    // Each comes back once, so the one that was taken over first is also the first to be taken over again.
    wait_for(&newer, "action: connect | result: in_progress");
    fails_with(older, "code 10: a newer connection of the same agency took over");
    assert!(run(&mut server.agency_with_rows(2, "")).status.success());
    succeeded(newer);
    assert_eq!(server.bets(), stored(1, ROW));
}

#[test]
fn an_agency_survives_a_connection_of_its_own_that_is_accepted_late() {
    let server = Server::start(2);
    let agency = start(&mut server.agency_with_rows(1, ROW));
    wait_for(&server.process, "action: cierre_agencia");
    // A connection that the agency gave up, and the network delivered after all.
    server.connect().send(&hello(1));
    wait_for(&agency, "code 10: a newer connection of the same agency took over | retry_in: ");
    assert!(run(&mut server.agency_with_rows(2, "")).status.success());
    succeeded(agency);
    assert_eq!(server.bets(), stored(1, ROW));
}
