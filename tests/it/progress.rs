//! An agency shows its progress on a terminal, and not in its log.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use crate::fixture::{Server, rows, start, stored, succeeded};

/// Both ends of a terminal.
fn terminal() -> (File, File) {
    loteria_tools::terminal(24, 100).expect("a terminal")
}

#[test]
fn an_agency_shows_its_progress_on_a_terminal_and_not_in_its_log() {
    let server = Server::start(1);
    let (mut controller, terminal) = terminal();
    let mut agency = server.agency_with_rows(1, &rows(3000));
    let child = agency.env("TERM", "xterm").stdout(Stdio::piped()).stderr(terminal).spawn().expect("it starts");
    drop(agency);

    let mut shown = Vec::new();
    // Reading a terminal whose other end is closed gives an error, and not an end.
    let _ = controller.read_to_end(&mut shown);
    let output = child.wait_with_output().expect("it ended");
    let (shown, log) = (String::from_utf8_lossy(&shown), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{log}");
    assert!(shown.contains("agency 1") && shown.contains("of 3,000 bets"), "{shown}");
    assert!(!shown.contains("action: "), "{shown}");
    assert!(log.lines().all(|line| line.contains("] action: ")), "{log}");
}

#[test]
fn the_bar_ends_full_and_then_says_what_the_agency_waits_for() {
    let server = Server::start(2);
    let (mut controller, terminal) = terminal();
    let rows = rows(3000);
    // The last row has no line break, and counts all the same.
    let mut agency = server.agency_with_rows(1, rows.trim_end());
    let mut child = agency.env("TERM", "xterm").stdout(Stdio::null()).stderr(terminal).spawn().expect("it starts");
    drop(agency);
    let (mut shown, mut read) = (String::new(), [0; 4096]);
    while !shown.contains("waiting for the draw") {
        let bytes = controller.read(&mut read).expect("it goes on");
        shown += &String::from_utf8_lossy(&read[..bytes]);
    }
    let full = format!("agency 1 [{}] 3,000 of 3,000 bets, waiting for the draw", "█".repeat(30));
    assert!(shown.contains(&full), "{shown}");
    succeeded(start(&mut server.agency_with_rows(2, "")));
    assert!(child.wait().expect("it ended").success());
}

#[test]
fn the_rows_of_a_file_without_an_end_are_not_counted() {
    let server = Server::start(1);
    let (_controller, terminal) = terminal();
    let mut agency = server.agency(1);
    let agency = agency.env("CLI_BETS_FILE", "/dev/zero").stdout(Stdio::piped()).stderr(terminal);
    let output = agency.spawn().expect("it starts").wait_with_output().expect("it ended");
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(log.contains("/dev/zero line 1: a row that is longer than any"), "{log}");
}

#[test]
fn an_agency_with_a_bar_outlives_a_log_on_a_full_disk() {
    let server = Server::start(1);
    let (mut controller, terminal) = terminal();
    let mut agency = server.agency_with_rows(1, &rows(3000));
    let full = File::create("/dev/full").expect("a device");
    let mut child = agency.env("TERM", "xterm").stdout(full).stderr(terminal).spawn().expect("it starts");
    drop(agency);
    let mut shown = Vec::new();
    let _ = controller.read_to_end(&mut shown);
    assert!(child.wait().expect("it ended").success(), "{}", String::from_utf8_lossy(&shown));
    assert_eq!(server.bets(), stored(1, &rows(3000)));
}

#[test]
fn without_a_terminal_a_short_run_shows_no_progress() {
    let server = Server::start(1);
    let ended = succeeded(start(&mut server.agency_with_rows(1, &rows(3000))));
    assert!(ended.lines.iter().all(|line| line.contains("] action: ")), "{:#?}", ended.lines);
    assert!(ended.lines_with("action: progreso").is_empty());
}
