//! Agencies with pre-encoded batches, all in one process: the cheapest way to load the server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loteria::buffer::Buffer;
use loteria::client::source::{BetFile, BetSource};
use loteria::protocol::{Batch, Message, VERSION};

use crate::Failure;
use crate::stage::make_data;

pub const ROLE: &str = "stream";

/// Every agency sends its bets with the window of our agencies, closes with the others, and waits for its winners.
/// Order: port, agencies, bets in all. Prints the seconds from the first batch to the last reply, then those from the last
/// closing to the first winners.
pub const ROUND: &str = "round";
/// Every agency sends each batch when it is due, answered or not. Order: port, agencies, bets in all, bets a second. Prints the
/// percentiles [`PERCENTILES`] of the seconds from the moment when a batch was due to its reply.
pub const PACED: &str = "paced";
/// Every connection sends the bytes of its bets and waits for the end. Order as for [`ROUND`]. Prints seconds.
pub const BYTES: &str = "bytes";

pub const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// The default of `batch.maxAmount`.
const BATCH_BETS: u64 = 148;
/// The default of `batch.window`.
const WINDOW: u64 = 32;
/// Number of different bets. They are sent again and again.
const DIFFERENT_BETS: u64 = 20_000;
const STACK_BYTES: usize = 1 << 17;

pub fn play(order: &[&str]) -> Result<(), Failure> {
    let (kind, port, agencies, bets) = match *order {
        [kind, port, agencies, bets, ..] => (kind, port.parse()?, agencies.parse()?, bets.parse()?),
        _ => return Err("stream round|paced|bytes PORT AGENCIES BETS [BETS_A_SECOND]".into()),
    };
    let numbers = match (kind, order.get(4)) {
        (ROUND, None) => round(port, agencies, bets)?,
        (PACED, Some(rate)) => paced(port, agencies, bets, rate.parse()?)?,
        (BYTES, None) => bytes(port, agencies, bets)?,
        _ => return Err(format!("{order:?} is no order").into()),
    };
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    println!("{}", numbers.join(" "));
    Ok(())
}

/// Encoded batches, repeated without end.
struct Batches {
    bytes: Vec<u8>,
    /// The end of each batch, and its number of bets.
    ends: Vec<(usize, u64)>,
}

impl Batches {
    /// Batches of `agency` with the bets of `source`.
    fn of(agency: u32, source: &mut BetFile) -> Result<Batches, Failure> {
        let (mut bytes, mut ends) = (Buffer::new(), Vec::new());
        loop {
            let mut batch = Batch::begin(&mut bytes);
            while u64::from(batch.bets()) < BATCH_BETS {
                let Some(mut bet) = source.peek()? else { break };
                bet.agency = agency;
                if batch.push(&bet).is_err() {
                    break;
                }
                source.take();
            }
            match batch.finish() {
                0 => return Ok(Batches { bytes: bytes.into(), ends }),
                bets => ends.push((bytes.len(), bets.into())),
            }
        }
    }

    /// The bytes of the batch with this number, and its number of bets.
    fn get(&self, number: usize) -> (&[u8], u64) {
        let number = number % self.ends.len();
        let start = if number == 0 { 0 } else { self.ends[number - 1].0 };
        let (end, bets) = self.ends[number];
        (&self.bytes[start..end], bets)
    }
}

/// An agency and its connection.
struct Agency {
    socket: TcpStream,
    batches: Batches,
    /// Number of bets that are still to be sent.
    bets: u64,
}

/// Runs `part` for each of `agencies` in a thread of its own, and gives their results.
fn for_each_agency<T: Send + 'static>(
    port: u16,
    agencies: u32,
    bets: u64,
    part: impl Fn(Agency, u32, &Barrier) -> Result<T, Failure> + Clone + Send + 'static,
) -> Result<Vec<T>, Failure> {
    let (_folder, files) = make_data(1, DIFFERENT_BETS.min(bets / u64::from(agencies) + 1))?;
    let file = files.first().ok_or("no data")?;
    let barrier = Arc::new(Barrier::new(agencies as usize));
    let start = |number: u32| -> Result<JoinHandle<Result<T, Failure>>, Failure> {
        let batches = Batches::of(number, &mut BetFile::open(file, number)?)?;
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        let own_bets = bets / u64::from(agencies) + u64::from(u64::from(number) <= bets % u64::from(agencies));
        let (part, barrier) = (part.clone(), Arc::clone(&barrier));
        let play = move || part(Agency { socket, batches, bets: own_bets }, number, &barrier);
        Ok(thread::Builder::new().stack_size(STACK_BYTES).spawn(play)?)
    };
    let threads: Vec<_> = (1..=agencies).map(start).collect::<Result<_, _>>()?;
    threads.into_iter().map(|thread| thread.join().map_err(|_| "an agency's thread panicked")?).collect()
}

/// Seconds from the earliest to the latest.
fn span(earliest: impl Iterator<Item = Instant>, latest: impl Iterator<Item = Instant>) -> Result<f64, Failure> {
    let (first, last) = (earliest.min().ok_or("no agency")?, latest.max().ok_or("no agency")?);
    Ok(last.saturating_duration_since(first).as_secs_f64())
}

fn round(port: u16, agencies: u32, bets: u64) -> Result<Vec<f64>, Failure> {
    let times = for_each_agency(port, agencies, bets, |mut agency, number, barrier| {
        agency.log_in(number)?;
        barrier.wait();
        let began = Instant::now();
        agency.send_with_window()?;
        let stored = Instant::now();
        barrier.wait();
        let closed = Instant::now();
        agency.send(&[Message::AllBetsSent, Message::RequestWinners])?;
        agency.skip_reply(2 + 8)?;
        Ok([began, stored, closed, Instant::now()])
    })?;
    let sending = span(times.iter().map(|times| times[0]), times.iter().map(|times| times[1]))?;
    let last_closing = times.iter().map(|times| times[2]).max().ok_or("no agency")?;
    let first_winners = times.iter().map(|times| times[3]).min().ok_or("no agency")?;
    Ok(vec![sending, first_winners.saturating_duration_since(last_closing).as_secs_f64()])
}

fn bytes(port: u16, agencies: u32, bets: u64) -> Result<Vec<f64>, Failure> {
    let times = for_each_agency(port, agencies, bets, |mut agency, _, barrier| {
        barrier.wait();
        let began = Instant::now();
        agency.send_at_once()?;
        agency.socket.shutdown(Shutdown::Write)?;
        agency.socket.read_to_end(&mut Vec::new())?;
        Ok((began, Instant::now()))
    })?;
    Ok(vec![span(times.iter().map(|times| times.0), times.iter().map(|times| times.1))?])
}

fn paced(port: u16, agencies: u32, bets: u64, bets_a_second: f64) -> Result<Vec<f64>, Failure> {
    let of_each = bets_a_second / f64::from(agencies);
    let latencies = for_each_agency(port, agencies, bets, move |mut agency, number, barrier| {
        agency.log_in(number)?;
        barrier.wait();
        // Staggered, so that the agencies' batches are not all due at the same moment.
        let first_batch = agency.batches.get(0).1 as f64;
        let start =
            Instant::now() + Duration::from_secs_f64(first_batch / of_each * f64::from(number) / f64::from(agencies));
        agency.send_paced(start, of_each)
    })?;
    let mut latencies: Vec<f64> = latencies.into_iter().flatten().collect();
    latencies.sort_unstable_by(f64::total_cmp);
    let percentile = |percent: f64| latencies[((latencies.len() - 1) as f64 * percent / 100.0).round() as usize];
    if latencies.is_empty() { Err("no batch".into()) } else { Ok(PERCENTILES.map(percentile).to_vec()) }
}

/// Length of a RegisterBetOk.
const OK_BYTES: usize = 2;

impl Agency {
    fn send(&mut self, messages: &[Message<'_>]) -> Result<(), Failure> {
        let mut output = Buffer::new();
        messages.iter().for_each(|message| message.encode(&mut output));
        Ok(self.socket.write_all(&output)?)
    }

    fn skip_reply(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.socket.read_exact(&mut vec![0; bytes])?)
    }

    fn log_in(&mut self, agency: u32) -> Result<(), Failure> {
        self.send(&[Message::Hello { version: VERSION, agency, credential: &[] }])?;
        self.skip_reply(2 + 8 + 1 + 4)
    }

    /// Sends every bet, with at most [`WINDOW`] batches unanswered.
    fn send_with_window(&mut self) -> Result<(), Failure> {
        let (mut next, mut in_flight, mut half) = (0, 0, 0);
        let mut output = Buffer::new();
        let mut replies = [0; OK_BYTES * WINDOW as usize];
        while self.bets > 0 || in_flight > 0 {
            output.clear();
            while self.bets > 0 && in_flight < WINDOW {
                let (bytes, bets) = self.batches.get(next);
                output.extend_from_slice(bytes);
                self.bets = self.bets.saturating_sub(bets);
                (next, in_flight) = (next + 1, in_flight + 1);
            }
            self.socket.write_all(&output)?;
            let read = self.socket.read(&mut replies)?;
            check_replies(&replies[..read], half)?;
            in_flight -= ((read + half) / OK_BYTES) as u64;
            half = (read + half) % OK_BYTES;
        }
        Ok(())
    }

    fn send_at_once(&mut self) -> Result<(), Failure> {
        let mut next = 0;
        while self.bets > 0 {
            let (bytes, bets) = self.batches.get(next);
            self.socket.write_all(bytes)?;
            self.bets = self.bets.saturating_sub(bets);
            next += 1;
        }
        Ok(())
    }

    /// Sends each batch when it is due, and gives the seconds from then to its reply.
    fn send_paced(mut self, start: Instant, bets_a_second: f64) -> Result<Vec<f64>, Failure> {
        let mut due = Vec::new();
        let mut bets_before = 0;
        while bets_before < self.bets {
            due.push(start + Duration::from_secs_f64(bets_before as f64 / bets_a_second));
            bets_before += self.batches.get(due.len() - 1).1;
        }
        let mut replies = self.socket.try_clone()?;
        let expected = due.clone();
        let read_replies = move || -> Result<Vec<f64>, Failure> {
            let mut latencies = Vec::with_capacity(expected.len());
            for due in expected {
                replies.read_exact(&mut [0; OK_BYTES])?;
                latencies.push(Instant::now().saturating_duration_since(due).as_secs_f64());
            }
            Ok(latencies)
        };
        let reader = thread::Builder::new().stack_size(STACK_BYTES).spawn(read_replies)?;
        for (number, due) in due.into_iter().enumerate() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (bytes, _) = self.batches.get(number);
            self.socket.write_all(bytes)?;
        }
        reader.join().map_err(|_| "the reader panicked")?
    }
}

/// Checks that these bytes are RegisterBetOk and nothing else, after `half` bytes of one.
fn check_replies(bytes: &[u8], half: usize) -> Result<(), Failure> {
    let expected = |position: usize| if (position + half).is_multiple_of(OK_BYTES) { 0 } else { 2 };
    if !bytes.is_empty() && bytes.iter().enumerate().all(|(position, &byte)| byte == expected(position)) {
        Ok(())
    } else {
        Err(format!("the server answered {bytes:02x?}").into())
    }
}
