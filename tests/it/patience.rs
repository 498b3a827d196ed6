//! A peer that does not read, a flood and an unread log cost the others neither memory, nor their turn, nor a clean end.

use std::io::{self, ErrorKind, Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, DRAWN, REGISTER_BET_OK, REQUEST_WINNERS, hello, inform_winners, register_bets, welcome,
};
use crate::fixture::{Server, Wire, asleep, rows, wait_for_nth};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn unread_lists_of_winners_do_not_take_memory_for_each_connection() {
    const WINNERS: u32 = 100_000;
    /// The kernel buffers less than a third of it.
    const LIST_BYTES: usize = 10 + 4 * WINNERS as usize;
    const ASKING: u64 = 100;
    let folder = tempfile::tempdir().expect("a folder");
    let winning: String = (1..=WINNERS).map(|document| Bet::of(1, document, 7574).row()).collect();
    std::fs::write(folder.path().join("bets.csv"), winning).expect("written");
    std::fs::write(folder.path().join("bets.csv.closed"), format!("1,{WINNERS},1\r\n")).expect("written");
    let server = Server::start_on(folder, 1, |command| {
        command.env("MAX_UNSENT_BYTES", "16384");
    });
    let peak_kib = || server.process.usage().expect("it runs").peak_kib;
    let before = peak_kib();
    // Each takes the agency over from the one before, and none reads.
    let ask = |_| {
        let mut wire = Wire::connect_unbuffered(server.port);
        wire.send(&hello(1)).expect(&welcome(WINNERS.into(), DRAWN)).send(REQUEST_WINNERS);
        wire
    };
    let mut asking: Vec<Wire> = (0..ASKING).map(ask).collect();
    let mut list = vec![0; LIST_BYTES];
    asking.last_mut().expect("one").0.read_exact(&mut list).expect("the last one is told all");
    let grown = peak_kib() - before;
    // A page of the list and a page that waits behind it for each connection.
    assert!(grown < ASKING * 2 * 16 + 8192, "{grown} KiB for {ASKING} lists of {} KiB", LIST_BYTES / 1024);
    assert_eq!(list[LIST_BYTES - 4..], WINNERS.to_be_bytes());
}

#[test]
fn a_flood_of_empty_batches_is_answered_over_many_turns() {
    let server = Server::start_with(1, |command| {
        command.env("MAX_TURN_ANSWERS", "3");
    });
    let mut flood = server.connect_as(1);
    flood.send(&register_bets(&[]).repeat(1000)).expect(&REGISTER_BET_OK.repeat(1000));
    flood.send(ALL_BETS_SENT).send(REQUEST_WINNERS).expect(&inform_winners(&[]));
}

/// Sends whole batches over each of `wires`, for agency 1 and the following, as fast as they are read, until the server
/// ends.
fn flood(wires: &[Wire]) {
    let bets = |agency| [Bet::of(agency, 7, 7); 148];
    let batches: Vec<Vec<u8>> = (1..).take(wires.len()).map(|agency| register_bets(&bets(agency))).collect();
    let mut sent = vec![0; wires.len()];
    wires.iter().for_each(|wire| wire.0.set_nonblocking(true).expect("set"));
    loop {
        for ((mut socket, batch), sent) in wires.iter().map(|wire| &*wire.0).zip(&batches).zip(&mut sent) {
            while let Ok(bytes) = socket.write(&batch[*sent..]) {
                *sent = (*sent + bytes) % batch.len();
            }
            let heard = socket.read(&mut [0; 1024]);
            if heard.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |bytes| bytes == 0) {
                return;
            }
        }
    }
}

#[test]
fn an_interactive_agency_waits_a_few_commits_however_many_flood() {
    const FLOODS: u32 = 60;
    const BATCHES: usize = 20;
    for turn_bytes in ["131072", "4096"] {
        let server = Server::start_with(FLOODS + 1, |command| {
            command.env("MAX_TURN_BYTES", turn_bytes);
        });
        let floods: Vec<Wire> = (0..FLOODS).map(|_| server.connect()).collect();
        thread::spawn(move || flood(&floods));
        wait_for_nth(&server.process, "action: apuesta_recibida", 4 * FLOODS as usize);
        let mut small = server.connect();
        // The state counts the commits since the last time it was asked for.
        server.state("commits");
        for _ in 0..BATCHES {
            small.send(&register_bets(&[Bet::of(FLOODS + 1, 7, 7)])).expect(REGISTER_BET_OK);
        }
        let commits = server.state_number("commits");
        assert!(commits <= 4 * BATCHES, "{commits} commits for {BATCHES} batches, a share of {turn_bytes}");
    }
}

#[test]
fn an_agency_whose_log_is_not_read_ends_within_a_second_of_sigterm() {
    const BETS: u32 = 20_000;
    let server = Server::start(1);
    let mut command = server.agency_with_rows(1, &rows(BETS));
    let (_unread, log) = io::pipe().expect("a pipe");
    let output = log.try_clone().expect("a handle");
    command.env("CLI_BATCH_MAXAMOUNT", "10").stdout(output).stderr(Stdio::null());
    let mut agency = command.spawn().expect("it starts");
    let takes_more = || poll(&mut [PollFd::new(&log, PollFlags::OUT)], Some(&Timespec::default())).expect("a pipe") > 0;
    while takes_more() {
        thread::sleep(Duration::from_millis(1));
    }
    asleep(agency.id());
    assert!(server.bets().lines().count() < BETS as usize, "it is not blocked");
    let asked = Instant::now();
    kill_process(Pid::from_child(&agency), Signal::TERM).expect("sent");
    assert!(agency.wait().expect("it ended").success());
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}
