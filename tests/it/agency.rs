//! The agency's program: where its bets come from, how long it waits for its central, and what it makes of its answers.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, CLOSED, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, inform_winners, register_bet_failed, welcome,
};
use crate::fixture::{Central, Reserved, Wire, programs, run, start, wait_for, wait_for_nth};
use loteria_tools::{Ended, Process};

const ROW: &str = "Ana,Paz,1,2000-01-01,7574\r\n";

/// An agency with a file of `rows`, and the central by hand that it connects to.
fn agency_of(rows: &str, configure: impl FnOnce(&mut Command)) -> (Process, TcpListener, tempfile::TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("agency.csv"), rows).expect("written");
    let mut agency = programs().client(folder.path(), 1, listener.local_addr().expect("an address").port());
    configure(&mut agency);
    (start(&mut agency), listener, folder)
}

#[track_caller]
fn succeeds(agency: Process) -> Ended {
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    ended
}

/// The agency must give up with code 1 and one final line that contains `why`.
#[track_caller]
fn fails_with(agency: Process, why: &str) {
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    let [line] = ended.lines_with("result: fail")[..] else { panic!("{:#?}", ended.lines) };
    assert!(line.contains("action: exit | result: fail | error: ") && line.contains(why), "{line}");
}

#[test]
fn an_agency_waits_for_a_central_that_is_not_up_yet() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), Reserved::port());
    fs::write(folder.path().join("agency.csv"), ROW).expect("written");
    let agency = start(&mut programs().client(folder.path(), 1, port.number));
    wait_for_nth(&agency, "action: connect | result: in_progress", 2);
    let central = Central::start_with(1, |server| {
        server.env("SERVER_PORT", port.number.to_string());
    });
    let ended = succeeds(agency);
    assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 1").len(), 1);
    assert_eq!(central.bets(), format!("1,{ROW}"));
}

#[test]
fn an_agency_does_not_wait_for_ever() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), Reserved::port());
    fs::write(folder.path().join("agency.csv"), ROW).expect("written");
    let mut agency = programs().client(folder.path(), 1, port.number);
    fails_with(start(agency.env("CLI_RETRY_TIMEOUT", "200ms")), "gave up after trying for");
}

#[test]
fn an_agency_that_waited_long_for_the_draw_has_all_its_patience_again() {
    let (agency, listener, _folder) = agency_of("", |agency| {
        agency.env("CLI_RETRY_TIMEOUT", "300ms");
    });
    for _central_that_dies in 0..3 {
        let mut central = Wire::accept(&listener);
        central.expect(&hello(1)).send(&welcome(0, OPEN)).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
        thread::sleep(Duration::from_millis(350));
    }
    let mut central = Wire::accept(&listener);
    central.expect(&hello(1)).send(&welcome(0, CLOSED)).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    central.send(&inform_winners(&[]));
    succeeds(agency);
}

#[test]
fn an_agency_whose_central_never_stores_its_closing_gives_up() {
    let (agency, listener, _folder) = agency_of("", |agency| {
        agency.env("CLI_RETRY_TIMEOUT", "300ms");
    });
    let central = thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut central = Wire::over(stream);
            let mut hello_came = [0; 10];
            if std::io::Read::read_exact(&mut central.0, &mut hello_came).is_err() {
                return;
            }
            central.send(&[welcome(0, OPEN), register_bet_failed(9)].concat());
        }
    });
    fails_with(agency, "gave up after trying for");
    drop(central);
}

#[test]
fn an_agency_reads_the_file_that_it_is_told_its_own_or_the_one_of_its_number() {
    let row = |document: u32| format!("Ana,Paz,{document},2000-01-01,7574\n");
    let central = Central::start(3);
    let folder = central.folder.path();
    fs::create_dir(folder.join(".data")).expect("made");
    for agency in 1..=3 {
        fs::write(folder.join(format!(".data/agency-{agency}.csv")), row(agency)).expect("written");
    }
    let third = start(&mut central.agency(3));
    wait_for(&third, "action: apuesta_enviada");
    fs::write(folder.join("agency.csv"), row(11)).expect("written");
    let first = start(&mut central.agency(1));
    wait_for(&first, "action: apuesta_enviada");
    fs::write(folder.join("other.csv"), row(22)).expect("written");
    succeeds(start(central.agency(2).env("CLI_BETS_FILE", "other.csv")));
    for ended in [first, third] {
        succeeds(ended);
    }
    let stored: Vec<String> = [(3, 3), (1, 11), (2, 22)].map(|(agency, d)| format!("{agency},{}", row(d))).into();
    assert_eq!(central.bets().replace('\r', ""), stored.concat());
}

#[test]
fn an_agency_without_a_file_says_which_one_it_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    fails_with(start(&mut programs().client(folder.path(), 4, 1)), ".data/agency-4.csv: there is no such file");
}

#[test]
fn an_agency_that_is_refused_says_why_and_does_not_come_back() {
    for (code, why) in [
        (2, "a bet is not valid"),
        (5, "no such agency"),
        (6, "the agency has closed"),
        (8, "credential"),
        (10, "newer connection"),
        (11, "version"),
    ] {
        let (agency, listener, _folder) = agency_of(ROW, |_| ());
        Wire::accept(&listener).expect(&hello(1)).send(&register_bet_failed(code));
        fails_with(agency, why);
    }
}

#[test]
fn an_agency_that_is_refused_for_now_comes_back() {
    let (agency, listener, _folder) = agency_of("", |_| ());
    for code in [9, 12] {
        Wire::accept(&listener).expect(&hello(1)).send(&register_bet_failed(code));
    }
    let mut central = Wire::accept(&listener);
    central.expect(&hello(1)).send(&welcome(0, OPEN)).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
    central.send(&inform_winners(&[]));
    succeeds(agency);
}

#[test]
fn an_agency_says_when_its_central_speaks_something_else() {
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        REGISTER_BET_OK,
        ALL_BETS_SENT,
        &inform_winners(&[1]),
        &[0, 3, 0, 99],
        &[0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        &[welcome(0, OPEN), welcome(0, OPEN)].concat(),
        &[welcome(0, OPEN), inform_winners(&[])].concat(),
    ] {
        let (agency, listener, _folder) = agency_of(ROW, |_| ());
        Wire::accept(&listener).expect(&hello(1)).send(answer);
        fails_with(agency, "the central does not speak this protocol");
    }
}

#[test]
fn an_agency_does_not_go_on_with_a_file_that_is_not_the_one_it_began_with() {
    let (agency, listener, folder) = agency_of(ROW, |_| ());
    Wire::accept(&listener).expect(&hello(1)).send(&welcome(2, OPEN));
    fails_with(agency, "the central has 2 bets of this agency, and agency.csv holds only 1");
    drop(folder);

    let (agency, listener, _folder) = agency_of(ROW, |_| ());
    Wire::accept(&listener).expect(&hello(1)).send(&welcome(0, CLOSED));
    fails_with(agency, "no more are taken");
}

#[test]
fn both_programs_work_from_the_repository_with_its_own_files() {
    // The configuration of the repository, in a folder laid out like it, so that nothing of the tree changes.
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["config/server/config.ini", "config/client/config.yaml", ".data/agency-5.csv"] {
        copy_from_the_repository(file, folder.path());
    }
    let mut server = programs().server(folder.path());
    let server = start(server.env("LOGGING_LEVEL", "DEBUG").env("NUM_AGENCIES", "5"));
    let config = wait_for(&server, "action: config | result: success");
    assert!(config.contains("listen_backlog: 5 | "), "{config}");
    let port = loteria_tools::port_of(&server).expect("it listens");
    let agency = start(programs().client(folder.path(), 5, port).env("CLI_LOG_LEVEL", "DEBUG"));
    let config = wait_for(&agency, "action: config | result: success");
    assert!(config.contains("batch_max_amount: 100"), "{config}");
    wait_for_nth(&agency, "action: apuesta_enviada | result: success | cantidad: 100", 9);
    wait_for(&agency, "action: apuesta_enviada | result: success | cantidad: 91");
    assert_eq!(fs::read_to_string(folder.path().join("bets.csv")).expect("bets.csv").lines().count(), 991);
}

fn copy_from_the_repository(file: &str, folder: &Path) {
    let to = folder.join(file);
    fs::create_dir_all(to.parent().expect("a folder")).expect("made");
    fs::copy(crate::fixture::repository().join(file), to).expect("copied");
}

#[test]
fn a_run_after_the_closing_sends_nothing_twice_and_nothing_more() {
    let central = Central::start(2);
    for _ in 0..2 {
        let agency = start(&mut central.agency_with_rows(1, &ROW.repeat(3)));
        wait_for(&central.process, "action: cierre_agencia");
        drop(agency);
    }
    let ended = run(central.agency_with_rows(1, &ROW.repeat(4)).env("CLI_RETRY_TIMEOUT", "1s"));
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    assert_eq!(central.bets(), format!("1,{ROW}").repeat(3));
}
