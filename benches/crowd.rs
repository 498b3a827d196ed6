//! `make bench-crowd`: as many agencies as the central takes connections, each with bets of its own, all waiting for the draw,
//! then drawn; and then some more, for which the central has no descriptor left. Prints a table in Markdown.
//!
//! `make bench-crowd AGENCIES=1000` takes another number than [`AGENCIES`]. Memory is what the central's process has grown by; what the kernel
//! keeps for a socket comes on top.

mod quiet;

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use loteria::bet::{Bet, Day, WINNER_NUMBER};
use loteria::buffer::Buffer;
use loteria::protocol::{Batch, Message, VERSION};
use loteria::server::descriptors::allow_connections;
use loteria_tools::{Process, Usage};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const AGENCIES: u32 = 10_000;
/// Bets of each agency. The first of them wins.
const BETS: u32 = 5;
/// Connections that come when there is no descriptor left, and wait to be accepted.
const TOO_MANY: usize = 20;
/// How long the central is watched while everybody waits.
const IDLE: Duration = Duration::from_secs(10);
/// Connections that are begun before any is answered: what the listen backlog holds.
const BACKLOG: &str = "1024";

fn main() -> Result<(), Box<dyn Error>> {
    let agencies = std::env::var("AGENCIES").map_or(Ok(AGENCIES), |agencies| agencies.parse())?;
    let possible = allow_connections(agencies as usize + TOO_MANY);
    if possible < agencies as usize + TOO_MANY {
        return Err(format!("the system allows {possible} connections and no more, see ulimit -n; set AGENCIES").into());
    }
    let folder = tempfile::tempdir()?;
    let (server, port) = quiet::start_server(folder.path(), |command| {
        command.env("NUM_AGENCIES", agencies.to_string()).env("SERVER_LISTEN_BACKLOG", BACKLOG);
    })?;
    let before = server.usage()?;

    let began = Instant::now();
    let mut crowd = gather(port, agencies)?;
    let gathered = began.elapsed();
    let parked = settle(&server)?;

    thread::sleep(IDLE);
    let idle = server.usage()?.processor - parked.processor;

    let began = Instant::now();
    draw(&mut crowd)?;
    let drawn = began.elapsed();
    let without_descriptors = run_out_of_descriptors(&server, port)?;

    let grown = parked.memory_kib.saturating_sub(before.memory_kib) as f64 / f64::from(agencies);
    println!("# A crowd\n");
    println!(
        "Measured by `make bench-crowd`: agencies that have sent their bets and wait for the draw, each over its connection.\n"
    );
    println!("| {agencies} agencies, {BETS} bets each | | aim |");
    println!("|---|---:|---:|");
    println!("| connected, stored and waiting, all within | {gathered:.2?} | |");
    println!("| memory of a waiting connection beyond the kernel's | {grown:.1} KiB | 4 KiB |");
    println!("| memory of the central | {} KiB | |", parked.memory_kib);
    println!("| processor time of an idle second | {:.1?} | none |", idle / IDLE.as_secs() as u32);
    println!("| the same without a descriptor left, {TOO_MANY} more waiting | {without_descriptors:.1?} | none |");
    println!("| from the last closing to the last agency's winners | {drawn:.2?} | |");
    Ok(())
}

/// Every agency has stored its bets, and all but the first have closed and wait for the draw.
fn gather(port: u16, agencies: u32) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut crowd = Vec::new();
    for agency in 1..=agencies {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(&opening(agency))?;
        crowd.push(stream);
    }
    for stream in &mut crowd {
        let mut welcome_and_ok = [0; 11 + 2];
        stream.read_exact(&mut welcome_and_ok)?;
        assert_eq!(welcome_and_ok[11..], [0, 2], "the batch is stored");
    }
    Ok(crowd)
}

fn opening(agency: u32) -> Vec<u8> {
    let mut bytes = Buffer::new();
    Message::Hello { version: VERSION, agency, credential: &[] }.encode(&mut bytes);
    let mut batch = Batch::begin(&mut bytes);
    for position in 0..BETS {
        let number = if position == 0 { WINNER_NUMBER } else { 1 };
        let name = "Ana".try_into().expect("a name");
        let (document, birthdate) = (agency + position, Day::OLDEST_BIRTHDATE);
        let bet = Bet { agency, first_name: name, last_name: name, document, birthdate, number };
        batch.push(&bet).expect("it fits into a packet");
    }
    batch.finish();
    if agency > 1 {
        Message::AllBetsSent.encode(&mut bytes);
        Message::RequestWinners.encode(&mut bytes);
    }
    bytes.into()
}

/// What the central uses once it has nothing left to do.
fn settle(server: &Process) -> Result<Usage, Box<dyn Error>> {
    let mut last = server.usage()?;
    loop {
        thread::sleep(Duration::from_millis(200));
        let usage = server.usage()?;
        if usage == last {
            return Ok(usage);
        }
        last = usage;
    }
}

/// Processor time of a second in which connections wait that there is no descriptor for. The central may have no more of them
/// than it has.
fn run_out_of_descriptors(server: &Process, port: u16) -> Result<Duration, Box<dyn Error>> {
    let pid = Pid::from_raw(server.pid() as i32).ok_or("the central has no process")?;
    let descriptors = server.usage()?.descriptors as u64;
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(descriptors), maximum: Some(descriptors) })?;
    let waiting = (0..TOO_MANY).map(|_| TcpStream::connect(("127.0.0.1", port)));
    let _waiting = waiting.collect::<Result<Vec<TcpStream>, _>>()?;
    let before = server.usage()?;
    thread::sleep(IDLE);
    let after = server.usage()?;
    if after.descriptors > before.descriptors {
        return Err("the central had descriptors left".into());
    }
    Ok((after.processor - before.processor) / IDLE.as_secs() as u32)
}

/// The first agency closes; every agency is told its one winner.
fn draw(crowd: &mut [TcpStream]) -> Result<(), Box<dyn Error>> {
    let mut closing = Buffer::new();
    Message::AllBetsSent.encode(&mut closing);
    Message::RequestWinners.encode(&mut closing);
    crowd[0].write_all(&closing)?;
    for (agency, stream) in (1_u32..).zip(crowd) {
        let mut expected = Buffer::new();
        Message::encode_winners_head(1, &mut expected);
        Message::encode_documents(&[agency], &mut expected);
        let mut winners = vec![0; expected.len()];
        stream.read_exact(&mut winners)?;
        assert_eq!(winners, *expected, "the winners of agency {agency}");
    }
    Ok(())
}
