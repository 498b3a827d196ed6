//! The commands for the files of a round, on files of the real server: `verify`, `winners`, `backup` and `close`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use loteria_tools::{Ended, Process, Programs, port_of};
use tempfile::TempDir;

/// Bets of an agency: documents 1 and 3 win.
pub const ROWS: &str = "Ana,Paz,1,1999-03-17,7574\r\nLeo,\"O'Hara, \"\"el\"\"\",2,1999-03-17,8\r\nEva,\"\"\"Ñu\"\"\",3,1999-03-17,7574\r\n";

pub fn programs() -> Programs {
    Programs::beside_this().expect("this program has a path")
}

fn start(command: &mut Command) -> Process {
    Process::start(command, |_| ()).expect("it starts")
}

/// A running server of two agencies on the files in a folder.
pub struct Server {
    pub process: Process,
    port: u16,
}

impl Server {
    pub fn on(folder: &Path) -> Server {
        let process = start(programs().server(folder).envs([("NUM_AGENCIES", "2"), ("ADMIN_ADDRESS", "127.0.0.1:0")]));
        let port = port_of(&process).unwrap_or_else(|| panic!("it does not listen: {:#?}", process.lines()));
        Server { process, port }
    }

    /// Agency `id`, which sends `rows`.
    pub fn agency(&self, folder: &Path, id: u32, rows: &str) -> Process {
        let file = folder.join(format!("agency-{id}.csv"));
        fs::write(&file, rows).expect("written");
        start(programs().client(folder, id, self.port).env("CLI_BETS_FILE", file).env("CLI_BATCH_MAX_AMOUNT", "7"))
    }

    /// Agency `id` stores one bet and does not close.
    pub fn store_one(&self, folder: &Path, id: u32) {
        let bet = [
            ("NOMBRE", "Ana"),
            ("APELLIDO", "Paz"),
            ("DOCUMENTO", "9"),
            ("NACIMIENTO", "1999-03-17"),
            ("NUMERO", "7574"),
        ];
        succeeded(start(programs().client(folder, id, self.port).envs(bet)));
    }

    pub fn stop(self) -> Ended {
        self.process.terminate();
        succeeded(self.process)
    }
}

#[track_caller]
pub fn succeeded(process: Process) -> Ended {
    let ended = process.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    ended
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The folder of a drawn round of two agencies: one with [`ROWS`], one without bets.
fn drawn_round() -> TempDir {
    let folder = folder();
    let server = Server::on(folder.path());
    let agencies = [(1, ROWS), (2, "")].map(|(id, rows)| server.agency(folder.path(), id, rows));
    agencies.into_iter().for_each(|agency| drop(succeeded(agency)));
    server.stop();
    folder
}

/// The command `arguments` in `folder`, as a person types it there.
fn loteria(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loteria"));
    command.args(arguments.split(' ')).current_dir(folder).env_clear();
    command
}

fn output(folder: &Path, arguments: &str) -> Output {
    loteria(folder, arguments).output().expect("loteria starts")
}

/// The standard output of a command that succeeds.
#[track_caller]
fn shown(folder: &Path, arguments: &str) -> String {
    let output = output(folder, arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The line on standard error of a command that fails, which contains `why`.
#[track_caller]
fn refused(folder: &Path, arguments: &str, why: &str) {
    let output = output(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {output:?}");
    let line = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(line.starts_with("loteria: ") && line.lines().count() == 1 && line.contains(why), "{why:?}: {line:?}");
}

#[test]
fn verify_shows_a_round_and_compares_it_with_the_agencies_files() {
    let folder = drawn_round();
    let shown = shown(folder.path(), "verify --data .");
    for line in [
        "./bets.csv: 103 bytes, 3 bets, BLAKE3 ",
        "./bets.csv.closed: 24 bytes, 2 of 2 agencies have closed",
        "./bets.csv.state: the first 103 bytes of the bets are those that were stored",
        ", number 7574; the files are those of the draw",
        "     1           3        2  closed; all rows of ./agency-1.csv, in order\n",
        "     2           0        0  closed; all rows of ./agency-2.csv, in order\n",
        "\nThe files are whole.\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in {shown}");
    }
    let digest = shown.split_once("BLAKE3 ").expect("a digest").1.lines().next().expect("a digest");
    let certificate = fs::read_to_string(folder.path().join("bets.csv.draw")).expect("read");
    assert!(certificate.contains(&format!("\"blake3\": \"{digest}\"")), "{certificate}");
}

#[test]
fn verify_reads_the_files_of_a_running_server_and_changes_nothing() {
    let folder = folder();
    let server = Server::on(folder.path());
    server.store_one(folder.path(), 2);
    let before = crate::data::files(folder.path());
    let told = shown(folder.path(), "verify");
    assert!(told.contains("no agency has closed") && told.contains("     2           1        -  open\n"), "{told}");
    assert_eq!(crate::data::files(folder.path()), before);
    let parked = server.agency(folder.path(), 1, ROWS);
    server.process.wait_for("action: cierre_agencia").expect("it closes");
    let told = shown(folder.path(), "verify --agency 1=agency-1.csv");
    assert!(told.contains("     1           3        -  closed; all rows of agency-1.csv, in order\n"), "{told}");
    assert!(!folder.path().join("bets.csv.draw").exists());
    parked.kill();
    server.stop();
}

#[test]
fn verify_fails_on_files_that_do_not_fit() {
    let folder = drawn_round();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("other.csv"), ROWS.replace("Leo", "Lea")).expect("written");
    refused(folder.path(), "verify --agency 1=other.csv", "line 2 of the stored bets is not the next one of agency 1");
    fs::write(path("longer.csv"), format!("{ROWS}{ROWS}")).expect("written");
    let why = "agency 1 has closed with 3 bets, and longer.csv has more";
    refused(folder.path(), "verify --agency 1=longer.csv", why);
    refused(folder.path(), "verify --data nowhere", "nowhere: no agency-1.csv there");
    refused(folder.path(), "verify --file nothing.csv", "--file must be the bets of a round");

    let bets = fs::read_to_string(path("bets.csv")).expect("read");
    fs::write(path("bets.csv"), bets.replace("Leo", "Lea")).expect("written");
    refused(folder.path(), "verify", "bets.csv was changed by something other than a crash");
    fs::remove_file(path("bets.csv.state")).expect("removed");
    refused(folder.path(), "verify", "bets.csv.draw was written with the draw and the other files do not fit it");
    fs::remove_file(path("bets.csv.closed")).expect("removed");
    refused(folder.path(), "verify", "bets.csv.closed is missing; restore both from one copy");
}

#[test]
fn winners_are_printed_in_three_forms_after_the_draw() {
    let folder = drawn_round();
    let table = "agency  document  name\n     1         1  Ana Paz\n     1         3  Eva \"Ñu\"\n2 winners\n";
    assert_eq!(shown(folder.path(), "winners"), table);
    let csv = "agency,document,first_name,last_name\r\n1,1,Ana,Paz\r\n1,3,Eva,\"\"\"Ñu\"\"\"\r\n";
    assert_eq!(shown(folder.path(), "winners --format csv"), csv);
    let json = "[\n  {\"agency\": 1, \"document\": 1, \"first_name\": \"Ana\", \"last_name\": \"Paz\"},\n  \
                {\"agency\": 1, \"document\": 3, \"first_name\": \"Eva\", \"last_name\": \"\\\"Ñu\\\"\"}\n]\n";
    assert_eq!(shown(folder.path(), "winners --format json --agency 1"), json);
    assert_eq!(shown(folder.path(), "winners --agency 2"), "agency  document  name\n0 winners\n");
    refused(folder.path(), "winners --agency 3", "agency 3 is not one of the 2 of the round");
}

#[test]
fn winners_are_not_printed_before_the_draw() {
    let folder = folder();
    let server = Server::on(folder.path());
    server.store_one(folder.path(), 1);
    refused(folder.path(), "winners", "the round is not drawn: 0 of its agencies have closed");
    let parked = server.agency(folder.path(), 2, "");
    server.process.wait_for("action: cierre_agencia").expect("it closes");
    let why = "the round is not drawn: 1 of its agencies have closed, and the draw waits for 1";
    refused(folder.path(), "winners", why);
    parked.kill();
    server.stop();
}

/// Bets enough for a round that lasts longer than a few copies.
fn many_rows() -> String {
    (1..=30_000).map(|document| format!("Ana,Paz,{document},1999-03-17,{}\r\n", document % 10_000)).collect()
}

/// The number of bets in the file at `path`.
fn count(path: &Path) -> usize {
    fs::read_to_string(path).expect("read").lines().count()
}

#[test]
fn a_copy_made_under_load_is_a_round_that_goes_on_exactly() {
    let (folder, rows) = (folder(), many_rows());
    let server = Server::on(folder.path());
    let agencies = [1, 2].map(|id| server.agency(folder.path(), id, &rows));
    server.process.wait_for("action: apuesta_recibida").expect("it stores");
    let mut partial = Vec::new();
    for copy in 0.. {
        let said = shown(folder.path(), &format!("backup copy-{copy}"));
        if said.contains(", drawn") {
            break;
        }
        partial.push(folder.path().join(format!("copy-{copy}")));
    }
    agencies.into_iter().for_each(|agency| drop(succeeded(agency)));
    server.stop();
    assert!(partial.iter().any(|copy| (1..60_000).contains(&count(&copy.join("bets.csv")))), "{partial:?}");

    // The server and both agencies go on from the copies of the beginning, the middle and the end.
    for copy in [&partial[0], &partial[partial.len() / 2], &partial[partial.len() - 1]] {
        let server = Server::on(copy);
        let agencies = [1, 2].map(|id| server.agency(copy, id, &rows));
        agencies.into_iter().for_each(|agency| drop(succeeded(agency)));
        server.stop();
        let verified = shown(copy, "verify --data .");
        assert!(verified.contains("./bets.csv: ") && verified.contains("60000 bets"), "{verified}");
    }
}

#[test]
fn a_copy_goes_to_an_empty_folder_and_no_other() {
    let folder = drawn_round();
    refused(folder.path(), "backup .", ".: it is not empty; a copy goes to a folder of its own");
    refused(folder.path(), "backup copy --file nothing.csv", "nothing.csv: it is not a file");
    assert!(!folder.path().join("copy").exists());
    assert_eq!(shown(folder.path(), "backup copy/of/it"), "copy/of/it/bets.csv: 3 bets, agencies closed: 2, drawn\n");
    let copied = crate::data::files(&folder.path().join("copy/of/it"));
    assert_eq!(copied.keys().collect::<Vec<_>>(), ["bets.csv", "bets.csv.closed", "bets.csv.draw", "bets.csv.state"]);
    for (name, contents) in copied {
        assert_eq!(fs::read(folder.path().join(&name)).expect("read"), contents, "{name}");
    }
}

#[test]
fn an_agency_closed_by_hand_lets_the_others_have_their_draw() {
    let folder = folder();
    let server = Server::on(folder.path());
    server.store_one(folder.path(), 2);
    let parked = server.agency(folder.path(), 1, ROWS);
    server.process.wait_for("action: cierre_agencia").expect("it closes");
    let close = |agency: u32, bets: u32| {
        let mut command = loteria(folder.path(), &format!("close --agency {agency} --bets {bets} --reason"));
        command.arg("flooded, \"for ever\"").output().expect("loteria starts")
    };
    let fails = |output: Output, why: &str| {
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && line.contains(why), "{why:?}: {line}");
    };
    fails(close(2, 1), "in use by another server; stop it");
    parked.kill();
    server.stop();
    fails(close(2, 2), "agency 2 has 1 bets stored, and not 2; nothing is changed");
    fails(close(1, 3), "agency 1 has closed already");
    fails(close(3, 0), "agency 3 is not one of the 2 of the round");
    let closed = close(2, 1);
    let said = String::from_utf8_lossy(&closed.stdout).into_owned();
    assert_eq!(said, "agency 2 is closed with 1 bets; it was the last: the next start of the server draws\n");
    fails(close(2, 1), "agency 2 has closed already");

    let server = Server::on(folder.path());
    server.process.wait_for("action: sorteo | result: success").expect("it draws");
    let told = succeeded(server.agency(folder.path(), 1, ROWS));
    assert_eq!(told.lines_with("cant_ganadores: 2").len(), 1, "{:#?}", told.lines);
    server.stop();
    let verified = shown(folder.path(), "verify");
    assert!(verified.contains("     2           1        1  closed by hand at 20"), "{verified}");
    assert!(verified.contains("Z: flooded, \"for ever\"\n"), "{verified}");
    let closings = fs::read_to_string(folder.path().join("bets.csv.closed")).expect("read");
    assert!(closings.ends_with("Z,\"flooded, \"\"for ever\"\"\"\r\n"), "{closings}");
}

#[test]
fn the_first_closing_by_hand_needs_the_terms_of_the_server() {
    let folder = folder();
    let server = Server::on(folder.path());
    server.store_one(folder.path(), 2);
    server.stop();
    let mut close = loteria(folder.path(), "close --agency 2 --bets 1 --reason flooded");
    let closed = close.envs([("NUM_AGENCIES", "2"), ("WINNING_NUMBER", "8")]).output().expect("loteria starts");
    let said = String::from_utf8_lossy(&closed.stdout).into_owned();
    assert_eq!(said, "agency 2 is closed with 1 bets; the draw still waits for 1\n");
    let closings = fs::read_to_string(folder.path().join("bets.csv.closed")).expect("read");
    assert!(closings.starts_with("2,1,2,8,20"), "{closings}");
    refused(
        folder.path(),
        "close --agency 1 --bets 0 --reason x --file no.csv",
        "no.csv: No such file or directory (os error 2); --file must be the bets of a round",
    );
    assert!(!folder.path().join("no.csv").exists());
    let empty = output(folder.path(), "close --agency 1 --bets 0 --reason ");
    assert_eq!(empty.status.code(), Some(2), "{empty:?}");
}
