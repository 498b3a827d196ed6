//! Exercises 6 to 8: agencies with files of bets, a server, one draw, and each agency told its own winners.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, CLOSED, REGISTER_BET_OK, REQUEST_WINNERS, hello, inform_winners, register_bets, welcome,
};
use crate::fixture::{
    Outcome, Server, programs, repository, rows, run, start, succeeded, sum_of, wait_for, wait_for_nth,
};
use loteria::bet::WINNER_NUMBER;
use loteria_tools::check::{Sent, compare};
use loteria_tools::{Ended, Process, agency_files, field};
use rustix::process::Signal;

/// Plays a round of one agency for each of `files` to its end, and checks what is true of any round: one draw, and each
/// bet received once and acknowledged once. Returns what the server printed, too.
fn play(files: &[PathBuf], configure_agency: impl Fn(&mut Command)) -> (Outcome, Ended) {
    let server = Server::start(files.len() as u32);
    let start_agency = |(id, file)| {
        let mut agency = server.agency(id);
        configure_agency(agency.env("CLI_BETS_FILE", file).env("CLI_LOG_LEVEL", "DEBUG"));
        start(&mut agency)
    };
    let agencies = (1..).zip(files).map(start_agency).collect();
    let outcome = Outcome::check(&server, files, agencies);
    for (agency, sent) in outcome.agencies.iter().zip(&outcome.sent) {
        assert_eq!(sum_of(agency, "action: apuesta_enviada | result: success", "cantidad"), sent.bets);
        assert_eq!(
            agency.lines_with("action: ganadores |").len(),
            sent.winners.len().div_ceil(20),
            "{:#?}",
            agency.lines
        );
    }
    let server = server.stop();
    assert_eq!(server.status.code(), Some(0), "{:#?}", server.lines);
    assert_eq!(server.lines_with("action: sorteo | result: success").len(), 1);
    let bets: u64 = outcome.sent.iter().map(|sent| sent.bets).sum();
    assert_eq!(sum_of(&server, "action: apuesta_recibida | result: success", "cantidad"), bets);
    (outcome, server)
}

/// Writes a file of `bets` bets, every fiftieth of which wins.
fn write_file(folder: &Path, agency: u32, bets: u32) -> PathBuf {
    let row = |bet: u32| {
        let (document, number) = (agency * 1_000_000 + bet, if bet.is_multiple_of(50) { 7574 } else { bet % 7574 });
        format!("Nombre {bet},\"Apellido, {agency}\",{document},1984-03-{:02},{number}\r\n", 1 + bet % 31)
    };
    let file = folder.join(format!("agency-{agency}.csv"));
    fs::write(&file, (1..=bets).map(row).collect::<String>()).expect("written");
    file
}

fn write_files(folder: &Path, bets: &[u32]) -> Vec<PathBuf> {
    (1..).zip(bets).map(|(agency, &bets)| write_file(folder, agency, bets)).collect()
}

/// The number of bets in each of the five files of `.data`, and in each of the course's.
const BETS: [u64; 5] = [26_936, 25_518, 16_014, 9_238, 991];

#[test]
fn the_five_files_of_the_repository_are_stored_drawn_once_and_told() {
    let (outcome, _) = play(&agency_files(&repository().join(".data")), |_| ());
    assert_eq!(outcome.sent.iter().map(|sent| sent.bets).collect::<Vec<u64>>(), BETS);
}

#[test]
fn the_dataset_of_the_course_has_the_winners_that_the_course_says() {
    let Some(archive) = std::env::var_os("LOTERIA_DATASET") else {
        // The harness hides what `println!` prints in a test that passes.
        let _ = writeln!(io::stderr(), "skipped: LOTERIA_DATASET does not name the course's dataset.zip");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(archive, folder.path().join("dataset.zip")).expect("the file that LOTERIA_DATASET names");
    succeeded(start(Command::new(programs().loteria).arg("data").arg("--into").arg(folder.path())));
    let (outcome, _) = play(&agency_files(folder.path()), |_| ());
    assert_eq!(outcome.sent.iter().map(|sent| sent.bets).collect::<Vec<u64>>(), BETS);
    assert_eq!(outcome.sent.iter().map(|sent| sent.winners.len()).collect::<Vec<usize>>(), [2, 3, 3, 2, 0]);
}

#[test]
fn the_outcome_does_not_depend_on_the_batch_size_or_the_window() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_files(folder.path(), &[331, 150]);
    for (amount, window) in [("1", "1"), ("1", "64"), ("7", "1"), ("100", "64"), ("65535", "16")] {
        let (_, server) = play(&files, |agency| {
            agency.env("CLI_BATCH_MAXAMOUNT", amount).env("CLI_BATCH_WINDOW", window);
        });
        let batches = server.lines_with("action: apuesta_recibida | result: success").len();
        let one_by_one = server.lines_with("action: apuesta_almacenada | result: success | dni: ").len();
        match amount {
            "1" => assert_eq!((batches, one_by_one), (331 + 150, 331 + 150)),
            "7" => assert_eq!(batches, 48 + 22),
            "100" => assert_eq!(batches, 4 + 2),
            _ => assert!(batches > 2, "no packet is longer than 8192 bytes, whatever the amount"),
        }
    }
}

#[test]
fn an_agency_with_an_empty_file_takes_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let (outcome, _) = play(&write_files(folder.path(), &[60, 0]), |_| ());
    assert_eq!(outcome.sent, [Sent { bets: 60, winners: vec![1_000_050] }, Sent::default()]);
}

#[test]
fn one_agency_is_enough_for_a_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let (outcome, _) = play(&write_files(folder.path(), &[120]), |_| ());
    assert_eq!(outcome.sent, [Sent { bets: 120, winners: vec![1_000_050, 1_000_100] }]);
}

#[test]
fn no_agency_is_told_a_winner_before_the_last_one_closes() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_files(folder.path(), &[60, 0, 49]);
    let server = Server::start(5);
    let start_agency = |(id, file)| start(server.agency(id).env("CLI_BETS_FILE", file));
    let mut agencies: Vec<Process> = (1..).zip(&files).map(start_agency).collect();
    wait_for_nth(&server.process, "action: cierre_agencia | result: success", 3);

    // The fourth asks when it has closed, and again. An answer would come before the Welcome.
    let mut fourth = server.connect_as(4);
    fourth.send(&register_bets(&[Bet::of(4, 66, 7574)])).expect(REGISTER_BET_OK);
    fourth.send(ALL_BETS_SENT).send(&hello(4)).expect(&welcome(1, CLOSED));
    fourth.send(&[REQUEST_WINNERS, REQUEST_WINNERS, &hello(4)].concat()).expect(&welcome(1, CLOSED));

    let mut fifth = server.connect_as(5);
    fifth.send(&register_bets(&[Bet::of(5, 77, 7574), Bet::of(5, 78, 0)])).expect(REGISTER_BET_OK);
    for agency in &mut agencies {
        assert_eq!(agency.status().expect("a status"), None, "{:#?}", agency.lines());
        assert!(!agency.lines().iter().any(|line| line.contains("consulta_ganadores")), "{:#?}", agency.lines());
    }
    let said = server.process.lines().join("\n");
    assert!(!said.contains("sorteo") && !said.contains("informar_ganadores"), "{said}");

    fifth.send(&[ALL_BETS_SENT, REQUEST_WINNERS].concat()).expect(&inform_winners(&[77]));
    fourth.expect(&inform_winners(&[66])).end().expect_closed();
    for (agency, winners) in agencies.into_iter().zip([1, 0, 0]) {
        let ended = succeeded(agency);
        let told = format!("action: consulta_ganadores | result: success | cant_ganadores: {winners}");
        assert_eq!(ended.lines_with(&told).len(), 1, "{:#?}", ended.lines);
    }
    fifth.send(REQUEST_WINNERS).expect(&inform_winners(&[77]));
    assert_eq!(server.stop().lines_with("action: sorteo | result: success").len(), 1);
}

#[test]
fn an_agency_that_ends_its_side_behind_its_request_is_told() {
    let all = |agency, document| {
        [register_bets(&[Bet::of(agency, document, 7574)]).as_slice(), ALL_BETS_SENT, REQUEST_WINNERS].concat()
    };
    let server = Server::start(2);
    let mut first = server.connect();
    first.send(&all(1, 11)).end().expect(REGISTER_BET_OK);
    wait_for(&server.process, "action: cierre_agencia | result: success");
    // The last closing, its request and the end of its side come in one turn.
    let mut last = server.connect().ready();
    server.process.signal(Signal::STOP);
    last.send(&all(2, 22)).end();
    server.process.signal(Signal::CONT);
    last.expect(&[REGISTER_BET_OK, &inform_winners(&[22])].concat()).expect_closed();
    first.expect(&inform_winners(&[11])).expect_closed();
}

#[test]
fn an_agency_is_told_the_same_winners_as_often_as_it_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write_file(folder.path(), 1, 100);
    let server = Server::start(1);
    for _ in 0..3 {
        let ended = run(server.agency(1).env("CLI_BETS_FILE", &file));
        assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 2").len(), 1);
    }
    compare(&server.bets_path(), &[file], WINNER_NUMBER).expect("each bet once");
    assert_eq!(server.stop().lines_with("action: sorteo").len(), 1);
}

#[test]
fn no_batch_has_more_bytes_than_its_limit() {
    const BET_BYTES: usize = 8 + 4 + 4 + 3 + 4 + 3 + 16;
    for limit in [1024, 4000, 8192] {
        let server = Server::start(1);
        let mut agency = server.agency_with_rows(1, &rows(500));
        let ended = run(agency.env("CLI_BATCH_MAXBYTES", limit.to_string()).env("CLI_BATCH_MAXAMOUNT", "60000"));
        let bets: Vec<usize> = ended
            .lines_with("action: apuesta_enviada")
            .iter()
            .filter_map(|line| field(line, "cantidad")?.parse().ok())
            .collect();
        let (last, full) = bets.split_last().expect("a batch");
        assert!(full.iter().all(|&bets| bets == (limit - 6) / BET_BYTES) && last <= &full[0], "{limit}: {bets:?}");
        assert_eq!(bets.iter().sum::<usize>(), 500);
    }
}

#[test]
fn a_paced_agency_pauses_after_each_batch() {
    let server = Server::start(1);
    let mut agency = server.agency_with_rows(1, &rows(50));
    agency.env("CLI_BATCH_MAXAMOUNT", "10").env("CLI_BATCH_PERIOD", "60ms");
    let began = Instant::now();
    let ended = succeeded(start(&mut agency));
    assert!(began.elapsed() >= Duration::from_millis(5 * 60), "{:?}", began.elapsed());
    assert_eq!(ended.lines_with("apuesta_enviada | result: success | cantidad: 10").len(), 5);
}
