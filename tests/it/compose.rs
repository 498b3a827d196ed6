//! `generar-compose.sh`: the file that it writes, its errors and its warnings.
//!
//! These tests need bash only. `tests/docker.sh` starts the containers.

use loteria::bet::{Bet, Day, WINNER_NUMBER};
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

use crate::fixture::repository;

const SCRIPT: &str = "generar-compose.sh";
const COMMITTED: &str = "docker-compose-dev.yaml";

/// Variables that Compose passes on to the clients if they are set.
const CLIENT_VARIABLES: [&str; 8] =
    ["CLI_MODE", "CLI_LOG_LEVEL", "CLI_BATCH_PERIOD", "NOMBRE", "APELLIDO", "DOCUMENTO", "NACIMIENTO", "NUMERO"];

/// A folder with the script and the bets of some agencies.
struct Project {
    folder: TempDir,
}

impl Project {
    fn with_bets_of(agencies: u32) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::copy(repository().join(SCRIPT), folder.path().join(SCRIPT)).expect("the script");
        fs::create_dir(folder.path().join(".data")).expect("a folder for the bets");
        for agency in 1..=agencies {
            fs::write(folder.path().join(format!(".data/agency-{agency}.csv")), "").expect("a file of bets");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the written file")
    }

    /// Runs the script with an empty PATH, so that it has nothing but bash.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("bash");
        command.args(["-c", r#"PATH=/nowhere; exec "$BASH" ./generar-compose.sh "$@""#, "bash"]);
        command.args(arguments).current_dir(self.folder.path());
        CLIENT_VARIABLES.iter().chain(&["TLS"]).for_each(|name| _ = command.env_remove(name));
        command.envs(variables.iter().copied()).output().expect("bash")
    }

    /// The file that the script writes for so many agencies, and its output. It must succeed.
    fn compose(&self, agencies: u32, variables: &[(&str, &str)]) -> (String, Output) {
        let output = self.run(&["compose.yaml", &agencies.to_string()], variables);
        assert!(output.status.success(), "{output:?}");
        (self.read("compose.yaml"), output)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn parsed(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

/// The items of a service's list as text; none if it has no such list.
fn list(compose: &Value, service: &str, key: &str) -> Vec<String> {
    let items = compose["services"][service][key].as_sequence().cloned().unwrap_or_default();
    items.iter().map(|item| item.as_str().expect("text").to_owned()).collect()
}

/// The mounts of a service as `source target`, each of which is read-only and of a folder that must exist.
fn mounts(compose: &Value, service: &str) -> Vec<String> {
    let volumes = compose["services"][service]["volumes"].as_sequence().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    volumes
        .iter()
        .map(|volume| {
            assert_eq!(volume["type"], "bind");
            assert_eq!(volume["read_only"], true, "{volume:?}");
            assert_eq!(volume["bind"]["create_host_path"], false, "{volume:?}");
            format!("{} {}", text(&volume["source"]), text(&volume["target"]))
        })
        .collect()
}

fn service_names(compose: &Value) -> Vec<String> {
    let services = compose["services"].as_mapping().expect("services");
    services.keys().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_committed_file_is_what_the_script_writes_for_five_agencies() {
    let committed = fs::read_to_string(repository().join(COMMITTED)).expect("the committed file");
    assert_eq!(Project::with_bets_of(5).compose(5, &[]).0, committed);
}

#[test]
fn the_same_arguments_write_the_same_bytes_whatever_is_there() {
    let (plain, _) = Project::with_bets_of(3).compose(3, &[]);
    let variables = [("NOMBRE", "Ana"), ("NUMERO", "7574"), ("CLI_LOG_LEVEL", "DEBUG"), ("LOGGING_LEVEL", "DEBUG")];
    let project = Project::with_bets_of(0);
    fs::write(project.path("compose.yaml"), "what was there before").expect("a file");
    assert_eq!(project.compose(3, &variables).0, plain);
    assert_eq!(project.compose(3, &[]).0, plain);
}

#[test]
fn every_agency_has_an_identity_of_its_own() {
    let compose = parsed(&Project::with_bets_of(3).compose(3, &[]).0);
    assert_eq!(service_names(&compose), ["server", "client1", "client2", "client3", "netcat"]);
    assert_eq!(mounts(&compose, "server"), ["./config/server /loteria/config"]);
    let environment = ["NUM_AGENCIES=3", "LOGGING_LEVEL", "ADMIN_ADDRESS=0.0.0.0:8080"];
    assert_eq!(list(&compose, "server", "environment"), environment);
    for agency in 1..=3 {
        let name = format!("client{agency}");
        assert_eq!(mounts(&compose, &name), ["./config/client /loteria/config", "./.data /loteria/.data"]);
        assert_eq!(list(&compose, &name, "depends_on"), ["server"]);
        let environment = list(&compose, &name, "environment");
        assert_eq!(environment[0], format!("CLI_ID={agency}"));
        assert_eq!(environment[1..], CLIENT_VARIABLES, "a name without a value is passed on if it is set");
    }
}

#[test]
fn with_tls_every_container_gets_its_own_certificate_and_no_other() {
    let compose = parsed(&Project::with_bets_of(2).compose(2, &[("TLS", "1")]).0);
    assert_eq!(mounts(&compose, "server"), ["./config/server /loteria/config", "./.tls/server /loteria/tls"]);
    let environment = list(&compose, "server", "environment");
    assert!(environment.contains(&"TLS_REQUIRED=true".to_owned()), "{environment:?}");
    for agency in 1..=2 {
        let name = format!("client{agency}");
        assert_eq!(mounts(&compose, &name)[1], format!("./.tls/agency-{agency} /loteria/tls"));
        let environment = list(&compose, &name, "environment");
        assert!(environment.contains(&"CLI_TLS_KEY_FILE=/loteria/tls/key.pem".to_owned()), "{environment:?}");
    }
}

#[test]
fn the_containers_meet_on_one_network_and_publish_nothing() {
    let compose = parsed(&Project::with_bets_of(2).compose(2, &[]).0);
    assert_eq!(compose["name"], "tp0");
    assert_eq!(compose["networks"]["testing_net"]["ipam"]["config"][0]["subnet"], "172.25.125.0/24");
    for (name, image) in [("server", "server"), ("client1", "client"), ("client2", "client"), ("netcat", "busybox")] {
        let service = &compose["services"][name];
        assert_eq!(service["container_name"], name);
        assert_eq!(service["image"], format!("{image}:latest"));
        assert_eq!(list(&compose, name, "networks"), ["testing_net"]);
        assert!(service.get("ports").is_none(), "{name} publishes a port");
    }
    assert_eq!(list(&compose, "netcat", "profiles"), ["netcat"], "netcat is there when asked for");
}

#[test]
fn no_agencies_is_a_server_alone() {
    let (text, output) = Project::with_bets_of(0).compose(0, &[]);
    let compose = parsed(&text);
    assert_eq!(service_names(&compose), ["server", "netcat"]);
    assert_eq!(list(&compose, "server", "environment")[0], "NUM_AGENCIES=0");
    assert_eq!(stderr(&output), "");
}

#[test]
fn it_says_what_it_wrote() {
    let (_, output) = Project::with_bets_of(2).compose(2, &[]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(said, "generar-compose.sh: wrote compose.yaml: the server and 2 agencies\n");
}

#[test]
fn bad_arguments_show_the_usage_and_leave_the_file_unchanged() {
    let project = Project::with_bets_of(1);
    fs::write(project.path("kept.yaml"), "precious").expect("a file");
    let bad: [&[&str]; 12] = [
        &[],
        &["kept.yaml"],
        &["kept.yaml", "1", "2"],
        &["kept.yaml", ""],
        &["kept.yaml", "-1"],
        &["kept.yaml", "01"],
        &["kept.yaml", "1.5"],
        &["kept.yaml", "five"],
        &["kept.yaml", "1\n2"],
        &["kept.yaml", "18446744073709551617"],
        &[".data", "1"],
        &["no/such/folder.yaml", "1"],
    ];
    for arguments in bad {
        let output = project.run(arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains("usage: ./generar-compose.sh FILE N"), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert_eq!(project.read("kept.yaml"), "precious", "{arguments:?}");
    }
    assert!(!project.path("no").exists());
}

#[test]
fn one_warning_names_missing_bets_and_the_command_that_makes_them() {
    let project = Project::with_bets_of(2);
    fs::create_dir(project.path(".data/agency-3.csv")).expect("what Docker leaves of a missing file");
    for (agencies, expected) in [
        (2, ""),
        (4, ".data lacks the bets of 2 of 4 agencies (agency-3.csv agency-4.csv); \"make data AGENCIES=4\" makes them"),
        (9, ".data lacks the bets of 7 of 9 agencies (agency-3.csv agency-4.csv agency-5.csv ...); \"make data"),
    ] {
        let said = stderr(&project.compose(agencies, &[]).1);
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), usize::from(!expected.is_empty()), "{said}");
    }
}

#[test]
fn every_program_has_an_init_and_a_bounded_log() {
    let compose = parsed(&Project::with_bets_of(2).compose(2, &[]).0);
    for name in ["server", "client1", "client2"] {
        let service = &compose["services"][name];
        assert_eq!(service["init"], true, "{name}: a SIGTERM before the program's handler is not lost");
        assert_eq!(service["logging"]["options"]["max-size"], "20m", "{name}");
    }
}

#[test]
fn echo_clients_need_no_bets() {
    let (text, output) = Project::with_bets_of(0).compose(2, &[("CLI_MODE", "echo")]);
    assert_eq!(stderr(&output), "");
    let compose = parsed(&text);
    for name in ["client1", "client2"] {
        assert_eq!(mounts(&compose, name), ["./config/client /loteria/config"]);
        assert_eq!(list(&compose, name, "environment")[1], "CLI_MODE=${CLI_MODE:-echo}");
    }
}

#[test]
fn each_agency_can_have_one_bet_of_its_own() {
    let (text, output) = Project::with_bets_of(0).compose(12, &[("ONE_BET", "1")]);
    assert_eq!(stderr(&output), "", "their files are not needed");
    let compose = parsed(&text);
    let mut bets = BTreeSet::new();
    for agency in 1..=12 {
        let name = format!("client{agency}");
        assert_eq!(mounts(&compose, &name), ["./config/client /loteria/config"]);
        let part = |variable: &String| {
            let (name, value) = variable.split_once('=')?;
            let default = value.strip_prefix(&format!("${{{name}:-"))?.strip_suffix('}')?;
            Some((name.to_owned(), default.to_owned()))
        };
        let parts: Vec<(String, String)> = list(&compose, &name, "environment").iter().filter_map(part).collect();
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, &CLIENT_VARIABLES[3..]);
        let text = |index: usize| parts[index].1.as_bytes();
        let bet = Bet::parse(agency, [text(0), text(1), text(2), text(3), text(4)]).expect("a bet");
        bet.validate(Day::today()).expect("it is valid");
        assert_eq!(bet.has_won(WINNER_NUMBER), agency == 1);
        bets.insert((bet.document, bet.number));
    }
    assert_eq!(bets.len(), 12, "no two are the same");
}

#[test]
fn a_file_outside_the_project_comes_with_a_note_on_its_mounts() {
    let project = Project::with_bets_of(1);
    let elsewhere = TempDir::new().expect("a temporary folder");
    let file = elsewhere.path().join("compose.yaml");
    let output = project.run(&[file.to_str().expect("UTF-8"), "1"], &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(stderr(&output).contains("--project-directory"), "{output:?}");
    assert_eq!(fs::read_to_string(file).expect("the file"), project.compose(1, &[]).0);
}
