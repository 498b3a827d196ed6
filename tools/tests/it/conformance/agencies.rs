//! Agencies under test: this project's, the one in Python, and wrong ones.

use std::fs;
use std::thread;

use loteria_tools::Programs;

use super::{breaks, conformance, conforms, repository, with_verdict};

/// Tests the agency that `command` starts.
fn test(options: &[&str], command: &[&str]) -> (std::process::Output, String) {
    conformance(&[&["agency", "--reply-timeout", "2"], options, &["--"], command].concat())
}

fn test_ours(options: &[&str], environment: &[&str]) -> (std::process::Output, String) {
    let client = Programs::beside_this().expect("the path of this program").client.display().to_string();
    let variables = ["CLI_ID={id}", "CLI_SERVER_ADDRESS={address}", "CLI_BETS_FILE={file}", "CLI_REPLY_TIMEOUT=2s"];
    test(options, &[&["env"], &variables[..], environment, &[&client]].concat())
}

/// Tests the agency in Python, with its text at `path`.
fn test_python(path: &str) -> (std::process::Output, String) {
    let arguments = ["--reply-timeout", "2", "--id", "{id}", "--server", "{address}", "{file}"];
    test(&[], &[&["python3", path], &arguments[..]].concat())
}

fn example() -> String {
    repository().join("examples/agency.py").display().to_string()
}

#[test]
fn our_agency_meets_every_requirement() {
    let (output, table) = test_ours(&[], &[]);
    conforms(&output, &table, &["A-10"]);
}

#[test]
fn our_agency_without_hello_meets_those_of_a_simple_agency() {
    let (output, table) = test_ours(&["--simple"], &["CLI_HANDSHAKE=false"]);
    conforms(&output, &table, &["A-10"]);
    assert!(!table.contains("X-1"), "{table}");
}

#[test]
fn an_agency_that_can_not_be_started_is_one_line_that_says_why() {
    let (output, table) = test(&[], &["./no-such-agency"]);
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), table.as_str(), line.lines().count()), (Some(1), "", 1), "{line}");
    assert!(line.contains("./no-such-agency: the agency can't be started: No such file"), "{line}");
}

#[test]
fn the_python_agency_meets_every_requirement() {
    let (output, table) = test_python(&example());
    conforms(&output, &table, &["A-10"]);
    let mut tested = with_verdict(&table, "passed");
    let mut broken: Vec<&str> = WRONG.concat().iter().flat_map(|(.., ids)| *ids).copied().collect();
    tested.sort_unstable();
    broken.sort_unstable();
    broken.dedup();
    assert_eq!(broken, tested, "each is broken by a fault below");
}

/// A change of the text of the agency in Python, and the requirements that it breaks.
type Fault = (&'static str, &'static str, &'static [&'static str]);

const TRUSTING: &[Fault] = &[
    ("MAX_PACKET_BYTES = 8192", "MAX_PACKET_BYTES = 9000", &["A-2"]),
    ("if may_wait and not self.received:", "if False:", &["A-5"]),
    ("if held_checksum != checksum:", "if False:", &["X-4"]),
    ("pack(\"ii\", 1, 0)", "pack(\"ii\", 0, 0)", &["X-11"]),
    ("if count > central.stored:", "if False:", &["X-12"]),
    ("central.end_well()", "central.say(REQUEST_WINNERS)\n                central.end_well()", &["A-7"]),
    (
        "raise Refused(f\"the server does not speak this protocol: error",
        "raise Passing(f\"the server does not speak this protocol: error",
        &["A-9"],
    ),
    ("    central.say(HELLO,", "    central.say(_ACK)\n    central.say(HELLO,", &["X-1"]),
    ("itertools.islice(bets, stored)", "itertools.islice(bets, stored - (stored > 100))", &["X-2"]),
    ("{NOT_STORED: Passing,", "{NOT_STORED: Refused,", &["X-8"]),
    ("central.say(ALL_BETS_SENT)", "known < 3 and central.say(ALL_BETS_SENT)", &["X-15"]),
];

const CARELESS: &[Fault] = &[
    ("for row in rows:", "for row in itertools.islice(rows, 600):", &["A-1"]),
    (
        "central.say(REQUEST_WINNERS)\n",
        "central.say(REQUEST_WINNERS)\n    central.socket.shutdown(socket.SHUT_WR)\n",
        &["A-6"],
    ),
    ("if held < stored:", "if held < stored:\n        return\n    if False:", &["X-3"]),
    ("wait = min(random.uniform(pause / 2, pause), left)", "wait = 0", &["X-7"]),
    ("if came_back and now < came_back + TAKEOVERS_APART:", "if False:", &["X-9"]),
    ("{NOT_STORED: Passing,", "{NOT_STORED: Passing, 2: Passing,", &["A-8"]),
    ("if stored < known:", "if False:", &["X-5"]),
    ("elif next(bets, None) is not None:", "elif False:", &["X-13"]),
    ("if got == REGISTER_BET_FAILED:", "if False:", &["X-14"]),
];

/// It wants a fixed part in one piece, and closes in front of the last acknowledgement.
const HASTY: &[Fault] = &[
    (
        "            self.receive(due)\n        data",
        "            self.receive(due)\n            if 4 < size > len(self.received):\n                raise Refused(\"a piece\")\n        \
         data",
        &["A-3", "X-10"],
    ),
    (
        "raise ConnectionError(\"the server closed",
        "raise (Refused if self.received else ConnectionError)(\"the server closed",
        &["X-6"],
    ),
    ("    while unanswered:\n", "    central.say(ALL_BETS_SENT)\n    while unanswered:\n", &["A-4", "A-8", "A-9"]),
];

const WRONG: [&[Fault]; 3] = [TRUSTING, CARELESS, HASTY];

#[track_caller]
fn breaks_only_its_own(faults: &[Fault]) {
    let mut text = fs::read_to_string(example()).expect("the agency in Python");
    for (right, wrong, _) in faults {
        assert_eq!(text.matches(right).count(), 1, "{right}");
        text = text.replace(right, wrong);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agency.py");
    fs::write(&path, text).expect("written");
    let (output, table) = test_python(&path.display().to_string());
    let broken: Vec<&str> = faults.iter().flat_map(|(.., broken)| broken.iter().copied()).collect();
    breaks(&output, &table, &broken);
}

#[test]
fn a_wrong_agency_breaks_exactly_the_requirements_of_its_faults() {
    // They mostly wait.
    thread::scope(|scope| {
        for faults in WRONG {
            scope.spawn(move || breaks_only_its_own(faults));
        }
    });
}
