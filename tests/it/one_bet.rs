//! Exercise 5: each agency sends the one bet of its environment.

use crate::fixture::by_hand::{OPEN, hello, welcome};
use crate::fixture::{ONE_BET, ROW, Server, misconfigured, run, start, succeeded};

#[test]
fn the_bet_is_stored_and_both_programs_say_so() {
    let server = Server::start(5);
    let ended = run(server.agency(2).envs(ONE_BET));
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert_eq!(
        ended.lines_with("[client] action: apuesta_enviada | result: success | dni: 30904465 | numero: 2201").len(),
        1
    );
    assert_eq!(server.bets(), "2,Santiago Lionel,Lorca,30904465,1999-03-17,2201\r\n");
    let ended = server.stop();
    let stored = "[server] action: apuesta_almacenada | result: success | dni: 30904465 | numero: 2201";
    assert_eq!(ended.lines_with(stored).len(), 1, "{:#?}", ended.lines);
}

#[test]
fn five_agencies_send_their_bets_at_once() {
    let server = Server::start(5);
    let agencies: Vec<_> = (1..=5).map(|id| start(server.agency(id).envs(ONE_BET))).collect();
    for agency in agencies {
        succeeded(agency);
    }
    let bets = server.bets();
    let mut rows: Vec<&str> = bets.lines().collect();
    rows.sort_unstable();
    let expected: Vec<String> =
        (1..=5).map(|agency| format!("{agency},Santiago Lionel,Lorca,30904465,1999-03-17,2201")).collect();
    assert_eq!(rows, expected);
}

#[test]
fn one_bet_does_not_close_the_agency_and_another_run_sends_another() {
    let server = Server::start(1);
    for _ in 0..2 {
        assert!(run(server.agency(1).envs(ONE_BET)).status.success());
    }
    assert_eq!(server.bets().lines().count(), 2);
    server.connect().send(&hello(1)).expect(&welcome(2, OPEN));
}

#[test]
fn the_bet_takes_precedence_over_a_file_and_needs_no_hello() {
    let server = Server::start(1);
    let mut agency = server.agency_with_rows(1, ROW);
    assert!(run(agency.envs(ONE_BET).env("CLI_HANDSHAKE", "false")).status.success());
    assert_eq!(server.bets(), "1,Santiago Lionel,Lorca,30904465,1999-03-17,2201\r\n");
}

#[test]
fn names_with_quotes_commas_and_accents_arrive_unaltered() {
    let server = Server::start(1);
    let mut agency = server.agency(1);
    assert!(
        run(agency.envs(ONE_BET).env("NOMBRE", "María \"la\" Ñata").env("APELLIDO", "O'Higgins, de")).status.success()
    );
    assert_eq!(server.bets(), "1,\"María \"\"la\"\" Ñata\",\"O'Higgins, de\",30904465,1999-03-17,2201\r\n");
}

#[test]
fn a_missing_variable_of_the_bet_is_named() {
    let server = Server::start(1);
    for (variable, _) in ONE_BET {
        let error = misconfigured(server.agency(1).envs(ONE_BET).env_remove(variable));
        assert!(error.contains(variable), "{error}");
        let error = misconfigured(server.agency(1).envs(ONE_BET).env(variable, ""));
        assert!(error.contains(variable), "{error}");
    }
    assert_eq!(server.bets(), "");
}

#[test]
fn an_invalid_variable_of_the_bet_is_named_with_the_values_that_are_valid() {
    let server = Server::start(1);
    for (variable, value, valid) in [
        ("NOMBRE", "x\u{7}y", "control character"),
        ("APELLIDO", &"ñ".repeat(128), "255 bytes"),
        ("DOCUMENTO", "100000000", "0 and 99999999"),
        ("DOCUMENTO", "30.904.465", "0 and 99999999"),
        ("DOCUMENTO", "-1", "0 and 99999999"),
        ("NACIMIENTO", "17/03/1999", "YYYY-MM-DD"),
        ("NACIMIENTO", "1899-12-31", "1900-01-01"),
        ("NACIMIENTO", "2001-02-29", "YYYY-MM-DD"),
        ("NACIMIENTO", "9999-12-31", "today"),
        ("NUMERO", "10000", "0 and 9999"),
        ("NUMERO", "siete", "0 and 9999"),
        ("NUMERO", "99999999999999999999", "0 and 9999"),
    ] {
        let error = misconfigured(server.agency(1).envs(ONE_BET).env(variable, value));
        assert!(error.starts_with(variable) && error.contains(valid), "{variable} {value}: {error}");
    }
    assert_eq!(server.bets(), "");
    assert!(server.stop().lines_with("accept_connections | result: success").is_empty(), "refused before connecting");
}
