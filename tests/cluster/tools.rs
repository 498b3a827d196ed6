//! `loteria verify` and `loteria winners` over a database.

use std::fs;
use std::process::Command;

use loteria_tools::Ended;

use crate::database::Database;
use crate::round::{Round, programs, rows_of, run, start, wait_for};

const LISTENS: &str = "action: listen | result: success";

/// Runs the tool in the folder of `round`, on its database.
fn tool(round: &Round, url: &str, arguments: &str) -> Ended {
    let mut command = Command::new(programs().loteria);
    command.args(arguments.split(' ')).env_clear().env("STORAGE_URL", url).current_dir(round.folder.path());
    run(&mut command)
}

/// The output of the tool about a round.
#[track_caller]
fn shown(round: &Round, arguments: &str) -> Vec<String> {
    let ended = tool(round, &round.url, arguments);
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    ended.lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Checks that the tool fails with a line that contains `words`.
#[track_caller]
fn refused(round: &Round, arguments: &str, words: &str) {
    let ended = tool(round, &round.url, arguments);
    assert_eq!(ended.status.code(), Some(1), "{words:?}: {:#?}", ended.lines);
    assert!(ended.lines.iter().any(|line| line.contains(words)), "{words:?}: {:#?}", ended.lines);
}

/// A round of two agencies with 40 bets each, drawn, without a server.
fn drawn(database: &Database) -> Round {
    let round = Round::new(Database::url(&[database.port]), 2, 40, 1);
    let server = round.server(0);
    wait_for(&server, LISTENS);
    round.finish(round.start_agencies());
    round
}

#[test]
fn winners_come_out_of_a_database_after_the_draw_only() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 2, 40, 1);
    refused(&round, "winners", "the database holds no round; STORAGE_URL must name that of a server");
    let server = round.server(0);
    wait_for(&server, LISTENS);
    refused(&round, "winners", "the round is not drawn: 0 of its agencies have closed, and the draw waits for 1 2");
    let first = start(&mut round.agency_command(1));
    wait_for(&server, "action: cierre_agencia");
    refused(&round, "winners", "the round is not drawn: 1 of its agencies have closed, and the draw waits for 2");
    let second = start(&mut round.agency_command(2));
    round.finish(vec![first, second]);
    let rows = [
        "1,1000000,Ana,\"Paz, 1\"",
        "1,1000001,Ana,\"Paz, 1\"",
        "2,2000000,Ana,\"Paz, 2\"",
        "2,2000001,Ana,\"Paz, 2\"",
    ];
    let header = "agency,document,first_name,last_name";
    assert_eq!(shown(&round, "winners --format csv"), [&[header], &rows[..]].concat());
    assert_eq!(shown(&round, "winners --format csv --agency 2"), [&[header], &rows[2..]].concat());
    refused(&round, "winners --agency 3", "agency 3 is not one of the 2 of the round");
}

#[test]
fn verify_shows_a_round_in_a_database_and_compares_it_with_files() {
    let database = Database::start(&[]);
    let round = drawn(&database);
    let lines = shown(&round, "verify --data .");
    assert!(lines[0].starts_with("loteria_round: epoch 1, drawn at 2"), "{lines:#?}");
    assert!(lines[0].ends_with("Z, number 7574"), "{lines:#?}");
    let expected = [
        "loteria_agency: 2 of 2 agencies have closed; totals and checksums are those of the bets",
        "loteria_bet: 80 bets, every position once",
        "",
        "agency        bets  winners  standing",
        "     1          40        2  closed; all rows of ./agency-1.csv, in order",
        "     2          40        2  closed; all rows of ./agency-2.csv, in order",
        "",
        "The database is whole.",
    ];
    assert_eq!(lines[1..], expected);
    let file = round.folder.path().join("other.csv");
    fs::write(&file, rows_of(2, 40).replace("2000006,", "2000060,")).expect("written");
    refused(&round, "verify --agency 2=other.csv", "line 47 of the stored bets is not the next one of agency 2");
    fs::write(&file, rows_of(2, 41)).expect("written");
    refused(&round, "verify --agency 2=other.csv", "agency 2 has closed with 40 bets, and other.csv has more");
}

#[test]
fn verify_finds_what_was_changed_in_the_tables() {
    const COPY: &str = "CREATE TABLE a AS TABLE loteria_agency; CREATE TABLE b AS TABLE loteria_bet; \
                        CREATE TABLE r AS TABLE loteria_round";
    const RESTORE: &str = "TRUNCATE loteria_agency, loteria_bet, loteria_round; INSERT INTO loteria_agency TABLE a; \
                           INSERT INTO loteria_bet TABLE b; INSERT INTO loteria_round TABLE r";
    let database = Database::start(&[]);
    let round = drawn(&database);
    database.ask(COPY);
    for (change, words) in [
        ("DELETE FROM loteria_bet WHERE agency = 2 AND position = 7", "bet 8 of agency 2: bet 7 was expected"),
        ("DELETE FROM loteria_bet WHERE agency = 1 AND position = 40", "counts 40 bets with checksum"),
        (
            "INSERT INTO loteria_bet SELECT * FROM loteria_bet WHERE position = 7",
            "bet 7 of agency 1: bet 8 was expected",
        ),
        ("UPDATE loteria_bet SET position = 41 - position WHERE agency = 2", "of agency 2, and loteria_bet holds"),
        ("UPDATE loteria_bet SET document = 5 WHERE agency = 1 AND position = 9", "of agency 1, and loteria_bet holds"),
        ("UPDATE loteria_bet SET document = -5 WHERE position = 9", "bet 9 of agency 1: -5 is negative"),
        ("UPDATE loteria_bet SET agency = 3 WHERE agency = 2", "agency 3 is not one of the 2"),
        (
            "UPDATE loteria_agency SET checksum = checksum # 1 WHERE agency = 2",
            "of agency 2, and loteria_bet holds 40 bets",
        ),
        ("UPDATE loteria_agency SET bets = -1 WHERE agency = 2", "the database holds -1 as bets"),
        (
            "UPDATE loteria_agency SET closed = false WHERE agency = 2",
            "the time of the draw, and agency 2 has not closed",
        ),
        ("UPDATE loteria_agency SET agency = 3 WHERE agency = 2", "does not have the agencies 1 to 2 of loteria_round"),
        (
            "UPDATE loteria_round SET drawn_at = NULL",
            "every agency has closed, and loteria_round has no time of the draw",
        ),
        ("UPDATE loteria_round SET version = 2", "of version 2, and this program reads version 1"),
        ("DELETE FROM loteria_round", "the database holds no round"),
    ] {
        database.ask(change);
        refused(&round, "verify", words);
        refused(&round, "winners", words);
        database.ask(RESTORE);
        shown(&round, "verify --data .");
    }
}

#[test]
fn verify_of_a_running_round_reads_one_snapshot() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 3, 1500, 1);
    let server = round.server(0);
    wait_for(&server, LISTENS);
    let agencies = round.start_agencies();
    for bets in 1..=10 {
        database.wait_for_bets(bets * 300);
        shown(&round, "verify --data .");
    }
    round.finish(agencies);
}

#[test]
fn verify_and_winners_need_only_the_right_to_read() {
    let database = Database::start(&[]);
    let round = drawn(&database);
    database.ask("CREATE USER reader");
    database.ask("GRANT SELECT ON loteria_round, loteria_agency, loteria_bet TO reader");
    let url = round.url.replace("loteria@", "reader@");
    for command in ["verify", "winners", "export --into bets.csv"] {
        let ended = tool(&round, &url, command);
        assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    }
    // A file that is named is read, whatever STORAGE_URL says.
    fs::write(round.folder.path().join("bets.csv.closed"), "").expect("written");
    assert!(shown(&round, "verify --data . --file bets.csv")[0].starts_with("bets.csv: "));
}

#[test]
fn commands_on_files_refuse_a_round_in_a_database() {
    let round = Round::new("postgresql://loteria@127.0.0.1:1/loteria".to_owned(), 1, 1, 1);
    for command in ["backup copy", "close --agency 1 --bets 0 --reason lost"] {
        refused(&round, command, "the round is in the database of STORAGE_URL");
    }
    assert!(!round.folder.path().join("copy").exists());
}
