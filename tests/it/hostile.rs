//! Five honest agencies among 360 hostile connections, which send bytes one by one, hang, lie about lengths, never read,
//! send garbage or begin handshakes that are none, and come back as soon as they are closed.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{ALL_BETS_SENT, OPEN, hello_with, welcome};
use crate::fixture::logs::{is_full, small_disk, stuck_reader};
use crate::fixture::{Outcome, Server, Stream, Wire, start, succeeded, wait_for};
use fastrand::Rng;
use loteria_tools::{Process, agency_files};

const HONEST: u32 = 5;
/// The agency whose credential the hostile connections have.
const TRAITOR: u32 = HONEST + 1;
const BETS: u32 = 3000;
/// Connections of each of the six kinds.
const OF_EACH_KIND: usize = 60;
const KINDS: usize = 6;

/// The bound on the server's memory: itself and its agencies, and for each hostile connection a partial message, unread
/// replies, and the slack of buffers that grow in steps.
const MEMORY_KIB: u64 = 24 * 1024 + (KINDS * OF_EACH_KIND) as u64 * (64 + 64 + 32);

/// The next bytes of a kind of hostile connection. `step` counts from 0 on each connection.
type Says = fn(step: u64, random: &mut Rng) -> Vec<u8>;

fn drip(step: u64, _: &mut Rng) -> Vec<u8> {
    let message = [hello_as(TRAITOR), vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 255, 0], vec![0; 65_000]].concat();
    message.get(step as usize..=step as usize).unwrap_or_default().to_vec()
}

fn hang(step: u64, _: &mut Rng) -> Vec<u8> {
    if step == 0 { vec![0] } else { Vec::new() }
}

fn lie(step: u64, random: &mut Rng) -> Vec<u8> {
    let lies: [&[u8]; 4] = [
        &[0, 1, 255, 255, 255, 255],
        &[0, 1, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255],
        &[0, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 255, 0],
        &[0, 7, 255, 255, 255, 255, 255, 255, 255, 255],
    ];
    match step {
        0 => [hello_as(TRAITOR), lies[random.usize(..4)].to_vec()].concat(),
        _ => vec![0; random.usize(..4096)],
    }
}

fn ask_and_never_read(_: u64, _: &mut Rng) -> Vec<u8> {
    hello_as(TRAITOR).repeat(200)
}

fn garbage(_: u64, random: &mut Rng) -> Vec<u8> {
    (0..random.usize(..2000)).map(|_| random.u8(..)).collect()
}

/// The first bytes of a handshake, on a connection that is not over TLS: it goes on as garbage, or does not.
fn shake_hands_badly(step: u64, random: &mut Rng) -> Vec<u8> {
    let beginnings: [&[u8]; 3] = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252], &[0x16, 3, 1, 255, 255], &[0x16, 3, 1, 0, 5]];
    match step {
        0 => beginnings[random.usize(..3)].to_vec(),
        _ if random.bool() => (0..random.usize(..20)).map(|_| random.u8(..)).collect(),
        _ => Vec::new(),
    }
}

fn secret(agency: u32) -> String {
    format!("palabra-{agency}")
}

fn hello_as(agency: u32) -> Vec<u8> {
    hello_with(agency, secret(agency).as_bytes())
}

/// A kind of hostile connection.
#[derive(Clone, Copy)]
struct Kind {
    says: Says,
    reads: bool,
    /// It is over TLS where the others are.
    completes_handshakes: bool,
}

impl Kind {
    const fn new(says: Says) -> Kind {
        Kind { says, reads: true, completes_handshakes: true }
    }

    fn connect(self, port: u16) -> Option<Stream> {
        let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        Some(if self.completes_handshakes { Wire::to_server(socket).0 } else { Stream::new(socket, None) })
    }
}

/// Keeps [`OF_EACH_KIND`] connections of a kind busy and counts them in `had`, for as long as the test keeps that.
fn attack(port: u16, kind: Kind, seed: u64, had: &Weak<AtomicUsize>) {
    let Kind { says, reads, .. } = kind;
    let mut random = Rng::with_seed(seed);
    let mut connections: Vec<Option<(Stream, u64)>> = (0..OF_EACH_KIND).map(|_| None).collect();
    while had.strong_count() > 0 {
        for slot in &mut connections {
            let Some((stream, step)) = slot else {
                *slot = kind.connect(port).map(|stream| (stream, 0));
                if let Some(((stream, _), had)) = slot.as_ref().zip(had.upgrade()) {
                    stream.set_nonblocking(true).expect("set");
                    had.fetch_add(1, Ordering::Relaxed);
                }
                continue;
            };
            let bytes = says(*step, &mut random);
            *step += 1;
            let said = if bytes.is_empty() { Ok(0) } else { stream.write(&bytes) };
            let heard = if reads { stream.read(&mut [0; 512]) } else { Ok(1) };
            let is_broken =
                |result: &io::Result<usize>| result.as_ref().is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
            if is_broken(&said) || is_broken(&heard) || matches!(heard, Ok(0)) {
                *slot = None;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn honest_agencies_are_served_and_the_server_stays_small() {
    play(|_| (), |_| ());
}

#[test]
fn honest_agencies_are_served_with_the_log_on_a_full_disk() {
    play(small_disk, |server| assert!(is_full(&server.process)));
}

#[test]
fn honest_agencies_are_served_though_the_reader_of_the_log_is_stuck() {
    play(stuck_reader, |server| {
        let lines = server.process.lines();
        assert!(lines.last().is_some_and(|line| line.contains("action: listen")), "nothing was read since: {lines:#?}");
    });
}

/// Plays a round among hostile connections, with the log where `log_to` puts it. `check` looks at that when it is over.
fn play(log_to: fn(&mut Command), check: fn(&Server)) {
    let server = Server::start_with(TRAITOR, |command| {
        let secrets: Vec<String> = (1..=TRAITOR).map(|agency| format!("{agency} = {}\n", secret(agency))).collect();
        fs::write(command.get_current_dir().expect("a folder").join("secrets"), secrets.concat()).expect("written");
        command.env("AGENCIES_FILE", "secrets").env("LOGGING_LEVEL", "DEBUG");
        for name in ["SILENCE_TIMEOUT", "MESSAGE_TIMEOUT", "UNREAD_TIMEOUT"] {
            command.env(name, "1s");
        }
        log_to(command);
    });
    let kinds: [Kind; KINDS] = [
        Kind::new(drip),
        Kind::new(hang),
        Kind::new(lie),
        Kind { reads: false, ..Kind::new(ask_and_never_read) },
        Kind::new(garbage),
        Kind { completes_handshakes: false, ..Kind::new(shake_hands_badly) },
    ];
    let had = Arc::new(AtomicUsize::new(0));
    let attacks = (1..).zip(kinds).map(|(seed, kind)| {
        let (port, had) = (server.port, Arc::downgrade(&had));
        thread::spawn(move || attack(port, kind, seed, &had))
    });
    let attacks: Vec<_> = attacks.collect();
    let wait_for_connections = |count| {
        while had.load(Ordering::Relaxed) < count {
            thread::sleep(Duration::from_millis(1));
        }
    };
    wait_for_connections(KINDS * OF_EACH_KIND);
    let agencies: Vec<Process> = (1..=HONEST).map(|agency| start(&mut honest_agency(&server, agency))).collect();
    // Their closings are on disk, or on their way there, and they wait for the draw.
    for agency in &agencies {
        wait_for(agency, "esperando_sorteo");
    }
    wait_for_connections(2 * KINDS * OF_EACH_KIND);
    drop(had);
    attacks.into_iter().for_each(|attack| attack.join().expect("joined"));

    // The agency of the hostile connections closes without bets.
    server.connect().send(&hello_as(TRAITOR)).expect(&welcome(0, OPEN)).send(ALL_BETS_SENT);
    let round = Outcome::check(&server, &agency_files(server.folder.path()), agencies);
    assert!(round.sent.iter().all(|sent| sent.winners.len() == 2), "{:?}", round.sent);
    let usage = server.process.usage().expect("it runs");
    assert!(usage.peak_kib < MEMORY_KIB, "{} KiB of {MEMORY_KIB}", usage.peak_kib);
    check(&server);
    server.process.terminate();
    succeeded(server.process);
}

/// An agency with [`BETS`] bets, two of which win.
fn honest_agency(server: &Server, agency: u32) -> Command {
    let number = |row: u32| if row % 1500 == agency { 7574 } else { row % 7000 };
    let row = |row: u32| format!("Ana {agency},Paz,{},1999-03-17,{}\r\n", agency * 100_000 + row, number(row));
    let mut command = server.agency_with_rows(agency, &(0..BETS).map(row).collect::<String>());
    command.env("CLI_AGENCY_CREDENTIAL", secret(agency)).env("CLI_LOG_LEVEL", "DEBUG");
    command
}
