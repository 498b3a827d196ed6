//! The log contract: every line of both programs is
//! `YYYY-MM-DD HH:MM:SS LEVEL [program] action: NAME | result: success|fail|in_progress | key: value | ...`, and the
//! lines that the course prescribes are there to the letter.

use std::fs;
use std::process::Command;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, OPEN, REGISTER_BET_OK, hello, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{
    FakeServer, ONE_BET, ROW, Server, agency, end_by, fails_with, lasting_port, programs, run, start, stored,
    succeeded, through_bash, wait_for,
};
use loteria::logging;
use loteria_tools::field;
use rustix::process::Signal;

/// The part of a line that breaks the contract, if any.
fn fault_of(line: &str) -> Option<&'static str> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd ";
    let (time, rest) = line.split_at_checked(SHAPE.len())?;
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape };
    if !time.bytes().zip(SHAPE).all(fits) {
        return Some("its time");
    }
    let (level, rest) = rest.split_at_checked(6).unwrap_or_default();
    if !["DEBUG ", "INFO  ", "WARN  ", "ERROR "].contains(&level) {
        return Some("its level");
    }
    let Some((program, rest)) = rest.split_once(' ') else { return Some("its program") };
    if !["[server]", "[client]"].contains(&program) {
        return Some("its program");
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let mut parts = rest.split(" | ");
    if !parts.next().and_then(|part| part.strip_prefix("action: ")).is_some_and(is_name) {
        return Some("its action");
    }
    if !["result: success", "result: fail", "result: in_progress"].map(Some).contains(&parts.next()) {
        return Some("its result");
    }
    for part in parts {
        if !part.split_once(": ").is_some_and(|(key, value)| is_name(key) && !value.contains('|')) {
            return Some("a part of it");
        }
    }
    line.contains(char::is_control).then_some("a control character")
}

#[track_caller]
fn assert_keep_the_contract(lines: &[String]) {
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.len() > 30, "it is too short: {line:?}");
        assert_eq!(fault_of(line), None, "{line:?}");
    }
}

#[test]
fn the_check_of_this_file_finds_lines_that_break_the_contract() {
    let good = "2026-11-21 12:00:00 INFO  [server] action: sorteo | result: success";
    assert_eq!(fault_of(good), None);
    assert_eq!(fault_of(&format!("{good} | msg:  | cantidad: 3")), None);
    for (bad, fault) in [
        ("thread 'main' panicked at src/main.rs:1:1: this and that", "its time"),
        ("2026-11-21T12:00:00 INFO  [server] action: sorteo | result: success", "its time"),
        ("2026-11-21 12:00:00 LOUD  [server] action: sorteo | result: success", "its level"),
        ("2026-11-21 12:00:00 INFO  [mio] action: sorteo | result: success", "its program"),
        ("2026-11-21 12:00:00 INFO  [server] sorteo | result: success | x: y", "its action"),
        ("2026-11-21 12:00:00 INFO  [server] action: sorteo | result: maybe", "its result"),
        ("2026-11-21 12:00:00 INFO  [server] action: sorteo | result: success | done", "a part of it"),
        ("2026-11-21 12:00:00 INFO  [server] action: sorteo | result: success | x: a|b", "a part of it"),
        ("2026-11-21 12:00:00 INFO  [server] action: sorteo | result: success | x: a\u{1b}[2J", "a control character"),
    ] {
        assert_eq!(fault_of(bad), Some(fault), "{bad}");
    }
}

#[test]
fn a_round_with_every_kind_of_error_keeps_the_contract() {
    for level in ["DEBUG", "TRACE"] {
        let server = Server::start_with(2, |server| {
            server.env("LOGGING_LEVEL", level).env("MAX_ECHO_LINE_BYTES", "100");
        });
        let agency = |id, rows: &str| {
            let mut agency = server.agency_with_rows(id, rows);
            agency.env("CLI_LOG_LEVEL", level);
            agency
        };
        let mut said = Vec::new();
        let mut echo = server.agency(1);
        let echo = echo.env("CLI_MODE", "echo").env("CLI_LOOP_PERIOD", "1ms").env("CLI_LOG_LEVEL", level);
        said.extend(run(echo).lines);
        said.extend(run(&mut agency(1, "Ana,Paz,uno,2000-01-01,1\n")).lines);
        said.extend(run(&mut agency(9, "Ana,Paz,1,2000-01-01,1\n")).lines);

        // One of each error that a peer can make.
        server.connect().send(b"\x07| bell\n").expect(b"\x07| bell\n").expect_closed();
        server.connect().send(&[b'x'; 101]).expect_closed();
        server.connect().send(&[0, 99]).expect(&register_bet_failed(1)).expect_closed();
        server.connect().send(&[0, 1, 0]).end().expect_closed();
        server.connect().send(&register_bets(&[Bet::of(1, 100_000_000, 1)])).expect(&register_bet_failed(2));
        server.connect().send(&register_bets(&[Bet::of(3, 1, 1)])).expect(&register_bet_failed(5));
        let mut older = server.connect_as(2);
        server.connect_as(2);
        older.expect(&register_bet_failed(10));

        let agencies = [1, 2].map(|id| start(&mut agency(id, "Ana,Paz,30904465,2000-01-01,7574\n")));
        for agency in agencies {
            said.extend(succeeded(agency).lines);
        }
        server.process.signal(Signal::USR1);
        wait_for(&server.process, "action: estado");
        let parked = server.connect();
        said.extend(end_by(Signal::TERM, server.process).lines);
        drop(parked);
        assert_keep_the_contract(&said);
    }
}

#[test]
fn programs_that_refuse_to_start_keep_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = "x | result: success\n2026-11-21 12:00:00 INFO  [server] action: forged | result: success\r\u{1b}[1m";
    fs::write(folder.path().join("config.yaml"), "server:\n  adress | forged: \"a\"\n\"b\\nc\": 1\n").expect("written");
    let with = |mut command: Command, variable: &str, value: &str| run(command.env(variable, value)).lines;
    let server = || programs().server(folder.path());
    let client = || programs().client(folder.path(), 1, 1);
    for lines in [
        with(server(), "SERVER_PORT", hostile),
        with(server(), "LOGGING_LEVEL", hostile),
        with(server(), "STORAGE_FILEPATH", hostile.replace('x', "x/y").as_str()),
        with(client(), "CLI_ID", hostile),
        with(client(), "CLI_MODE", hostile),
        with(client(), "CLI_BETS_FILE", hostile),
        with(client(), "CLI_LOG_LEVEL", "debug"),
        with(client(), "CLI_X | result: success\nforged", "1"),
    ] {
        assert_keep_the_contract(&lines);
        assert!(!lines.iter().any(|line| field(line, "action") == Some("forged")), "{lines:#?}");
        let last = lines.last().map_or("", String::as_str);
        assert!(last.contains("ERROR ") && last.contains("action: exit | result: fail | error: "), "{lines:#?}");
    }
}

#[test]
fn text_from_a_server_or_a_path_can_not_forge_a_line() {
    let server = Server::start(1);
    let folder = server.folder.path().join("x | result: success\nforged");
    fs::create_dir(&folder).expect("made");
    let ended = succeeded(start(agency(&folder, 1, server.port, ROW).env("CLI_LOG_LEVEL", "DEBUG")));
    assert_keep_the_contract(&ended.lines);

    let server = FakeServer::start();
    let client = start(server.client(1).env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "1"));
    server.accept().send("a | result: fail | \u{1b}[1m\u{2028}\r x\r\n".as_bytes());
    let ended = succeeded(client);
    let echoed = "result: success | client_id: 1 | msg: a / result: fail / ";
    assert_eq!(ended.lines_with(echoed).len(), 1, "{:#?}", ended.lines);
    assert_keep_the_contract(&ended.lines);
}

#[test]
fn a_client_that_waits_for_its_server_says_in_progress_until_it_gives_up() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), lasting_port());
    for mode in ["lottery", "echo"] {
        let mut client = agency(folder.path(), 1, port, ROW);
        client.env("CLI_MODE", mode).env("CLI_RETRY_TIMEOUT", "300ms").env("CLI_LOG_LEVEL", "DEBUG");
        let ended = fails_with(start(&mut client), "gave up");
        assert_keep_the_contract(&ended.lines);
        assert!(!ended.lines_with("result: in_progress").is_empty(), "{:#?}", ended.lines);
    }
}

#[test]
fn the_prescribed_lines_are_there_to_the_letter() {
    let server = Server::start_with(2, |server| {
        server.env_remove("SERVER_LISTEN_BACKLOG").env("LOGGING_LEVEL", "debug");
    });
    let mut echo = server.agency(3);
    let echo = run(echo.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "1").env("CLI_LOOP_PERIOD", "1m30s"));
    server.connect().send(&register_bets(&[Bet::of(1, 30_904_465, 7574)])).expect(REGISTER_BET_OK);
    server
        .connect()
        .send(&register_bets(&[Bet::of(1, 1, 1), Bet::of(1, 100_000_000, 1)]))
        .expect(&register_bet_failed(2));
    let one_bet = run(server.agency(1).envs(ONE_BET));
    server.connect().send(&hello(1)).expect(&welcome(2, OPEN)).send(ALL_BETS_SENT);
    let rows = ROW.repeat(2) + "Ana,Paz,2,2000-01-01,1\n";
    let round = run(&mut server.agency_with_rows(2, &rows));
    let address = format!("127.0.0.1:{}", server.port);
    let server = end_by(Signal::TERM, server.process);

    let prescribed = [
        (
            &server,
            "[server] action: config | result: success | port: 0 | listen_backlog: 5 | logging_level: DEBUG".to_owned(),
        ),
        (&server, "[server] action: accept_connections | result: in_progress$".to_owned()),
        (&server, "[server] action: accept_connections | result: success | ip: 127.0.0.1$".to_owned()),
        (
            &server,
            "[server] action: receive_message | result: success | ip: 127.0.0.1 | msg: [CLIENT 3] Message N°1$"
                .to_owned(),
        ),
        (&server, "[server] action: apuesta_almacenada | result: success | dni: 30904465 | numero: 7574$".to_owned()),
        (&server, "[server] action: apuesta_recibida | result: success | cantidad: 1 | agencia: 1$".to_owned()),
        (&server, "[server] action: apuesta_recibida | result: fail | cantidad: 2 | ".to_owned()),
        (&server, "[server] action: sorteo | result: success$".to_owned()),
        (&server, "[server] action: exit | result: success | signal: SIGTERM$".to_owned()),
        (
            &echo,
            format!(
                "[client] action: config | result: success | client_id: 3 | server_address: {address} | loop_amount: 1 | loop_period: 1m30s | log_level: INFO"
            ),
        ),
        (
            &echo,
            "[client] action: receive_message | result: success | client_id: 3 | msg: [CLIENT 3] Message N°1$"
                .to_owned(),
        ),
        (&echo, "[client] action: loop_finished | result: success | client_id: 3$".to_owned()),
        (&one_bet, "[client] action: apuesta_enviada | result: success | dni: 30904465 | numero: 2201$".to_owned()),
        (&round, "[client] action: apuesta_enviada | result: success | cantidad: 3$".to_owned()),
        (&round, "[client] action: consulta_ganadores | result: success | cant_ganadores: 2$".to_owned()),
    ];
    for (ended, text) in prescribed {
        let found = match text.strip_suffix('$') {
            Some(end) => ended.lines.iter().any(|line| line.ends_with(end)),
            None => ended.lines.iter().any(|line| line.contains(&text)),
        };
        assert!(found, "no line {text}: {:#?}", ended.lines);
    }
}

#[test]
fn a_server_goes_on_after_the_reader_of_its_log_has_gone() {
    let server = Server::start_with(1, |command| {
        // The reader ends once it has seen the port.
        through_bash(command, "exec \"$0\" > >(sed -u '/action: listen/q')");
    });
    for _ in 0..3 {
        server.connect().send(&register_bets(&[Bet::of(1, 1, 1)])).expect(REGISTER_BET_OK);
        server.connect().send(b"hola\n").expect(b"hola\n").expect_closed();
    }
    server.process.terminate();
    let ended = succeeded(server.process);
    let last = ended.lines.last().map_or("", String::as_str);
    assert!(last.contains("action: listen"), "nor does it complain elsewhere: {:#?}", ended.lines);
}

#[test]
fn a_client_goes_on_without_a_reader_of_its_log() {
    let server = Server::start(1);
    let mut agency = server.agency_with_rows(1, ROW);
    through_bash(&mut agency, "exec \"$0\" > >(true)");
    succeeded(start(&mut agency));
    assert_eq!(server.bets(), stored(1, ROW));
}

/// Set in the process that panics.
const PANIC: &str = "LOTERIA_TEST_PANICS";

#[test]
fn a_panic_is_a_line_of_the_contract_too() {
    if std::env::var_os(PANIC).is_some() {
        logging::start("server").expect("started");
        panic!("un pánico | result: success\n2026-11-21 12:00:00 INFO  [server] action: forged | result: success");
    }
    let this = std::env::current_exe().expect("this program");
    let test = ["--exact", "log_contract::a_panic_is_a_line_of_the_contract_too", "--nocapture", "--test-threads=1"];
    let ended = run(Command::new(this).args(test).env(PANIC, "1"));
    let said: Vec<String> = ended.lines_with("[server]").into_iter().map(str::to_owned).collect();
    // The harness may have begun the line.
    let from_time = |line: &String| line[line.find("20").unwrap_or_default()..].to_owned();
    let said: Vec<String> = said.iter().map(from_time).collect();
    assert_keep_the_contract(&said);
    assert!(said[0].contains("action: panic | result: fail | error: un pánico / result: success"), "{said:#?}");
    assert_eq!(said.len(), 1, "{said:#?}");
}
