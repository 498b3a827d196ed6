//! Credentials: if they are configured, only a Hello with the agency's own is served, and everything else is refused with
//! code 8. No credential, right or wrong, is ever in a line of the log or in an error.

use std::fs;
use std::process::Command;

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, Bet, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, hello_with, register_bet_failed,
    register_bets, welcome,
};
use crate::fixture::{ONE_BET, ROW, Server, fails_with, misconfigured, programs, run, start, succeeded, wait_for};

/// The credentials of two agencies.
const SECRETS: [&str; 2] = ["la-palabra-de-la-1", "dos: ñandú = ok"];

/// A `config.ini` with the credentials.
fn config_ini() -> String {
    format!("[DEFAULT]\nLOGGING_LEVEL = TRACE\n[AGENCIES]\n1 = {}\n2 = \"{}\"\n", SECRETS[0], SECRETS[1])
}

/// A server of two agencies that asks for their credentials.
fn asking_server() -> Server {
    server_with("config.ini", &config_ini(), |_| ())
}

/// A server of two agencies whose folder has a file of this name.
fn server_with(name: &str, text: &str, configure: impl FnOnce(&mut Command)) -> Server {
    Server::start_with(2, |command| {
        fs::write(command.get_current_dir().expect("a folder").join(name), text).expect("written");
        configure(command);
    })
}

#[track_caller]
fn assert_not_shown(lines: &[String], secrets: &[&str]) {
    for (line, secret) in lines.iter().flat_map(|line| secrets.iter().map(move |secret| (line, secret))) {
        assert!(!line.contains(secret), "{secret:?} is shown: {line}");
    }
}

#[test]
fn an_agency_with_its_credential_is_served() {
    let server = asking_server();
    for (agency, secret) in (1..).zip(SECRETS) {
        let mut wire = server.connect();
        wire.send(&hello_with(agency, secret.as_bytes())).expect(&welcome(0, OPEN));
        wire.send(&register_bets(&[Bet::of(agency, 7, 7)])).expect(REGISTER_BET_OK);
    }
    assert_eq!(server.bets().lines().count(), 2);
}

#[test]
fn everything_else_is_code_8_and_stores_nothing() {
    let server = asking_server();
    let batch = register_bets(&[Bet::of(1, 7, 7)]);
    let longest = [b'x'; 255];
    let wrong: [&[u8]; 5] = [b"", b"la-palabra-de-la-", b"la-palabra-de-la-1 ", SECRETS[1].as_bytes(), &longest];
    for refused in wrong.map(|credential| hello_with(1, credential)).into_iter().chain([
        hello(1),
        batch.clone(),
        // An unknown agency learns no more than a known one.
        hello_with(3, SECRETS[0].as_bytes()),
        hello_with(u32::MAX, b""),
        register_bets(&[]),
        ALL_BETS_SENT.to_vec(),
        REQUEST_WINNERS.to_vec(),
        [ACK, &batch].concat(),
        [hello_with(1, b"no"), batch.clone(), hello_with(1, SECRETS[0].as_bytes())].concat(),
    ]) {
        server.connect().send(&refused).expect(&register_bet_failed(8)).expect_closed();
    }
    assert_eq!(server.bets(), "");
    assert_not_shown(&server.stop().lines, &SECRETS);
}

#[test]
fn a_message_before_hello_is_refused_from_its_type_alone() {
    let server = asking_server();
    server.connect().send(&[0, 1]).expect(&register_bet_failed(8)).expect_closed();
}

#[test]
fn an_agency_can_not_act_as_another_with_its_own_credential() {
    let server = asking_server();
    let mut wire = server.connect();
    wire.send(&hello_with(1, SECRETS[0].as_bytes())).expect(&welcome(0, OPEN));
    wire.send(&register_bets(&[Bet::of(2, 7, 7)])).expect(&register_bet_failed(4));
    server.connect().send(&hello_with(2, SECRETS[0].as_bytes())).expect(&register_bet_failed(8)).expect_closed();
    // A wrong credential does not take over from the agency.
    server.connect().send(&hello_with(1, b"no")).expect(&register_bet_failed(8)).expect_closed();
    wire.send(&hello_with(1, SECRETS[0].as_bytes())).expect(&welcome(0, OPEN));
    assert_eq!(server.bets(), "");
}

#[test]
fn an_agency_without_a_credential_in_the_section_is_refused() {
    let server = server_with("config.ini", "[AGENCIES]\n1 = uno\n", |_| ());
    wait_for(&server.process, "without_credential: 1");
    server.connect().send(&hello(2)).expect(&register_bet_failed(8)).expect_closed();
    server.connect().send(&hello_with(2, b"uno")).expect(&register_bet_failed(8)).expect_closed();
}

#[test]
fn clients_read_their_credential_from_each_source_and_never_show_it() {
    let server = asking_server();
    let path = server.folder.path();
    fs::write(path.join("secret"), format!("{}\n", SECRETS[1])).expect("written");

    let mut first = server.agency_with_rows(1, ROW);
    first.env("CLI_LOG_LEVEL", "TRACE").env("CLI_AGENCY_CREDENTIAL", SECRETS[0]);
    let first = start(&mut first);
    let mut second = server.agency_with_rows(2, ROW);
    fs::write(path.join("config.yaml"), "agency: {credential: not this, credentialFile: nor this}\n").expect("written");
    second.env("CLI_LOG_LEVEL", "TRACE").env("CLI_AGENCY_CREDENTIAL_FILE", path.join("secret"));
    let second = succeeded(start(&mut second));
    let first = succeeded(first);

    fs::write(path.join("config.yaml"), format!("agency:\n  credential: {}\n", SECRETS[0])).expect("written");
    let again = succeeded(start(&mut server.agency_with_rows(1, ROW)));
    for lines in [&first.lines, &second.lines, &again.lines, &server.stop().lines] {
        assert!(!lines.is_empty());
        assert_not_shown(lines, &SECRETS);
        assert_not_shown(lines, &["not this", "nor this"]);
    }
}

#[test]
fn a_client_whose_credential_is_refused_ends_without_trying_again() {
    let server = asking_server();
    let mut command = server.agency_with_rows(1, "");
    command.env("CLI_LOG_LEVEL", "TRACE").env("CLI_AGENCY_CREDENTIAL", "otra-palabra");
    let ended = fails_with(start(&mut command), "code 8");
    assert!(ended.lines_with("in_progress").is_empty(), "{:#?}", ended.lines);
    assert_not_shown(&ended.lines, &["otra-palabra"]);
    assert_not_shown(&server.stop().lines, &["otra-palabra"]);
}

#[test]
fn a_file_of_credentials_replaces_the_section() {
    for text in ["1 = uno\n2 = dos\n", "[AGENCIES]\n1 = uno\n2 = dos\n"] {
        let server = server_with("config.ini", "[DEFAULT]\nAGENCIES_FILE = none\n[AGENCIES]\n1 = otra\n", |command| {
            fs::write(command.get_current_dir().expect("a folder").join("secrets"), text).expect("written");
            command.env("AGENCIES_FILE", "secrets");
        });
        wait_for(&server.process, "action: agencies | result: success | num_agencies: 2 | credentials: 2");
        server.connect().send(&hello_with(1, b"otra")).expect(&register_bet_failed(8)).expect_closed();
        server.connect().send(&hello_with(1, b"uno")).expect(&welcome(0, OPEN));
    }
}

#[test]
fn without_credentials_any_client_may_speak_and_one_line_says_so() {
    let server = Server::start(1);
    server.connect().send(&hello_with(1, b"whatever")).expect(&welcome(0, OPEN));
    let ended = server.stop();
    let lines = ended.lines_with("action: agencies");
    assert_eq!(lines.len(), 1, "{:#?}", ended.lines);
    assert!(lines[0].contains("credentials: none") && lines[0].contains("open"), "{}", lines[0]);
}

#[test]
fn a_faulty_section_is_refused_at_start_without_showing_a_credential() {
    let secret = "no-se-muestra";
    let longest = format!("{secret}{}", "x".repeat(256 - secret.len()));
    for (section, says) in [
        (String::new(), "names no agency"),
        (format!("3 = {secret}\n"), "entry 1 is not for an agency from 1 to 2"),
        (format!("1 = uno\n{secret} = 2\n"), "entry 2 is not for an agency from 1 to 2"),
        (format!("1 = {secret}\n1 = {secret}\n"), "agency 1 has more than one entry"),
        ("1 =\n".to_owned(), "the credential of agency 1 is empty"),
        (format!("2 = {longest}\n"), "the credential of agency 2 is longer than 255 bytes"),
        (format!("1 = \"{secret}\n"), "the value begins with a quote that is not closed"),
        (format!("{secret}\n"), "is not key = value"),
        (format!("1 = {secret}\n[{secret}\n"), "the name of a section is not closed by ]"),
        (format!("1 = {secret}\n[{secret}\n3 = uno\n[DEFAULT]\n"), "the name of a section is not closed by ]"),
    ] {
        for (file, text) in [("config.ini", format!("[AGENCIES]\n{section}")), ("secrets", section)] {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(file), text).expect("written");
            let mut command = programs().server(folder.path());
            command.env("NUM_AGENCIES", "2").env("LOGGING_LEVEL", "TRACE");
            if file == "secrets" {
                command.env("AGENCIES_FILE", file);
            }
            let error = misconfigured(&mut command);
            assert!(error.starts_with(file), "{error}");
            assert!(error.contains(says), "{says:?}: {error}");
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn short_credentials_are_warned_about_without_showing_them() {
    let server = server_with("config.ini", "[AGENCIES]\n1 = 1234567\n2 = 12345678\n", |_| ());
    let line = wait_for(&server.process, "weak_credentials: 1 | access: a credential below 8 bytes can be guessed");
    assert!(line.contains(" WARN "), "{line}");
    let lines = server.stop().lines;
    assert_not_shown(&lines, &["1234567", "12345678"]);
    let server = asking_server();
    assert!(server.stop().lines_with("weak_credentials").is_empty());
}

#[test]
fn a_missing_or_binary_file_of_credentials_is_refused_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = programs().server(folder.path());
    command.env("AGENCIES_FILE", "secrets");
    assert!(misconfigured(&mut command).starts_with("secrets: "));
    fs::write(folder.path().join("secrets"), b"1 = \xff\n").expect("written");
    assert_eq!(misconfigured(&mut command), "secrets: it is not text in UTF-8");
}

#[test]
fn a_clients_faulty_credential_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let secret = "no-se-muestra";
    let longest = format!("{secret}{}", "x".repeat(256 - secret.len()));
    fs::write(path.join("empty"), "\n").expect("written");
    fs::write(path.join("long"), &longest).expect("written");
    for (settings, says) in [
        (vec![("CLI_AGENCY_CREDENTIAL", longest.as_str())], "is longer than 255 bytes"),
        (vec![("CLI_AGENCY_CREDENTIAL_FILE", "long")], "is longer than 255 bytes"),
        (vec![("CLI_AGENCY_CREDENTIAL_FILE", "empty")], "is empty"),
        (vec![("CLI_AGENCY_CREDENTIAL_FILE", secret)], "No such file"),
        (vec![("CLI_AGENCY_CREDENTIAL", secret), ("CLI_AGENCY_CREDENTIAL_FILE", "long")], "can't be set together"),
        (vec![("CLI_AGENCY_CREDENTIAL", secret), ("CLI_HANDSHAKE", "false")], "handshake is false"),
    ] {
        let mut command = programs().client(path, 1, 1);
        command.env("CLI_LOG_LEVEL", "TRACE").envs(settings);
        let error = misconfigured(&mut command);
        assert!(error.starts_with("agency.credential") && error.contains(says), "{says:?}: {error}");
        assert!(!error.contains(secret), "{error}");
    }
    for yaml in [
        "agency:\n  credential: \"no-se-muestra\n",
        "agency: {credential: no-se-muestra",
        "agency:\n  credential: [no-se-muestra]\n",
    ] {
        fs::write(path.join("config.yaml"), yaml).expect("written");
        let error = misconfigured(&mut programs().client(path, 1, 1));
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn one_line_break_at_the_end_of_a_credentials_file_does_not_count() {
    let server = server_with("config.ini", "[AGENCIES]\n1 = uno\n2 = dos\n", |_| ());
    let file = server.folder.path().join("secret");
    for (text, code) in [("uno", 0), ("uno\n", 0), ("uno\r\n", 0), ("uno\n\n", 1), ("uno ", 1)] {
        fs::write(&file, text).expect("written");
        let mut command = server.agency(1);
        command.env("CLI_AGENCY_CREDENTIAL_FILE", &file).envs(ONE_BET);
        assert_eq!(run(&mut command).status.code(), Some(code), "{text:?}");
    }
}
