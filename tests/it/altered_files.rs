//! Files that something other than a crash has changed, while the server runs or while it does not: nothing more is
//! acknowledged, and a line says what happened and what to do.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::fixture::by_hand::{Bet, REGISTER_BET_OK, register_bets};
use crate::fixture::{Server, fails_with, programs, rows, start, stored, succeeded, wait_for};
use tempfile::TempDir;

const FILES: [&str; 2] = ["bets.csv", "bets.csv.closed"];

/// The folder of a server of two agencies that has stopped, or was killed if `is_killed`: 20 bets of agency 1, which has
/// closed.
fn stopped_round(is_killed: bool) -> TempDir {
    let server = Server::start(2);
    let agency = start(&mut server.agency_with_rows(1, &rows(20)));
    wait_for(&server.process, "action: cierre_agencia");
    let Server { folder, process, .. } = server;
    if is_killed {
        process.kill()
    } else {
        process.terminate()
    }
    process.wait().expect("it ended");
    agency.kill();
    folder
}

/// Starts a server of two agencies in `folder`, which must refuse to with an error that contains `why`.
#[track_caller]
fn refuse(folder: &Path, why: &str) -> String {
    let ended = fails_with(start(programs().server(folder).env("NUM_AGENCIES", "2")), why);
    ended.lines.last().expect("a line").clone()
}

/// A server of two agencies goes on in `folder`: the line that it logs about it.
#[track_caller]
fn accept(folder: TempDir) -> (String, TempDir) {
    let server = Server::start_on(folder, 2, |_| ());
    let line = wait_for(&server.process, "action: recover");
    let Server { folder, process, .. } = server;
    process.terminate();
    succeeded(process);
    (line, folder)
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("opened");
    file.write_all(bytes).expect("written");
}

fn copy_over(path: &Path) {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).expect("copied");
    fs::rename(copy, path).expect("renamed");
}

#[test]
fn a_file_changed_under_a_running_server_stops_it_unacknowledged() {
    type Meddling<'a> = &'a dyn Fn(&Path);
    let changes: [(&str, Meddling<'_>); 5] = [
        ("it was removed or renamed", &|path| fs::remove_file(path).expect("removed")),
        ("it was removed or renamed", &|path| fs::rename(path, path.with_extension("old")).expect("renamed")),
        ("another file has taken its place", &copy_over),
        (" bytes instead of ", &|path| {
            OpenOptions::new().write(true).truncate(true).open(path).map(drop).expect("cut")
        }),
        (" bytes instead of ", &|path| append(path, b"2,1,2\r\n")),
    ];
    for name in FILES {
        for (what, change) in &changes {
            let server = Server::start(2);
            let parked = start(&mut server.agency_with_rows(2, ""));
            wait_for(&server.process, "action: cierre_agencia");
            let mut agency = server.connect();
            agency.send(&register_bets(&[Bet::of(1, 10, 7)])).expect(REGISTER_BET_OK);
            change(&server.folder.path().join(name));
            agency.send(&register_bets(&[Bet::of(1, 11, 7)])).expect_closed();
            let Server { process, folder: _folder, .. } = server;
            let ended = fails_with(process, &format!("{name} was changed while the server ran: "));
            assert_eq!(ended.lines_with(what).len(), 1, "{name}: {what}: {:#?}", ended.lines);
            parked.kill();
        }
    }
}

#[test]
fn rows_changed_while_no_server_runs_are_found_at_the_next_start() {
    type Edit = fn(Vec<String>) -> Vec<String>;
    let edits: [(&str, Edit); 5] = [
        ("are not those that were stored", |mut rows| {
            rows[7] = rows[7].replacen("1999-03-17", "1999-03-18", 1);
            rows
        }),
        ("are not those that were stored", |mut rows| {
            rows.insert(3, rows[3].clone());
            rows
        }),
        ("are not those that were stored", |mut rows| {
            rows.swap(4, 9);
            rows
        }),
        ("bytes are missing", |mut rows| {
            rows.remove(5);
            rows
        }),
        ("bytes are missing", |mut rows| {
            rows.truncate(18);
            rows
        }),
    ];
    let folder = stopped_round(false);
    let path = folder.path().join("bets.csv");
    let whole = fs::read_to_string(&path).expect("read");
    for (why, edit) in edits {
        let rows = edit(whole.split_inclusive('\n').map(str::to_owned).collect()).concat();
        fs::write(&path, &rows).expect("written");
        let line = refuse(folder.path(), why);
        assert!(line.contains("bets.csv was changed by something other than a crash, "), "{line}");
        assert!(line.contains("or remove ") && line.contains("bets.csv.state to go on with it as it is"), "{line}");
        assert_eq!(fs::read_to_string(&path).expect("read"), rows, "it is as it was");
    }
    fs::write(&path, whole).expect("restored");
    let (line, _) = accept(folder);
    assert!(line.contains("bets: 20 | agencies_closed: 1 "), "{line}");
}

#[test]
fn closings_that_were_cut_reordered_or_emptied_are_found_too() {
    let folder = stopped_round(true);
    let path = folder.path().join("bets.csv.closed");
    for (contents, why) in [
        ("", "the last 13 of its 13 bytes are missing"),
        ("2,20,2,7574\r\n", "agency 2 closed with 20 bets, and 0 are stored"),
        ("2,0,2,7574\r\n1,20,2,7574\r\n", "its first 13 bytes are not those that were stored"),
    ] {
        fs::write(&path, contents).expect("written");
        let line = refuse(folder.path(), why);
        assert!(line.contains("bets.csv.closed"), "{line}");
    }
}

#[test]
fn half_a_round_is_refused_with_what_to_do() {
    for name in FILES {
        let folder = stopped_round(false);
        fs::remove_file(folder.path().join(name)).expect("removed");
        let line = refuse(folder.path(), &format!("{name} is missing; restore both from one copy, or move all files"));
        assert!(!folder.path().join(name).exists(), "it was not created: {line}");
    }
}

#[test]
fn a_round_whose_files_are_gone_is_not_begun_again_unasked() {
    let folder = stopped_round(false);
    FILES.iter().for_each(|name| fs::remove_file(folder.path().join(name)).expect("removed"));
    refuse(folder.path(), "or move all files of the round away to begin a new round");
    fs::remove_file(folder.path().join("bets.csv.state")).expect("removed");
    let (line, _) = accept(folder);
    assert!(line.contains("bets: 0 | agencies_closed: 0 "), "{line}");
}

#[test]
fn a_missing_or_torn_state_verifies_nothing_and_is_written_again() {
    let tear = |path: &Path| {
        let mut contents = fs::read(path).expect("read");
        // In the middle of the second slot.
        contents.truncate(300);
        contents[3] ^= 1;
        fs::write(path, contents).expect("written");
    };
    let harms: [&dyn Fn(&Path); 4] = [
        &|path| fs::remove_file(path).expect("removed"),
        &|path| fs::write(path, "").expect("emptied"),
        &|path| fs::write(path, [0; 4096]).expect("zeroed"),
        &tear,
    ];
    let mut folder = stopped_round(true);
    let bets = fs::metadata(folder.path().join("bets.csv")).expect("it exists").len();
    for harm in harms {
        harm(&folder.path().join("bets.csv.state"));
        for verified in [0, bets] {
            let (line, same) = accept(folder);
            assert!(line.ends_with(&format!("| verified_bytes: {verified}")), "{line}");
            folder = same;
        }
    }
}

#[test]
fn rows_behind_the_state_are_those_that_a_crash_left() {
    let folder = stopped_round(true);
    let path = folder.path().join("bets.csv");
    let whole = fs::read_to_string(&path).expect("read");
    let more = stored(2, &rows(3));
    append(&path, format!("{more}2,Ana").as_bytes());
    let (line, folder) = accept(folder);
    assert!(line.contains("bets: 23 ") && line.contains("truncated_bytes: 5 "), "{line}");
    assert_eq!(fs::read_to_string(folder.path().join("bets.csv")).expect("read"), whole + &more);
}
