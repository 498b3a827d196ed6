//! `make bench-fairness`: how long a small agency's batch takes while four other agencies flood, and while nobody does.
//!
//! The small agency sends batches of [`SMALL_BATCH`] bets, one at a time, with pauses that differ, so that they come at any
//! moment of the central's turn. The others write batches of [`FLOOD_BATCH`] bets as fast as the central takes them, and
//! another thread each reads the replies. Those threads give way to everything else on the machine, so that what is
//! measured is the central and not the scheduler. The same floods at another central on the same disk show what the small
//! agency waits for that is not its central. Prints a table in Markdown.

mod quiet;

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loteria::bet::{Bet, Day};
use loteria::buffer::Buffer;
use loteria::protocol::Batch;

const FLOODS: u32 = 4;
const SMALL_AGENCY: u32 = FLOODS + 1;
const SMALL_BATCH: u32 = 10;
const FLOOD_BATCH: u32 = 148;
const SAMPLES: u32 = 1000;
/// All are measured this many times in turn, and the median of each figure is taken: other work on the machine comes and goes.
const ROUNDS: usize = 5;
/// The aim: the small agency's 99th percentile grows to at most this many times what it is alone.
const AIM: f64 = 3.0;
/// How much the floods give way.
const NICE: i32 = 19;

fn main() -> Result<(), Box<dyn Error>> {
    println!("# Fairness\n");
    println!(
        "Measured by `make bench-fairness`: how long a batch of {SMALL_BATCH} bets of a small agency takes, alone, while {FLOODS} others \
         flood the same central, and while they flood another one on the same disk. Medians of {ROUNDS} rounds of {SAMPLES} batches.\n"
    );
    println!(
        "| STORAGE_SYNC | alone p50 | p99 | with four floods p50 | p99 | p99 grows to | aim | bets/s of the floods | floods elsewhere p50 | p99 |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for sync in ["always", "never"] {
        let (mut alone, mut flooded, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(measure(sync, Floods::None)?);
            flooded.push(measure(sync, Floods::Here)?);
            elsewhere.push(measure(sync, Floods::Elsewhere)?);
        }
        let (alone, flooded, elsewhere) =
            (Figures::median(&alone), Figures::median(&flooded), Figures::median(&elsewhere));
        let grows = flooded.p99.as_secs_f64() / alone.p99.as_secs_f64();
        println!(
            "| {sync} | {:.0?} | {:.0?} | {:.0?} | {:.0?} | {grows:.1} | {AIM} | {:.0} | {:.0?} | {:.0?} |",
            alone.p50, alone.p99, flooded.p50, flooded.p99, flooded.flood_bets_a_second, elsewhere.p50, elsewhere.p99
        );
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Figures {
    p50: Duration,
    p99: Duration,
    flood_bets_a_second: f64,
}

impl Figures {
    fn median(rounds: &[Figures]) -> Figures {
        Figures {
            p50: median(rounds.iter().map(|round| round.p50)),
            p99: median(rounds.iter().map(|round| round.p99)),
            flood_bets_a_second: median(rounds.iter().map(|round| round.flood_bets_a_second)),
        }
    }
}

fn median<T: PartialOrd>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|one, other| one.partial_cmp(other).expect("no NaN"));
    values.swap_remove(values.len() / 2)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Floods {
    None,
    /// At the small agency's central.
    Here,
    /// At another central of this machine: what the small agency waits for then, it waits for processors and the disk.
    Elsewhere,
}

fn measure(sync: &str, floods: Floods) -> Result<Figures, Box<dyn Error>> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let start = |folder: &Path| {
        quiet::start_server(folder, |command| {
            command.env("NUM_AGENCIES", SMALL_AGENCY.to_string()).env("STORAGE_SYNC", sync);
        })
    };
    let (_here, port) = start(folders[0].path())?;
    let (_elsewhere, other_port) = start(folders[1].path())?;
    let flood_port = if floods == Floods::Elsewhere { other_port } else { port };
    let (stop, stored) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for agency in 1..=if floods == Floods::None { 0 } else { FLOODS } {
            let stream = TcpStream::connect(("127.0.0.1", flood_port))?;
            let (stop, stored) = (&stop, &stored);
            scope.spawn(move || flood(agency, stream, stop, stored));
        }
        let began = Instant::now();
        let sorted = sample(port);
        let flood_bets_a_second = stored.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let sorted = sorted?;
        let percentile = |percent| sorted[sorted.len() * percent / 100];
        Ok(Figures { p50: percentile(50), p99: percentile(99), flood_bets_a_second })
    })
}

/// How long each batch of the small agency takes, in order of length.
fn sample(port: u16) -> std::io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let batch = batch(SMALL_AGENCY, SMALL_BATCH);
    let mut durations = Vec::new();
    for sample in 0..SAMPLES {
        thread::sleep(Duration::from_micros(1000 + u64::from(sample * 7919 % 2003)));
        let began = Instant::now();
        stream.write_all(&batch)?;
        stream.read_exact(&mut [0; 2])?;
        durations.push(began.elapsed());
    }
    durations.sort_unstable();
    Ok(durations)
}

/// Writes batches until it is stopped, and counts the bets that are stored.
fn flood(agency: u32, mut stream: TcpStream, stop: &AtomicBool, stored: &AtomicU64) {
    let batch = batch(agency, FLOOD_BATCH);
    let mut replies = stream.try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            give_way();
            let mut reply = [0; 4096];
            let mut bytes = 0;
            while let Ok(read @ 1..) = replies.read(&mut reply) {
                bytes += read;
                stored.fetch_add((bytes / 2) as u64 * u64::from(FLOOD_BATCH), Ordering::Relaxed);
                bytes %= 2;
            }
        });
        give_way();
        while !stop.load(Ordering::Relaxed) && stream.write_all(&batch).is_ok() {}
        // It may be gone already, which ends the other thread too.
        let _ = stream.shutdown(Shutdown::Both);
    });
}

fn give_way() {
    // Without it the figures are only worse.
    let _ = rustix::process::nice(NICE);
}

fn batch(agency: u32, bets: u32) -> Vec<u8> {
    let mut bytes = Buffer::new();
    let mut batch = Batch::begin(&mut bytes);
    let (name, birthdate) = ("Ana".try_into().expect("a name"), Day::OLDEST_BIRTHDATE);
    for document in 1..=bets {
        let bet = Bet { agency, first_name: name, last_name: name, document, birthdate, number: 7 };
        batch.push(&bet).expect("it fits into a packet");
    }
    batch.finish();
    bytes.into()
}
