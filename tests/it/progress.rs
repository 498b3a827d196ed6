//! Whoever starts an agency by hand sees how far it has come; whoever collects its log does not.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::Stdio;

use crate::fixture::Central;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Both ends of a terminal.
fn terminal() -> (File, File) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&controller).expect("granted");
    unlockpt(&controller).expect("unlocked");
    let name = ptsname(&controller, Vec::new()).expect("a name").into_string().expect("text");
    let terminal = OpenOptions::new().read(true).write(true).open(name).expect("the other end");
    (controller.into(), terminal)
}

fn rows(count: u32) -> String {
    (1..=count).map(|document| format!("Ana,Paz,{document},1999-03-17,1\r\n")).collect()
}

#[test]
fn on_a_terminal_an_agency_shows_how_far_it_has_come_apart_from_its_log() {
    let central = Central::start(1);
    let (mut controller, terminal) = terminal();
    let mut agency = central.agency_with_rows(1, &rows(3000));
    let child = agency.env("TERM", "xterm").stdout(Stdio::piped()).stderr(terminal).spawn().expect("it starts");
    drop(agency);

    let mut shown = Vec::new();
    // A terminal whose other end is closed by everyone is an input/output error to read, not an end.
    let _ = controller.read_to_end(&mut shown);
    let output = child.wait_with_output().expect("it ended");
    let (shown, log) = (String::from_utf8_lossy(&shown), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{log}");
    assert!(shown.contains("agency 1") && shown.contains("of 3,000 bets"), "{shown}");
    assert!(!shown.contains("action: "), "{shown}");
    assert!(log.lines().all(|line| line.contains("] action: ")), "{log}");
}

#[test]
fn without_a_terminal_a_short_run_says_nothing_of_its_progress() {
    let central = Central::start(1);
    let ended = crate::fixture::run(&mut central.agency_with_rows(1, &rows(3000)));
    assert!(ended.status.success());
    assert!(ended.lines.iter().all(|line| line.contains("] action: ")), "{:#?}", ended.lines);
    assert!(ended.lines_with("action: progreso").is_empty());
}
