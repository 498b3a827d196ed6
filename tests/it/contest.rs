//! Exercises 6 to 8: agencies with files of bets, a central, one draw, and each agency told its own winners.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, CLOSED, OPEN, REQUEST_WINNERS, hello, inform_winners, register_bets, welcome,
};
use crate::fixture::{Central, repository, run, start, sum_of, wait_for_nth};
use loteria_tools::check::{Sent, compare};
use loteria_tools::{Ended, Process, agency_files, field};
use tempfile::TempDir;

/// The rows of the course's five files, which are as many as those of ours.
const ROWS: [u64; 5] = [26_936, 25_518, 16_014, 9_238, 991];
/// The winners in the course's five files.
const WINNERS: [usize; 5] = [2, 3, 3, 2, 0];

/// The course's files, unpacked, if somebody has put the archive there.
fn course_dataset() -> Option<(TempDir, Vec<PathBuf>)> {
    let archive = std::env::var_os("LOTERIA_DATASET")?;
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(archive, folder.path().join("dataset.zip")).ok()?;
    let unpacked = run(Command::new(crate::fixture::programs().loteria).arg("data").arg("--into").arg(folder.path()));
    assert!(unpacked.status.success(), "{:#?}", unpacked.lines);
    let files = agency_files(folder.path());
    Some((folder, files))
}

/// What a contest came to.
struct Played {
    central: Ended,
    agencies: Vec<Ended>,
    sent: Vec<Sent>,
}

/// A contest of one agency for each of `files`, to its end. Everything that is true of any contest is checked: the stored
/// bets are those of the files; there is one draw; each agency is told its own winners and nothing else.
fn play(files: &[PathBuf], configure_agency: impl Fn(&mut Command)) -> Played {
    let central = Central::start(files.len() as u32);
    let agencies: Vec<Process> = (1..)
        .zip(files)
        .map(|(id, file)| {
            let mut agency = central.agency(id);
            configure_agency(agency.env("CLI_BETS_FILE", file).env("CLI_LOG_LEVEL", "DEBUG"));
            start(&mut agency)
        })
        .collect();
    let agencies: Vec<Ended> = agencies.into_iter().map(|agency| agency.wait().expect("it ended")).collect();
    let bets = central.bets_path();
    let sent = compare(&bets, files).expect("the stored bets are those that were sent");
    let played = Played { central: central.stop(), agencies, sent };
    check(&played);
    played
}

fn check(Played { central, agencies, sent }: &Played) {
    assert_eq!(central.status.code(), Some(0), "{:#?}", central.lines);
    assert_eq!(central.lines_with("action: sorteo | result: success").len(), 1);
    let bets: u64 = sent.iter().map(|sent| sent.bets).sum();
    assert_eq!(sum_of(central, "action: apuesta_recibida | result: success", "cantidad"), bets);
    for (agency, sent) in agencies.iter().zip(sent) {
        assert_eq!(agency.status.code(), Some(0), "{:#?}", agency.lines);
        assert_eq!(sum_of(agency, "action: apuesta_enviada | result: success", "cantidad"), sent.bets);
        let [told] = agency.lines_with("action: consulta_ganadores | result: success | cant_ganadores: ")[..] else {
            panic!("{:#?}", agency.lines)
        };
        assert_eq!(field(told, "cant_ganadores"), Some(sent.winners.len().to_string().as_str()));
        let documents: Vec<String> = sent.winners.iter().map(u32::to_string).collect();
        let [told] = agency.lines_with("action: ganadores |")[..] else { panic!("{:#?}", agency.lines) };
        assert_eq!(field(told, "documentos"), Some(documents.join(" ").as_str()));
    }
}

/// A file of an agency's `bets` bets, of which those at multiples of `every` win.
fn write_file(folder: &Path, agency: u32, bets: u32, every: u32) -> PathBuf {
    let row = |bet: u32| {
        let (document, number) = (agency * 1_000_000 + bet, if bet.is_multiple_of(every) { 7574 } else { bet % 7574 });
        format!("Nombre {bet},\"Apellido, {agency}\",{document},1984-03-{:02},{number}\r\n", 1 + bet % 31)
    };
    let file = folder.join(format!("agency-{agency}.csv"));
    fs::write(&file, (1..=bets).map(row).collect::<String>()).expect("written");
    file
}

fn write_files(folder: &Path, bets: &[u32]) -> Vec<PathBuf> {
    (1..).zip(bets).map(|(agency, &bets)| write_file(folder, agency, bets, 50)).collect()
}

#[test]
fn the_whole_contest_of_the_course_is_stored_drawn_once_and_told() {
    let dataset = course_dataset();
    let files = dataset.as_ref().map_or_else(|| agency_files(&repository().join(".data")), |(_, files)| files.clone());
    let played = play(&files, |_| ());
    assert_eq!(played.sent.iter().map(|sent| sent.bets).collect::<Vec<u64>>(), ROWS);
    assert_eq!(sum_of(&played.central, "action: apuesta_recibida | result: success", "cantidad"), 78_697);
    if dataset.is_some() {
        assert_eq!(played.sent.iter().map(|sent| sent.winners.len()).collect::<Vec<usize>>(), WINNERS);
    }
}

#[test]
fn a_contest_goes_the_same_whatever_the_batches_and_however_many_are_in_flight() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_files(folder.path(), &[331, 150]);
    for (amount, window) in [("1", "1"), ("1", "64"), ("7", "1"), ("100", "64"), ("65535", "16")] {
        let played = play(&files, |agency| {
            agency.env("CLI_BATCH_MAXAMOUNT", amount).env("CLI_BATCH_WINDOW", window);
        });
        let batches = played.central.lines_with("action: apuesta_recibida | result: success").len();
        let one_by_one = played.central.lines_with("action: apuesta_almacenada | result: success | dni: ").len();
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
    let played = play(&write_files(folder.path(), &[60, 0]), |_| ());
    assert_eq!(played.sent, [Sent { bets: 60, winners: vec![1_000_050] }, Sent::default()]);
}

#[test]
fn one_agency_is_a_contest() {
    let folder = tempfile::tempdir().expect("a folder");
    let played = play(&write_files(folder.path(), &[120]), |_| ());
    assert_eq!(played.sent, [Sent { bets: 120, winners: vec![1_000_050, 1_000_100] }]);
}

#[test]
fn no_agency_is_told_a_winner_before_the_last_one_closes() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write_files(folder.path(), &[60, 0, 49]);
    let central = Central::start(5);
    let start_agency = |(id, file)| start(central.agency(id).env("CLI_BETS_FILE", file));
    let mut agencies: Vec<Process> = (1..).zip(&files).map(start_agency).collect();
    wait_for_nth(&central.process, "action: cierre_agencia | result: success", 3);

    // The last but one asks when it has closed, and once more. Had it an answer, that would come before the Welcome.
    let mut fourth = central.connect();
    fourth.send(&hello(4)).expect(&welcome(0, OPEN)).send(&register_bets(&[Bet::of(4, 66, 7574)])).expect(&[0, 2]);
    fourth.send(ALL_BETS_SENT).send(&hello(4)).expect(&welcome(1, CLOSED));
    fourth.send(&[REQUEST_WINNERS, REQUEST_WINNERS, &hello(4)].concat()).expect(&welcome(1, CLOSED));

    let mut fifth = central.connect();
    fifth.send(&hello(5)).expect(&welcome(0, OPEN));
    fifth.send(&register_bets(&[Bet::of(5, 77, 7574), Bet::of(5, 78, 0)])).expect(&[0, 2]);
    for agency in &mut agencies {
        assert_eq!(agency.status().expect("a status"), None, "{:#?}", agency.lines());
        assert!(!agency.lines().iter().any(|line| line.contains("consulta_ganadores")), "{:#?}", agency.lines());
    }
    let said = central.process.lines().join("\n");
    assert!(!said.contains("sorteo") && !said.contains("informar_ganadores"), "{said}");

    fifth.send(&[ALL_BETS_SENT, REQUEST_WINNERS].concat()).expect(&inform_winners(&[77]));
    fourth.expect(&inform_winners(&[66])).end().expect_closed();
    for (agency, winners) in agencies.into_iter().zip([1, 0, 0]) {
        let ended = agency.wait().expect("it ended");
        let told = format!("action: consulta_ganadores | result: success | cant_ganadores: {winners}");
        assert_eq!(ended.lines_with(&told).len(), 1, "{:#?}", ended.lines);
    }
    fifth.send(REQUEST_WINNERS).expect(&inform_winners(&[77]));
    assert_eq!(central.stop().lines_with("action: sorteo | result: success").len(), 1);
}

#[test]
fn an_agency_asks_for_its_winners_as_often_as_it_likes_and_is_told_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write_file(folder.path(), 1, 100, 50);
    let central = Central::start(1);
    for _ in 0..3 {
        let ended = run(central.agency(1).env("CLI_BETS_FILE", &file));
        assert_eq!(ended.lines_with("consulta_ganadores | result: success | cant_ganadores: 2").len(), 1);
    }
    compare(&central.bets_path(), &[file]).expect("each bet once");
    assert_eq!(central.stop().lines_with("action: sorteo").len(), 1);
}
