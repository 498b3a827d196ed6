//! `make bench-crowd`: thousands of agencies, each with a connection and a few bets, that wait for the draw; then the draw; then
//! more connections than the server has descriptors. Prints a table in Markdown.
//!
//! `make bench-crowd AGENCIES=1000` takes another number than [`AGENCIES`]. Memory is the growth of the server's process,
//! without the kernel's buffers.

#[path = "common/quiet.rs"]
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
/// Bets of each agency. The first one wins.
const BETS: u32 = 5;
/// Connections that arrive when no descriptor is left, and wait to be accepted.
const TOO_MANY: usize = 20;
/// Time for which the idle server is observed.
const IDLE: Duration = Duration::from_secs(10);
/// Length of the listen backlog. All agencies connect before any reply is read.
const BACKLOG: &str = "1024";

fn main() -> Result<(), Box<dyn Error>> {
    let agencies = std::env::var("AGENCIES").map_or(Ok(AGENCIES), |agencies| agencies.parse())?;
    let possible = allow_connections(agencies as usize + TOO_MANY, 0);
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
        "Measured by `make bench-crowd`: every agency has a connection of its own, has sent its bets, and waits for the draw. The server \
         logs at ERROR.\n"
    );
    println!("| {agencies} agencies, {BETS} bets each | | aim |");
    println!("|---|---:|---:|");
    println!("| all of them connected, stored and waiting after | {gathered:.2?} | |");
    println!("| memory of a waiting connection, without the kernel's | {grown:.1} KiB | 4 KiB |");
    println!("| memory of the server | {} KiB | |", parked.memory_kib);
    println!("| processor time of an idle second | {:.1?} | none |", idle / IDLE.as_secs() as u32);
    println!(
        "| the same with no descriptor left and {TOO_MANY} more connections waiting | {without_descriptors:.1?} | none |"
    );
    println!("| from the last closing to the last agency's winners | {drawn:.2?} | |");
    Ok(())
}

/// Connects the agencies and waits until their bets are stored. All but the first have closed and wait for the draw.
fn gather(port: u16, agencies: u32) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut crowd = Vec::new();
    for agency in 1..=agencies {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(&opening(agency))?;
        crowd.push(stream);
    }
    for stream in &mut crowd {
        let mut welcome_and_ok = [0; 15 + 2];
        stream.read_exact(&mut welcome_and_ok)?;
        assert_eq!(welcome_and_ok[15..], [0, 2], "the batch is stored");
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

/// The server's usage once it no longer changes.
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

/// Processor time of a second in which connections wait and the server has no descriptor for them: its limit is lowered to the
/// number that it has open.
fn run_out_of_descriptors(server: &Process, port: u16) -> Result<Duration, Box<dyn Error>> {
    let pid = Pid::from_raw(server.pid() as i32).ok_or("the server has no process")?;
    let descriptors = server.usage()?.descriptors as u64;
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(descriptors), maximum: Some(descriptors) })?;
    let waiting = (0..TOO_MANY).map(|_| TcpStream::connect(("127.0.0.1", port)));
    let _waiting = waiting.collect::<Result<Vec<TcpStream>, _>>()?;
    let before = server.usage()?;
    thread::sleep(IDLE);
    let after = server.usage()?;
    if after.descriptors > before.descriptors {
        return Err("the server had descriptors left".into());
    }
    Ok((after.processor - before.processor) / IDLE.as_secs() as u32)
}

/// Closes the first agency, and checks that every agency is told its one winner.
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
