//! No room for the bets: an agency is told, nothing of its batch is stored, and when there is room again everything goes on.

use std::fs;

use crate::fixture::Central;
use loteria_tools::{Process, field};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

/// Bets of a few batches.
const BETS: usize = 1000;

const HELLO: [u8; 10] = [0, 8, 0, 1, 0, 0, 0, 1, 0, 0];
const WELCOME_EMPTY: [u8; 11] = [0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const ALL_BETS_SENT: [u8; 2] = [0, 5];
const NOT_STORED: [u8; 4] = [0, 3, 0, 9];

fn rows() -> String {
    (1..=BETS).map(|document| format!("Ana,Paz,{document},1999-03-17,7574\r\n")).collect()
}

fn stored(agency: u32) -> String {
    rows().lines().map(|row| format!("{agency},{row}\r\n")).collect()
}

/// No file of `process` may grow beyond `bytes` from now on. A write that would is cut short there, and the next one fails.
fn limit_files(process: &Process, bytes: Option<u64>) {
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("our own child");
}

#[test]
fn a_batch_for_which_there_is_no_room_is_not_stored_at_all_and_goes_on_when_there_is() {
    let central = Central::start(1);
    let room = 10_000;
    limit_files(&central.process, Some(room));
    let agency = crate::fixture::start(&mut central.agency_with_rows(1, &rows()));

    let refused = central.process.wait_for("action: apuesta_recibida | result: fail").expect("the disk is full");
    assert!(refused.contains("File too large"), "{refused}");
    let heard = agency.wait_for("action: connect | result: in_progress").expect("it tries again");
    assert!(heard.contains("code 9: could not be stored"), "{heard}");
    let kept = fs::read_to_string(central.bets_path()).expect("read");
    assert!(kept.len() as u64 <= room && stored(1).starts_with(&kept), "{} bytes", kept.len());
    assert!(kept.is_empty() || kept.ends_with("\r\n"), "whole rows only");

    limit_files(&central.process, None);
    let ended = agency.wait().expect("it ended");
    assert!(ended.status.success(), "{:#?}", ended.lines);
    assert_eq!(field(ended.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some("1000"));
    assert_eq!(central.bets(), stored(1));
    let said = central.stop();
    assert!(said.status.success());
    let counted: usize = said
        .lines_with("action: apuesta_recibida | result: success")
        .iter()
        .map(|line| field(line, "cantidad").and_then(|count| count.parse::<usize>().ok()).expect("a count"))
        .sum();
    assert_eq!(counted, BETS, "each bet is received once");
}

#[test]
fn a_closing_for_which_there_is_no_room_draws_nothing_and_is_said_again() {
    let central = Central::start(1);
    limit_files(&central.process, Some(0));
    let agency = crate::fixture::start(&mut central.agency_with_rows(1, ""));
    central.process.wait_for("action: cierre_agencia | result: fail").expect("the disk is full");
    assert!(central.process.lines().iter().all(|line| !line.contains("sorteo")));
    limit_files(&central.process, None);
    assert!(agency.wait().expect("it ended").status.success());
    assert_eq!(central.stop().lines_with("action: sorteo | result: success").len(), 1);
}

#[test]
fn a_closing_that_another_connection_had_said_before_is_answered_too() {
    let central = Central::start(1);
    limit_files(&central.process, Some(0));
    let (mut older, mut newer) = (central.connect(), central.connect());
    older.send(&HELLO).expect(&WELCOME_EMPTY);
    // Both are heard in one turn of the loop, and both closings fail with it.
    central.process.signal(Signal::STOP);
    older.send(&ALL_BETS_SENT);
    newer.send(&HELLO).send(&ALL_BETS_SENT);
    central.process.signal(Signal::CONT);
    newer.expect(&WELCOME_EMPTY).expect(&NOT_STORED).expect_closed();
}
