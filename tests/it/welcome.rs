//! What a Welcome says is exact: the bets that were stored before the Hello, and where the agency stood.

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, CLOSED, DRAWN, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, inform_winners, register_bets,
    welcome,
};
use crate::fixture::{Central, wait_for};

#[test]
fn a_welcome_counts_what_was_said_before_the_hello_and_nothing_behind_it() {
    let central = Central::start(2);
    let batch = register_bets(&[Bet::of(1, 1, 7574), Bet::of(1, 2, 2)]);
    let mut agency = central.connect();
    agency.send(&[&hello(1), batch.as_slice(), &hello(1), &batch, ALL_BETS_SENT, &hello(1)].concat());
    agency.expect(&welcome(0, OPEN)).expect(REGISTER_BET_OK);
    agency.expect(&welcome(2, OPEN)).expect(REGISTER_BET_OK);
    agency.expect(&welcome(4, CLOSED));
}

#[test]
fn a_welcome_says_when_the_agency_has_closed_and_when_the_draw_has_happened() {
    let central = Central::start(2);
    let mut one = central.connect();
    one.send(&hello(1)).expect(&welcome(0, OPEN)).send(&register_bets(&[Bet::of(1, 1, 7574)])).expect(REGISTER_BET_OK);
    one.send(ALL_BETS_SENT).send(&hello(1)).expect(&welcome(1, CLOSED));
    central.connect().send(&hello(2)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT);
    wait_for(&central.process, "action: sorteo | result: success");
    one.send(&hello(1)).expect(&welcome(1, DRAWN)).send(REQUEST_WINNERS).expect(&inform_winners(&[1]));
    central.connect().send(&hello(2)).expect(&welcome(0, DRAWN)).send(REQUEST_WINNERS).expect(&inform_winners(&[]));
}

#[test]
fn a_welcome_says_the_same_after_a_restart() {
    let central = Central::start(2);
    let mut one = central.connect();
    one.send(&hello(1)).expect(&welcome(0, OPEN)).send(&register_bets(&[Bet::of(1, 1, 7574)])).expect(REGISTER_BET_OK);
    one.send(ALL_BETS_SENT).send(&hello(1)).expect(&welcome(1, CLOSED));
    let mut two = central.connect();
    two.send(&register_bets(&[Bet::of(2, 2, 7574)])).expect(REGISTER_BET_OK);
    let central = central.restart_after(2, |process| process.terminate());
    central.connect().send(&hello(1)).expect(&welcome(1, CLOSED));
    central.connect().send(&hello(2)).expect(&welcome(1, OPEN)).send(ALL_BETS_SENT);
    wait_for(&central.process, "action: sorteo | result: success");
    let central = central.restart_after(2, |process| process.terminate());
    central.connect().send(&hello(2)).expect(&welcome(1, DRAWN)).send(REQUEST_WINNERS).expect(&inform_winners(&[2]));
}
