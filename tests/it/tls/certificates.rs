//! Certificates as identity.

use super::{connect_with, secure_agency, server_of, wait_for_error};
use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, OPEN, REGISTER_BET_OK, hello, hello_with, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{Certificates, ROW, fails_with, start, succeeded, wait_for};
use loteria_tools::certificates::Subject;

#[test]
fn a_certificate_takes_the_place_of_a_credential() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |_| ());
    for agency in 1..=4 {
        certificates.issue_agency(agency);
    }
    let start_agency = |id: u32| {
        let files = certificates.files(&format!("agency-{id}"));
        start(&mut secure_agency(&server, &certificates, id, Some(&files), ROW))
    };
    let agencies: Vec<_> = (1..=4).map(start_agency).collect();
    for agency in agencies {
        assert_eq!(succeeded(agency).lines_with("cant_ganadores: 1").len(), 1);
    }
    wait_for(&server.process, "action: tls_handshake | result: success | ip: 127.0.0.1 | certificado: agency-3");
}

#[test]
fn without_a_certificate_or_a_credential_an_agency_gets_code_8() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, true, |_| ());
    let agency = start(&mut secure_agency(&server, certificates, 1, None, ROW));
    fails_with(agency, "code 8");
    // Over TLS or not.
    connect_with(&server, certificates, None).send(&hello(1)).expect(&register_bet_failed(8)).expect_closed();
    server.connect().send(&hello(1)).expect(&register_bet_failed(8)).expect_closed();
    let bets = register_bets(&[Bet::of(1, 1, 1)]);
    server.connect().send(&bets).expect(&register_bet_failed(8)).expect_closed();
    wait_for(&server.process, "action: hello | result: fail | ip: 127.0.0.1 | agencia: 1 | error: credential missing");
    assert_eq!(server.bets(), "");
}

#[test]
fn a_credential_is_as_good_as_a_certificate() {
    let certificates = Certificates::shared();
    let server = server_of(certificates, true, |command| {
        let folder = command.get_current_dir().expect("a folder").to_owned();
        std::fs::write(folder.join("secrets"), "1 = a long secret\n").expect("written");
        command.env("AGENCIES_FILE", "secrets");
    });
    let mut wire = connect_with(&server, certificates, None);
    wire.send(&hello_with(1, b"a long secret")).expect(&welcome(0, OPEN));
}

#[test]
fn the_certificate_of_one_agency_does_not_speak_for_another() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |_| ());
    let files = certificates.issue_agency(3);
    fails_with(start(&mut secure_agency(&server, &certificates, 4, Some(&files), ROW)), "code 4");
    let mut wire = connect_with(&server, &certificates, Some(files));
    wire.send(&hello(4)).expect(&register_bet_failed(4));
    wire.send(&register_bets(&[Bet::of(4, 1, 1)])).expect(&register_bet_failed(4));
    // It says nothing about agency 3 that it might not.
    wire.send(&register_bets(&[Bet::of(3, 1, 1)])).expect(REGISTER_BET_OK);
    wire.send(&hello(3)).expect(&welcome(1, OPEN)).send(ALL_BETS_SENT);
    wait_for(&server.process, "action: cierre_agencia | result: success | agencia: 3 | cantidad: 1");
    assert_eq!(server.bets().lines().count(), 1);
}

#[test]
fn a_certificate_without_a_name_of_one_agency_proves_nothing() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |_| ());
    let names: [(&str, &[&str]); 3] =
        [("none", &["loteria.example"]), ("two", &["agency-1", "agency-2"]), ("other", &["agency-01"])];
    for (name, names) in names {
        let files = certificates.issue(Subject { name, names, is_server: false, days: 1 });
        fails_with(start(&mut secure_agency(&server, &certificates, 1, Some(&files), ROW)), "code 8");
        wait_for(&server.process, "its certificate names no agency, or several");
    }
    assert_eq!(server.bets(), "");
}

#[test]
fn an_agency_beyond_num_agencies_is_refused_whatever_its_certificate() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |_| ());
    let files = certificates.issue_agency(5);
    fails_with(start(&mut secure_agency(&server, &certificates, 5, Some(&files), ROW)), "code 5");
}

#[test]
fn a_foreign_certificate_ends_with_a_line_on_both_sides() {
    let (certificates, foreign) = (Certificates::new(), Certificates::new());
    let server = server_of(&certificates, true, |_| ());
    let files = foreign.issue_agency(1);
    fails_with(start(&mut secure_agency(&server, &certificates, 1, Some(&files), ROW)), "UnknownCA");
    wait_for_error(&server.process, "UnknownIssuer");
    assert_eq!(server.bets(), "");
}

#[test]
fn the_certificate_of_a_server_is_none_of_an_agency() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |_| ());
    let files = certificates.issue(Subject { name: "mixed", names: &["agency-1"], is_server: true, days: 1 });
    fails_with(start(&mut secure_agency(&server, &certificates, 1, Some(&files), ROW)), "received fatal alert");
    wait_for_error(&server.process, "invalid peer certificate");
}

#[test]
fn an_expired_certificate_is_refused_by_the_server_too() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, true, |_| ());
    let files = certificates.issue(Subject { name: "agency-1", names: &["agency-1"], is_server: false, days: -1 });
    // Our client would not even begin, so the other end is Python's.
    let agency = super::others::python_agency(&server, &certificates, 1, Some(&files));
    let ended = agency.wait().expect("it ended");
    let last = ended.lines.last().map_or("", String::as_str);
    assert!(last.contains("the server refuses") && last.contains("EXPIRED"), "{:#?}", ended.lines);
    wait_for_error(&server.process, "certificate expired");
    assert_eq!(server.bets(), "");
}

#[test]
fn an_agency_does_not_trust_a_server_of_another_authority() {
    let (certificates, foreign) = (Certificates::new(), Certificates::new());
    let server = server_of(&certificates, false, |_| ());
    fails_with(start(&mut secure_agency(&server, &foreign, 1, None, ROW)), "UnknownIssuer");
    wait_for_error(&server.process, "UnknownCA");
    assert_eq!(server.bets(), "");
}

#[test]
fn an_agency_does_not_trust_a_server_of_another_name() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, false, |_| ());
    let mut agency = secure_agency(&server, &certificates, 1, None, ROW);
    fails_with(start(agency.env("CLI_TLS_SERVER_NAME", "loteria.example")), "not valid for name");
    wait_for_error(&server.process, "received fatal alert");
    let mut agency = secure_agency(&server, &certificates, 1, None, ROW);
    let agency = start(agency.env("CLI_TLS_SERVER_NAME", "server"));
    wait_for(&agency, "esperando_sorteo");
}
