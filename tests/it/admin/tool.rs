//! `loteria status`: the same in a terminal.

use std::net::TcpListener;
use std::process::Command;

use loteria::server::admin::Snapshot;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::fixture::by_hand::{Bet, register_bet_failed, register_bets};
use crate::fixture::{ROW, Server, admin_address, programs, with_admin};

fn loteria() -> Command {
    let mut command = Command::new(programs().loteria);
    command.env_clear().arg("status");
    command
}

/// Its output and its end.
fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The words of the line about `agency`.
fn line_of(table: &str, agency: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    table.lines().rev().map(words).find(|words| words.first().is_some_and(|word| word == agency)).unwrap_or_default()
}

#[test]
fn the_status_command_names_the_missing_agencies_first() {
    let server = Server::start_with(3, with_admin);
    let _parked = server.park(1, ROW);
    let _connected = server.connect_as(2);
    server.wait_for_snapshot(|snapshot| snapshot.round.connected == 1);
    let (code, table, errors) = outcome(loteria().arg(admin_address(&server.process)));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{table}");
    assert!(
        table.contains(": healthy; active, version ") && table.contains("\n1 of 3 agencies closed, waiting for 2, 3\n"),
        "{table}"
    );
    assert_eq!(line_of(&table, "3"), ["3", "missing", "0", "0/s", "never", "-"], "{table}");
    assert_eq!(line_of(&table, "1")[..3], ["1", "waiting", "1"], "{table}");
    let position = |agency: &str| table.lines().position(|line| line.trim_start().starts_with(&format!("{agency}  ")));
    assert!(position("3") < position("2") && position("2") < position("1"), "{table}");
}

#[test]
fn the_status_command_finds_the_address_where_the_server_does() {
    let server = Server::start_with(1, |command| _ = command.env("ADMIN_ADDRESS", "0.0.0.0:0"));
    let port = admin_address(&server.process).replace("127.0.0.1:", "");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("config.ini"), format!("[DEFAULT]\nADMIN_ADDRESS = 0.0.0.0:{port}\n"))
        .expect("written");
    let (code, json, errors) = outcome(loteria().arg("--json").current_dir(folder.path()));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{json}");
    let snapshot: Snapshot = serde_json::from_str(&json).expect("JSON");
    assert_eq!(snapshot.round.agencies, 1);
}

#[test]
fn the_exit_code_of_the_status_command_tells_the_health() {
    let server = Server::start_with(1, with_admin);
    let pid = i32::try_from(server.process.pid()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).expect("our own child");
    server.connect_as(1).send(&register_bets(&[Bet::of(1, 1, 1)])).expect(&register_bet_failed(9));
    let (code, table, errors) = outcome(loteria().arg(admin_address(&server.process)));
    assert_eq!(code, Some(3), "{errors}");
    assert!(
        table.contains("NOT healthy") && errors.starts_with("loteria: the server can't store bets: "),
        "{table}{errors}"
    );
}

#[test]
fn a_server_that_can_not_be_asked_is_one_line_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, _, errors) = outcome(loteria().current_dir(folder.path()));
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("loteria: ADMIN_ADDRESS is not set") && errors.lines().count() == 1, "{errors}");

    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let (code, _, errors) = outcome(loteria().arg(free.to_string()));
    assert_eq!(code, Some(1));
    assert!(errors.contains(&format!("{free} does not answer: ")) && errors.lines().count() == 1, "{errors}");

    // The port of the agencies echoes what is no message.
    let server = Server::start(1);
    let (code, _, errors) = outcome(loteria().arg(format!("127.0.0.1:{}", server.port)));
    assert_eq!(code, Some(1));
    assert!(errors.contains("does not answer: the answer is not HTTP/1.1"), "{errors}");
}
