//! Bad files: one line that names the thing and says what would be valid, exit code 1, nothing stored.

use std::fs;
use std::net::TcpListener;

use crate::fixture::{Server, programs, refusal, run, start, wait_for};

#[track_caller]
fn assert_names(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
}

#[test]
fn a_bad_row_is_named_by_file_line_and_field() {
    let central = Server::start(1);
    let good = "Ana,Paz,1,2000-01-01,7574\r\n";
    let long = format!("{},Paz,1,2000-01-01,1", "x".repeat(256));
    let rows: [(&[u8], &str); 19] = [
        (b"Ana,Paz,1,2000-01-01", "4 fields instead of 5: first name, last name, document, birthdate, number"),
        (b"1,Ana,Paz,1,2000-01-01,7574", "6 fields instead of 5"),
        (b"Ana;Paz;1;2000-01-01;7574", "1 fields instead of 5"),
        (b"\"Ana,Paz,1,2000-01-01,7574", "1 fields instead of 5"),
        (b",Paz,1,2000-01-01,1", "first name is empty"),
        (b"Ana,,1,2000-01-01,1", "last name is empty"),
        (long.as_bytes(), "first name is longer than 255 bytes"),
        (b"\"A\nna\",Paz,1,2000-01-01,1", "first name has a control character"),
        (b"Ana,\x00Paz,1,2000-01-01,1", "last name has a control character"),
        (b"Jos\xe9,Paz,1,2000-01-01,1", "first name is not UTF-8"),
        (b"Ana,Nu\xf1ez,1,2000-01-01,1", "last name is not UTF-8"),
        (b"Ana,Paz,-1,2000-01-01,1", "document is not between 0 and 99999999"),
        (b"Ana,Paz,100000000,2000-01-01,1", "document is not between 0 and 99999999"),
        (b"Ana,Paz, 1,2000-01-01,1", "document is not between 0 and 99999999"),
        (b"Ana,Paz,1,01/01/2000,1", "birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD"),
        (b"Ana,Paz,1,2000-02-30,1", "birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD"),
        (b"Ana,Paz,1,2999-01-01,1", "birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD"),
        (b"Ana,Paz,1,2000-01-01,10000", "number is not between 0 and 9999"),
        (b"Ana,Paz,1,2000-01-01,", "number is not between 0 and 9999"),
    ];
    for (row, fault) in rows {
        let file = central.folder.path().join("rows.csv");
        fs::write(&file, [good.repeat(2).as_bytes(), row, b"\r\n", good.as_bytes()].concat()).expect("written");
        let error = refusal(central.agency(1).env("CLI_BETS_FILE", &file));
        assert_names(&error, &[&format!("{} line 3: {fault}", file.display())]);
    }
    assert_eq!(central.bets(), "", "nothing of the batch is stored");
}

#[test]
fn bets_before_a_bad_row_stay_and_the_corrected_file_resumes() {
    let central = Server::start(1);
    let row = |bet: u32| format!("Ana,Paz,{bet},2000-01-01,7574\r\n");
    let rows: Vec<String> = (1..=40).map(row).collect();
    let mut bad = rows.clone();
    bad[34] = "Ana,Paz,treinta y cinco,2000-01-01,7574\r\n".to_owned();
    let mut agency = central.agency_with_rows(1, &bad.concat());
    let error = refusal(agency.env("CLI_BATCH_MAXAMOUNT", "1").env("CLI_BATCH_WINDOW", "10"));
    assert_names(&error, &["agency-1.csv line 35: document"]);
    let stored = central.bets().lines().count();
    assert!((1..35).contains(&stored), "{stored}");
    assert!(run(&mut central.agency_with_rows(1, &rows.concat())).status.success());
    let expected: String = rows.iter().map(|row| format!("1,{row}")).collect();
    assert_eq!(central.bets(), expected);
}

#[test]
fn a_bets_file_that_cannot_be_read_is_named_with_its_key() {
    let (central, folder) = (Server::start(1), tempfile::tempdir().expect("a folder"));
    for (file, why) in [
        (folder.path().join("none.csv"), "there is no such file; set CLI_BETS_FILE"),
        (folder.path().to_owned(), "is a directory"),
        (folder.path().join("none/agency.csv"), "there is no such file; set CLI_BETS_FILE"),
    ] {
        let error = refusal(central.agency(1).env("CLI_BETS_FILE", &file));
        assert_names(&error, &[&file.display().to_string(), why, "CLI_BETS_FILE"]);
    }
    assert_eq!(central.bets(), "");
}

#[test]
fn an_agency_above_num_agencies_is_told_so() {
    let central = Server::start(2);
    let error = refusal(&mut central.agency_with_rows(3, "Ana,Paz,1,2000-01-01,7574\n"));
    assert_names(&error, &["code 5", "no such agency; see CLI_ID, and NUM_AGENCIES of the server"]);
    assert_eq!(central.bets(), "");
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let other = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = other.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let error = refusal(programs().server(folder.path()).env("SERVER_PORT", &port));
    assert_names(&error, &[&format!("0.0.0.0:{port} can't be listened on"), "SERVER_PORT"]);
}

#[test]
fn a_bets_file_that_cannot_be_written_is_named_with_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    for path in ["no/such/folder/bets.csv", "file/bets.csv", "."] {
        let error = refusal(programs().server(folder.path()).env("STORAGE_FILEPATH", path));
        assert_names(&error, &[path, "STORAGE_FILEPATH"]);
    }
}

#[test]
fn a_second_server_on_the_same_files_is_refused() {
    let central = Server::start(1);
    let error = refusal(&mut programs().server(central.folder.path()));
    assert_names(&error, &["bets.csv", "in use by another server", "STORAGE_FILEPATH"]);
    let ended = run(&mut central.agency_with_rows(1, "Ana,Paz,1,2000-01-01,7574\n"));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    let mut beside = programs().server(central.folder.path());
    wait_for(&start(beside.env("STORAGE_FILEPATH", "other.csv")), "action: listen | result: success");
}
