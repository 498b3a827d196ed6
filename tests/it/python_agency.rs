//! `protocol.md` is enough to write an agency from: one in Python is served like ours, also when the central dies under it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{Central, start};
use loteria_tools::check::compare;
use loteria_tools::{Ended, Process, agency_files};

const AGENCIES: u32 = 3;

fn python_agency(id: u32, port: u16, file: &Path) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agency.py");
    let mut command = Command::new("python3");
    command.arg(script).args(["--id", &id.to_string(), "--server", &format!("127.0.0.1:{port}")]).arg(file);
    start(&mut command)
}

/// The files of the smallest agencies, so that each has a few dozen batches.
fn smallest_files() -> Vec<PathBuf> {
    let mut files = agency_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".data"));
    files.sort_by_key(|file| file.metadata().expect("a file").len());
    files.truncate(AGENCIES as usize);
    files
}

fn check(central: &Central, files: &[PathBuf], ended: &[Ended]) {
    let sent = compare(&central.bets_path(), files).expect("every bet once");
    for (ended, sent) in ended.iter().zip(sent) {
        assert!(ended.status.success(), "{:?}", ended.lines);
        let told = format!("cant_ganadores: {}", sent.winners.len());
        assert!(ended.lines.iter().any(|line| line.ends_with(&told)), "{told}: {:?}", ended.lines);
    }
}

#[test]
fn an_agency_written_from_the_protocol_alone_is_told_its_winners() {
    let central = Central::start(AGENCIES);
    let files = smallest_files();
    let agencies: Vec<Process> = (1..).zip(&files).map(|(id, file)| python_agency(id, central.port, file)).collect();
    let ended: Vec<Ended> = agencies.into_iter().map(|agency| agency.wait().expect("it ended")).collect();
    check(&central, &files, &ended);
}

#[test]
fn an_agency_written_from_the_protocol_alone_is_exact_when_the_central_is_killed() {
    let mut central = Central::start(AGENCIES);
    let files = smallest_files();
    let agencies: Vec<Process> = (1..).zip(&files).map(|(id, file)| python_agency(id, central.port, file)).collect();
    for batches in [1, 5, 10] {
        central.process.wait_for_nth("action: apuesta_recibida | result: success", batches).expect("bets come");
        central = central.restart_after(AGENCIES, Process::kill);
    }
    let ended: Vec<Ended> = agencies.into_iter().map(|agency| agency.wait().expect("it ended")).collect();
    check(&central, &files, &ended);
}
