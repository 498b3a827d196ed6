//! A Welcome is exact: it has the number of bets stored before the Hello, and the state of the agency.

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, CLOSED, DRAWN, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, inform_winners, register_bets,
    welcome,
};
use crate::fixture::{Server, wait_for};
use loteria_tools::Process;

#[test]
fn a_welcome_counts_what_came_before_its_hello_and_nothing_after() {
    let server = Server::start(2);
    let batch = register_bets(&[Bet::of(1, 1, 7574), Bet::of(1, 2, 2)]);
    let mut agency = server.connect();
    agency.send(&[&hello(1), batch.as_slice(), &hello(1), &batch, ALL_BETS_SENT, &hello(1)].concat());
    agency.expect(&welcome(0, OPEN)).expect(REGISTER_BET_OK);
    agency.expect(&welcome(2, OPEN)).expect(REGISTER_BET_OK);
    agency.expect(&welcome(4, CLOSED));
}

#[test]
fn a_welcome_tells_whether_the_agency_has_closed_and_is_drawn() {
    let server = Server::start(2);
    let mut one = server.connect_as(1);
    one.send(&register_bets(&[Bet::of(1, 1, 7574)])).expect(REGISTER_BET_OK);
    one.send(ALL_BETS_SENT).send(&hello(1)).expect(&welcome(1, CLOSED));
    server.connect_as(2).send(ALL_BETS_SENT);
    wait_for(&server.process, "action: sorteo | result: success");
    one.send(&hello(1)).expect(&welcome(1, DRAWN)).send(REQUEST_WINNERS).expect(&inform_winners(&[1]));
    server.connect().send(&hello(2)).expect(&welcome(0, DRAWN)).send(REQUEST_WINNERS).expect(&inform_winners(&[]));
}

#[test]
fn a_welcome_says_the_same_after_a_restart() {
    let mut server = Server::start(2);
    let mut one = server.connect_as(1);
    one.send(&register_bets(&[Bet::of(1, 1, 7574)])).expect(REGISTER_BET_OK);
    one.send(ALL_BETS_SENT).send(&hello(1)).expect(&welcome(1, CLOSED));
    let mut two = server.connect();
    two.send(&register_bets(&[Bet::of(2, 2, 7574)])).expect(REGISTER_BET_OK);
    server.restart_after(Process::terminate);
    server.connect().send(&hello(1)).expect(&welcome(1, CLOSED));
    server.connect().send(&hello(2)).expect(&welcome(1, OPEN)).send(ALL_BETS_SENT);
    wait_for(&server.process, "action: sorteo | result: success");
    server.restart_after(Process::terminate);
    server.connect().send(&hello(2)).expect(&welcome(1, DRAWN)).send(REQUEST_WINNERS).expect(&inform_winners(&[2]));
}
