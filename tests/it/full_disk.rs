//! A full disk: the agency is told, nothing of its batch is stored, and everything goes on once there is room again.

use crate::fixture::by_hand::{ALL_BETS_SENT, OPEN, hello, register_bet_failed, welcome};
use crate::fixture::{Server, rows, start, stored, succeeded, sum_of, wait_for};
use loteria_tools::{Process, field};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

/// Limits the files of `process` to `bytes`. A write beyond that is cut short, and the next one fails.
fn limit_files(process: &Process, bytes: Option<u64>) {
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("our own child");
}

#[test]
fn a_batch_that_does_not_fit_is_not_stored_at_all_and_follows_later() {
    // A few batches.
    let rows = rows(1000);
    let server = Server::start(1);
    let room = 10_000;
    limit_files(&server.process, Some(room));
    let agency = start(&mut server.agency_with_rows(1, &rows));

    let refused = wait_for(&server.process, "action: apuesta_recibida | result: fail");
    assert!(refused.contains("File too large"), "{refused}");
    let heard = wait_for(&agency, "action: connect | result: in_progress");
    assert!(heard.contains("code 9: could not be stored"), "{heard}");
    let kept = server.bets();
    assert!(kept.len() as u64 <= room && stored(1, &rows).starts_with(&kept), "{} bytes", kept.len());
    assert!(kept.is_empty() || kept.ends_with("\r\n"), "whole rows only");

    limit_files(&server.process, None);
    let ended = succeeded(agency);
    assert_eq!(field(ended.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some("1"));
    assert_eq!(server.bets(), stored(1, &rows));
    let received = sum_of(&server.stop(), "action: apuesta_recibida | result: success", "cantidad");
    assert_eq!(received, 1000, "each bet is received once");
}

#[test]
fn a_closing_that_can_not_be_stored_draws_nothing_and_is_sent_again() {
    let server = Server::start(1);
    limit_files(&server.process, Some(0));
    let agency = start(&mut server.agency_with_rows(1, ""));
    wait_for(&server.process, "action: cierre_agencia | result: fail");
    assert!(server.process.lines().iter().all(|line| !line.contains("sorteo")));
    limit_files(&server.process, None);
    succeeded(agency);
    assert_eq!(server.stop().lines_with("action: sorteo | result: success").len(), 1);
}

#[test]
fn a_closing_from_two_connections_in_one_turn_is_answered_on_the_newer() {
    let server = Server::start(1);
    limit_files(&server.process, Some(0));
    let (mut older, mut newer) = (server.connect_as(1), server.connect());
    // The server finds both closings when it wakes, and neither can be stored.
    server.process.signal(Signal::STOP);
    older.send(ALL_BETS_SENT);
    newer.send(&hello(1)).send(ALL_BETS_SENT);
    server.process.signal(Signal::CONT);
    newer.expect(&welcome(0, OPEN)).expect(&register_bet_failed(9)).expect_closed();
}
