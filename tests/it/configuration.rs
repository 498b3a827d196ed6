//! Configuration of both programs: each key at the limits of its valid values and beyond them, and where a setting comes from.

mod files;

use std::ffi::OsStr;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use crate::fixture::{misconfigured, programs, refusal, run, start, wait_for};
use loteria::config::{Key, Kind, MAX_CREDENTIAL_BYTES, Program, client, server};
use loteria_tools::{field, port_of};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A folder that has this one file.
fn folder_with(file: &str, content: impl AsRef<[u8]>) -> TempDir {
    let folder = folder();
    write(folder.path(), file, content);
    folder
}

fn write(folder: &Path, file: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, content).expect("written");
}

fn client_in(folder: &Path) -> Command {
    programs().client(folder, 1, 1)
}

/// A program in `folder` that ends as soon as it is configured, if it is: the server has no folder for its bets, the client no bets.
fn program_in(folder: &Path, program: &Program) -> Command {
    let mut command = if program.name == "server" { programs().server(folder) } else { client_in(folder) };
    command.env("STORAGE_FILEPATH", "no/bets.csv").env("CLI_RETRY_TIMEOUT", "1ms");
    command
}

/// The last words of a program that is configured, see [`program_in`].
const CONFIGURED: [&str; 3] = ["no/bets.csv", "there is no such file", "gave up after trying"];

/// The text of a file that sets `key`.
fn file_text(key: &Key, value: &str) -> String {
    match key.name.split_once('.') {
        _ if key.name == key.variable => format!("[DEFAULT]\n{} = {value}\n", key.name),
        Some((section, name)) => format!("{section}:\n  {name}: \"{value}\"\n"),
        None => format!("{}: \"{value}\"\n", key.name),
    }
}

#[track_caller]
fn assert_names(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
}

/// Values of `kind` that are valid, at their limits, and values that are not. Any path or text is valid.
fn examples(kind: Kind) -> (Vec<String>, Vec<String>) {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
    match kind {
        Kind::Whole(min, max) => {
            let beyond = [(i128::from(min) - 1).to_string(), (i128::from(max) + 1).to_string(), format!("+{min}")];
            let nonsense = owned(&["many", "-5", "1.0", "1 0", "1e1", "0x10", "64k", "99999999999999999999", ""]);
            (vec![min.to_string(), max.to_string()], [beyond.as_slice(), &nonsense].concat())
        }
        Kind::Duration => {
            let beyond = ["0s", "8760h1ns", "-1s", "5", "1 s", "5 s", "1d", "1e3s", "s", "soon", ""];
            (owned(&["1ns", "8760h", "1m30s"]), owned(&beyond))
        }
        Kind::OneOf(words) => (owned(words), owned(&["LOUD", "both", "7", &words[..2].join(" "), ""])),
        Kind::Addresses => {
            let others = [
                "a:1,",
                "a:1,b",
                ",a:1",
                "server",
                ":12345",
                "server:",
                "server:0",
                "server:65536",
                "server:+1",
                "server:http",
                "",
            ];
            (owned(&["a:1", "a:65535", "[::1]:7", "a:1,b:2, [::1]:7"]), owned(&others))
        }
        Kind::Listen => {
            let others = ["127.0.0.1", ":8080", "localhost:8080", "127.0.0.1:65536", "::1:8080x", "127.0.0.1:http", ""];
            (owned(&["127.0.0.1:0", "0.0.0.0:65535", "[::1]:8080"]), owned(&others))
        }
        Kind::Host => {
            let others = ["127.0.0", "127.0.0.1:80", "[::1]", "256.0.0.1", "fe80::1%lo", "a b", "1234", ""];
            (
                owned(&["127.0.0.1", "0.0.0.0", "::1", "::", "localhost", "server", "central_1.example.org"]),
                owned(&others),
            )
        }
        Kind::Path => (Vec::new(), owned(&[""])),
        Kind::Text => (Vec::new(), Vec::new()),
        Kind::Secret => {
            let [longest, too_long] = [0, 1].map(|more| "x".repeat(MAX_CREDENTIAL_BYTES + more));
            (vec!["x".to_owned(), longest], vec![too_long])
        }
    }
}

#[test]
fn each_key_takes_its_valid_values_wherever_they_are_set() {
    for program in [&server::PROGRAM, &client::PROGRAM] {
        // The last line has another form with other forms: see log_formats.rs. TLS_REQUIRED needs a certificate beside it: see
        // `tls::files`.
        const ELSEWHERE: [&str; 2] = ["LOG_FORMAT", "TLS_REQUIRED"];
        for key in program.keys().filter(|key| !ELSEWHERE.contains(&key.variable)) {
            for value in examples(key.kind).0 {
                let error = refusal(program_in(folder().path(), program).env(key.variable, &value));
                assert!(CONFIGURED.iter().any(|end| error.contains(end)), "{} = {value:?}: {error}", key.variable);
                let with_file = folder_with(program.file, file_text(key, &value));
                let error = refusal(program_in(with_file.path(), program).env_remove(key.variable));
                assert!(CONFIGURED.iter().any(|end| error.contains(end)), "{} = {value:?}: {error}", key.name);
            }
        }
    }
}

#[test]
fn each_key_refuses_other_values_and_says_which_are_valid() {
    for program in [&server::PROGRAM, &client::PROGRAM] {
        for key in program.keys() {
            let shown = |value: &str| if key.kind == Kind::Secret { String::new() } else { format!("{value:?}") };
            let valid = if key.kind == Kind::Secret { "255 bytes".to_owned() } else { key.kind.to_string() };
            for value in examples(key.kind).1 {
                // An empty variable is not set.
                if !value.is_empty() {
                    let nothing = folder();
                    let error = misconfigured(program_in(nothing.path(), program).env(key.variable, &value));
                    assert_names(&error, &[key.variable, &valid, &shown(&value)]);
                    assert_eq!(fs::read_dir(nothing.path()).expect("a folder").count(), 0, "nothing is made");
                }
                let with_file = folder_with(program.file, file_text(key, &value));
                let error = misconfigured(program_in(with_file.path(), program).env_remove(key.variable));
                let place = format!("{} in {}", key.name, program.file);
                let place = if key.kind == Kind::Secret { key.name } else { &place };
                assert_names(&error, &[place, &valid, &shown(&value)]);
                assert!(key.kind != Kind::Secret || !error.contains(&value), "{error}");
                assert_eq!(fs::read_dir(with_file.path()).expect("a folder").count(), 1, "nothing is made");
            }
        }
    }
}

#[test]
fn a_file_of_credentials_that_is_missing_is_named_with_its_key() {
    let error = misconfigured(programs().server(folder().path()).env("AGENCIES_FILE", "no-such-file"));
    assert_names(&error, &["no-such-file", "AGENCIES_FILE"]);
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_database_needs_a_server_that_was_built_for_it() {
    let error = misconfigured(programs().server(folder().path()).env("STORAGE_URL", "postgresql://h/d"));
    assert_names(&error, &["STORAGE_URL", "build it with --features postgres"]);
}

#[test]
fn a_client_needs_an_agency_number() {
    for id in [None, Some(""), Some("  ")] {
        let (folder, mut client) = (folder(), client_in(Path::new("/")));
        client.current_dir(folder.path()).env_remove("CLI_ID");
        id.map(|id| client.env("CLI_ID", id));
        assert_names(&misconfigured(&mut client), &["CLI_ID is not set", "from 1"]);
    }
}

#[test]
fn a_variable_that_is_not_text_is_refused() {
    let not_text = OsStr::from_bytes(b"\xff\xfe");
    for variable in ["SERVER_PORT", "STORAGE_FILEPATH", "STORAGE_SYNC"] {
        assert_names(&misconfigured(programs().server(folder().path()).env(variable, not_text)), &[variable, "UTF-8"]);
    }
    for variable in ["CLI_ID", "CLI_BETS_FILE", "NOMBRE", "NUMERO"] {
        assert_names(&misconfigured(client_in(folder().path()).env(variable, not_text)), &[variable, "UTF-8"]);
    }
    // Other variables may hold anything.
    assert_names(&refusal(client_in(folder().path()).env("OTHER", not_text)), &["agency-1.csv"]);
}

#[test]
fn an_unknown_argument_is_a_usage_error_on_standard_error() {
    for mut program in [programs().server(folder().path()), client_in(folder().path())] {
        let output = program.current_dir("/").arg("--port=1\n").output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_names(&said, &["\"--port=1\\n\" is not an option; --help"]);
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn help_and_version_are_answered() {
    for program in [&server::PROGRAM, &client::PROGRAM] {
        let ended = run(program_in(Path::new("/"), program).arg("--help"));
        assert!(ended.status.success());
        let help = ended.lines.join("\n");
        for Key { variable, name, default, kind, help: meaning } in program.keys() {
            assert_names(&help, &[variable, name, default, &kind.to_string(), meaning]);
        }
    }
    let ended = run(programs().server(Path::new("/")).arg("--version"));
    assert_eq!(ended.lines, [format!("server {}", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn the_server_listens_on_the_address_of_server_ip() {
    let folder = folder();
    for (ip, expected) in [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "::1"),
        ("::", "::"),
        ("server", "0.0.0.0"),
        ("", "0.0.0.0"),
    ] {
        if ip.contains(':') && TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let server = start(programs().server(folder.path()).env("SERVER_IP", ip));
        let line = wait_for(&server, "action: listen | result: success");
        assert_eq!(field(&line, "ip"), Some(expected), "{ip}: {line}");
        let port = port_of(&server).expect("a port");
        let answers = |address: &str| TcpStream::connect((address, port)).is_ok();
        let is_everywhere = ["0.0.0.0", "::"].contains(&expected);
        assert_eq!(answers("127.0.0.1"), is_everywhere || expected == "127.0.0.1", "{ip}");
        assert_eq!(answers("127.0.0.3"), is_everywhere, "{ip}");
        if expected == "::" {
            wait_for(&server, "action: accept_connections | result: success | ip: 127.0.0.1");
        }
    }
    let line = server_config(folder.path(), &[("SERVER_IP", "server")]);
    assert_eq!(field(&line, "ip"), Some("every address, because \"server\" is a host name"), "{line}");
    let error = refusal(programs().server(folder.path()).env("SERVER_IP", "192.0.2.1"));
    assert_names(&error, &["192.0.2.1:", "SERVER_IP"]);
}

/// The line of the server that says its configuration.
fn server_config(folder: &Path, environment: &[(&str, &str)]) -> String {
    let mut server = programs().server(folder);
    let server = start(server.env("LOGGING_LEVEL", "DEBUG").envs(environment.iter().copied()));
    wait_for(&server, "action: config | result: success | port: ")
}

/// The line of a client without bets that says its configuration.
fn client_config(folder: &Path, environment: &[(&str, &str)]) -> String {
    let mut client = client_in(folder);
    let client = start(client.env_remove("CLI_SERVER_ADDRESS").envs(environment.iter().copied()));
    wait_for(&client, "action: config | result: success | client_id: ")
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let (nothing, with_file) =
        (folder(), folder_with("config.ini", "[DEFAULT]\nNUM_AGENCIES = 7\nSTORAGE_SYNC: never\n"));
    for (folder, environment, agencies, sync) in [
        (&nothing, [("NUM_AGENCIES", ""), ("A", "")], "5", "always"),
        (&nothing, [("NUM_AGENCIES", "9"), ("STORAGE_SYNC", "never")], "9", "never"),
        (&with_file, [("NUM_AGENCIES", ""), ("A", "")], "7", "never"),
        (&with_file, [("NUM_AGENCIES", "9"), ("STORAGE_SYNC", "always")], "9", "always"),
    ] {
        let line = server_config(folder.path(), &environment);
        assert_eq!(
            (field(&line, "num_agencies"), field(&line, "storage_sync")),
            (Some(agencies), Some(sync)),
            "{line}"
        );
    }

    let with_file = folder_with("config.yaml", "server:\n  address: \"filed:1\"\nloop: {amount: 7, period: 90s}\n");
    for (folder, environment, expected) in [
        (&nothing, [("A", ""), ("B", "")], ["server:12345", "5", "5s"]),
        (&nothing, [("CLI_SERVER_ADDRESS", "e:2"), ("CLI_LOOP_PERIOD", "1.5s")], ["e:2", "5", "1.5s"]),
        (&with_file, [("A", ""), ("CLI_LOOP_AMOUNT", "")], ["filed:1", "7", "1m30s"]),
        (&with_file, [("CLI_SERVER_ADDRESS", "e:2"), ("CLI_LOOP_AMOUNT", "9")], ["e:2", "9", "1m30s"]),
    ] {
        let line = client_config(folder.path(), &environment);
        let found = ["server_address", "loop_amount", "loop_period"].map(|key| field(&line, key).expect(key));
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn configuration_files_in_the_working_directory_come_first() {
    let folder = folder();
    let mut agencies = 10;
    for file in ["config/server/config.ini", "config/config.ini", "config.ini"] {
        agencies += 1;
        write(folder.path(), file, format!("NUM_AGENCIES={agencies}\n"));
        let line = server_config(folder.path(), &[]);
        assert_eq!(field(&line, "num_agencies"), Some(agencies.to_string().as_str()), "{file}: {line}");
    }
    for file in ["config/client/config.yaml", "config/config.yaml", "config.yaml"] {
        write(folder.path(), file, format!("server: {{address: \"{}:1\"}}", file.replace('/', "-")));
        let line = client_config(folder.path(), &[]);
        assert_eq!(field(&line, "server_address"), Some(format!("{}:1", file.replace('/', "-")).as_str()), "{line}");
    }
}

#[test]
fn level_names_of_python_and_of_go_select_what_is_logged() {
    let nothing = folder();
    for level in ["DEBUG", "info", "NOTICE", "WARNING", "ERROR", "CRITICAL"] {
        let ended = run(client_in(nothing.path()).env("CLI_LOG_LEVEL", level));
        let is_configuration_logged = !ended.lines_with("action: config | result: success").is_empty();
        assert_eq!(is_configuration_logged, ["DEBUG", "info"].contains(&level), "{level}: {:#?}", ended.lines);
        let last = ended.lines.last().expect("a line");
        assert!(last.contains("action: exit | result: fail"), "{level}: {last}");
    }
}

#[test]
fn a_long_value_does_not_hide_what_is_valid() {
    let long = "x".repeat(5000);
    for variable in ["SERVER_PORT", "LOGGING_LEVEL"] {
        let error = misconfigured(programs().server(folder().path()).env(variable, &long));
        assert_names(&error, &[variable, "xxx\"... (5000 bytes) is not valid, it must be "]);
        assert!(error.len() < 500, "{error}");
    }
}
