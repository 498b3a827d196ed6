//! Only agencies that may: where credentials are asked for, an agency says Hello with its own, everything else is refused with
//! code 8, and no credential is ever shown, neither right nor wrong, neither in a line of any level nor in an error.

use std::fs;
use std::process::Command;

use crate::fixture::by_hand::{
    ACK, ALL_BETS_SENT, Bet, OPEN, REGISTER_BET_OK, REQUEST_WINNERS, hello, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{Central, programs, refusal, run, wait_for};

/// The credentials of two agencies, which must never be shown.
const SECRETS: [&str; 2] = ["la-palabra-de-la-1", "dos: ñandú = ok"];

/// `config.ini` with the credentials.
fn config_ini() -> String {
    format!("[DEFAULT]\nLOGGING_LEVEL = TRACE\n[AGENCIES]\n1 = {}\n2 = \"{}\"\n", SECRETS[0], SECRETS[1])
}

/// A central of two agencies that asks for their credentials.
fn central() -> Central {
    central_with("config.ini", &config_ini(), |_| ())
}

/// A central of two agencies whose folder has a file of this name.
fn central_with(name: &str, text: &str, configure: impl FnOnce(&mut Command)) -> Central {
    Central::start_with(2, |command| {
        fs::write(command.get_current_dir().expect("a folder").join(name), text).expect("written");
        configure(command);
    })
}

fn hello_with(agency: u32, credential: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 8, 0, 1];
    bytes.extend(agency.to_be_bytes());
    bytes.extend((credential.len() as u16).to_be_bytes());
    bytes.extend(credential);
    bytes
}

#[track_caller]
fn check_silence(lines: &[String], secrets: &[&str]) {
    for (line, secret) in lines.iter().flat_map(|line| secrets.iter().map(move |secret| (line, secret))) {
        assert!(!line.contains(secret), "{secret:?} is shown: {line}");
    }
}

#[test]
fn an_agency_with_its_credential_is_served() {
    let central = central();
    for (agency, secret) in (1..).zip(SECRETS) {
        let mut wire = central.connect();
        wire.send(&hello_with(agency, secret.as_bytes())).expect(&welcome(0, OPEN));
        wire.send(&register_bets(&[Bet::of(agency, 7, 7)])).expect(REGISTER_BET_OK);
    }
    assert_eq!(central.bets().lines().count(), 2);
}

#[test]
fn everything_else_is_refused_with_code_8_and_stores_nothing() {
    let central = central();
    let batch = register_bets(&[Bet::of(1, 7, 7)]);
    let longest = [b'x'; 255];
    let wrong: [&[u8]; 5] = [b"", b"la-palabra-de-la-", b"la-palabra-de-la-1 ", SECRETS[1].as_bytes(), &longest];
    for refused in wrong.map(|credential| hello_with(1, credential)).into_iter().chain([
        hello(1),
        batch.clone(),
        register_bets(&[]),
        ALL_BETS_SENT.to_vec(),
        REQUEST_WINNERS.to_vec(),
        [ACK, &batch].concat(),
        [hello_with(1, b"no"), batch.clone(), hello_with(1, SECRETS[0].as_bytes())].concat(),
    ]) {
        central.connect().send(&refused).expect(&register_bet_failed(8)).expect_closed();
    }
    assert_eq!(central.bets(), "");
    check_silence(&central.stop().lines, &SECRETS);
}

#[test]
fn a_stranger_is_refused_at_the_type_of_its_message_before_anything_of_it_is_kept() {
    let central = central();
    central.connect().send(&[0, 1]).expect(&register_bet_failed(8)).expect_closed();
}

#[test]
fn an_agency_does_not_speak_for_another_with_its_own_credential() {
    let central = central();
    let mut wire = central.connect();
    wire.send(&hello_with(1, SECRETS[0].as_bytes())).expect(&welcome(0, OPEN));
    wire.send(&register_bets(&[Bet::of(2, 7, 7)])).expect(&register_bet_failed(4));
    central.connect().send(&hello_with(2, SECRETS[0].as_bytes())).expect(&register_bet_failed(8)).expect_closed();
    // A stranger that names an agency does not take over from it.
    central.connect().send(&hello_with(1, b"no")).expect(&register_bet_failed(8)).expect_closed();
    wire.send(&hello_with(1, SECRETS[0].as_bytes())).expect(&welcome(0, OPEN));
    assert_eq!(central.bets(), "");
}

#[test]
fn an_agency_that_has_no_credential_in_the_section_can_not_speak() {
    let central = central_with("config.ini", "[AGENCIES]\n1 = uno\n", |_| ());
    wait_for(&central.process, "without_credential: 1");
    central.connect().send(&hello(2)).expect(&register_bet_failed(8)).expect_closed();
    central.connect().send(&hello_with(2, b"uno")).expect(&register_bet_failed(8)).expect_closed();
}

#[test]
fn the_clients_say_theirs_from_the_environment_a_file_of_it_or_config_yaml_and_nothing_shows_it() {
    let central = central();
    let path = central.folder.path();
    fs::write(path.join("secret"), format!("{}\n", SECRETS[1])).expect("written");
    let rows = "Ana,Paz,30904465,1999-03-17,7574\r\n";

    let mut first = central.agency_with_rows(1, rows);
    first.env("CLI_LOG_LEVEL", "TRACE").env("CLI_AGENCY_CREDENTIAL", SECRETS[0]);
    let first = crate::fixture::start(&mut first);
    let mut second = central.agency_with_rows(2, rows);
    fs::write(path.join("config.yaml"), "agency: {credential: not this, credentialFile: nor this}\n").expect("written");
    second.env("CLI_LOG_LEVEL", "TRACE").env("CLI_AGENCY_CREDENTIAL_FILE", path.join("secret"));
    let second = run(&mut second);
    assert!(second.status.success(), "{:#?}", second.lines);
    let first = first.wait().expect("it ended");
    assert!(first.status.success(), "{:#?}", first.lines);

    fs::write(path.join("config.yaml"), format!("agency:\n  credential: {}\n", SECRETS[0])).expect("written");
    let again = run(&mut central.agency_with_rows(1, rows));
    assert!(again.status.success(), "{:#?}", again.lines);
    for lines in [&first.lines, &second.lines, &again.lines, &central.stop().lines] {
        assert!(!lines.is_empty());
        check_silence(lines, &SECRETS);
        check_silence(lines, &["not this", "nor this"]);
    }
}

#[test]
fn a_client_that_is_refused_says_so_and_ends_without_trying_again() {
    let central = central();
    let mut command = central.agency_with_rows(1, "");
    command.env("CLI_LOG_LEVEL", "TRACE").env("CLI_AGENCY_CREDENTIAL", "otra-palabra");
    let ended = run(&mut command);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.lines_with("exit | result: fail").len(), 1, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("code 8").len(), 1, "{:#?}", ended.lines);
    check_silence(&ended.lines, &["otra-palabra"]);
    check_silence(&central.stop().lines, &["otra-palabra"]);
}

#[test]
fn a_file_of_credentials_takes_the_place_of_the_section() {
    for text in ["1 = uno\n2 = dos\n", "[AGENCIES]\n1 = uno\n2 = dos\n"] {
        let central =
            central_with("config.ini", "[DEFAULT]\nAGENCIES_FILE = none\n[AGENCIES]\n1 = otra\n", |command| {
                fs::write(command.get_current_dir().expect("a folder").join("secrets"), text).expect("written");
                command.env("AGENCIES_FILE", "secrets");
            });
        wait_for(&central.process, "action: agencies | result: success | num_agencies: 2 | credentials: 2");
        central.connect().send(&hello_with(1, b"otra")).expect(&register_bet_failed(8)).expect_closed();
        central.connect().send(&hello_with(1, b"uno")).expect(&welcome(0, OPEN));
    }
}

#[test]
fn without_credentials_everybody_may_speak_and_one_line_says_so() {
    let central = Central::start(1);
    central.connect().send(&hello_with(1, b"whatever")).expect(&welcome(0, OPEN));
    let ended = central.stop();
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
        (format!("1 = \"{secret}\n"), ""),
        (format!("{secret}\n"), ""),
        (format!("1 = {secret}\n[{secret}\n"), ""),
    ] {
        for (file, text) in [("config.ini", format!("[AGENCIES]\n{section}")), ("secrets", section)] {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(file), text).expect("written");
            let mut command = programs().server(folder.path());
            command.env("NUM_AGENCIES", "2").env("LOGGING_LEVEL", "TRACE");
            if file == "secrets" {
                command.env("AGENCIES_FILE", file);
            }
            let error = refusal(&mut command);
            assert!(error.starts_with(file), "{error}");
            assert!(error.contains(says), "{says:?}: {error}");
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn a_file_of_credentials_that_is_not_there_or_is_no_text_is_refused_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = programs().server(folder.path());
    command.env("AGENCIES_FILE", "secrets");
    assert!(refusal(&mut command).starts_with("secrets: "));
    fs::write(folder.path().join("secrets"), b"1 = \xff\n").expect("written");
    assert_eq!(refusal(&mut command), "secrets: it is not UTF-8");
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
        let error = refusal(&mut command);
        assert!(error.starts_with("agency.credential") && error.contains(says), "{says:?}: {error}");
        assert!(!error.contains(secret), "{error}");
    }
    for yaml in [
        "agency:\n  credential: \"no-se-muestra\n",
        "agency: {credential: no-se-muestra",
        "agency:\n  credential: [no-se-muestra]\n",
    ] {
        fs::write(path.join("config.yaml"), yaml).expect("written");
        let error = refusal(&mut programs().client(path, 1, 1));
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn one_line_break_at_the_end_of_a_credentials_file_does_not_count() {
    let central = central_with("config.ini", "[AGENCIES]\n1 = uno\n2 = dos\n", |_| ());
    let file = central.folder.path().join("secret");
    for (text, code) in [("uno", 0), ("uno\n", 0), ("uno\r\n", 0), ("uno\n\n", 1), ("uno ", 1)] {
        fs::write(&file, text).expect("written");
        let mut command = central.agency(1);
        let bet =
            [("NOMBRE", "Ana"), ("APELLIDO", "Paz"), ("DOCUMENTO", "7"), ("NACIMIENTO", "1999-03-17"), ("NUMERO", "7")];
        command.env("CLI_AGENCY_CREDENTIAL_FILE", &file).envs(bet);
        assert_eq!(run(&mut command).status.code(), Some(code), "{text:?}");
    }
}
