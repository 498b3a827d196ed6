//! The commands of docs/operating.md, typed as they stand there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use loteria_tools::field;
use rustix::process::{Pid, Signal, kill_process};

use crate::files::{ROWS, Server, folder, programs, succeeded};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md")).expect("read")
}

/// The blocks for a shell of the section `title`.
fn blocks(title: &str) -> Vec<String> {
    let page = page();
    let (_, rest) = page.split_once(&format!("\n## {title}\n")).expect("the section");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<String> = blocks.map(str::to_owned).collect();
    assert!(!blocks.is_empty(), "{title}");
    blocks
}

/// A shell in the server's folder.
struct Shell {
    folder: PathBuf,
    /// The address of the admin port; empty if no server runs.
    admin: String,
}

impl Shell {
    /// Types in `commands`, and returns what they print.
    fn types(&self, commands: &str) -> String {
        let programs = programs().loteria.parent().expect("a folder").display().to_string();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", commands]).current_dir(&self.folder).env_clear();
        bash.env("PATH", format!("{programs}:/usr/bin:/bin")).env("ADMIN_ADDRESS", &self.admin);
        let output = bash.output().expect("bash starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{commands}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn types_section(&self, title: &str) -> String {
        self.types(&blocks(title).concat())
    }
}

/// The admin port of a server, once it has logged it.
fn admin_address(server: &Server) -> String {
    let line = server.process.wait_for("action: listen_admin").expect("it listens");
    format!("127.0.0.1:{}", field(&line, "port").expect("a port"))
}

#[test]
fn the_commands_of_operating_md_do_what_it_says() {
    let folder = folder();
    let mut shell = Shell { folder: folder.path().to_owned(), admin: String::new() };
    let server = Server::on(folder.path());
    server.store_one(folder.path(), 2);
    let parked = server.agency(folder.path(), 1, ROWS);
    server.process.wait_for("action: cierre_agencia").expect("it closes");

    shell.admin = admin_address(&server);
    let status = shell.types(&blocks("Who is missing")[1]);
    assert!(status.contains("1 of 2 agencies closed, waiting for 2\n"), "{status}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    let row =
        |agency: &str| status.lines().rev().map(words).find(|words| words.first().is_some_and(|word| word == agency));
    assert_eq!(row("2").expect("a row")[1..3], ["missing", "1"], "{status}");
    assert_eq!(row("1").expect("a row")[1..3], ["waiting", "3"], "{status}");
    let room = shell.types_section("The disk is almost full");
    assert!(room.contains("Filesystem") && room.contains("\tbets.csv.closed\n") && room.contains(" free\n"), "{room}");

    parked.kill();
    let log = server.stop().lines.join("\n");
    fs::write(folder.path().join("server.log"), log).expect("written");
    let sent = shell.types_section("Who sent what and when");
    let lines: Vec<&str> = sent.lines().collect();
    assert!(lines[0].contains("action: apuesta_recibida | result: success | cantidad: 3 | agencia: 1"), "{sent}");
    assert!(lines[1].contains("action: cierre_agencia | result: success | agencia: 1 | cantidad: 3"), "{sent}");
    assert!(lines[2].starts_with("1,Ana,Paz,1,") && lines[4].starts_with("1,Eva,") && lines[5..] == ["3"], "{sent}");

    fs::create_dir(folder.path().join(".data")).expect("created");
    fs::rename(folder.path().join("agency-1.csv"), folder.path().join(".data/agency-1.csv")).expect("renamed");
    fs::write(folder.path().join(".data/agency-2.csv"), "Ana,Paz,9,1999-03-17,7574\n").expect("written");
    assert_eq!(shell.types_section("Is bets.csv whole").matches("The files are whole.").count(), 3);
    assert!(
        shell.types_section("Back up and restore").starts_with("backups/monday/bets.csv: 4 bets, agencies closed: 1\n")
    );
    let closed = shell.types_section("An agency that will never come back");
    assert!(closed.contains("agency 2 is closed with 1 bets; it was the last"), "{closed}");
    Server::on(folder.path()).stop();
    assert!(shell.types_section("The winners again").ends_with("3 winners\n"));
    assert_eq!(shell.types_section("Which number wins"), "7574\n");
    assert!(shell.types_section("A second round").ends_with("The files are whole.\n"));
    let server = Server::on(folder.path());
    assert!(server.process.wait_for("action: recover | result: success | bets: 0 ").is_some());
    server.stop();
}

#[test]
fn a_round_that_is_moved_to_another_machine_goes_on_there() {
    let (old, new) = (folder(), folder());
    let server = Server::on(old.path());
    server.store_one(old.path(), 2);
    server.stop();
    let [pack, unpack] = &blocks("Move to another machine")[..] else { panic!("two blocks") };
    let shell = |folder: &Path| Shell { folder: folder.to_owned(), admin: String::new() };
    shell(old.path()).types(pack);
    fs::rename(old.path().join("round.tar"), new.path().join("round.tar")).expect("moved");
    assert!(shell(new.path()).types(unpack).ends_with("The files are whole.\n"));
    let server = Server::on(new.path());
    let others = [(1, ROWS), (2, "Ana,Paz,9,1999-03-17,7574\n")];
    for agency in others.map(|(id, rows)| server.agency(new.path(), id, rows)) {
        succeeded(agency);
    }
    server.stop();
    assert_eq!(fs::read_to_string(new.path().join("bets.csv")).expect("text").matches("2,Ana,Paz,9,").count(), 1);
}

#[test]
fn a_log_that_is_copied_and_truncated_goes_on_at_its_beginning() {
    let folder = folder();
    let path = folder.path().join("server.log");
    let log = File::options().append(true).create(true).open(&path).expect("opened");
    let mut server = programs().server(folder.path()).stdout(log).spawn().expect("it starts");
    let pid = Pid::from_child(&server);
    let read = || fs::read_to_string(&path).expect("text");
    let wait_for = |server: &mut std::process::Child, text: &str| {
        while !read().contains(text) {
            assert!(server.try_wait().expect("known").is_none(), "it ended: {}", read());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    wait_for(&mut server, "action: accept_connections");
    fs::copy(&path, folder.path().join("server.log.1")).expect("copied");
    File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("truncated");
    kill_process(pid, Signal::USR1).expect("sent");
    wait_for(&mut server, "action: estado");
    assert!(read().starts_with("20"), "{:?}", read());
    kill_process(pid, Signal::TERM).expect("sent");
    assert!(server.wait().expect("it ended").success());
}

#[test]
fn every_file_that_the_steps_of_an_installation_copy_is_there() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let steps = ["Install", "Run as a service", "Upgrade"].map(|title| blocks(title).concat()).concat();
    let copies = steps.lines().filter_map(|line| line.strip_prefix("sudo install "));
    let sources: Vec<&str> = copies.filter_map(|arguments| arguments.split(' ').rev().nth(1)).collect();
    assert!(sources.len() >= 6, "{sources:?}");
    for source in sources {
        let is_built = ["target/release/server", "target/release/loteria"].contains(&source);
        assert!(is_built || repository.join(source).is_file(), "{source}");
    }
}
