//! `make bench-fairness`: the latency of a small agency's batches, alone and beside four bulk senders.
//!
//! The small agency sends batches of [`SMALL_BATCH`] bets, one at a time, after pauses of random length, so that they arrive at
//! any moment of the server's turn. The bulk senders write batches of [`BULK_BATCH`] bets as fast as the server takes them, and
//! read the replies in another thread. Their threads run at the lowest priority, so that the server is measured and not the
//! kernel's scheduler. The same bulk senders at a second server on the same disk show the part of the latency that the
//! processors and the disk cause. Prints a table in Markdown.

#[path = "common/median.rs"]
mod median;
#[path = "common/quiet.rs"]
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

use median::median;

const BULK_SENDERS: u32 = 4;
const SMALL_AGENCY: u32 = BULK_SENDERS + 1;
const SMALL_BATCH: u32 = 10;
const BULK_BATCH: u32 = 148;
const SAMPLES: u32 = 1000;
/// Number of times that all cases are measured in turn. The median of each figure is taken.
const REPETITIONS: usize = 5;
/// Shortest and longest pause before a batch, in microseconds.
const PAUSE_MICROSECONDS: std::ops::Range<u64> = 1000..3000;
/// The aim: beside the bulk senders, the small agency's 99th percentile is at most this many times as long as alone.
const AIM: f64 = 3.0;
/// Niceness of the bulk senders' threads.
const NICE: i32 = 19;

fn main() -> Result<(), Box<dyn Error>> {
    println!("# Fairness\n");
    println!(
        "Measured by `make bench-fairness`: the latency of a small agency's batches of {SMALL_BATCH} bets, alone, beside {BULK_SENDERS} \
         bulk senders at the same server, and beside {BULK_SENDERS} at another server on the same disk. The server logs at ERROR. Medians \
         of {REPETITIONS} repetitions of {SAMPLES} batches.\n"
    );
    println!(
        "| STORAGE_SYNC | alone p50 | p99 | beside bulk senders p50 | p99 | ratio of p99 | aim | bets/s of the bulk senders | they at another server p50 | p99 |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for sync in ["always", "never"] {
        let (mut alone, mut beside, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            alone.push(measure(sync, Bulk::None)?);
            beside.push(measure(sync, Bulk::Here)?);
            elsewhere.push(measure(sync, Bulk::Elsewhere)?);
        }
        let (alone, beside, elsewhere) =
            (Figures::median(&alone), Figures::median(&beside), Figures::median(&elsewhere));
        let ratio = beside.p99.as_secs_f64() / alone.p99.as_secs_f64();
        println!(
            "| {sync} | {:.0?} | {:.0?} | {:.0?} | {:.0?} | {ratio:.1} | {AIM} | {:.0} | {:.0?} | {:.0?} |",
            alone.p50, alone.p99, beside.p50, beside.p99, beside.bulk_bets_a_second, elsewhere.p50, elsewhere.p99
        );
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Figures {
    p50: Duration,
    p99: Duration,
    bulk_bets_a_second: f64,
}

impl Figures {
    fn median(runs: &[Figures]) -> Figures {
        Figures {
            p50: median(runs.iter().map(|run| run.p50)),
            p99: median(runs.iter().map(|run| run.p99)),
            bulk_bets_a_second: median(runs.iter().map(|run| run.bulk_bets_a_second)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bulk {
    None,
    /// At the small agency's server.
    Here,
    /// At another server of this machine.
    Elsewhere,
}

fn measure(sync: &str, bulk: Bulk) -> Result<Figures, Box<dyn Error>> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let start = |folder: &Path| {
        quiet::start_server(folder, |command| {
            command.env("NUM_AGENCIES", SMALL_AGENCY.to_string()).env("STORAGE_SYNC", sync);
        })
    };
    let (_here, port) = start(folders[0].path())?;
    let (_elsewhere, other_port) = start(folders[1].path())?;
    let bulk_port = if bulk == Bulk::Elsewhere { other_port } else { port };
    let (stop, stored) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for agency in 1..=if bulk == Bulk::None { 0 } else { BULK_SENDERS } {
            let stream = TcpStream::connect(("127.0.0.1", bulk_port))?;
            let (stop, stored) = (&stop, &stored);
            scope.spawn(move || send_in_bulk(agency, stream, stop, stored));
        }
        let began = Instant::now();
        let sorted = sample(port);
        let bulk_bets_a_second = stored.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let sorted = sorted?;
        let percentile = |percent| sorted[sorted.len() * percent / 100];
        Ok(Figures { p50: percentile(50), p99: percentile(99), bulk_bets_a_second })
    })
}

/// The latency of each batch of the small agency, the shortest first.
fn sample(port: u16) -> std::io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let batch = batch(SMALL_AGENCY, SMALL_BATCH);
    let mut random = fastrand::Rng::with_seed(7574);
    let mut durations = Vec::new();
    for _ in 0..SAMPLES {
        thread::sleep(Duration::from_micros(random.u64(PAUSE_MICROSECONDS)));
        let began = Instant::now();
        stream.write_all(&batch)?;
        stream.read_exact(&mut [0; 2])?;
        durations.push(began.elapsed());
    }
    durations.sort_unstable();
    Ok(durations)
}

/// Writes batches until `stop` is set, and counts the bets that are stored.
fn send_in_bulk(agency: u32, mut stream: TcpStream, stop: &AtomicBool, stored: &AtomicU64) {
    let batch = batch(agency, BULK_BATCH);
    let mut replies = stream.try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            lower_priority();
            let mut reply = [0; 4096];
            let mut bytes = 0;
            while let Ok(read @ 1..) = replies.read(&mut reply) {
                bytes += read;
                stored.fetch_add((bytes / 2) as u64 * u64::from(BULK_BATCH), Ordering::Relaxed);
                bytes %= 2;
            }
        });
        lower_priority();
        while !stop.load(Ordering::Relaxed) && stream.write_all(&batch).is_ok() {}
        // Fails if the server is gone, which ends the other thread too.
        let _ = stream.shutdown(Shutdown::Both);
    });
}

fn lower_priority() {
    // Failure only makes the figures worse.
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
