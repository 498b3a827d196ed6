//! `protocol.md` is enough to write an agency: one in Python is served like ours, also when the server is killed under it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{Outcome, Server, keep_port, repository, start, wait_for_nth};
use loteria_tools::{Process, agency_files};

const AGENCIES: u32 = 3;

fn python_agency(id: u32, port: u16, file: &Path) -> Process {
    let mut command = Command::new("python3");
    command.arg(repository().join("examples/agency.py"));
    command.args(["--id", &id.to_string(), "--server", &format!("127.0.0.1:{port}")]).arg(file);
    start(&mut command)
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
