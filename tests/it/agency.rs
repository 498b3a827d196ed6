//! The agency's program: where its bets come from, how long it waits for its server, and how it takes the replies.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, CLOSED, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello2, inform_winners, refused,
    register_bet_failed, welcome, welcome2, welcome2_of,
};
use crate::fixture::{
    FakeServer, ROW, Server, Wire, agency, fails_with, lasting_port, programs, repository, rows, start, succeeded,
    through_bash, wait_for, wait_for_nth,
};
use loteria_tools::{field, port_of};

/// Plays the server for an agency without bets that has said Hello, up to its request for winners.
fn hear_the_request(wire: &mut Wire, state: u8) {
    wire.expect(&hello2(1)).send(&welcome2(&[], state)).expect(ALL_BETS_SENT).expect(REQUEST_WINNERS);
}

/// Reads until the last bytes read are `end`.
fn read_until(wire: &mut Wire, end: &[u8]) {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(end) {
        wire.0.read_exact(&mut byte).expect("more bytes");
        read.push(byte[0]);
    }
}

#[test]
fn an_agency_waits_for_a_server_that_is_not_up_yet() {
    for (handshake, attempts) in [("true", 2), ("false", 1)] {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), lasting_port());
        let agency = start(agency(folder.path(), 1, port, ROW).env("CLI_HANDSHAKE", handshake));
        wait_for_nth(&agency, "action: connect | result: in_progress", attempts);
        let server = Server::start_with(1, |command| {
            command.env("SERVER_PORT", port.to_string());
        });
        let ended = succeeded(agency);
        assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 1").len(), 1);
        assert_eq!(server.bets(), format!("1,{ROW}"));
    }
}

#[test]
fn an_agency_pauses_longer_after_each_attempt_and_gives_up_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let agency = start(agency(folder.path(), 1, lasting_port(), ROW).env("CLI_RETRY_TIMEOUT", "1500ms"));
    let ended = fails_with(agency, "gave up after trying for");
    let pause = |line: &&str| -> u64 {
        field(line, "retry_in").and_then(|pause| pause.strip_suffix("ms")?.parse().ok()).expect("a pause")
    };
    let pauses: Vec<u64> = ended.lines_with("result: in_progress").iter().map(pause).collect();
    assert!(pauses.len() >= 3, "{pauses:?}");
    // The last pause ends with the timeout.
    for (&pause, longest) in pauses[..pauses.len() - 1].iter().zip([100, 200, 400, 800, 1600]) {
        assert!(longest / 2 <= pause && pause <= longest, "{pauses:?}");
    }
}

#[test]
fn an_agency_that_waited_for_the_draw_has_its_whole_retry_timeout_again() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, "").env("CLI_RETRY_TIMEOUT", "1s"));
    for _lost in 0..2 {
        let mut wire = server.accept();
        hear_the_request(&mut wire, OPEN);
        // The subject of the test is a wait that is longer than the timeout.
        thread::sleep(Duration::from_millis(1100));
    }
    let mut wire = server.accept();
    hear_the_request(&mut wire, CLOSED);
    wire.send(&inform_winners(&[]));
    succeeded(agency);
}

#[test]
fn an_agency_goes_on_trying_as_long_as_its_server_answers() {
    for full in
        [[welcome2(&[], OPEN), register_bet_failed(9)].concat(), register_bet_failed(9), register_bet_failed(12)]
    {
        let server = FakeServer::start();
        // The pauses alone last three times as long.
        let agency = start(server.agency(1, "").env("CLI_RETRY_TIMEOUT", "500ms"));
        for _ in 0..6 {
            server.accept().expect(&hello2(1)).send(&full);
        }
        hear_the_request(&mut server.accept(), OPEN);
        let FakeServer { listener, folder: _folder } = server;
        drop(listener);
        // The timeout counts from the last answer, and then it ends.
        let ended = fails_with(agency, "gave up after trying for");
        assert!(ended.lines_with("connect | result: in_progress").len() > 6, "{:#?}", ended.lines);
    }
}

#[test]
fn an_agency_gives_up_on_a_server_that_accepts_and_says_nothing() {
    let server = FakeServer::start();
    let mut agency = server.agency(1, ROW);
    let agency = start(agency.env("CLI_REPLY_TIMEOUT", "100ms").env("CLI_RETRY_TIMEOUT", "500ms"));
    fails_with(agency, "does not reply in time, see reply.timeout; gave up");
}

#[test]
fn an_agency_reads_the_configured_file_then_its_own_then_its_numbers() {
    let row = |document: u32| format!("Ana,Paz,{document},2000-01-01,7574\n");
    let server = Server::start(3);
    let folder = server.folder.path();
    fs::create_dir(folder.join(".data")).expect("made");
    for agency in 1..=3 {
        fs::write(folder.join(format!(".data/agency-{agency}.csv")), row(agency)).expect("written");
    }
    let third = start(&mut server.agency(3));
    wait_for(&third, "action: apuesta_enviada");
    fs::write(folder.join("agency.csv"), row(11)).expect("written");
    let first = start(&mut server.agency(1));
    wait_for(&first, "action: apuesta_enviada");
    fs::write(folder.join("other.csv"), row(22)).expect("written");
    succeeded(start(server.agency(2).env("CLI_BETS_FILE", "other.csv")));
    succeeded(first);
    succeeded(third);
    let stored: Vec<String> = [(3, 3), (1, 11), (2, 22)].map(|(agency, d)| format!("{agency},{}", row(d))).into();
    assert_eq!(server.bets().replace('\r', ""), stored.concat());
}

#[test]
fn an_agency_without_a_file_says_which_one_it_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    fails_with(start(&mut programs().client(folder.path(), 4, 1)), ".data/agency-4.csv: there is no such file");
}

#[test]
fn a_file_without_line_ends_is_not_read_whole() {
    let server = Server::start(1);
    let mut agency = server.agency(1);
    // It would end as soon as it wanted more memory.
    through_bash(agency.env("CLI_BETS_FILE", "/dev/zero"), "ulimit -v 300000; exec \"$0\"");
    fails_with(start(&mut agency), "/dev/zero line 1: a row that is longer than any: is a quote missing?");
}

#[test]
fn an_agency_says_once_a_wait_that_it_waits_and_where_it_goes_on() {
    let server = Server::start(2);
    let first = start(&mut server.agency_with_rows(1, &rows(3)));
    wait_for(&first, "INFO  [client] action: esperando_sorteo | result: in_progress | client_id: 1 | almacenadas: 3");
    first.kill();
    let first = first.wait().expect("it ended");
    assert!(first.lines_with("action: reanudar").is_empty(), "{:#?}", first.lines);
    let again = start(&mut server.agency_with_rows(1, &rows(3)));
    wait_for(&again, "action: esperando_sorteo");
    succeeded(start(&mut server.agency_with_rows(2, "")));
    let again = succeeded(again);
    let resumed = "INFO  [client] action: reanudar | result: success | client_id: 1 | almacenadas: 3";
    assert_eq!(again.lines_with(resumed).len(), 1, "{:#?}", again.lines);
    assert_eq!(again.lines_with("action: esperando_sorteo").len(), 1, "{:#?}", again.lines);
    let late = succeeded(start(&mut server.agency_with_rows(1, &rows(3))));
    assert!(late.lines_with("action: esperando_sorteo").is_empty(), "the draw has happened: {:#?}", late.lines);
}

#[test]
fn an_agency_that_is_refused_says_why_and_does_not_come_back() {
    for (code, why) in [
        (2, "a bet is not valid"),
        (5, "no such agency"),
        (6, "the agency has closed"),
        (8, "credential"),
        (11, "version"),
    ] {
        for refusal in [register_bet_failed(code), refused(code, 0)] {
            let server = FakeServer::start();
            let agency = start(&mut server.agency(1, ROW));
            server.accept().expect(&hello2(1)).send(&refusal);
            fails_with(agency, why);
        }
    }
}

#[test]
fn an_agency_names_the_bet_that_is_refused() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, &rows(3)).env("CLI_BATCH_MAXAMOUNT", "1"));
    let mut wire = server.accept();
    wire.expect(&hello2(1)).send(&welcome2(&[], OPEN));
    wire.expect(&[0, 1]).send(REGISTER_BET_OK).send(&refused(2, 1));
    fails_with(agency, "the server refuses bet 2 of this agency, code 2: a bet is not valid");
}

#[test]
fn an_agency_that_is_refused_for_now_comes_back() {
    let server = FakeServer::start();
    let agency = start(&mut server.agency(1, ""));
    for refusal in [register_bet_failed(9), refused(9, 0), refused(12, 0)] {
        server.accept().expect(&hello2(1)).send(&refusal);
    }
    let mut wire = server.accept();
    hear_the_request(&mut wire, OPEN);
    wire.send(&inform_winners(&[]));
    succeeded(agency);
}

#[test]
fn an_agency_says_when_its_server_speaks_something_else() {
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        REGISTER_BET_OK,
        ALL_BETS_SENT,
        &inform_winners(&[1]),
        &[welcome2(&[], OPEN), welcome2(&[], OPEN)].concat(),
        &[welcome2(&[], OPEN), inform_winners(&[])].concat(),
        &welcome(0, OPEN),
    ] {
        let server = FakeServer::start();
        let agency = start(&mut server.agency(1, ROW));
        server.accept().expect(&hello2(1)).send(answer);
        fails_with(agency, "does not speak this protocol");
    }
}

#[test]
fn an_agency_ignores_what_comes_behind_its_winners() {
    for (handshake, behind) in
        [("true", register_bet_failed(12)), ("false", register_bet_failed(12)), ("true", vec![9; 9])]
    {
        let server = FakeServer::start();
        let agency = start(server.agency(1, ROW).env("CLI_HANDSHAKE", handshake));
        let mut wire = server.accept();
        if handshake == "true" {
            wire.expect(&hello2(1)).send(&welcome2(&[], OPEN));
        }
        wire.expect(&[0, 1]).send(REGISTER_BET_OK);
        read_until(&mut wire, REQUEST_WINNERS);
        // One write, so that one read of the agency gets both.
        wire.send(&[inform_winners(&[1]), behind].concat());
        assert_eq!(succeeded(agency).lines_with("cant_ganadores: 1").len(), 1);
    }
}

#[test]
fn an_agency_says_which_code_or_state_it_does_not_know() {
    for (answer, why) in [
        (register_bet_failed(99), "does not speak this protocol: error code 99, "),
        (refused(99, 0), "does not speak this protocol: error code 99, "),
        (welcome2(&[], 7), "does not speak this protocol: state 7 of an agency, "),
        (vec![1, 2], "does not speak this protocol: unknown message type 258"),
    ] {
        let server = FakeServer::start();
        let agency = start(&mut server.agency(1, ROW));
        server.accept().expect(&hello2(1)).send(&answer);
        fails_with(agency, why);
    }
}

#[test]
fn an_agency_whose_file_is_shorter_than_what_is_stored_says_so_at_once() {
    let server = FakeServer::start();
    let agency = start(&mut server.agency(1, ROW));
    server.accept().expect(&hello2(1)).send(&welcome2_of(3, OPEN, 0));
    let ended = fails_with(agency, "agency-1.csv holds only 1: is it the file that was sent?");
    assert_eq!(ended.lines_with("has 3 bets of this agency").len(), 1, "{:#?}", ended.lines);
    assert!(ended.lines_with("in_progress").is_empty(), "to try again would not help: {:#?}", ended.lines);
}

#[test]
fn an_agency_that_has_closed_and_has_more_bets_says_so() {
    let server = Server::start(2);
    server.connect_as(1).send(ALL_BETS_SENT);
    wait_for(&server.process, "action: cierre_agencia");
    fails_with(start(&mut server.agency_with_rows(1, ROW)), "has closed with 0 bets, and there are more here");
    assert_eq!(server.bets(), "");
}

#[test]
fn an_agency_that_closed_earlier_sends_nothing_twice_and_nothing_more() {
    let server = Server::start_with(2, |command| {
        command.env("LOGGING_LEVEL", "DEBUG");
    });
    let first = start(&mut server.agency_with_rows(1, &ROW.repeat(3)));
    wait_for(&server.process, "action: cierre_agencia");
    drop(first);
    let again = start(&mut server.agency_with_rows(1, &ROW.repeat(3)));
    wait_for_nth(&server.process, "action: hello | result: success", 2);
    drop(again);
    fails_with(start(&mut server.agency_with_rows(1, &ROW.repeat(4))), "no more are taken");
    assert_eq!(server.bets(), format!("1,{ROW}").repeat(3));
}

#[test]
fn both_programs_work_with_the_files_of_the_repository() {
    // Copies in a folder laid out like the repository, so that nothing in it changes.
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["config/server/config.ini", "config/client/config.yaml", ".data/agency-5.csv"] {
        copy_from_the_repository(file, folder.path());
    }
    let mut server = programs().server(folder.path());
    let server = start(server.env("LOGGING_LEVEL", "DEBUG").env("NUM_AGENCIES", "5"));
    let config = wait_for(&server, "action: config | result: success");
    assert!(config.contains("listen_backlog: 5 | "), "{config}");
    let port = port_of(&server).expect("it listens");
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
    fs::copy(repository().join(file), to).expect("copied");
}
