//! The draw: which number wins, and what is kept of it.

use std::fs;
use std::path::Path;

use crate::fixture::{Server, fails_with, programs, start, stored, succeeded, wait_for};
use loteria_tools::Ended;
use tempfile::TempDir;

/// Bets of an agency: documents 1 and 3 bet on 7574, document 2 on 8.
const ROWS: &str = "Ana,Paz,1,1999-03-17,7574\r\nLeo,Paz,2,1999-03-17,8\r\nEva,Paz,3,1999-03-17,7574\r\n";

/// A server of `agencies` in `folder` that draws `number`.
fn drawing(number: &str, folder: TempDir, agencies: u32) -> Server {
    Server::start_on(folder, agencies, |server| _ = server.env("WINNING_NUMBER", number))
}

fn empty_folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Agency `id` with [`ROWS`] is told the winners that `documents` names.
#[track_caller]
fn is_told(server: &Server, id: u32, documents: &str) {
    let ended = succeeded(start(server.agency_with_rows(id, ROWS).env("CLI_LOG_LEVEL", "DEBUG")));
    assert_eq!(ended.lines_with(&format!("documentos: {documents}")).len(), 1, "{:#?}", ended.lines);
}

/// A server of two agencies in `folder`, where `number` wins, refuses to start because of `why`.
#[track_caller]
fn refuses(number: &str, folder: &Path, why: &str) -> Ended {
    let mut server = programs().server(folder);
    fails_with(start(server.envs([("NUM_AGENCIES", "2"), ("WINNING_NUMBER", number)])), why)
}

#[test]
fn the_number_of_the_configuration_wins() {
    is_told(&drawing("8", empty_folder(), 1), 1, "2");
}

#[test]
fn the_first_closing_fixes_the_winning_number() {
    let (server, no_rows) = (drawing("1234", empty_folder(), 2), |server: &Server| {
        let agency = start(&mut server.agency_with_rows(2, ""));
        server.wait_for_state("agencias_cerradas", 1);
        agency.kill();
    });
    server.process.terminate();
    let Server { folder, process, .. } = server;
    succeeded(process);
    let server = drawing("8", folder, 2);
    no_rows(&server);
    server.process.terminate();
    let Server { folder, process, .. } = server;
    succeeded(process);
    let why = "line 1: the winning number of the round is 8, and WINNING_NUMBER is 7574; set it to 8 again";
    refuses("7574", folder.path(), why);
    is_told(&drawing("8", folder, 2), 1, "2");
}

#[test]
fn a_closing_of_an_older_server_means_7574() {
    let folder = empty_folder();
    fs::write(folder.path().join("bets.csv"), stored(2, ROWS)).expect("written");
    fs::write(folder.path().join("bets.csv.closed"), "2,3,2\r\n").expect("written");
    refuses("8", folder.path(), "the winning number of the round is 7574, and WINNING_NUMBER is 8");
    is_told(&drawing("7574", folder, 2), 1, "1 3");
}

/// The folder of a round of two agencies that was drawn, of which the server has stopped.
fn drawn_round() -> TempDir {
    let server = Server::start(2);
    let agencies = [(1, ROWS), (2, "")].map(|(id, rows)| start(&mut server.agency_with_rows(id, rows)));
    agencies.into_iter().for_each(|agency| drop(succeeded(agency)));
    let Server { folder, process, .. } = server;
    process.terminate();
    succeeded(process);
    folder
}

#[test]
fn a_drawn_round_has_a_certificate_that_a_person_can_check() {
    let folder = drawn_round();
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("read");
    let (bets, certificate) = (read("bets.csv"), read("bets.csv.draw"));
    let (first, rest) = certificate.split_once(",\n").expect("lines");
    assert!(first.starts_with("{\n  \"drawn_at\": \"20") && first.ends_with("Z\""), "{first}");
    let digest = blake3::hash(bets.as_bytes());
    let expected = format!(
        "  \"winning_number\": 7574,\n  \"bytes\": {},\n  \"blake3\": \"{digest}\",\n  \"agencies\": [\n    \
         {{\"agency\": 1, \"bets\": 3, \"winners\": 2}},\n    {{\"agency\": 2, \"bets\": 0, \"winners\": 0}}\n  ]\n}}\n",
        bets.len()
    );
    assert_eq!(rest, expected);
    assert!(!folder.path().join("bets.csv.draw.new").exists());
}

#[test]
fn a_draw_without_a_certificate_gets_it_at_the_start_once() {
    let folder = drawn_round();
    let path = folder.path().join("bets.csv.draw");
    let whole = fs::read_to_string(&path).expect("read");
    fs::remove_file(&path).expect("removed");
    let server = drawing("7574", folder, 2);
    is_told(&server, 1, "1 3");
    let behind_the_time = |certificate: &str| certificate.split_once(",\n").expect("lines").1.to_owned();
    let written = fs::read_to_string(&path).expect("it is there before anything is told");
    assert_eq!(behind_the_time(&written), behind_the_time(&whole));
    assert_eq!(server.process.lines().iter().filter(|line| line.contains("action: sorteo")).count(), 1);
    let Server { folder, process, .. } = server;
    process.kill();
    process.wait().expect("it ended");
    let server = drawing("7574", folder, 2);
    is_told(&server, 1, "1 3");
    assert_eq!(fs::read_to_string(&path).expect("read"), written);
    assert_eq!(server.stop().lines_with("action: sorteo").len(), 0, "the draw happens once");
}

#[test]
fn files_changed_after_the_draw_are_refused() {
    let folder = drawn_round();
    let path = |name: &str| folder.path().join(format!("bets.csv{name}"));
    let files = ["", ".closed", ".draw"].map(|name| (name, fs::read_to_string(path(name)).expect("read")));
    fs::remove_file(path(".state")).expect("removed");
    for (changed, from, to, why) in [
        ("", "Leo", "Lea", "the bets had 84 bytes and the BLAKE3 "),
        ("", ",8\r\n", ",7574\r\n", "agency 1 had 3 bets with 2 winners, and 3 with 3 are stored"),
        (".closed", "2,0,2,7574\r\n", "", "the round was drawn, and not every agency has closed"),
        (".draw", "\"bets\": 3", "\"bets\": 4", "agency 1 had 4 bets with 2 winners, and 3 with 2 are stored"),
        (".draw", "7574", "7", "was drawn with the number 7, and the files are of 2 agencies and the number 7574"),
        (".draw", "winning", "losing", "it is no certificate: unknown field"),
    ] {
        for (name, contents) in &files {
            let contents = if *name == changed { contents.replacen(from, to, 1) } else { contents.clone() };
            fs::write(path(name), contents).expect("written");
        }
        let line = refuses("7574", folder.path(), why).lines.pop().expect("a line");
        assert!(line.contains("bets.csv.draw was written with the draw and the other files do not fit it, "), "{line}");
        assert!(line.contains("; restore all files of the round from one copy, or remove it to draw again"), "{line}");
    }
    fs::remove_file(path(".draw")).expect("removed");
    is_told(&drawing("7574", folder, 2), 1, "1 3");
}

#[test]
fn a_draw_without_room_for_its_certificate_is_tried_again() {
    let server = Server::start(1);
    let obstacle = server.folder.path().join("bets.csv.draw.new");
    fs::create_dir(&obstacle).expect("created");
    let agency = start(server.agency_with_rows(1, ROWS).env("CLI_LOG_LEVEL", "DEBUG"));
    wait_for(&server.process, "action: cierre_agencia | result: fail | agencia: 1 | error: Is a directory");
    assert!(server.process.lines().iter().all(|line| !line.contains("action: sorteo")));
    fs::remove_dir(&obstacle).expect("removed");
    let ended = succeeded(agency);
    assert_eq!(ended.lines_with("documentos: 1 3").len(), 1, "{:#?}", ended.lines);
    assert_eq!(server.bets(), stored(1, ROWS));
    let closings = fs::read_to_string(server.folder.path().join("bets.csv.closed")).expect("read");
    assert_eq!(closings, "1,3,1,7574\r\n", "what could not be certified was taken back");
    assert_eq!(server.stop().lines_with("action: sorteo").len(), 1);
}

#[test]
fn no_winner_is_told_before_the_certificate_is_in_its_place() {
    let server = Server::start(1);
    let path = server.folder.path().join("bets.csv.draw");
    fs::create_dir(&path).expect("created");
    let agency = start(server.agency_with_rows(1, ROWS).env("CLI_LOG_LEVEL", "DEBUG"));
    let Server { folder, process, .. } = server;
    let ended =
        fails_with(process, "bets.csv.draw: Is a directory (os error 21); what is on disk can't be known any more");
    assert_eq!(ended.lines_with("action: sorteo").len(), 0, "{:#?}", ended.lines);
    agency.terminate();
    let told = agency.wait().expect("it ended");
    assert_eq!(told.lines_with("ganadores").len(), 0, "{:#?}", told.lines);
    fs::remove_dir(&path).expect("removed");
    let server = drawing("7574", folder, 1);
    wait_for(&server.process, "action: sorteo | result: success");
    assert!(path.is_file());
    is_told(&server, 1, "1 3");
}
