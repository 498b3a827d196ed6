//! Settings of the database: what is refused, in which words, and what is never shown.

use std::fs;
use std::process::Command;

use crate::database::{Database, certificates};
use crate::round::{Round, run, wait_for};

/// The last line of a server that does not start, with an exit code.
#[track_caller]
fn refused(command: &mut Command, code: i32) -> String {
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(code), "{:#?}", ended.lines);
    ended.lines.last().cloned().expect("it says why")
}

/// A round that needs no database.
fn nowhere() -> Round {
    Round::new("postgresql://loteria@127.0.0.1:1/loteria".to_owned(), 1, 1, 1)
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let round = nowhere();
    let password_file = round.folder.path().join("password");
    fs::write(&password_file, "secreto\n").expect("written");
    let password_file = password_file.to_str().expect("text");
    for (variables, words) in [
        (vec![("STORAGE_FILEPATH", "./bets.csv")], "can't be set together with STORAGE_FILEPATH"),
        (vec![("STORAGE_URL", "postgresql://a:secreto@h/d")], "has a password in it"),
        (vec![("PGPASSWORD", "secreto"), ("STORAGE_PASSWORD_FILE", password_file)], "together with PGPASSWORD"),
        (vec![("STORAGE_PASSWORD_FILE", "missing")], "No such file"),
    ] {
        let line = refused(round.server_command(0).envs(variables), 78);
        assert!(line.contains(words) && !line.contains("secreto"), "{line}");
    }
    for (variables, words) in [
        (vec![("STORAGE_URL", "mysql://h/d")], "STORAGE_URL is not the address of a database"),
        (vec![("STORAGE_URL", "postgresql://h/d?sslmode=require")], "set STORAGE_CA_FILE"),
        (vec![("STORAGE_CA_FILE", "missing")], "STORAGE_CA_FILE must be a file of certificates"),
    ] {
        let line = refused(round.server_command(0).envs(variables), 1);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn a_wrong_password_ends_the_start_and_a_right_one_is_never_shown() {
    let database = Database::start(&[]);
    database.ask("CREATE USER secretive PASSWORD 'a-secret'");
    database.ask("GRANT CREATE ON SCHEMA public TO secretive");
    let url = format!("postgresql://secretive@127.0.0.1:{}/postgres", database.port);
    let round = Round::new(url, 1, 1, 1);
    let line = refused(round.server_command(0).env("PGPASSWORD", "another"), 1);
    assert!(line.contains("password authentication failed") && line.contains("see STORAGE_URL"), "{line}");
    let file = round.folder.path().join("password");
    fs::write(&file, "a-secret\n").expect("written");
    let mut command = round.server_command(0);
    let server = crate::round::start(command.env("STORAGE_PASSWORD_FILE", &file).env("LOGGING_LEVEL", "DEBUG"));
    wait_for(&server, "action: listen | result: success");
    assert!(server.lines().iter().all(|line| !line.contains("a-secret")), "{:#?}", server.lines());
}

#[test]
fn another_num_agencies_is_refused_once_an_agency_has_closed() {
    let database = Database::start(&[]);
    let url = Database::url(&[database.port]);
    let few = Round::new(url.clone(), 1, 10, 1);
    let server = few.server(0);
    few.finish(few.start_agencies());
    drop(server);
    let more = Round::new(url, 2, 10, 1);
    let line = refused(&mut more.server_command(0), 1);
    assert!(line.contains("the stored round has 1 agencies, and NUM_AGENCIES is 2; set it to 1 again"), "{line}");
}

#[test]
fn another_num_agencies_is_taken_before_the_first_closing() {
    let database = Database::start(&[]);
    let url = Database::url(&[database.port]);
    for agencies in [1, 4] {
        let server = Round::new(url.clone(), agencies, 10, 1).server(0);
        wait_for(&server, "action: listen | result: success");
    }
    let round = Round::new(url, 2, 10, 1);
    let _server = round.server(0);
    round.finish(round.start_agencies());
}

#[test]
fn tables_of_another_version_are_left_alone() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 1, 10, 1);
    let server = round.server(0);
    wait_for(&server, "action: listen | result: success");
    drop(server);
    database.ask("UPDATE loteria_round SET version = 2");
    let line = refused(&mut round.server_command(0), 1);
    assert!(line.contains("of version 2, and this server needs version 1"), "{line}");
    assert_eq!(database.ask("SELECT epoch FROM loteria_round"), "1");
}

#[test]
fn a_user_that_may_not_create_tables_is_told() {
    let database = Database::start(&[]);
    database.ask("CREATE USER poor");
    let url = format!("postgresql://poor@127.0.0.1:{}/postgres", database.port);
    let line = refused(&mut Round::new(url, 1, 1, 1).server_command(0), 1);
    assert!(line.contains("permission denied for schema public (42501)"), "{line}");
}

#[test]
fn a_database_that_comes_later_is_waited_for() {
    let round = nowhere();
    let server = round.server(0);
    let line = wait_for(&server, "action: database | result: fail");
    assert!(line.contains("part: standby | retry_every: 1s"), "{line}");
    server.terminate();
    assert_eq!(server.wait().expect("it ended").status.code(), Some(0));
}

#[test]
fn an_export_is_the_file_of_the_course_byte_for_byte() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 2, 40, 1);
    let server = round.server(0);
    wait_for(&server, "action: listen | result: success");
    round.finish(round.start_agencies());
    let file = round.folder.path().join("bets.csv");
    let export = || {
        let mut command = Command::new(crate::round::programs().loteria);
        command.args(["export", "--into"]).arg(&file).env_clear().env("STORAGE_URL", &round.url).current_dir("/");
        run(&mut command)
    };
    let ended = export();
    assert_eq!(ended.lines, ["80 bets exported"]);
    let row = |id: u32, row: String| format!("{id},{row}\r\n");
    let rows_of = |id| crate::round::rows_of(id, 40).lines().map(|line| row(id, line.to_owned())).collect::<String>();
    assert_eq!(fs::read_to_string(&file).expect("exported"), rows_of(1) + &rows_of(2));
    // A file that is there is left alone.
    assert!(export().lines[0].contains("File exists"));
    database.ask("DELETE FROM loteria_bet WHERE agency = 2 AND position = 7");
    fs::remove_file(&file).expect("our own");
    let line = export().lines[0].clone();
    assert!(line.contains("bet 8 of agency 2: bet 7 was expected"), "{line}");
}

#[test]
fn a_database_is_checked_against_the_authorities() {
    let (known, other) = (certificates(), certificates());
    let path = |name: &str| known.path().join(name).display().to_string();
    let (certificate, key) = (path("database.pem"), path("database.key"));
    let settings = ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
    let database = Database::start(&settings.each_ref().map(String::as_str));
    let round = Round::new(Database::url(&[database.port]), 1, 10, 1);
    let mut command = round.server_command(0);
    let server = crate::round::start(command.env("STORAGE_CA_FILE", other.path().join("ca.pem")));
    let line = wait_for(&server, "action: database | result: fail");
    assert!(line.contains("invalid peer certificate"), "{line}");
    drop(server);
    let server = crate::round::start(command.env("STORAGE_CA_FILE", known.path().join("ca.pem")));
    wait_for(&server, "action: listen | result: success");
    let encrypted = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                     WHERE s.ssl AND a.application_name = 'loteria'";
    assert_eq!(database.ask(encrypted), "1");
    round.finish(round.start_agencies());
}
