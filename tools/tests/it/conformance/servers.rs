//! Servers under test: this project's, and one in Python that is wrong if asked.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use loteria_tools::{Process, Programs};

use super::{breaks, conformance, conforms, lasting_port, server_double, with_verdict};
use crate::loteria;

const AGENCIES: &str = "60";

/// Tests this project's server with more of its environment, and more options.
fn test_ours(environment: &str, options: &[&str]) -> (std::process::Output, String) {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), lasting_port());
    let server = Programs::beside_this().expect("the path of this program").server;
    let command = format!(
        "env SERVER_PORT={port} NUM_AGENCIES={AGENCIES} SERVER_LISTEN_BACKLOG=100 STORAGE_FILEPATH={}/bets.csv \
         SILENCE_TIMEOUT=3s MESSAGE_TIMEOUT=3s {environment} {}",
        folder.path().display(),
        server.display()
    );
    let address = format!("127.0.0.1:{port}");
    let arguments = ["server", &address, "--agencies", AGENCIES, "--patience", "20", "--command", &command];
    conformance(&[&arguments, options].concat())
}

#[test]
fn our_server_meets_every_requirement() {
    let (output, table) = test_ours("", &[]);
    conforms(&output, &table, &["S-13", "S-14", "S-43", "S-44"]);
}

#[test]
fn our_server_meets_the_requirements_about_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, junit) = (folder.path().join("credentials"), folder.path().join("junit.xml"));
    let lines: String = (1..=60).map(|agency| format!("{agency} = secreto-{agency}\n")).collect();
    fs::write(&file, lines).expect("written");
    let environment = format!("AGENCIES_FILE={}", file.display());
    let junit_option = junit.display().to_string();
    let (output, table) = test_ours(&environment, &["--credential", "secreto-{id}", "--junit", &junit_option]);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert_eq!(with_verdict(&table, "passed"), ["S-13", "S-14"], "{table}");
    let xml = fs::read_to_string(junit).expect("the report");
    assert!(xml.contains("tests=\"45\" failures=\"0\" skipped=\"43\""), "{xml}");
}

/// The table of the server in Python with these faults.
fn test_double(faults: &str) -> (std::process::Output, String) {
    test_double_with("", faults)
}

/// The same, of one that asks for this credential, if it is not empty.
fn test_double_with(credential: &str, faults: &str) -> (std::process::Output, String) {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), lasting_port());
    let journal = folder.path().join("journal").display().to_string();
    let server = server_double();
    let command = format!(
        "python3 {server} --port {port} --agencies {AGENCIES} --journal {journal} --credential '{credential}' \
         --faults '{faults}'"
    );
    let address = format!("127.0.0.1:{port}");
    let options: &[&str] = if credential.is_empty() { &[] } else { &["--credential", credential] };
    let arguments = ["server", &address, "--agencies", AGENCIES, "--patience", "6", "--command", &command];
    conformance(&[&arguments, options].concat())
}

/// Faults of the server in Python that do not hide each other, and the requirements that they break.
const WRONG: &[(&str, &[&str])] = &[
    (
        "checksum,partial,ack,versions,silence,tells-once",
        &["S-5", "S-7", "S-9", "S-15", "S-17", "S-22", "S-30", "S-41"],
    ),
    ("behind-refused,future,empty,closes-once,half-a-message,small", &["S-2", "S-16", "S-18", "S-19", "S-24", "S-42"]),
    ("draws-early,two-speakers,words,resets,talks", &["S-10", "S-27", "S-28", "S-29", "S-35", "S-38", "S-45"]),
    ("volatile,half-closed,types,lengths", &["S-4", "S-6", "S-7", "S-21", "S-22", "S-33", "S-34"]),
    ("deaf,winners-once,one-piece,disorder,welcome,any-agency", &["S-1", "S-3", "S-8", "S-12", "S-29", "S-31"]),
    ("ghost,swapped,remembers", &["S-9", "S-20", "S-22", "S-31", "S-35", "S-36", "S-37"]),
    ("strict,never-closes,silent-7", &["S-10", "S-11", "S-19", "S-23", "S-26", "S-32", "S-39"]),
    ("wants-bets,hangs", &["S-25", "S-40"]),
];

/// The same, where credentials are asked for.
const WRONG_ABOUT_CREDENTIALS: &[(&str, &[&str])] = &[("open-door", &["S-13"]), ("any-credential", &["S-14"])];

#[test]
fn a_wrong_server_breaks_exactly_the_requirements_of_its_faults() {
    // They mostly wait.
    thread::scope(|scope| {
        for (faults, broken) in WRONG {
            scope.spawn(move || {
                let (output, table) = test_double(faults);
                breaks(&output, &table, broken);
            });
        }
    });
}

#[test]
fn a_server_wrong_about_credentials_breaks_those_requirements() {
    for (faults, broken) in WRONG_ABOUT_CREDENTIALS {
        let (output, table) = test_double_with("s-{id}", faults);
        breaks(&output, &table, broken);
    }
}

/// The server in Python, written from the page, also meets them all.
#[test]
fn every_requirement_of_a_server_is_broken_by_a_fault() {
    let (output, table) = test_double("");
    conforms(&output, &table, &["S-13", "S-14", "S-43", "S-44"]);
    let mut tested = [with_verdict(&table, "passed"), vec!["S-13", "S-14"]].concat();
    let mut broken: Vec<&str> =
        [WRONG, WRONG_ABOUT_CREDENTIALS].concat().iter().flat_map(|(_, ids)| *ids).copied().collect();
    tested.sort_unstable();
    broken.sort_unstable();
    broken.dedup();
    assert_eq!(broken, tested);
}

#[test]
fn a_round_with_too_few_agencies_is_refused_with_the_number() {
    let output = loteria(&["conformance", "server", "127.0.0.1:1", "--agencies", "5"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && error.contains("must have at least "), "{error}");
}

/// The line on standard error of a run that ends before its first test.
#[track_caller]
fn refusal(options: &[&str]) -> String {
    let (output, table) = conformance(options);
    assert_eq!((output.status.code(), table.as_str()), (Some(1), ""));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[test]
fn a_server_that_can_not_be_tested_is_one_line_that_says_why() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), lasting_port());
    let address = format!("127.0.0.1:{port}");
    let line = refusal(&["server", &address]);
    assert!(line.contains("refused") && line.contains("start it first, or give --command"), "{line}");
    let line = refusal(&["server", &address, "--command", "echo full; exit 3"]);
    assert!(line.contains("its last line is \"full\""), "{line}");

    let start = |agencies: &str, credential: &str| {
        let journal = folder.path().join("journal");
        let arguments = ["--agencies", agencies, "--credential", credential, "--journal"];
        let mut command = Command::new("python3");
        command.arg(server_double()).args(["--port", &port.to_string()]).args(arguments).arg(journal);
        let process = Process::start(&mut command, |_| ()).expect("started");
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < until, "it does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        process
    };
    let server = start(AGENCIES, "secreto");
    assert!(refusal(&["server", &address, "--agencies", AGENCIES]).contains("--credential"));
    drop(server);
    let server = start(AGENCIES, "");
    assert!(refusal(&["server", &address, "--agencies", "61"]).contains("it has no agency 61"));
    let mut agency = TcpStream::connect(&address).expect("connected");
    // Hello of agency 2, AllBetsSent, RequestWinners, and a Hello behind them, whose Welcome tells that they were read.
    let hello = [0, 8, 0, 1, 0, 0, 0, 2, 0, 0];
    agency.write_all(&[&hello[..], &[0, 5, 0, 6], &hello].concat()).expect("sent");
    agency.read_exact(&mut [0; 22]).expect("two Welcomes");
    let line = refusal(&["server", &address, "--agencies", AGENCIES]);
    assert!(line.contains("agency 2 has 0 bets and state 1; start the server with an empty round"), "{line}");
    drop(server);
}
