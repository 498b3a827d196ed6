//! Exercise 5: each agency sends the one bet of its environment.

use std::process::Command;

use crate::fixture::by_hand::{OPEN, hello, welcome};
use crate::fixture::{Central, refusal, run, start};

const BET: [(&str, &str); 5] = [
    ("NOMBRE", "Santiago Lionel"),
    ("APELLIDO", "Lorca"),
    ("DOCUMENTO", "30904465"),
    ("NACIMIENTO", "1999-03-17"),
    ("NUMERO", "2201"),
];

fn with_bet(mut agency: Command) -> Command {
    agency.envs(BET);
    agency
}

#[test]
fn the_bet_is_stored_and_both_sides_say_so() {
    let central = Central::start(5);
    let ended = run(&mut with_bet(central.agency(2)));
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert_eq!(
        ended.lines_with("[client] action: apuesta_enviada | result: success | dni: 30904465 | numero: 2201").len(),
        1
    );
    assert_eq!(central.bets(), "2,Santiago Lionel,Lorca,30904465,1999-03-17,2201\r\n");
    let ended = central.stop();
    let stored = "[server] action: apuesta_almacenada | result: success | dni: 30904465 | numero: 2201";
    assert_eq!(ended.lines_with(stored).len(), 1, "{:#?}", ended.lines);
}

#[test]
fn five_agencies_send_theirs_at_once() {
    let central = Central::start(5);
    let agencies: Vec<_> = (1..=5).map(|id| start(&mut with_bet(central.agency(id)))).collect();
    assert!(agencies.into_iter().all(|agency| agency.wait().expect("it ended").status.success()));
    let bets = central.bets();
    let mut rows: Vec<&str> = bets.lines().collect();
    rows.sort_unstable();
    let expected: Vec<String> =
        (1..=5).map(|agency| format!("{agency},Santiago Lionel,Lorca,30904465,1999-03-17,2201")).collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_bet_does_not_close_the_agency_and_another_run_sends_another() {
    let central = Central::start(1);
    for _ in 0..2 {
        assert!(run(&mut with_bet(central.agency(1))).status.success());
    }
    assert_eq!(central.bets().lines().count(), 2);
    central.connect().send(&hello(1)).expect(&welcome(2, OPEN));
}

#[test]
fn the_bet_wins_over_a_file_and_needs_no_hello() {
    let central = Central::start(1);
    let mut agency = with_bet(central.agency_with_rows(1, "Ana,Paz,1,2000-01-01,7574\n"));
    assert!(run(agency.env("CLI_HANDSHAKE", "false")).status.success());
    assert_eq!(central.bets(), "1,Santiago Lionel,Lorca,30904465,1999-03-17,2201\r\n");
}

#[test]
fn names_that_are_not_plain_arrive_as_they_are() {
    let central = Central::start(1);
    let mut agency = with_bet(central.agency(1));
    assert!(run(agency.env("NOMBRE", "María \"la\" Ñata").env("APELLIDO", "O'Higgins, de")).status.success());
    assert_eq!(central.bets(), "1,\"María \"\"la\"\" Ñata\",\"O'Higgins, de\",30904465,1999-03-17,2201\r\n");
}

#[test]
fn a_bet_with_a_variable_missing_is_refused_by_the_name_of_the_variable() {
    let central = Central::start(1);
    for (variable, _) in BET {
        let error = refusal(with_bet(central.agency(1)).env_remove(variable));
        assert!(error.contains(variable), "{error}");
        let error = refusal(with_bet(central.agency(1)).env(variable, ""));
        assert!(error.contains(variable), "{error}");
    }
    assert_eq!(central.bets(), "");
}

#[test]
fn a_bet_that_is_not_valid_is_refused_by_the_name_of_the_variable_and_what_would_be() {
    let central = Central::start(1);
    for (variable, value, valid) in [
        ("NOMBRE", "x\u{7}y", "control character"),
        ("APELLIDO", &"ñ".repeat(128), "255 bytes"),
        ("DOCUMENTO", "0", "1 and 99999999"),
        ("DOCUMENTO", "100000000", "1 and 99999999"),
        ("DOCUMENTO", "30.904.465", "1 and 99999999"),
        ("DOCUMENTO", "-1", "1 and 99999999"),
        ("NACIMIENTO", "17/03/1999", "YYYY-MM-DD"),
        ("NACIMIENTO", "1899-12-31", "1900-01-01"),
        ("NACIMIENTO", "2001-02-29", "YYYY-MM-DD"),
        ("NACIMIENTO", "9999-12-31", "today"),
        ("NUMERO", "10000", "0 and 9999"),
        ("NUMERO", "siete", "0 and 9999"),
        ("NUMERO", "99999999999999999999", "0 and 9999"),
    ] {
        let error = refusal(with_bet(central.agency(1)).env(variable, value));
        assert!(error.starts_with(variable) && error.contains(valid), "{variable} {value}: {error}");
    }
    assert_eq!(central.bets(), "");
    assert!(central.stop().lines_with("accept_connections | result: success").is_empty(), "refused before connecting");
}
