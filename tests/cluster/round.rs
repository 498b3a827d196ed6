//! A round over a database: servers that share it, agencies that know all of them, and what must be stored at its end.

use std::cell::RefCell;
use std::process::Command;

use loteria::config::{Settings, server};
use loteria::ledger::postgres::{Address, export};
use loteria_tools::{Ended, Process, Programs, field};
use tempfile::TempDir;

use crate::database::{free_port, wait_until};

/// Servers that share a round, and its agencies.
pub struct Round {
    pub url: String,
    pub agencies: u32,
    pub rows: u32,
    ports: Vec<u16>,
    pub folder: TempDir,
}

impl Round {
    /// A round of as many agencies with as many bets each, in the database at `url`, for at most `servers` servers.
    pub fn new(url: String, agencies: u32, rows: u32, servers: usize) -> Round {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = (0..servers).map(|_| free_port()).collect();
        Round { url, agencies, rows, ports, folder }
    }

    /// The command of server `number`, from 0.
    pub fn server_command(&self, number: usize) -> Command {
        let mut command = programs().server(self.folder.path());
        command.env("NUM_AGENCIES", self.agencies.to_string()).env("STORAGE_URL", &self.url);
        command.env("SERVER_PORT", self.ports[number].to_string()).env("SERVER_IP", "127.0.0.1");
        command
    }

    /// Starts server `number`.
    pub fn server(&self, number: usize) -> Process {
        start(&mut self.server_command(number))
    }

    /// The port of server `number`.
    pub fn port(&self, number: usize) -> u16 {
        self.ports[number]
    }

    /// The command of an agency that sends its bets in small batches and knows every server.
    pub fn agency_command(&self, id: u32) -> Command {
        let file = self.folder.path().join(format!("agency-{id}.csv"));
        std::fs::write(&file, rows_of(id, self.rows)).expect("written");
        let addresses: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut command = programs().client(self.folder.path(), id, 1);
        command.env("CLI_BETS_FILE", file).env("CLI_SERVER_ADDRESS", addresses.join(","));
        command.env("CLI_BATCH_MAXAMOUNT", "5").env("CLI_BATCH_WINDOW", "2").env("CLI_RETRY_TIMEOUT", "60s");
        command
    }

    /// Starts every agency.
    pub fn start_agencies(&self) -> Vec<Process> {
        (1..=self.agencies).map(|id| start(&mut self.agency_command(id))).collect()
    }

    /// Waits for the end of the agencies, each of which is told its winners.
    #[track_caller]
    pub fn finish(&self, agencies: Vec<Process>) {
        for (id, mut agency) in (1..).zip(agencies) {
            wait_for_end(&mut agency);
            let ended = agency.wait().expect("it ended");
            assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
            let line = ended.lines_with("consulta_ganadores").first().map(ToString::to_string).expect("it is told");
            let winners = rows_of(id, self.rows).lines().filter(|row| row.ends_with(",7574")).count();
            assert_eq!(field(&line, "cant_ganadores"), Some(winners.to_string().as_str()), "agency {id}");
        }
        self.check_bets(&self.url);
    }

    /// Checks that the database at `url` holds every bet of every agency once and in order.
    #[track_caller]
    pub fn check_bets(&self, url: &str) {
        let exported = exported(url);
        let expected: String = (1..=self.agencies)
            .flat_map(|id| rows_of(id, self.rows).lines().map(|row| format!("{id},{row}\r\n")).collect::<Vec<_>>())
            .collect();
        for (line, (found, expected)) in (1..).zip(exported.lines().zip(expected.lines())) {
            assert_eq!(found, expected, "line {line}");
        }
        assert!(exported == expected, "{} lines, not {}", exported.lines().count(), expected.lines().count());
    }
}

/// The bets of the database at `url`, as `bets.csv`.
pub fn exported(url: &str) -> String {
    let settings = [("STORAGE_URL".to_owned(), url.to_owned())];
    let config = server::ServerConfig::from_settings(&Settings::new(&server::PROGRAM, settings)).expect("valid");
    let address = Address::new(&config.database.expect("it is set")).expect("an address");
    let mut bets = Vec::new();
    let written = export(&address, &mut bets).expect("exported");
    let bets = String::from_utf8(bets).expect("UTF-8");
    assert_eq!(bets.lines().count() as u64, written);
    bets
}

/// The file of agency `id`: documents that no other agency has. The first two bets of each agency win.
pub fn rows_of(id: u32, count: u32) -> String {
    let number = |row| if row < 2 { 7574 } else { row % 7574 };
    let row = |row: u32| format!("Ana,\"Paz, {id}\",{},1999-03-17,{}\r\n", id * 1_000_000 + row, number(row));
    (0..count).map(row).collect()
}

/// The paths of the programs.
pub fn programs() -> Programs {
    Programs::beside_this().expect("this program has a path")
}

/// Starts a program without showing what it prints.
pub fn start(command: &mut Command) -> Process {
    Process::start(command, |_| ()).expect("it starts")
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Ended {
    start(command).wait().expect("it ended")
}

/// Waits until `process` has logged `text`, for the `nth` time.
#[track_caller]
pub fn wait_for_nth(process: &Process, text: &str, nth: usize) -> String {
    process.wait_for_nth(text, nth).unwrap_or_else(|| panic!("no {text:?} in {:#?}", process.lines()))
}

/// Waits until `process` has logged `text`.
#[track_caller]
pub fn wait_for(process: &Process, text: &str) -> String {
    wait_for_nth(process, text, 1)
}

/// Waits until `process` has ended.
#[track_caller]
pub fn wait_for_end(process: &mut Process) {
    let process = RefCell::new(process);
    wait_until(
        || process.borrow_mut().status().expect("our own child").is_some(),
        || format!("it goes on: {:#?}", process.borrow().lines()),
    );
}
