//! The latency of a small agency's batches, alone and beside four bulk senders.
//!
//! The small agency sends batches of [`SMALL_BATCH`] bets, one at a time, after pauses of random length, so that they arrive at
//! any moment of the server's turn. The bulk senders write batches of [`BULK_BATCH`] bets as fast as the server takes them, and
//! read the replies in another thread. Their threads run at the lowest priority, so that the server is measured and not the
//! kernel's scheduler. The same bulk senders at a second server on the same disk show the part of the latency that the
//! processors and the disk cause.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loteria::bet::{Bet, Day};
use loteria::buffer::Buffer;
use loteria::protocol::Batch;

use crate::Failure;
use crate::figure::Figure;
use crate::report::{Report, Table, millions, time};
use crate::setup::Setup;
use crate::stage::Server;
use crate::suite::{FILES, Options};

const BULK_SENDERS: u32 = 4;
const SMALL_AGENCY: u32 = BULK_SENDERS + 1;
const SMALL_BATCH: u32 = 10;
const BULK_BATCH: u32 = 148;
/// Batches that a bulk sender writes at once, so that its system calls leave the processors to the server.
const BULK_BATCHES: usize = 8;
const SAMPLES: u32 = 1000;
/// Shortest and longest pause before a batch, in microseconds.
const PAUSE_MICROSECONDS: std::ops::Range<u64> = 1000..3000;
/// Niceness of the bulk senders' threads.
const NICE: i32 = 19;

/// The bulk senders of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bulk {
    None,
    /// At the small agency's server.
    Here,
    /// At another server of this machine.
    Elsewhere,
}

const CASES: [(Bulk, &str); 3] =
    [(Bulk::None, "alone"), (Bulk::Here, "beside bulk senders"), (Bulk::Elsewhere, "they at another server")];

/// A run of a case, in seconds.
struct Run {
    p50: f64,
    p99: f64,
    bulk_bets_a_second: f64,
}

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "small agency",
        "p50",
        "p99",
        "times alone, p50",
        "times alone, p99",
        "bets a second of the bulk senders",
    ]);
    for setup in FILES {
        // The cases take turns, so that other load on the machine slows all of them.
        let mut runs = CASES.map(|_| Vec::new());
        for _ in 0..options.runs {
            for ((bulk, _), runs) in CASES.iter().zip(&mut runs) {
                runs.push(run(setup, *bulk)?);
            }
        }
        for ((bulk, name), case) in CASES.iter().zip(&runs) {
            let figure = |of: fn(&Run) -> f64| Figure::of(case.iter().map(of));
            let ratio =
                |of: fn(&Run) -> f64| Figure::of(case.iter().zip(&runs[0]).map(|(one, alone)| of(one) / of(alone)));
            let times = |of: fn(&Run) -> f64| {
                if *bulk == Bulk::None { "·".to_owned() } else { ratio(of).show(|ratio| format!("{ratio:.1}")) }
            };
            let sent = figure(|run| run.bulk_bets_a_second);
            table.add([
                format!("{name}, {}", setup.name()),
                figure(|run| run.p50).show(time),
                figure(|run| run.p99).show(time),
                times(|run| run.p50),
                times(|run| run.p99),
                if *bulk == Bulk::None { "·".to_owned() } else { sent.show(millions) },
            ]);
        }
    }
    let explanation = format!(
        "The latency of a small agency's batches of {SMALL_BATCH} bets, {SAMPLES} of them a run: alone, beside {BULK_SENDERS} bulk \
         senders at the same server, and beside {BULK_SENDERS} at another server on the same disk. The servers log at ERROR."
    );
    report.add("Fairness", &explanation, &table);
    Ok(())
}

fn run(setup: Setup<'_>, bulk: Bulk) -> Result<Run, Failure> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let here = Server::start_quiet(folders[0].path(), SMALL_AGENCY as usize, setup)?;
    let elsewhere = Server::start_quiet(folders[1].path(), SMALL_AGENCY as usize, setup)?;
    let bulk_port = if bulk == Bulk::Elsewhere { elsewhere.port } else { here.port };
    let (stop, stored) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for agency in 1..=if bulk == Bulk::None { 0 } else { BULK_SENDERS } {
            let stream = TcpStream::connect(("127.0.0.1", bulk_port))?;
            let (stop, stored) = (&stop, &stored);
            scope.spawn(move || send_in_bulk(agency, stream, stop, stored));
        }
        let began = Instant::now();
        let sorted = sample(here.port);
        let bulk_bets_a_second = stored.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let sorted: Vec<Duration> = sorted?;
        let percentile = |percent: usize| sorted[sorted.len() * percent / 100].as_secs_f64();
        Ok(Run { p50: percentile(50), p99: percentile(99), bulk_bets_a_second })
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
    let batches = batch(agency, BULK_BATCH).repeat(BULK_BATCHES);
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
        while !stop.load(Ordering::Relaxed) && stream.write_all(&batches).is_ok() {}
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
