//! An interactive agency does not wait for the floods of others. `make bench ONLY=fairness` measures how long it waits. Here the
//! order in `bets.csv` shows what was read before its batch.

use std::io::Write;
use std::thread;

use crate::fixture::Server;
use crate::fixture::by_hand::{Bet, OPEN, REGISTER_BET_OK, hello, register_bets, welcome};
use rustix::process::Signal;

const FLOODS: u32 = 4;
/// The batches that each flood has sent before the server reads any of them, and the bets of each.
const BATCHES: usize = 100;
const BETS: usize = 100;
/// The most that the server reads from a connection before it reads from the next.
const SLICE: usize = 32 * 1024;
/// The slices of each flood that may be read first: a turn may have begun before the small batch came.
const SLICES: usize = 2;

#[test]
fn an_interactive_agencys_batch_is_stored_before_the_rest_of_the_floods() {
    let server = Server::start(FLOODS + 1);
    let mut floods: Vec<_> = (1..=FLOODS).map(|agency| server.connect_as(agency)).collect();
    let mut small = server.connect_as(FLOODS + 1);
    let bet_bytes = register_bets(&[Bet::of(1, 7, 7)]).len() - 6;

    // The server finds all of it when it wakes. The small batch came last.
    server.process.signal(Signal::STOP);
    thread::scope(|scope| {
        for (agency, wire) in (1..).zip(&mut floods) {
            let flood = register_bets(&vec![Bet::of(agency, 7, 7); BETS]).repeat(BATCHES);
            let mut writing = wire.0.try_clone().expect("a second handle");
            scope.spawn(move || writing.write_all(&flood).expect("it is read in the end"));
        }
        server.wait_for_connections(FLOODS as usize, |_, unread| unread > SLICE);
        small.send(&register_bets(&[Bet::of(FLOODS + 1, 7, 7)]));
        server.process.signal(Signal::CONT);
        small.expect(REGISTER_BET_OK);
        for wire in &mut floods {
            wire.expect(&REGISTER_BET_OK.repeat(BATCHES));
        }
    });
    let rows = server.bets();
    let before = rows.lines().take_while(|row| !row.starts_with(&format!("{},", FLOODS + 1))).count();
    let most = FLOODS as usize * SLICES * SLICE / bet_bytes;
    assert_eq!(rows.lines().count(), FLOODS as usize * BATCHES * BETS + 1);
    assert!(before <= most, "{before} bets of the floods came before it, and {most} may");
}

/// Agencies that connect at the same time, and the most of them that the server accepts in a turn.
const STORM: u32 = 900;
const ACCEPTS: usize = 256;

#[test]
fn an_interactive_agencys_batch_is_stored_before_most_of_a_storm() {
    let server = Server::start(STORM + 1);
    let mut small = server.connect_as(STORM + 1);

    // The server finds all of it when it wakes. The small batch came last.
    server.process.signal(Signal::STOP);
    let mut storm: Vec<_> = (1..=STORM).map(|agency| (agency, server.connect())).collect();
    for (agency, wire) in &mut storm {
        wire.send(&[hello(*agency), register_bets(&[Bet::of(*agency, 7, 7)])].concat());
    }
    small.send(&register_bets(&[Bet::of(STORM + 1, 7, 7)]));
    server.process.signal(Signal::CONT);
    small.expect(REGISTER_BET_OK);
    for (_, wire) in &mut storm {
        wire.expect(&[welcome(0, OPEN), REGISTER_BET_OK.to_vec()].concat());
    }
    let rows = server.bets();
    let before = rows.lines().take_while(|row| !row.starts_with(&format!("{},", STORM + 1))).count();
    assert_eq!(rows.lines().count(), STORM as usize + 1);
    assert!(before <= ACCEPTS, "{before} connections came before it, and {ACCEPTS} may");
}
