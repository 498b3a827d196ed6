//! Bad configuration and bad files: one line that names the thing and says what would be valid, exit code 1, nothing stored.
//! And what is good: where each setting comes from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use crate::fixture::{Server as Central, programs, refusal, run, start, wait_for};
use loteria::config::{Key, client, server};
use loteria_tools::field;
use tempfile::TempDir;

/// Broken values of each key of `config.ini`, and words that say what would be valid.
const SERVER: [(&str, &[&str], &str); 18] = [
    ("SERVER_PORT", &["65536", "-1", "http", "12345.0", "0x10", "12 345", "99999999999999999999"], "0 to 65535"),
    ("SERVER_LISTEN_BACKLOG", &["0", "-5", "five"], "1 to 65535"),
    ("LOGGING_LEVEL", &["LOUD", "7", "INFO DEBUG"], "DEBUG, INFO, NOTICE, WARNING, ERROR or CRITICAL"),
    ("NUM_AGENCIES", &["-1", "100001", "all"], "0 to 100000"),
    ("STORAGE_SYNC", &["sometimes", "ALWAYS", "true"], "always or never"),
    ("MAX_CONNECTIONS", &["0", "many"], "1 to 1000000"),
    ("MAX_MESSAGE_BYTES", &["8191", "64k"], "8192 to 16777216"),
    ("MAX_BATCH_BETS", &["0", "1000001"], "1 to 1000000"),
    ("MAX_AGENCY_BETS", &["0", "4294967296", "all"], "1 to 4294967295"),
    ("MAX_ECHO_LINE_BYTES", &["0", "1048577"], "1 to 1048576"),
    ("MAX_ANONYMOUS_BYTES", &["65535", "1073741825", "64M"], "65536 to 1073741824"),
    ("MAX_UNSENT_BYTES", &["1023"], "1024 to 16777216"),
    ("MAX_TURN_BYTES", &["511"], "512 to 16777216"),
    ("MAX_TURN_ANSWERS", &["0", "65537"], "1 to 65536"),
    ("SILENCE_TIMEOUT", &["5", "-1s", "0s", "soon", "9000h", "1 s"], "100ms, 5s, 1.5s or 1m30s"),
    ("MESSAGE_TIMEOUT", &["5", "1d"], "100ms, 5s, 1.5s or 1m30s"),
    ("UNREAD_TIMEOUT", &["s", "1e3s"], "100ms, 5s, 1.5s or 1m30s"),
    ("AGENCIES_FILE", &["no-such-file"], "AGENCIES_FILE"),
];

/// Broken values of each key of `config.yaml`, and words that say what would be valid.
const CLIENT: [(&str, &[&str], &str); 11] = [
    ("id", &["0", "-1", "one", "1.5", "4294967296"], "1 to 4294967295"),
    ("server.address", &["server", ":12345", "server:", "server:0", "server:65536", "server:http"], "host:port"),
    ("mode", &["Echo", "both"], "lottery or echo"),
    ("loop.amount", &["-1", "many", "4294967296"], "0 to 4294967295"),
    ("loop.period", &["5", "0s", "-1s", "5 s", "1d"], "100ms, 5s, 1.5s or 1m30s"),
    ("log.level", &["LOUD", "1"], "DEBUG, INFO, NOTICE, WARNING, ERROR or CRITICAL"),
    ("batch.maxAmount", &["0", "65536", "all"], "1 to 65535"),
    ("batch.window", &["0", "129"], "1 to 128"),
    ("handshake", &["yes", "1"], "true or false"),
    ("retry.timeout", &["60", "never"], "100ms, 5s, 1.5s or 1m30s"),
    ("reply.timeout", &["60", "never"], "100ms, 5s, 1.5s or 1m30s"),
];

/// Keys of which any value may be right, or that other tests break.
const BROKEN_ELSEWHERE: [&str; 5] =
    ["SERVER_IP", "STORAGE_FILEPATH", "bets.file", "agency.credential", "agency.credentialFile"];

#[test]
fn the_tables_of_broken_values_are_complete() {
    let broken = SERVER.iter().chain(&CLIENT).map(|(name, ..)| *name).chain(BROKEN_ELSEWHERE);
    let broken: Vec<&str> = broken.collect();
    for Key { name, .. } in server::KEYS.iter().chain(&client::KEYS) {
        assert!(broken.contains(name), "no broken value for {name}");
    }
}

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

fn variable_of(name: &str, keys: &[Key]) -> &'static str {
    keys.iter().find(|key| key.name == name).unwrap_or_else(|| panic!("there is no {name}")).variable
}

/// A line of YAML, or two, that says `value` of the key `name`.
fn yaml(name: &str, value: &str) -> String {
    match name.split_once('.') {
        Some((section, key)) => format!("{section}:\n  {key}: \"{value}\"\n"),
        None => format!("{name}: \"{value}\"\n"),
    }
}

#[track_caller]
fn assert_names(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word} is not in: {error}");
    }
}

#[test]
fn each_broken_value_of_the_server_is_refused_from_the_environment_and_from_the_file() {
    for (name, values, valid) in SERVER {
        for value in values {
            let nothing = folder();
            let error = refusal(programs().server(nothing.path()).env(name, value));
            assert_names(&error, &[name, valid]);
            assert!(error.contains(&format!("{value:?}")) || error.contains(value), "{error}");
            assert_eq!(fs::read_dir(nothing.path()).expect("a folder").count(), 0, "nothing is stored");

            let with_file = folder_with("config.ini", format!("[DEFAULT]\n{name} = {value}\n"));
            let mut server = programs().server(with_file.path());
            let error = refusal(server.env_remove("SERVER_PORT"));
            assert_names(&error, &[name, valid]);
            assert!(!with_file.path().join("bets.csv").exists(), "nothing is stored");
        }
    }
}

#[test]
fn each_broken_value_of_the_client_is_refused_from_the_environment_and_from_the_file() {
    for (name, values, valid) in CLIENT {
        let variable = variable_of(name, &client::KEYS);
        for value in values {
            let error = refusal(client_in(folder().path()).env(variable, value));
            assert_names(&error, &[variable, valid, &format!("{value:?}")]);

            let with_file = folder_with("config.yaml", yaml(name, value));
            let error = refusal(client_in(with_file.path()).env_remove(variable));
            assert_names(&error, &[&format!("{name} in config.yaml"), valid, &format!("{value:?}")]);
        }
    }
}

#[test]
fn a_client_needs_to_be_told_which_agency_it_is() {
    for id in [None, Some(""), Some("  ")] {
        let (folder, mut client) = (folder(), client_in(Path::new("/")));
        client.current_dir(folder.path()).env_remove("CLI_ID");
        id.map(|id| client.env("CLI_ID", id));
        assert_names(&refusal(&mut client), &["CLI_ID is not set", "from 1"]);
    }
}

#[test]
fn a_variable_that_is_not_text_is_refused_and_not_passed_over() {
    let not_text = OsStr::from_bytes(b"\xff\xfe");
    for variable in ["SERVER_PORT", "STORAGE_FILEPATH", "STORAGE_SYNC"] {
        assert_names(&refusal(programs().server(folder().path()).env(variable, not_text)), &[variable, "UTF-8"]);
    }
    for variable in ["CLI_ID", "CLI_BETS_FILE", "NOMBRE", "NUMERO"] {
        assert_names(&refusal(client_in(folder().path()).env(variable, not_text)), &[variable, "UTF-8"]);
    }
    // Variables that are none of ours may say what they like.
    assert_names(&refusal(client_in(folder().path()).env("OTHER", not_text)), &["agency-1.csv"]);
}

#[test]
fn an_argument_that_is_no_option_is_refused() {
    for mut program in [programs().server(folder().path()), client_in(folder().path())] {
        program.current_dir("/");
        assert_names(&refusal(program.arg("--port=1 | result: success")), &["--port=1", "--help"]);
    }
}

#[test]
fn help_and_version_are_answered() {
    for (mut program, keys) in [
        (programs().server(Path::new("/")), server::KEYS.as_slice()),
        (client_in(Path::new("/")), client::KEYS.as_slice()),
    ] {
        let ended = run(program.arg("--help"));
        assert!(ended.status.success());
        let help = ended.lines.join("\n");
        for key in keys {
            assert!(help.contains(key.variable) && help.contains(key.meaning), "{} in {help}", key.variable);
        }
    }
    let ended = run(programs().server(Path::new("/")).arg("--version"));
    assert_eq!(ended.lines, [format!("server {}", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn a_file_of_configuration_that_can_not_be_understood_is_refused_by_its_name() {
    for content in [b"[DEFAULT]\nSERVER_PORT\n".as_slice(), b"[DEFAULT\nSERVER_PORT = 1\n", b"\xff\xfe = 1\n"] {
        let folder = folder_with("config/server/config.ini", content);
        assert_names(&refusal(&mut programs().server(folder.path())), &["config/server/config.ini: "]);
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
        assert_names(&refusal(&mut client_in(folder.path())), &["config.yaml: "]);
    }
}

#[test]
fn a_folder_where_a_file_of_configuration_should_be_is_refused_by_its_name() {
    // Docker makes one where the file that it is to mount is missing.
    let folder = folder();
    fs::create_dir(folder.path().join("config.ini")).expect("made");
    fs::create_dir(folder.path().join("config.yaml")).expect("made");
    assert_names(&refusal(&mut programs().server(folder.path())), &["config.ini: "]);
    assert_names(&refusal(&mut client_in(folder.path())), &["config.yaml: "]);
}

#[test]
fn a_file_named_config_is_no_folder_of_configuration_and_no_error() {
    let folder = folder_with("config", "anything");
    let server = start(&mut programs().server(folder.path()));
    wait_for(&server, "action: listen | result: success");
    assert_names(&refusal(&mut client_in(folder.path())), &["agency-1.csv: there is no such file"]);
}

#[test]
fn a_key_that_nobody_reads_is_warned_about_and_no_error() {
    let folder = folder_with("config.ini", "[DEFAULT]\nserver_prot = 1\nSERVER_IP = server\n");
    let mut server = programs().server(folder.path());
    let server = start(server.env("LOGGING_LEVEL", "DEBUG"));
    wait_for(&server, "action: listen | result: success");
    let said = server.lines().join("\n");
    assert!(
        said.contains("action: config | result: success | file: config.ini | unknown_key: SERVER_PROT\n"),
        "{said}"
    );
    assert!(!said.contains("unknown_key: SERVER_IP") && said.contains("num_agencies: 5"), "{said}");

    let folder = folder_with("config.yaml", "server:\n  adress: \"a:1\"\nbatch:\n  size: 3\n");
    let ended = run(&mut client_in(folder.path()));
    assert_eq!(ended.lines_with("WARN ").len(), 2, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("file: config.yaml | unknown_key: server.adress").len(), 1, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("file: config.yaml | unknown_key: batch.size").len(), 1, "{:#?}", ended.lines);
}

/// What the server says to be configured with.
fn server_config(folder: &Path, environment: &[(&str, &str)]) -> String {
    let mut server = programs().server(folder);
    let server = start(server.env("LOGGING_LEVEL", "DEBUG").envs(environment.iter().copied()));
    wait_for(&server, "action: config | result: success | port: ")
}

/// What a client that finds no file of bets says to be configured with.
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
fn files_of_configuration_are_looked_for_in_the_working_directory_first() {
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
fn level_names_of_python_and_of_go_are_understood_and_decide_what_is_said() {
    let nothing = folder();
    let said: BTreeMap<&str, Vec<String>> = ["DEBUG", "info", "NOTICE", "WARNING", "ERROR", "CRITICAL"]
        .into_iter()
        .map(|level| (level, run(client_in(nothing.path()).env("CLI_LOG_LEVEL", level)).lines))
        .collect();
    for (level, lines) in said {
        let configured = lines.iter().any(|line| line.contains("action: config | result: success"));
        assert_eq!(configured, ["DEBUG", "info"].contains(&level), "{level}: {lines:#?}");
        assert!(lines.last().is_some_and(|line| line.contains("action: exit | result: fail")), "{level}: {lines:#?}");
    }
}

#[test]
fn a_row_that_is_no_bet_is_refused_by_file_line_and_field() {
    let central = Central::start(1);
    let good = "Ana,Paz,1,2000-01-01,7574\r\n";
    let long = format!("{},Paz,1,2000-01-01,1", "x".repeat(256));
    let rows: [(&[u8], &str); 19] = [
        (b"Ana,Paz,1,2000-01-01", "4 fields instead of 5: first name, last name, document, birthdate, number"),
        (b"1,Ana,Paz,1,2000-01-01,7574", "6 fields instead of 5"),
        (b"Ana;Paz;1;2000-01-01;7574", "1 fields instead of 5"),
        (b"\"Ana,Paz,1,2000-01-01,7574", "1 fields instead of 5"),
        (b",Paz,1,2000-01-01,1", "first name is empty"),
        (b"Ana,,1,2000-01-01,1", "last name is empty"),
        (long.as_bytes(), "first name is longer than 255 bytes"),
        (b"\"A\nna\",Paz,1,2000-01-01,1", "first name has a control character"),
        (b"Ana,\x00Paz,1,2000-01-01,1", "last name has a control character"),
        (b"Jos\xe9,Paz,1,2000-01-01,1", "first name is not UTF-8"),
        (b"Ana,Nu\xf1ez,1,2000-01-01,1", "last name is not UTF-8"),
        (b"Ana,Paz,0,2000-01-01,1", "document is not between 1 and 99999999"),
        (b"Ana,Paz,100000000,2000-01-01,1", "document is not between 1 and 99999999"),
        (b"Ana,Paz, 1,2000-01-01,1", "document is not between 1 and 99999999"),
        (b"Ana,Paz,1,01/01/2000,1", "birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD"),
        (b"Ana,Paz,1,2000-02-30,1", "birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD"),
        (b"Ana,Paz,1,2999-01-01,1", "birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD"),
        (b"Ana,Paz,1,2000-01-01,10000", "number is not between 0 and 9999"),
        (b"Ana,Paz,1,2000-01-01,", "number is not between 0 and 9999"),
    ];
    for (row, fault) in rows {
        let file = central.folder.path().join("rows.csv");
        fs::write(&file, [good.repeat(2).as_bytes(), row, b"\r\n", good.as_bytes()].concat()).expect("written");
        let error = refusal(central.agency(1).env("CLI_BETS_FILE", &file));
        assert_names(&error, &[&format!("{} line 3: {fault}", file.display())]);
    }
    assert_eq!(central.bets(), "", "nothing of the batch is stored");
}

#[test]
fn what_was_sent_before_a_bad_row_stays_and_the_corrected_file_goes_on_from_there() {
    let central = Central::start(1);
    let row = |bet: u32| format!("Ana,Paz,{bet},2000-01-01,7574\r\n");
    let rows: Vec<String> = (1..=40).map(row).collect();
    let mut bad = rows.clone();
    bad[34] = "Ana,Paz,treinta y cinco,2000-01-01,7574\r\n".to_owned();
    let mut agency = central.agency_with_rows(1, &bad.concat());
    let error = refusal(agency.env("CLI_BATCH_MAXAMOUNT", "1").env("CLI_BATCH_WINDOW", "10"));
    assert_names(&error, &["agency-1.csv line 35: document"]);
    let stored = central.bets().lines().count();
    assert!((1..35).contains(&stored), "{stored}");
    assert!(run(&mut central.agency_with_rows(1, &rows.concat())).status.success());
    let expected: String = rows.iter().map(|row| format!("1,{row}")).collect();
    assert_eq!(central.bets(), expected);
}

#[test]
fn a_file_of_bets_that_is_not_there_or_no_file_is_refused_by_its_name() {
    let (central, folder) = (Central::start(1), folder());
    for (file, why) in [
        (folder.path().join("none.csv"), "there is no such file; set CLI_BETS_FILE"),
        (folder.path().to_owned(), "is a directory"),
        (folder.path().join("none/agency.csv"), "there is no such file; set CLI_BETS_FILE"),
    ] {
        let error = refusal(central.agency(1).env("CLI_BETS_FILE", &file));
        assert_names(&error, &[&file.display().to_string(), why, "CLI_BETS_FILE"]);
    }
    assert_eq!(central.bets(), "");
}

#[test]
fn an_agency_that_the_central_does_not_have_is_told_so() {
    let central = Central::start(2);
    let error = refusal(&mut central.agency_with_rows(3, "Ana,Paz,1,2000-01-01,7574\n"));
    assert_names(&error, &["code 5", "no such agency"]);
    assert_eq!(central.bets(), "");
}

#[test]
fn a_port_in_use_is_named_with_the_key_that_sets_another() {
    let other = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = other.local_addr().expect("an address").port().to_string();
    let error = refusal(programs().server(folder().path()).env("SERVER_PORT", &port));
    assert_names(&error, &[&format!("port {port}"), "SERVER_PORT"]);
}

#[test]
fn a_file_of_bets_that_can_not_be_written_is_named_with_the_key_that_sets_another() {
    let folder = folder_with("file", "");
    for path in ["no/such/folder/bets.csv", "file/bets.csv", "."] {
        let error = refusal(programs().server(folder.path()).env("STORAGE_FILEPATH", path));
        assert_names(&error, &[path, "STORAGE_FILEPATH"]);
    }
}

#[test]
fn a_second_server_on_the_same_files_is_refused_and_the_first_goes_on() {
    let central = Central::start(1);
    let error = refusal(&mut programs().server(central.folder.path()));
    assert_names(&error, &["bets.csv", "in use by another server", "STORAGE_FILEPATH"]);
    let ended = run(&mut central.agency_with_rows(1, "Ana,Paz,1,2000-01-01,7574\n"));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    let mut beside = programs().server(central.folder.path());
    wait_for(&start(beside.env("STORAGE_FILEPATH", "other.csv")), "action: listen | result: success");
}
