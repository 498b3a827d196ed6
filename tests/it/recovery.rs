//! Recovery: a server goes on after any crash, and refuses files that no crash leaves behind.

use std::fs;
use std::io::{self, Write};
use std::process::Command;
use std::time::Instant;

use crate::fixture::{Server, fails_with, keep_port, programs, start, succeeded, through_bash, wait_for};
use crate::fuzz_bodies::Memory;
use loteria::central::Restore;
use loteria::ledger::file::{FileLedger, Files, Operation, RecoveryError, SyncPolicy};
use loteria::lottery::Lottery;
use loteria_tools::{Ended, Process, field};
use tempfile::TempDir;

const ANA: &str = "1,Ana,Paz,30904465,1999-03-17,7574\r\n";
const LEO: &str = "2,\"Leo, \"\"el\"\" Ñandú\",Paz,20904465,1999-03-17,1\r\n";
const EVA: &str = "1,Eva,Paz,10904465,1999-03-17,7574\r\n";

/// A folder with these two files; a file that is `None` is missing.
fn folder(bets: Option<&[u8]>, closings: Option<&[u8]>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [("bets.csv", bets), ("bets.csv.closed", closings)] {
        if let Some(content) = content {
            fs::write(folder.path().join(name), content).expect("written");
        }
    }
    folder
}

/// A server of two agencies that starts on `bets` and `closings`, and the line that it logs about them.
fn recover(bets: &[u8], closings: &[u8]) -> (Server, String) {
    let server = Server::start_on(folder(Some(bets), Some(closings)), 2, |_| ());
    let line = wait_for(&server.process, "action: recover");
    (server, line)
}

/// A server of two agencies must refuse these files with an error that contains `why`, and change nothing.
#[track_caller]
fn refuse(bets: &[u8], closings: &[u8], why: &str) -> Ended {
    let folder = folder(Some(bets), Some(closings));
    let ended = fails_with(start(programs().server(folder.path()).env("NUM_AGENCIES", "2")), why);
    assert_eq!(fs::read(folder.path().join("bets.csv")).expect("read"), bets, "the bets are as they were");
    assert_eq!(fs::read(folder.path().join("bets.csv.closed")).expect("read"), closings, "so are the closings");
    ended
}

/// The row of an agency's file that is this row of `bets.csv`.
fn own(row: &str) -> &str {
    row.split_once(',').expect("fields").1
}

#[test]
fn a_row_torn_at_any_byte_is_cut_off() {
    let whole = format!("{ANA}{LEO}");
    for torn in 0..EVA.len() {
        let bets = format!("{whole}{}", &EVA[..torn]);
        let (server, line) = recover(bets.as_bytes(), b"");
        assert!(
            line.ends_with(&format!(
                "action: recover | result: success | bets: 2 | agencies_closed: 0 | truncated_bytes: {torn} | verified_bytes: 0"
            )),
            "{line}"
        );
        assert_eq!(server.bets(), whole);
    }
}

#[test]
fn any_number_of_zeros_after_a_power_loss_is_cut_off() {
    for zeros in [1, 1000, 1064, 70_000] {
        for torn in ["", "1", "1,Eva,Pa"] {
            let mut bets = format!("{ANA}{torn}").into_bytes();
            bets.resize(bets.len() + zeros, 0);
            let (server, line) = recover(&bets, b"");
            assert_eq!(field(&line, "truncated_bytes"), Some((torn.len() + zeros).to_string().as_str()), "{line}");
            assert_eq!(server.bets(), ANA);
        }
    }
}

#[test]
fn a_torn_closing_is_cut_off_and_its_agency_is_open() {
    let (server, line) = recover(format!("{ANA}{LEO}").as_bytes(), b"2,1,2\r\n1,1,2");
    assert!(line.ends_with("bets: 2 | agencies_closed: 1 | truncated_bytes: 5 | verified_bytes: 0"), "{line}");
    let agency = succeeded(start(&mut server.agency_with_rows(1, own(ANA))));
    assert_eq!(field(agency.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some("1"));
    wait_for(&server.process, "action: sorteo | result: success");
    let closings = fs::read_to_string(server.folder.path().join("bets.csv.closed")).expect("read");
    assert_eq!(closings, "2,1,2\r\n1,1,2,7574\r\n");
}

#[test]
fn a_damaged_row_before_whole_rows_is_named_and_nothing_changes() {
    for (damaged, fault) in [
        ("1,Ana,Paz,3090", "line 2: "),
        ("1,Ana,Paz,30904465,1999-03-17,99999\r\n", "line 2: number is not between"),
        ("1,Ana,Paz,30904465,1999-02-30,1\r\n", "line 2: birthdate"),
        ("x,Ana,Paz,30904465,1999-03-17,1\r\n", "line 2: agency is not a number"),
        ("1,Ana,Paz,30904465,1999-03-17\r\n", "line 2: 5 fields instead of 6"),
        ("1,\"Ana,Paz,30904465,1999-03-17,1\r\n", "line 2: "),
        ("\0\0\0\0\0\0\0\0\r\n", "line 2: "),
    ] {
        let bets = format!("{ANA}{damaged}{LEO}");
        let ended = refuse(bets.as_bytes(), b"", fault);
        assert_eq!(ended.lines_with("error: ./bets.csv is damaged, ").len(), 1, "{:#?}", ended.lines);
    }
}

#[test]
fn an_open_quote_is_named_and_not_read_to_the_end_of_the_file() {
    let mut bets = format!("{ANA}1,\"Ana,Paz,30904465,1999-03-17,1\r\n");
    bets.extend(std::iter::repeat_n(ANA, 20_000));
    let ended = refuse(bets.as_bytes(), b"", "is a quote missing?");
    assert_eq!(ended.lines_with("line 2: ").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn a_tail_that_no_row_begins_with_is_refused() {
    for tail in ["apuestas\tde la agencia".to_owned(), "9".repeat(5000)] {
        refuse(format!("{ANA}{tail}").as_bytes(), b"", "are no beginning of a row");
    }
}

#[test]
fn a_torn_row_stays_where_the_closings_are_damaged() {
    refuse(format!("{ANA}{}", &LEO[..9]).as_bytes(), b"1,2,2\r\n", "agency 1 closed with 2 bets, and 1 are stored");
}

#[test]
fn closings_that_do_not_fit_the_bets_are_refused() {
    let bets = format!("{ANA}{LEO}");
    for (closings, fault) in [
        ("1,2,2\r\n", ", line 1: agency 1 closed with 2 bets, and 1 are stored"),
        ("2,1,2\r\n1,0,2\r\n", ", line 2: agency 1 closed with 0 bets, and 1 are stored"),
        ("3,0,2\r\n", ", line 1: agency 3 is not one of the 2"),
        ("1\r\n2,1,2\r\n", " is damaged, line 1: 1 fields instead of 4"),
        ("1,one,2\r\n2,1,2\r\n", " is damaged, line 1: bets is not a number"),
    ] {
        let ended = refuse(bets.as_bytes(), closings.as_bytes(), fault);
        assert_eq!(ended.lines_with("error: ./bets.csv.closed").len(), 1, "{:#?}", ended.lines);
    }
}

#[test]
fn another_num_agencies_is_named_and_nothing_is_called_damaged() {
    let of_five = format!("{ANA}{LEO}{}", ANA.replace("1,Ana", "5,Ana"));
    for (bets, closings, why) in [
        (&of_five, "1,1,5\r\n2,1,5\r\n", "the stored round has 5 agencies, and NUM_AGENCIES is 2; set it to 5 again"),
        (&of_five, "", "bets.csv, line 3: agency 5 is not one of the 2 of NUM_AGENCIES; set NUM_AGENCIES as it was"),
    ] {
        let ended = refuse(bets.as_bytes(), closings.as_bytes(), why);
        let line = ended.lines.last().expect("a line");
        assert!(!line.contains("damaged") && !line.contains("move"), "{line}");
    }
}

#[test]
fn rows_that_end_with_a_line_feed_only_are_read() {
    let bets = format!("{ANA}{LEO}").replace("\r\n", "\n");
    let (server, line) = recover(bets.as_bytes(), b"1,1,2\n");
    assert!(line.ends_with("bets: 2 | agencies_closed: 1 | truncated_bytes: 0 | verified_bytes: 0"), "{line}");
    assert_eq!(server.bets(), bets, "unchanged");
}

#[test]
fn a_restarted_server_answers_agencies_that_closed_and_draws_once() {
    let mut server = Server::start_with(2, keep_port);
    let parked = start(&mut server.agency_with_rows(1, own(ANA)));
    wait_for(&server.process, "action: cierre_agencia");

    server.restart_after(Process::kill);
    wait_for(&parked, "action: connect | result: in_progress");
    let late = succeeded(start(&mut server.agency_with_rows(2, own(LEO))));
    for (agency, winners) in [(&succeeded(parked), "1"), (&late, "0")] {
        assert_eq!(field(agency.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some(winners));
    }
    let first_draws = server.process.lines().iter().filter(|line| line.contains("action: sorteo")).count();

    server.restart_after(Process::kill);
    for (id, row, winners) in [(1, ANA, "1"), (2, LEO, "0")] {
        let again = succeeded(start(&mut server.agency_with_rows(id, own(row))));
        assert_eq!(field(again.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some(winners));
    }
    assert_eq!(server.bets(), format!("{ANA}{LEO}"));
    let ended = server.stop();
    assert_eq!((first_draws, ended.lines_with("action: sorteo").len()), (1, 0));
}

#[test]
fn rows_that_a_crash_left_unsynced_are_synced_before_they_count() {
    let bets = Memory::holding(ANA.repeat(2).as_bytes());
    bets.refuse_syncs();
    let recover = |sync| {
        let mut restore = Restore::new(Lottery::new(1));
        let files = Files { bets: bets.clone(), ..Files::default() };
        let recovered = FileLedger::recover(files, sync, &mut restore);
        recovered.map(|(_, summary)| summary.bets)
    };
    let refused = recover(SyncPolicy::Always).expect_err("it can't be synced");
    assert!(matches!(refused, RecoveryError::Io { operation: Operation::Sync, .. }));
    assert_eq!(refused.to_string(), "memory: it can't be synced: other error; check the disk, then start again");
    assert!(matches!(recover(SyncPolicy::Never), Ok(2)), "nothing is synced without syncs");
}

/// `cargo test --release --test it ten_million -- --ignored --nocapture`
#[test]
#[ignore = "a measurement for release builds"]
fn ten_million_rows_are_recovered_at_three_million_a_second() {
    const ROWS: usize = 10_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bets.csv");
    let mut file = io::BufWriter::new(fs::File::create(&path).expect("created"));
    fs::write(folder.path().join("bets.csv.closed"), "").expect("written");
    for row in 0..ROWS {
        let (agency, document, number) = (row % 5 + 1, row + 1, row % 10_000);
        write!(file, "{agency},Santiago Lionel,Lorca,{document},1999-03-17,{number}\r\n").expect("written");
    }
    file.into_inner().expect("written");
    let files = loteria::ledger::file::open(&path).expect("opened");
    let (mut restore, memory, began) = (Restore::new(Lottery::new(5)), peak_kib(), Instant::now());
    let (_, recovered) = FileLedger::recover(files, SyncPolicy::Always, &mut restore).expect("recovered");
    let seconds = began.elapsed().as_secs_f64();
    let (rate, more) = (ROWS as f64 / seconds, peak_kib() - memory);
    println!("{ROWS} rows in {seconds:.2} s, {rate:.0} a second, {more} KiB more at the peak");
    assert_eq!(recovered.bets, ROWS as u64);
    assert!(rate > 3e6 && more < 4096, "{rate:.0} rows a second, {more} KiB");
}

/// The peak of this process's memory: `VmHWM` of proc(5).
fn peak_kib() -> i64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn winners_that_do_not_fit_into_memory_are_named() {
    const WINNERS: usize = 800_000;
    // The memory of a server without bets, and a megabyte: a third of what the winners need. More arenas than one would
    // reserve more than all of them.
    let one_arena = |command: &mut Command| _ = command.env("MALLOC_ARENA_MAX", "1");
    let server = Server::start_with(2, one_arena);
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.pid())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")?.trim().strip_suffix(" kB"));
    let kib = peak.and_then(|kib| kib.parse::<usize>().ok()).expect("a number") + 1024;
    let folder = folder(Some(ANA.repeat(WINNERS).as_bytes()), Some(b""));
    let mut server = programs().server(folder.path());
    one_arena(&mut server);
    through_bash(&mut server, &format!("ulimit -v {kib} && exec timeout 60 \"$0\""));
    fails_with(start(&mut server), "winners of agency 1; let the server have more memory");
}
