//! What whoever runs the central can ask of it while it runs.

use std::fs;

use crate::fixture::{Central, run};
use rustix::process::Signal;

const ROW: &str = "Ana,Paz,30904465,1999-03-17,7574\r\n";

#[test]
fn sigusr1_says_where_the_central_stands_and_who_is_missing_for_the_draw() {
    let central = Central::start(3);
    assert_eq!(central.state(1, "faltan_cerrar"), "1 2 3");

    let parked = crate::fixture::start(&mut central.agency_with_rows(2, ROW));
    central.process.wait_for("action: cierre_agencia").expect("agency 2 closes");
    assert_eq!(central.state(2, "faltan_cerrar"), "1 3");
    assert_eq!(central.state(3, "apuestas"), "1");
    assert_eq!(central.state(4, "agencias_cerradas"), "1");
    assert_eq!(central.state(5, "conexiones"), "1");
    assert_eq!(central.state(6, "esperando_sorteo"), "1");

    let others = [1, 3].map(|id| crate::fixture::start(&mut central.agency_with_rows(id, ROW)));
    for agency in others.into_iter().chain([parked]) {
        assert!(agency.wait().expect("it ended").status.success());
    }
    assert_eq!(central.state(7, "faltan_cerrar"), "ninguna");
}

#[test]
fn sighup_reads_the_level_of_the_log_again() {
    let central = Central::start(1);
    fs::write(central.folder.path().join("config.ini"), "[DEFAULT]\nLOGGING_LEVEL = DEBUG\n").expect("written");
    central.process.signal(Signal::HUP);
    central.process.wait_for("action: config | result: success | logging_level: DEBUG").expect("it says so");
    run(&mut central.agency_with_rows(1, ROW));
    assert!(central.process.wait_for("DEBUG").is_some(), "{:#?}", central.process.lines());

    fs::write(central.folder.path().join("config.ini"), "[DEFAULT]\nLOGGING_LEVEL = LOUD\n").expect("written");
    central.process.signal(Signal::HUP);
    let line = central.process.wait_for("action: config | result: fail").expect("it says so");
    assert!(line.contains("LOUD") && line.contains("CRITICAL"), "{line}");
}
