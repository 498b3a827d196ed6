//! The draw: which number wins, and what is kept of it.

use std::fs;
use std::path::Path;

use crate::fixture::{Server, fails_with, programs, start, stored, succeeded};
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
