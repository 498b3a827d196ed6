//! Files of settings: those that can't be parsed are named, and keys that nobody knows.

use std::fs;

use super::{assert_names, client_config, client_in, folder, folder_with, server_config, write};
use crate::fixture::{misconfigured, programs, refusal, run, start, wait_for};
use loteria_tools::field;

#[test]
fn a_configuration_file_that_cannot_be_parsed_is_named() {
    for (content, expected) in [
        (b"[DEFAULT]\nSERVER_PORT\n".as_slice(), "line 2 is not key = value"),
        (b"[DEFAULT]\nSERVER_PORT\nNUM_AGENCIES = 3\n", "line 2 is not key = value"),
        (b"[DEFAULT\nSERVER_PORT = 1\n", "line 1: the name of a section is not closed by ]"),
        (b"[DEFAULT]\nSTORAGE_FILEPATH = \"a\n", "line 2: the value begins with a quote that is not closed"),
        (b"\xff\xfe = 1\n", "it is not text in UTF-8"),
    ] {
        let folder = folder_with("config/server/config.ini", content);
        let error = misconfigured(&mut programs().server(folder.path()));
        assert_names(&error, &[&format!("config/server/config.ini: {expected}")]);
    }
    for content in [
        b"server: [".as_slice(),
        b"- a\n- b\n",
        b"just text",
        b"batch: {maxAmount: [1, 2]}\n",
        b"batch: {maxAmount: !!binary abc}\n",
        b"id: 1\nid: 2\n",
        b"\tid: 1\n",
        b"mode: \xff\n",
    ] {
        let folder = folder_with("config.yaml", content);
        assert_names(&misconfigured(&mut client_in(folder.path())), &["config.yaml: "]);
    }
}

#[test]
fn a_folder_in_place_of_a_configuration_file_is_named() {
    // Docker makes one if the file that it should mount is missing.
    let folder = folder();
    fs::create_dir(folder.path().join("config.ini")).expect("made");
    fs::create_dir(folder.path().join("config.yaml")).expect("made");
    assert_names(&misconfigured(&mut programs().server(folder.path())), &["config.ini: "]);
    assert_names(&misconfigured(&mut client_in(folder.path())), &["config.yaml: "]);
}

#[test]
fn a_file_named_config_is_no_error() {
    let folder = folder_with("config", "anything");
    let server = start(&mut programs().server(folder.path()));
    wait_for(&server, "action: listen | result: success");
    assert_names(&refusal(&mut client_in(folder.path())), &["agency-1.csv: there is no such file"]);
}

#[test]
fn an_unknown_key_is_warned_about_and_no_error() {
    let folder = folder_with("config.ini", "[DEFAULT]\nserver_prot = 1\nSERVER_IP = server\n");
    let mut server = programs().server(folder.path());
    let server = start(server.env("LOGGING_LEVEL", "DEBUG"));
    wait_for(&server, "action: listen | result: success");
    let said = server.lines().join("\n");
    assert!(said.contains("file: config.ini | unknown_key: SERVER_PROT | did_you_mean: SERVER_PORT\n"), "{said}");
    assert!(!said.contains("unknown_key: SERVER_IP") && said.contains("num_agencies: 5"), "{said}");

    let folder = folder_with("config.yaml", "server:\n  adress: \"a:1\"\nbatch:\n  size: 3\n");
    let variables = [("CLI_BATCH_MAX_AMOUNT", "1"), ("CLI_COLOR", "never"), ("CLOUD", "none")];
    let ended = run(client_in(folder.path()).envs(variables));
    assert_eq!(ended.lines_with("WARN ").len(), 4, "{:#?}", ended.lines);
    for line in [
        "file: config.yaml | unknown_key: server.adress | did_you_mean: server.address",
        "file: config.yaml | unknown_key: batch.size",
        "unknown_variable: CLI_BATCH_MAX_AMOUNT | did_you_mean: CLI_BATCH_MAXAMOUNT",
        "unknown_variable: CLI_COLOR",
    ] {
        let said = ended.lines.iter().filter(|said| said.ends_with(line)).count();
        assert_eq!(said, 1, "{line}: {:#?}", ended.lines);
    }
}

#[test]
fn a_byte_order_mark_does_not_hide_a_file() {
    let folder = folder_with("config.ini", "\u{feff}[DEFAULT]\nNUM_AGENCIES = 7\n");
    let line = server_config(folder.path(), &[]);
    assert_eq!(field(&line, "num_agencies"), Some("7"), "{line}");
    for text in ["\u{feff}1 = one of one\n", "\u{feff}[AGENCIES]\n1 = one of one\n"] {
        write(folder.path(), "secrets", text);
        let server = start(programs().server(folder.path()).env("AGENCIES_FILE", "secrets"));
        wait_for(&server, "action: agencies | result: success | num_agencies: 7 | credentials: 1");
    }
    let folder = folder_with("config.yaml", "\u{feff}loop:\n  amount: 7\n");
    let line = client_config(folder.path(), &[]);
    assert_eq!(field(&line, "loop_amount"), Some("7"), "{line}");
}
