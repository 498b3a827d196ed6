//! The signals by which an operator asks a running server.

use std::fs;

use crate::fixture::{ROW, Server, run, start, succeeded, wait_for, wait_for_nth};
use rustix::process::Signal;

#[test]
fn sigusr1_logs_the_state_and_the_agencies_missing_for_the_draw() {
    let server = Server::start(3);
    assert_eq!(server.state("faltan_cerrar"), "1 2 3");

    let parked = start(&mut server.agency_with_rows(2, ROW));
    wait_for(&server.process, "action: cierre_agencia");
    assert_eq!(server.state("faltan_cerrar"), "1 3");
    assert_eq!(server.state("apuestas"), "1");
    assert_eq!(server.state("agencias_cerradas"), "1");
    assert_eq!(server.state("conexiones"), "1");
    assert_eq!(server.state("esperando_sorteo"), "1");

    let others = [1, 3].map(|id| start(&mut server.agency_with_rows(id, ROW)));
    for agency in others.into_iter().chain([parked]) {
        succeeded(agency);
    }
    assert_eq!(server.state("faltan_cerrar"), "ninguna");
}

#[test]
fn the_server_says_again_and_again_which_agencies_it_waits_for() {
    let server = Server::start_with(3, |command| _ = command.env("REMINDER_INTERVAL", "2ms"));
    (0..20).for_each(|_| assert_eq!(server.state("faltan_cerrar"), "1 2 3", "nothing has happened yet"));
    assert!(!server.process.lines().iter().any(|line| line.contains("esperando_agencias")));

    let agency = server.connect_as(2);
    wait_for(
        &server.process,
        "action: esperando_agencias | result: in_progress | faltan_cerrar: 1 2 3 | sin_conexion: 1 3",
    );
    let parked = start(&mut server.agency_with_rows(1, ROW));
    wait_for_nth(&server.process, "faltan_cerrar: 2 3 | sin_conexion: 3 | agencias_cerradas: 1", 2);
    drop(agency);
    wait_for(&server.process, "faltan_cerrar: 2 3 | sin_conexion: 2 3 | agencias_cerradas: 1");
    let others = [2, 3].map(|id| start(&mut server.agency_with_rows(id, ROW)));
    for agency in others.into_iter().chain([parked]) {
        succeeded(agency);
    }
    let ended = server.stop();
    let position = |text: &str| ended.lines.iter().rposition(|line| line.contains(text));
    assert!(position("esperando_agencias") < position("action: sorteo"), "{:#?}", ended.lines);
}

#[test]
fn sighup_reads_the_level_of_the_log_again() {
    let server = Server::start(1);
    fs::write(server.folder.path().join("config.ini"), "[DEFAULT]\nLOGGING_LEVEL = DEBUG\n").expect("written");
    server.process.signal(Signal::HUP);
    wait_for(&server.process, "action: config | result: success | logging_level: DEBUG");
    run(&mut server.agency_with_rows(1, ROW));
    wait_for(&server.process, " DEBUG [server] action: ");

    fs::write(server.folder.path().join("config.ini"), "[DEFAULT]\nLOGGING_LEVEL = LOUD\n").expect("written");
    server.process.signal(Signal::HUP);
    let line = wait_for(&server.process, "action: config | result: fail");
    assert!(line.contains("LOUD") && line.contains("CRITICAL"), "{line}");
}
