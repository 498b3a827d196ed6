//! Nobody waits for somebody else's flood: of all that waits to be read, each connection has a slice before any has another.
//! How long that takes is measured by `make bench-fairness`; here the order in `bets.csv` says who was read when.

use std::io::Write;
use std::thread;

use crate::fixture::Central;
use crate::fixture::by_hand::{Bet, OPEN, REGISTER_BET_OK, hello, register_bets, welcome};
use rustix::process::Signal;

/// Agencies that flood, and what each has to say before anybody is read.
const FLOODS: u32 = 4;
const BATCHES: usize = 100;
const BETS: usize = 100;
/// How many slices each flood may have before the small agency is read: one in a turn, and two turns more, for one
/// may have begun before everything had come, and one has the unfinished first.
const SLICES: usize = 3;
const SLICE_BYTES: usize = 8192;

#[test]
fn a_small_batch_is_read_before_the_rest_of_the_floods_that_came_before_it() {
    let central = Central::start(FLOODS + 1);
    let mut floods: Vec<_> = (0..FLOODS).map(|_| central.connect()).collect();
    let mut small = central.connect();
    for (agency, wire) in (1..).zip(floods.iter_mut().chain([&mut small])) {
        wire.send(&hello(agency)).expect(&welcome(0, OPEN));
    }
    let bet_bytes = register_bets(&[Bet::of(1, 7, 7)]).len() - 6;

    // The central sleeps while all of it comes, the small agency's batch last.
    central.process.signal(Signal::STOP);
    thread::scope(|scope| {
        for (agency, wire) in (1..).zip(&mut floods) {
            let flood = register_bets(&vec![Bet::of(agency, 7, 7); BETS]).repeat(BATCHES);
            let mut writing = wire.0.try_clone().expect("a second handle");
            scope.spawn(move || writing.write_all(&flood).expect("it is read in the end"));
        }
        central.wait_for_connections(FLOODS as usize, |_, unread| unread > SLICES * SLICE_BYTES);
        small.send(&register_bets(&[Bet::of(FLOODS + 1, 7, 7)]));
        central.process.signal(Signal::CONT);
        small.expect(REGISTER_BET_OK);
        for wire in &mut floods {
            wire.expect(&REGISTER_BET_OK.repeat(BATCHES));
        }
    });
    let rows = central.bets();
    let before = rows.lines().take_while(|row| !row.starts_with(&format!("{},", FLOODS + 1))).count();
    let most = FLOODS as usize * SLICES * (SLICE_BYTES / bet_bytes);
    assert_eq!(rows.lines().count(), FLOODS as usize * BATCHES * BETS + 1);
    assert!(before <= most, "{before} bets of the floods came before it, and {most} may");
}
