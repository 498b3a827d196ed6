//! Three hundred connections that drip, hang, lie about lengths, never read, or send garbage, all at once and again as soon as
//! they are closed, while five honest agencies send their bets, wait for the draw and learn the right winners.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{ALL_BETS_SENT, OPEN, welcome};
use crate::fixture::{Central, start, wait_for};
use loteria_tools::check::compare;
use loteria_tools::field;

const HONEST: u32 = 5;
/// The agency that the hostile connections speak for, where they need one: one of those that may speak has turned.
const TRAITOR: u32 = HONEST + 1;
const BETS: u32 = 3000;
/// Connections of each of the five kinds.
const OF_EACH_KIND: usize = 60;

/// What the central may take in all: itself and its agencies, and for each hostile connection a message that is not whole, replies
/// that are not read, and what allocating them in steps leaves over.
const MEMORY_KIB: u64 = 24 * 1024 + 5 * OF_EACH_KIND as u64 * (64 + 64 + 32);

/// What a kind of hostile connection says next. `step` counts from 0 on each connection.
type Says = fn(step: u64, random: &mut Random) -> Vec<u8>;

fn drip(step: u64, _: &mut Random) -> Vec<u8> {
    let message = [hello(TRAITOR), vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 255, 0], vec![0; 65_000]].concat();
    message.get(step as usize..=step as usize).unwrap_or_default().to_vec()
}

fn hang(step: u64, _: &mut Random) -> Vec<u8> {
    if step == 0 { vec![0] } else { Vec::new() }
}

fn lie(step: u64, random: &mut Random) -> Vec<u8> {
    let lies: [&[u8]; 4] = [
        &[0, 1, 255, 255, 255, 255],
        &[0, 1, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255],
        &[0, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 255, 0],
        &[0, 7, 255, 255, 255, 255, 255, 255, 255, 255],
    ];
    match step {
        0 => [hello(TRAITOR), lies[random.below(4)].to_vec()].concat(),
        _ => vec![0; random.below(4096)],
    }
}

fn ask_and_never_read(_: u64, _: &mut Random) -> Vec<u8> {
    hello(TRAITOR).repeat(200)
}

fn garbage(_: u64, random: &mut Random) -> Vec<u8> {
    (0..random.below(2000)).map(|_| random.below(256) as u8).collect()
}

/// A generator that needs no crate: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

fn hello(agency: u32) -> Vec<u8> {
    let secret = secret(agency);
    let head = [&[0, 8, 0, 1], agency.to_be_bytes().as_slice(), &(secret.len() as u16).to_be_bytes()].concat();
    [head, secret.into_bytes()].concat()
}

fn secret(agency: u32) -> String {
    format!("palabra-{agency}")
}

/// Keeps [`OF_EACH_KIND`] connections of a kind busy until it is stopped, and counts those it has had.
fn attack(port: u16, says: Says, reads: bool, seed: u64, stop: &AtomicBool, had: &AtomicU64) {
    let mut random = Random(seed);
    let mut connections: Vec<Option<(TcpStream, u64)>> = (0..OF_EACH_KIND).map(|_| None).collect();
    while !stop.load(Ordering::Relaxed) {
        for slot in &mut connections {
            let Some((stream, step)) = slot else {
                *slot = TcpStream::connect(("127.0.0.1", port)).ok().map(|stream| (stream, 0));
                if let Some((stream, _)) = slot {
                    stream.set_nonblocking(true).expect("nonblocking");
                    had.fetch_add(1, Ordering::Relaxed);
                }
                continue;
            };
            let bytes = says(*step, &mut random);
            *step += 1;
            let said = if bytes.is_empty() { Ok(0) } else { stream.write(&bytes) };
            let heard = if reads { stream.read(&mut [0; 512]) } else { Ok(1) };
            let is_gone = [said.err(), heard.as_ref().err().map(|error| error.kind().into())].into_iter().flatten();
            let mut is_gone = is_gone.map(|error: std::io::Error| error.kind());
            if is_gone.any(|kind| kind != std::io::ErrorKind::WouldBlock) || matches!(heard, Ok(0)) {
                *slot = None;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn five_honest_agencies_are_served_and_the_central_stays_small() {
    let central = Central::start_with(TRAITOR, |command| {
        let secrets: Vec<String> = (1..=TRAITOR).map(|agency| format!("{agency} = {}\n", secret(agency))).collect();
        fs::write(command.get_current_dir().expect("a folder").join("secrets"), secrets.concat()).expect("written");
        command.env("AGENCIES_FILE", "secrets").env("SERVER_LISTEN_BACKLOG", "1024").env("LOGGING_LEVEL", "INFO");
        for name in ["SILENCE_TIMEOUT", "MESSAGE_TIMEOUT", "UNREAD_TIMEOUT"] {
            command.env(name, "1s");
        }
    });
    let files: Vec<_> = (1..=HONEST).map(|agency| central.folder.path().join(format!("agency-{agency}.csv"))).collect();
    let kinds: [(Says, bool); 5] =
        [(drip, true), (hang, true), (lie, true), (ask_and_never_read, false), (garbage, true)];
    let (stop, had) = (AtomicBool::new(false), AtomicU64::new(0));

    thread::scope(|scope| {
        for (seed, (says, reads)) in (1..).zip(kinds) {
            let (port, stop, had) = (central.port, &stop, &had);
            scope.spawn(move || attack(port, says, reads, seed, stop, had));
        }
        let agencies: Vec<_> = (1..=HONEST).map(|agency| start(&mut honest_agency(&central, agency))).collect();
        for _ in 1..=HONEST {
            wait_for(&central.process, "cierre_agencia");
        }
        while had.load(Ordering::Relaxed) < 2 * 5 * OF_EACH_KIND as u64 {
            thread::sleep(Duration::from_millis(10));
        }
        crate::fixture::wait_for_nth(&central.process, "cierre_agencia", HONEST as usize);
        stop.store(true, Ordering::Relaxed);
        // The one that turned has no bets, and closes as it should when it comes to itself.
        central.connect().send(&hello(TRAITOR)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT);

        let ended = agencies.into_iter().map(|agency| agency.wait().expect("it ended"));
        let sent = compare(&central.bets_path(), &files).expect("each bet of each file, and no other");
        for (ended, sent) in ended.zip(&sent) {
            assert!(ended.status.success(), "{:#?}", ended.lines);
            let told = ended.lines_with("consulta_ganadores");
            assert_eq!(field(told[0], "cant_ganadores"), Some(sent.winners.len().to_string().as_str()));
            let documents = ended.lines_with("action: ganadores");
            let expected: Vec<String> = sent.winners.iter().map(u32::to_string).collect();
            assert_eq!(field(documents[0], "documentos"), Some(expected.join(" ").as_str()));
        }
    });
    let usage = central.process.usage().expect("it runs");
    assert!(usage.peak_kib < MEMORY_KIB, "{} KiB of {MEMORY_KIB}", usage.peak_kib);
    assert!(central.stop().status.success());
}

/// An agency whose bets are its own, two of which win.
fn honest_agency(central: &Central, agency: u32) -> std::process::Command {
    let number = |row: u32| if row % 1500 == agency { 7574 } else { row % 7000 };
    let row = |row: u32| format!("Ana {agency},Paz,{},1999-03-17,{}\r\n", agency * 100_000 + row, number(row));
    let mut command = central.agency_with_rows(agency, &(0..BETS).map(row).collect::<String>());
    command.env("CLI_AGENCY_CREDENTIAL", secret(agency)).env("CLI_LOG_LEVEL", "DEBUG");
    command
}
