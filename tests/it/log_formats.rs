//! The form of the log's lines: text, JSON or the journal's.

use crate::fixture::{ROW, Server, programs, rows, run, start, succeeded, wait_for};
use loteria_tools::Ended;
use serde_yaml::Value;

/// Plays a round with the log in `format`. Gives the logs of the server and of the agency.
fn play(format: &str) -> [Ended; 2] {
    // The port is in a line of text, so it is known beforehand.
    let folder = tempfile::tempdir().expect("a folder");
    let port = crate::fixture::lasting_port();
    let mut server = programs().server(folder.path());
    let server = server.env("LOG_FORMAT", format).env("NUM_AGENCIES", "1").env("SERVER_PORT", port.to_string());
    let server = start(server);
    wait_for(&server, "accept_connections");
    let mut agency = crate::fixture::agency(folder.path(), 1, port, ROW);
    let agency = succeeded(start(agency.env("LOG_FORMAT", format)));
    server.terminate();
    [succeeded(server), agency]
}

#[test]
fn a_log_in_json_has_an_object_on_each_line() {
    for (ended, program) in play("json").iter().zip(["server", "client"]) {
        for line in &ended.lines {
            // JSON is a part of YAML.
            let object: Value = serde_yaml::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let of = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}"));
            let is_time = of("time").len() == "2026-11-25T12:00:00.000Z".len() && of("time").ends_with('Z');
            assert!(is_time && of("program") == program && !of("action").is_empty(), "{line}");
            assert!(["DEBUG", "INFO", "WARN", "ERROR"].contains(&of("level")), "{line}");
            assert!(["success", "fail", "in_progress"].contains(&of("result")), "{line}");
            assert!(object["fields"].as_mapping().is_some(), "{line}");
        }
    }
}

#[test]
fn a_value_is_a_field_of_the_object() {
    let [server, agency] = play("json");
    let told = agency.lines_with("consulta_ganadores");
    assert!(told[0].ends_with(r#""result":"success","fields":{"cant_ganadores":"1"}}"#), "{told:?}");
    let stored = server.lines_with("apuesta_almacenada");
    assert!(stored[0].ends_with(r#""fields":{"dni":"1","numero":"7574"}}"#), "{stored:?}");
}

#[test]
fn lines_of_a_burst_have_the_form_of_a_line_alone() {
    let server = Server::start(1);
    succeeded(start(server.agency_with_rows(1, &rows(3000)).env("CLI_BATCH_MAXAMOUNT", "1")));
    let ended = server.stop();
    // 2026-11-25 12:00:00 INFO  [server] action: ...
    let form = |line: &str| {
        let digits_as_zeros = |c: char| if c.is_ascii_digit() { '0' } else { c };
        line.split("action: ").next().unwrap_or_default().chars().map(digits_as_zeros).collect::<String>()
    };
    for line in ended.lines.iter().filter(|line| line.contains("INFO")) {
        assert_eq!(form(line), "0000-00-00 00:00:00 INFO  [server] ", "{line}");
    }
    assert_eq!(ended.lines_with("apuesta_almacenada").len(), 3000);
}

#[test]
fn a_log_for_the_journal_has_priorities_and_no_time() {
    for ended in play("journal") {
        let is_line = |line: &String| {
            let (priority, text) = line.split_at_checked(3).expect("a priority");
            ["<3>", "<4>", "<6>", "<7>"].contains(&priority) && text.starts_with("action: ")
        };
        assert!(ended.lines.iter().all(is_line), "{:#?}", ended.lines);
        assert_eq!(ended.lines_with("<6>action: exit | result: success").len(), 1, "{:#?}", ended.lines);
    }
}

#[test]
fn an_error_of_the_configuration_has_the_form_of_the_other_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = run(programs().server(folder.path()).env("LOG_FORMAT", "journal").env("SERVER_PORT", "x"));
    assert_eq!(server.status.code(), Some(78));
    assert!(server.lines[0].starts_with("<3>action: exit | result: fail | error: SERVER_PORT"), "{:?}", server.lines);
    let server = Server::start(1);
    assert!(wait_for(&server.process, "action: listen").starts_with("20"), "text is the default");
}
