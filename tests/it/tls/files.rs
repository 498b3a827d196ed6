//! Files of certificates: bad ones, and new ones while the server runs.

use std::fs;
use std::process::Command;

use super::{connect_with, secure_agency, server_of};
use crate::fixture::by_hand::{OPEN, hello, welcome};
use crate::fixture::{Certificates, ROW, Server, fails_with, misconfigured, programs, start, succeeded, wait_for};
use loteria_tools::certificates::{SERVER_NAMES, Subject};
use loteria_tools::field;
use rustix::process::Signal;

#[track_caller]
fn assert_names(error: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(error.contains(word), "{word:?} is not in {error:?}"));
}

#[test]
fn each_bad_file_of_a_server_is_named_in_one_line() {
    let certificates = Certificates::new();
    let other = Certificates::new();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("text"), "no certificate").expect("written");
    let (good, key) = certificates.files("server");
    let (_, other_key) = other.files("server");
    let (expired, expired_key) =
        certificates.issue(Subject { name: "old", names: &SERVER_NAMES, is_server: true, days: -1 });
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let (good, key, text) = (path(&good), path(&key), "text".to_owned());
    let missing = "missing".to_owned();
    let cases: [(&str, &str, Option<&str>, &[&str]); 9] = [
        (&missing, &key, None, &["missing: ", "No such file"]),
        (&good, &missing, None, &["missing: ", "No such file"]),
        (&text, &key, None, &["text: it holds no certificate in PEM"]),
        (&good, &text, None, &["text: it holds no private key in PEM"]),
        (&key, &key, None, &["it holds no certificate in PEM"]),
        (&good, &good, None, &["it holds no private key in PEM"]),
        (&good, &path(&other_key), None, &["it is not the key of the certificate in", &good]),
        (&path(&expired), &path(&expired_key), None, &["old.pem: its certificate has expired"]),
        (&good, &key, Some("text"), &["text: it holds no certificate in PEM"]),
    ];
    for (certificate, key, client_ca, words) in cases {
        let mut server = programs().server(folder.path());
        server.env("TLS_CERTIFICATE_FILE", certificate).env("TLS_KEY_FILE", key);
        client_ca.map(|path| server.env("TLS_CLIENT_CA_FILE", path));
        assert_names(&misconfigured(&mut server), words);
    }
}

#[test]
fn keys_of_tls_that_need_each_other_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = |variable: &str, value: &str| {
        let mut command = programs().server(folder.path());
        command.env(variable, value);
        command
    };
    assert_names(&misconfigured(&mut server("TLS_CERTIFICATE_FILE", "x")), &["TLS_KEY_FILE is not set"]);
    assert_names(
        &misconfigured(&mut server("TLS_KEY_FILE", "x")),
        &["TLS_CERTIFICATE_FILE is not set", "TLS_KEY_FILE"],
    );
    assert_names(&misconfigured(&mut server("TLS_CLIENT_CA_FILE", "x")), &["TLS_CERTIFICATE_FILE is not set"]);
    assert_names(&misconfigured(&mut server("TLS_REQUIRED", "true")), &["TLS_CERTIFICATE_FILE is not set"]);
    let client = |keys: &[(&str, &str)]| {
        let mut command = programs().client(folder.path(), 1, 1);
        command.envs(keys.iter().copied());
        command
    };
    let ca = ("CLI_TLS_CA_FILE", "x");
    assert_names(&misconfigured(&mut client(&[("CLI_TLS_SERVER_NAME", "x")])), &["CLI_TLS_CA_FILE is not set"]);
    assert_names(&misconfigured(&mut client(&[("CLI_TLS_KEY_FILE", "x")])), &["CLI_TLS_CA_FILE is not set"]);
    assert_names(
        &misconfigured(&mut client(&[ca, ("CLI_TLS_KEY_FILE", "x")])),
        &["CLI_TLS_CERTIFICATE_FILE is not set"],
    );
    assert_names(
        &misconfigured(&mut client(&[ca, ("CLI_TLS_CERTIFICATE_FILE", "x")])),
        &["CLI_TLS_KEY_FILE is not set"],
    );
    assert_names(&misconfigured(&mut client(&[ca])), &["x: ", "No such file"]);
}

#[test]
fn each_bad_file_of_an_agency_is_named_in_one_line() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, false, |_| ());
    let (good, _) = certificates.issue_agency(1);
    let (_, other_key) = certificates.issue_agency(2);
    let expired = certificates.issue(Subject { name: "old", names: &["agency-1"], is_server: false, days: -1 });
    let error =
        |identity: &super::Files| misconfigured(&mut secure_agency(&server, &certificates, 1, Some(identity), ROW));
    assert_names(&error(&(good, other_key)), &["it is not the key of the certificate"]);
    assert_names(&error(&expired), &["its certificate has expired"]);
    let mut agency = secure_agency(&server, &certificates, 1, None, ROW);
    assert_names(&misconfigured(agency.env("CLI_TLS_CA_FILE", "nowhere")), &["nowhere: ", "No such file"]);
    let mut agency = secure_agency(&server, &certificates, 1, None, ROW);
    assert_names(&misconfigured(agency.env("CLI_TLS_SERVER_NAME", "a b")), &["tls.serverName", "a b"]);
}

#[test]
fn both_programs_warn_of_a_certificate_that_expires_within_30_days() {
    let certificates = Certificates::new();
    let server = server_of(&certificates, false, |_| ());
    let agency = |days| {
        let identity = certificates.issue(Subject { name: "soon", names: &["agency-1"], is_server: false, days });
        start(&mut secure_agency(&server, &certificates, 1, Some(&identity), ROW))
    };
    // It has lost its first second, or not.
    let is_warned = |line: &str, file: &str, days: [&str; 2]| {
        assert!(line.contains(file) && field(line, "days_left").is_some_and(|left| days.contains(&left)), "{line}");
    };
    is_warned(&wait_for(&agency(20), "action: tls_expiry | result: success"), "soon.pem", ["19", "20"]);
    let not_warned = agency(40);
    wait_for(&not_warned, "esperando_sorteo");
    assert!(!not_warned.lines().iter().any(|line| line.contains("tls_expiry")), "{:#?}", not_warned.lines());

    certificates.issue(Subject { name: "server", names: &SERVER_NAMES, is_server: true, days: 29 });
    server.process.signal(Signal::HUP);
    is_warned(&wait_for(&server.process, "action: tls_expiry | result: success"), "server.pem", ["28", "29"]);
    wait_for(&server.process, "action: tls_certificates | result: success");
}

#[test]
fn sighup_reads_certificates_again_and_keeps_them_if_the_new_ones_are_bad() {
    let (old, new) = (Certificates::new(), Certificates::new());
    let server = server_of(&old, false, |_| ());
    let mut before = connect_with(&server, &old, None);
    before.send(&hello(1)).expect(&welcome(0, OPEN));
    let ((certificate, key), (new_certificate, new_key)) = (old.files("server"), new.files("server"));

    fs::copy(&new_certificate, &certificate).expect("copied");
    server.process.signal(Signal::HUP);
    let line = wait_for(&server.process, "action: tls_certificates | result: fail");
    assert!(
        line.contains("it is not the key of the certificate") && line.contains("certificates: unchanged"),
        "{line}"
    );
    connect_with(&server, &old, None).send(&hello(2)).expect(&welcome(0, OPEN));

    fs::copy(&new_key, &key).expect("copied");
    server.process.signal(Signal::HUP);
    wait_for(&server.process, "action: tls_certificates | result: success");
    connect_with(&server, &new, None).send(&hello(2)).expect(&welcome(0, OPEN));
    fails_with(start(&mut secure_agency(&server, &old, 3, None, ROW)), "UnknownIssuer");
    before.send(&hello(1)).expect(&welcome(0, OPEN));
}

#[test]
fn the_certificates_of_the_tool_serve_a_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |agencies: &str| {
        let mut tool = Command::new(programs().loteria);
        succeeded(start(tool.arg("certificates").arg(folder.path()).args([
            "--agencies",
            agencies,
            "--server-name",
            "x.example",
        ])))
    };
    assert_eq!(make("1").lines_with("2 certificates made").len(), 1);
    assert_eq!(make("2").lines_with("1 certificates made").len(), 1, "those that are there stay");
    let of = |party: &str, file: &str| folder.path().join(party).join(file);
    let mode =
        |path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).expect("a file").permissions()) & 0o777;
    for key in [of("authority", "ca.key"), of("server", "key.pem"), of("agency-2", "key.pem")] {
        assert_eq!(mode(key), 0o600);
    }
    let server = Server::start_with(2, |command| {
        command.env("TLS_CERTIFICATE_FILE", of("server", "certificate.pem"));
        command.env("TLS_KEY_FILE", of("server", "key.pem")).env("TLS_REQUIRED", "true");
        command.env("TLS_CLIENT_CA_FILE", of("server", "ca.pem"));
    });
    let start_agency = |id: u32| {
        let party = format!("agency-{id}");
        let mut agency = server.agency_with_rows(id, ROW);
        agency.env("CLI_TLS_CA_FILE", of(&party, "ca.pem")).env("CLI_TLS_KEY_FILE", of(&party, "key.pem"));
        agency.env("CLI_TLS_CERTIFICATE_FILE", of(&party, "certificate.pem")).env("CLI_TLS_SERVER_NAME", "x.example");
        start(&mut agency)
    };
    for agency in [1, 2].map(start_agency) {
        assert_eq!(succeeded(agency).lines_with("cant_ganadores: 1").len(), 1);
    }
}
