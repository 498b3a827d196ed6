//! The log blocks nobody: neither a reader that stops to read, nor a full disk, nor a reader that has gone.

use std::fs::{self, File};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{Bet, REGISTER_BET_OK, register_bets};
use crate::fixture::logs::{RESUME, is_full, small_disk, stuck_reader};
use crate::fixture::{Outcome, Server, end_by, rows, start, stored, succeeded, through_bash, wait_for};
use loteria_tools::{Process, agency_files, field};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

/// Bets of each agency. Each has two lines in the log, of 180 bytes: more than a pipe and the queue hold.
const BETS: u32 = 3000;

/// Plays a round of two agencies, which send each of so many bets alone.
fn play(server: &Server, bets: u32) {
    let agency = |id| start(server.agency_with_rows(id, &rows(bets)).env("CLI_BATCH_MAXAMOUNT", "1"));
    let agencies = [1, 2].map(agency).into();
    Outcome::check(server, &agency_files(server.folder.path()), agencies);
}

#[test]
fn a_reader_that_is_stuck_stops_no_round_and_the_lost_lines_are_counted() {
    let server = Server::start_with(2, stuck_reader);
    play(&server, BETS);
    fs::write(server.folder.path().join(RESUME), "").expect("written");
    let lost = wait_for(&server.process, "action: log | result: fail | dropped: ");
    let lost: usize = field(&lost, "dropped").and_then(|number| number.parse().ok()).expect("a number");
    let ended = server.stop();
    let of_bets = ended.lines_with("action: apuesta_").len();
    assert!(of_bets > 1000, "what the queue holds is kept: {of_bets}");
    let missing = 4 * BETS as usize - of_bets;
    // The other lost lines are of connections, of the closings and of the draw.
    assert!((missing..=missing + 20).contains(&lost), "{lost} are counted, and {missing} are missing");
    assert!(
        ended.lines.last().is_some_and(|line| line.contains("action: exit | result: success")),
        "{:#?}",
        ended.lines
    );
}

/// Limits the memory of `process` to what it has now, and a bit: there is no room for the stack of another thread.
fn allow_no_thread(process: &Process) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it runs");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let bytes = size.and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024 + (1 << 19);
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::As, Rlimit { current: Some(bytes), maximum: None }).expect("our own child");
}

#[test]
fn sigterm_ends_a_server_whose_log_is_stuck_and_that_can_start_no_thread() {
    for is_limited in [false, true] {
        let server = Server::start_with(2, stuck_reader);
        play(&server, BETS);
        if is_limited {
            allow_no_thread(&server.process);
        }
        let sent = Instant::now();
        server.process.terminate();
        while is_running(&server.process) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
        let ended = succeeded(server.process);
        assert_eq!(ended.lines_with("panic"), [""; 0]);
    }
}

/// True until a program has ended. Its log may be open for longer.
fn is_running(process: &Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).expect("it is not waited for");
    !stat.rsplit_once(") ").expect("the state follows the name").1.starts_with('Z')
}

#[test]
fn a_log_on_a_full_disk_ends_neither_program() {
    let server = Server::start_with(2, small_disk);
    play(&server, BETS);
    assert!(is_full(&server.process));
    server.process.terminate();
    succeeded(server.process);

    let server = Server::start(1);
    let mut agency = server.agency_with_rows(1, &rows(10));
    through_bash(&mut agency, "exec \"$0\" > /dev/full");
    succeeded(start(&mut agency));
    assert_eq!(server.bets(), stored(1, &rows(10)));
}

#[test]
fn a_log_goes_on_when_there_is_room_again_and_says_how_many_writes_failed() {
    let server = Server::start_with(1, |command: &mut Command| {
        through_bash(command, ": > log; tail --lines=+1 --follow --pid=$$ log & exec \"$0\" > log");
    });
    let log = server.folder.path().join("log");
    let limit = |bytes| {
        let pid = i32::try_from(server.process.pid()).ok().and_then(Pid::from_raw);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("our own child");
    };
    let length = || File::open(&log).and_then(|log| log.metadata()).expect("a log").len();
    let room = length() + 500;
    limit(Some(room));
    let echo = || server.connect().send(b"hola\n").expect(b"hola\n").expect_closed();
    while length() < room {
        echo();
    }
    (0..10).for_each(|_| echo());
    // A batch is still stored: its file is shorter than the log.
    server.connect().send(&register_bets(&[Bet::of(1, 1, 1)])).expect(REGISTER_BET_OK);
    limit(None);
    echo();
    let line = wait_for(&server.process, "action: log | result: fail | dropped: 0 | failed_writes: ");
    assert!(field(&line, "failed_writes").is_some_and(|number| number != "0"), "{line}");
    server.process.terminate();
    let ended = succeeded(server.process);
    let is_whole = |line: &String| line.starts_with("20") && line.matches("action: ").count() == 1;
    assert!(ended.lines.iter().all(is_whole), "no part of a line is lost: {:#?}", ended.lines);
}

#[test]
fn a_reader_that_is_only_slow_loses_no_line() {
    /// More than a pipe holds. On a busy machine the reader may stand still for longer than the queue waits.
    const FEW: u32 = 500;
    let server = Server::start_with(2, |command| {
        through_bash(command, "exec \"$0\" > >(while IFS= read -r line; do echo \"$line\"; done)");
    });
    play(&server, FEW);
    let ended = end_by(Signal::TERM, server.process);
    assert_eq!(ended.lines_with("action: apuesta_").len(), 4 * FEW as usize);
    assert_eq!(ended.lines_with("action: log"), [""; 0]);
}
