//! The transcripts of `protocol.md` are what this project's server says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use loteria_tools::{Process, Programs, port_of};
use tempfile::TempDir;

use super::repository;

/// A server for one agency, in a folder of its own.
struct Server {
    folder: TempDir,
    process: Process,
    port: u16,
}

impl Server {
    fn start(folder: TempDir) -> Server {
        let programs = Programs::beside_this().expect("the path of this program");
        let mut command = programs.server(folder.path());
        let process = Process::start(command.env("NUM_AGENCIES", "1"), |_| ()).expect("it starts");
        let port = port_of(&process).expect("it listens");
        Server { folder, process, port }
    }

    fn connect(&self) -> TcpStream {
        let wire = TcpStream::connect(("127.0.0.1", self.port)).expect("it accepts");
        wire.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        wire
    }

    /// Kills it and starts it again on its files.
    fn restart(self) -> Server {
        let Server { folder, process, .. } = self;
        drop(process);
        Server::start(folder)
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|character| character.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// The bets that a transcript names, with their lengths.
fn bets(page: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let (_, example) = page.split_once("# RegisterBets: two bets").expect("the example of two bets");
    let lines = example.lines().skip(1).take_while(|line| !line.starts_with("```"));
    let bytes = from_hex(&lines.map(|line| line.split('#').next().unwrap_or_default()).collect::<String>());
    let (first, second) = bytes[6..].split_at(8 + 0x26);
    let mut third = second.to_vec();
    third[8 + 0x12 + 3] = 3;
    let mut invalid = second.to_vec();
    invalid[8 + 0x12] = 0xff;
    BTreeMap::from([("[1]", first.to_vec()), ("[2]", second.to_vec()), ("[3]", third), ("[invalid]", invalid)])
}

/// The transcripts of the page with their titles.
fn transcripts(page: &str) -> Vec<(&str, &str)> {
    let part = page.split_once("### Transcripts").expect("the transcripts").1;
    let titled = part.split("**").skip(1).collect::<Vec<_>>();
    titled
        .chunks(2)
        .map(|pair| {
            let lines = pair[1].split_once("```transcript\n").expect("a block").1;
            (pair[0], lines.split_once("```").expect("its end").0)
        })
        .collect()
}

/// Stores `bet` with a batch of its own.
fn store(server: &Server, bet: &[u8]) {
    let mut wire = server.connect();
    wire.write_all(&[&[0, 1, 0, 0, 0, 1], bet].concat()).expect("sent");
    let mut reply = [0; 2];
    wire.read_exact(&mut reply).expect("a reply");
    assert_eq!(reply, [0, 2]);
}

fn replay(title: &str, lines: &str, bets: &BTreeMap<&str, Vec<u8>>) {
    let mut server = Server::start(tempfile::tempdir().expect("a folder"));
    if title == "Another file" {
        store(&server, &bets["[2]"]);
    }
    let number = |line: &str| line[1..2].parse::<usize>().expect("the number of a connection");
    let count = lines.lines().map(number).max().expect("a line");
    let mut wires: Vec<TcpStream> = (0..count).map(|_| server.connect()).collect();
    for line in lines.lines() {
        let bytes: Vec<u8> = line[3..]
            .split_whitespace()
            .flat_map(|word| bets.get(word).cloned().unwrap_or_else(|| from_hex(word)))
            .collect();
        if title.starts_with("Resumption") && line.contains("[1] [2]") {
            // A batch of which the server stored a part when it died can't be had at will.
            store(&server, &bets["[1]"]);
            server = server.restart();
            wires = (0..count).map(|_| server.connect()).collect();
            continue;
        }
        let wire = &mut wires[number(line) - 1];
        if line.starts_with('A') {
            wire.write_all(&bytes).expect("sent");
        } else {
            let mut reply = vec![0; bytes.len()];
            wire.read_exact(&mut reply).unwrap_or_else(|error| panic!("{title}: {line}: {error}"));
            assert_eq!(reply, bytes, "{title}: {line}");
        }
    }
}

#[test]
fn the_transcripts_of_the_page_are_what_the_server_says() {
    let page = fs::read_to_string(repository().join("protocol.md")).expect("the page");
    let (bets, transcripts) = (bets(&page), transcripts(&page));
    assert_eq!(transcripts.len(), 6, "{transcripts:?}");
    for (title, lines) in transcripts {
        replay(title, lines, &bets);
    }
}
