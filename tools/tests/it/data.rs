//! `loteria data`: its bets are valid, the same for the same options, and as many as asked for; the course's archive replaces
//! them; and a failure leaves the files as they were.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use loteria::client::source::{BetFile, BetSource};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The rows of the course's five files.
const COURSE: [usize; 5] = [26_936, 25_518, 16_014, 9_238, 991];

fn data(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loteria"));
    command.arg("data").arg("--into").arg(folder).args(options);
    command
}

fn run(folder: &Path, options: &[&str]) -> Output {
    data(folder, options).output().expect("data starts")
}

/// Runs `data`, which has to succeed, and gives what it printed.
pub fn make(folder: &Path, options: &[&str]) -> String {
    let output = run(folder, options);
    assert!(output.status.success(), "{options:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{options:?}: {output:?}");
    String::from_utf8(output.stdout).expect("data prints UTF-8")
}

/// Runs `data`, which has to fail with one line on standard error, and gives that line.
pub fn failure(folder: &Path, options: &[&str]) -> String {
    let output = run(folder, options);
    assert_eq!(output.status.code(), Some(1), "{options:?}: {output:?}");
    let line = String::from_utf8(output.stderr).expect("data prints UTF-8");
    assert!(line.starts_with("loteria: "), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

pub fn temporary_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Every file below `folder` and its bytes, by path from there. Empty folders do not show, except hidden ones.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder that is there") {
        let path = entry.expect("an entry of it").path();
        let name = path.file_name().expect("an entry has a name");
        let name = name.to_str().expect("all names are UTF-8").to_owned();
        assert!(!name.starts_with('.'), "{name} was left behind");
        if path.is_dir() {
            let below = self::files(&path).into_iter();
            files.extend(below.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).expect("a file that is there"));
        }
    }
    files
}

pub fn set_of(options: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let folder = temporary_folder();
    make(folder.path(), options);
    files(folder.path())
}

/// The rows of agency 1, 2, ... in `set`, which holds nothing else.
fn rows_of_each(set: &BTreeMap<String, Vec<u8>>) -> Vec<usize> {
    (1..=set.len())
        .map(|agency| &set[&format!("agency-{agency}.csv")])
        .map(|bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
        .collect()
}

/// The five fields of each row. No name is quoted.
fn rows(bytes: &[u8]) -> Vec<[&str; 5]> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.lines().map(|row| row.split(',').collect::<Vec<&str>>().try_into().expect("a row of five fields")).collect()
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let options = ["--agencies", "3", "--bets", "5000", "--seed", "7"];
    assert_eq!(set_of(&options), set_of(&options));
}

#[test]
fn another_seed_makes_other_bets() {
    let one = set_of(&["--bets", "5000", "--seed", "7"]);
    let other = set_of(&["--bets", "5000", "--seed", "8"]);
    assert_eq!(rows_of_each(&one), rows_of_each(&other));
    for (name, bytes) in &one {
        assert_ne!(bytes, &other[name], "{name}");
    }
}

#[test]
fn by_default_there_are_as_many_bets_as_in_the_courses_five_files() {
    assert_eq!(rows_of_each(&set_of(&[])), COURSE);
}

#[test]
fn every_bet_is_valid_and_its_row_ends_with_crlf() {
    let folder = temporary_folder();
    make(folder.path(), &[]);
    for (name, bytes) in files(folder.path()) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let row = line.strip_suffix(b"\r\n").expect("a row ends with CRLF");
            assert!(!row.contains(&b'\r') && !row.contains(&b'"'));
        }
        let mut source = BetFile::open(&folder.path().join(&name), 1).expect("a file of bets");
        let mut bets = 0;
        while source.peek().expect("a valid bet").is_some() {
            source.take();
            bets += 1;
        }
        assert_eq!(bets, rows(&bytes).len(), "{name}");
    }
}

#[test]
fn everybody_is_an_adult_and_elder_people_have_lower_documents() {
    let set = set_of(&[]);
    let born = |row: &[&str; 5]| row[3][..4].parse::<u32>().expect("a year");
    let mut people: Vec<(u32, u32)> = Vec::new();
    for bytes in set.values() {
        people.extend(rows(bytes).iter().map(|row| (row[2].parse::<u32>().expect("a document"), born(row))));
    }
    people.sort_unstable();
    assert!(people.is_sorted_by_key(|&(_, year)| year));
    assert!((1950..1955).contains(&people[0].1) && (2003..2007).contains(&people[people.len() - 1].1));
    assert!(people[0].0 >= 10_000_000 && people[people.len() - 1].0 < 50_000_000);
}

#[test]
fn names_have_the_accents_and_apostrophes_of_real_ones() {
    let set = set_of(&[]);
    for name in ["María", "Núñez", "Agüero", "D'Angelo", "De la Fuente"] {
        let has_it =
            |bytes: &Vec<u8>| rows(bytes).iter().any(|[first, last, ..]| first.contains(name) || last == &name);
        assert!(set.values().any(has_it), "no person is called {name}");
    }
}

#[test]
fn no_document_comes_twice() {
    let set = set_of(&["--agencies", "7", "--bets", "300000"]);
    let documents: HashSet<&str> = set.values().flat_map(|bytes| rows(bytes)).map(|row| row[2]).collect();
    assert_eq!(documents.len(), 300_000);
}

#[test]
fn the_default_bets_have_winners_in_every_agency_but_the_smallest() {
    let set = set_of(&[]);
    let winners = |bytes: &Vec<u8>| rows(bytes).iter().filter(|row| row[4] == "7574").count();
    assert_eq!(set.values().map(winners).collect::<Vec<usize>>(), [3, 2, 4, 4, 0]);
}

#[test]
fn the_files_of_the_project_are_what_data_writes_by_default() {
    for (name, bytes) in set_of(&[]) {
        assert!(of_the_project(&name) == bytes, ".data/{name} is not what data writes by default");
    }
}

/// A file of `.data` as it is under version control: the folder itself may hold other bets. A copy without version control has
/// the folder only.
fn of_the_project(name: &str) -> Vec<u8> {
    let project = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let tracked = Command::new("git").args(["show", &format!(":./.data/{name}")]).current_dir(project).output();
    match tracked {
        Ok(output) if output.status.success() => output.stdout,
        _ => fs::read(project.join(".data").join(name)).expect("a file of the project"),
    }
}

#[test]
fn any_number_of_bets_is_spread_over_any_number_of_agencies() {
    for (agencies, bets) in [(1, 1), (1, 999), (2, 5), (10, 200_000), (12, 7), (30, 0)] {
        let (agencies_text, bets_text) = (agencies.to_string(), bets.to_string());
        let set = set_of(&["--agencies", &agencies_text, "--bets", &bets_text]);
        let rows = rows_of_each(&set);
        assert_eq!(rows.len(), agencies, "{bets} bets");
        assert_eq!(rows.iter().sum::<usize>(), bets, "{agencies} agencies");
    }
}

#[test]
fn every_agency_can_have_the_same_number_of_bets() {
    let set = set_of(&["--agencies", "4", "--bets-per-agency", "250"]);
    assert_eq!(rows_of_each(&set), [250; 4]);
}

#[test]
fn a_smaller_set_removes_the_other_agencies_and_nothing_else() {
    let folder = temporary_folder();
    make(folder.path(), &["--agencies", "7", "--bets", "70"]);
    let not_ours = ["agency-x.csv", "agency-07.csv", "notes.txt"];
    for name in not_ours {
        fs::write(folder.path().join(name), "mine").expect("a new file");
    }

    let printed = make(folder.path(), &["--agencies", "2", "--bets", "20"]);

    let files = files(folder.path());
    let expected = ["agency-07.csv", "agency-1.csv", "agency-2.csv"];
    let expected = expected.into_iter().chain(["agency-x.csv", "notes.txt"]);
    assert!(files.keys().map(String::as_str).eq(expected), "{printed}");
    for agency in 3..=7 {
        assert!(printed.contains(&format!("agency-{agency}.csv: removed")));
    }
}

#[test]
fn an_interrupt_leaves_the_files_as_they_were() {
    let folder = temporary_folder();
    make(folder.path(), &["--bets", "50"]);
    let before = files(folder.path());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut child = data(folder.path(), &["--bets", "1000000000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("data starts");
        await_incoming(folder.path());
        kill_process(Pid::from_child(&child), signal).expect("a process that runs");
        let status = child.wait().expect("data ends");
        assert_eq!(status.code(), Some(130), "{signal:?}");
        assert_eq!(files(folder.path()), before, "{signal:?}");
    }
}

/// Waits until a new set is being written in `folder`.
fn await_incoming(folder: &Path) {
    let start = Instant::now();
    let incoming = || {
        let mut entries = fs::read_dir(folder).expect("a folder that is there");
        entries.any(|entry| {
            let path = entry.expect("an entry of it").path();
            path.is_dir() && path.join("agency-1.csv").exists()
        })
    };
    while !incoming() {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing written");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let outside = temporary_folder();
    let file = outside.path().join("a-file");
    fs::write(&file, "mine").expect("a new file");
    assert!(failure(&file, &[]).contains("a-file: "));
    assert_eq!(fs::read(&file).expect("the file"), b"mine");
}

#[test]
fn a_bad_option_is_a_usage_error_and_nothing_is_written() {
    let outside = temporary_folder();
    let folder = outside.path().join("new");
    for (options, told) in [
        (&["--agencies", "0"][..], "invalid value '0' for '--agencies <N>': 0 is not in 1..=10000"),
        (&["--agencies", "10001"], "10001 is not in 1..=10000"),
        (&["--agencies", "five"], "invalid value 'five'"),
        (&["--agencies", ""], "'--agencies <N>'"),
        (&["--agencies"], "'--agencies <N>'"),
        (&["--bets", "1e6"], "invalid value '1e6'"),
        (&["--bets", "1000000001"], "1000000001 is not in 0..=1000000000"),
        (&["--bets", "1", "--bets-per-agency", "1"], "cannot be used with"),
        (&["--seed", "18446744073709551616"], "invalid value '18446744073709551616'"),
        (&["--agency", "5"], "'--agency'"),
        (&["5"], "'5'"),
    ] {
        let output = run(&folder, options);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{options:?}: {output:?}");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.contains(told) && said.contains("try '--help'"), "{options:?}: {said}");
    }
    assert!(!folder.exists());
}

#[test]
fn help_lists_every_option_and_writes_no_bets() {
    let outside = temporary_folder();
    let folder = outside.path().join("new");
    let help = make(&folder, &["--help"]);
    for option in ["--agencies", "--bets", "--bets-per-agency", "--seed", "--into", "dataset.zip"] {
        assert!(help.contains(option), "{help}");
    }
    assert!(!folder.exists());
}
