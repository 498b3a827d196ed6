//! `protocol.md` is enough to write an agency: one in Python is served like ours, also when the server is killed under it. The
//! tests of `loteria conformance` show that it meets every requirement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, BIRTHDATE, Bet, CLOSED, DRAWN, OPEN, REQUEST_WINNERS, hello2, inform_winners, refused,
    register_bet_failed, welcome2, welcome2_of,
};
use crate::fixture::{FakeServer, Outcome, ROW, Server, Wire, keep_port, repository, start, succeeded, wait_for_nth};
use loteria_tools::{Process, agency_files};

const AGENCIES: u32 = 3;

/// The bet of [`ROW`].
const BET: Bet<'_> =
    Bet { agency: 1, first_name: b"Ana", last_name: b"Paz", document: 1, birthdate: BIRTHDATE, number: 7574 };

fn python_agency(id: u32, port: u16, file: &Path) -> Process {
    python_agency_with(&[], id, port, file)
}

fn python_agency_with(options: &[&str], id: u32, port: u16, file: &Path) -> Process {
    let mut command = Command::new("python3");
    command.arg(repository().join("examples/agency.py")).args(options);
    command.args(["--id", &id.to_string(), "--server", &format!("127.0.0.1:{port}")]).arg(file);
    start(&mut command)
}

/// One in Python whose file is `rows`, which has little time, for a server that a test plays.
fn hasty_agency(server: &FakeServer, rows: &str) -> Process {
    let file = server.folder.path().join("agency-1.csv");
    fs::write(&file, rows).expect("written");
    let options = ["--patience", "0.5", "--reply-timeout", "0.3"];
    python_agency_with(&options, 1, server.address().port(), &file)
}

/// Waits for the end of an agency, which must fail with one last line that contains `why`.
#[track_caller]
fn ends_with_a_line(agency: Process, why: &str) {
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    let last = ended.lines.last().map_or("", String::as_str);
    assert!(last.starts_with("agency.py: ") && last.contains(why), "{why:?}: {:#?}", ended.lines);
    assert!(ended.lines_with("Traceback").is_empty(), "{:#?}", ended.lines);
}

/// Plays the server for an agency of one stored bet, up to its request for winners.
fn hear_the_request(wire: &mut Wire, state: u8) {
    wire.expect(&hello2(1)).send(&welcome2(&[BET], state));
    if state == OPEN {
        wire.expect(ALL_BETS_SENT);
    }
    wire.expect(REQUEST_WINNERS);
}

/// A server and an agency for each of the smallest files, so that each has a few dozen batches.
fn start_round() -> (Server, Vec<PathBuf>, Vec<Process>) {
    let mut files = agency_files(&repository().join(".data"));
    files.sort_by_key(|file| file.metadata().expect("a file").len());
    files.truncate(AGENCIES as usize);
    let server = Server::start_with(AGENCIES, keep_port);
    let agencies = (1..).zip(&files).map(|(id, file)| python_agency(id, server.port, file)).collect();
    (server, files, agencies)
}

#[test]
fn an_agency_written_from_the_protocol_alone_is_told_its_winners() {
    let (server, files, agencies) = start_round();
    Outcome::check(&server, &files, agencies);
}

#[test]
fn an_agency_written_from_the_protocol_alone_survives_server_crashes() {
    let (mut server, files, agencies) = start_round();
    for batches in [1, 5, 10] {
        wait_for_nth(&server.process, "action: apuesta_recibida | result: success", batches);
        server.restart_after(Process::kill);
    }
    Outcome::check(&server, &files, agencies);
}

#[test]
fn the_python_agency_gives_up_on_a_server_that_says_nothing() {
    let server = FakeServer::start();
    ends_with_a_line(hasty_agency(&server, ROW), "gave up after 0.5 s");
}

#[test]
fn the_python_agency_goes_on_while_its_server_answers() {
    let server = FakeServer::start();
    let agency = hasty_agency(&server, ROW);
    for code in [9, 12, 9, 12, 9, 12] {
        server.accept().expect(&hello2(1)).send(&register_bet_failed(code));
    }
    // Each of these was parked.
    for state in [OPEN, CLOSED, CLOSED, CLOSED] {
        hear_the_request(&mut server.accept(), state);
    }
    let mut half = server.accept();
    hear_the_request(&mut half, DRAWN);
    half.send(&inform_winners(&[1])[..11]);
    let mut wire = server.accept();
    hear_the_request(&mut wire, DRAWN);
    wire.send(&inform_winners(&[1]));
    succeeded(agency);
}

#[test]
fn the_python_agency_ends_with_a_line_at_what_can_not_be() {
    let huge = [[0, 7].as_slice(), &[0xff; 8]].concat();
    for (answer, why) in [
        (register_bet_failed(99), "error code 99"),
        (register_bet_failed(5), "the server refuses, code 5"),
        (refused(2, 17), "the server refuses bet 17 of a batch, code 2"),
        (welcome2(&[], 7), "state 7 of an agency"),
        (b"HTTP/1.1 400 Bad Request".to_vec(), "message 18516 instead of 10"),
        (welcome2(&[BET, BET], OPEN), "holds only 1"),
        (welcome2_of(1, OPEN, 0x1234_abcd), "1 bets with checksum 1234abcd"),
        ([welcome2(&[BET], DRAWN), huge].concat(), "winners of the 1 bets of this agency"),
        ([welcome2(&[BET], DRAWN), inform_winners(&[1, 2])].concat(), "tells 2 winners of the 1 bets of this agency"),
    ] {
        let server = FakeServer::start();
        let agency = hasty_agency(&server, ROW);
        server.accept().expect(&hello2(1)).send(&answer);
        ends_with_a_line(agency, why);
    }
}
