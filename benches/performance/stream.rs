//! Agencies whose batches are bytes already, all in one process: what they cost is as little as sending can.

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

/// Every agency sends its bets with a window, as ours do, closes with the others, and waits for its winners.
/// Order: port, agencies, bets of all. Prints seconds from the first batch to the last reply, then from the last closing to
/// the first winners.
pub const CONTEST: &str = "contest";
/// Every agency sends a batch when its time has come, whatever was answered before. Order: port, agencies, bets of all, bets a
/// second. Prints the percentiles [`PERCENTILES`] of the seconds from when a batch was due to its reply.
pub const PACED: &str = "paced";
/// Every connection sends what its bets are on the wire and waits for the end. Order as for [`CONTEST`]. Prints seconds.
pub const BYTES: &str = "bytes";

pub const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

/// The default of `batch.maxAmount`.
const BATCH_BETS: u64 = 148;
/// The default of `batch.window`.
const WINDOW: u64 = 32;
/// Bets of which the stream is made, again and again.
const DIFFERENT_BETS: u64 = 20_000;
const STACK_BYTES: usize = 1 << 17;

pub fn play(order: &[&str]) -> Result<(), Failure> {
    let (kind, port, agencies, bets) = match *order {
        [kind, port, agencies, bets, ..] => (kind, port.parse()?, agencies.parse()?, bets.parse()?),
        _ => return Err("stream contest|paced|bytes PORT AGENCIES BETS [BETS_A_SECOND]".into()),
    };
    let numbers = match (kind, order.get(4)) {
        (CONTEST, None) => contest(port, agencies, bets)?,
        (PACED, Some(rate)) => paced(port, agencies, bets, rate.parse()?)?,
        (BYTES, None) => bytes(port, agencies, bets)?,
        _ => return Err(format!("{order:?} is no order").into()),
    };
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    println!("{}", numbers.join(" "));
    Ok(())
}

/// Batches as bytes, one behind the other, and then from the first again.
struct Batches {
    bytes: Vec<u8>,
    /// Where each ends, and how many bets it has.
    ends: Vec<(usize, u64)>,
}

impl Batches {
    /// Those of `agency`, made of the bets of `source`.
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

    /// The bytes of the batch with this number, and how many bets it has.
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
    /// How many bets are still to be sent.
    bets: u64,
}

/// Runs `part` for each of `agencies` in a thread of its own, all at the same time, and gives what they gave.
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

fn contest(port: u16, agencies: u32, bets: u64) -> Result<Vec<f64>, Failure> {
    let times = for_each_agency(port, agencies, bets, |mut agency, number, barrier| {
        agency.say_hello(number)?;
        barrier.wait();
        let began = Instant::now();
        agency.send_with_window()?;
        let stored = Instant::now();
        barrier.wait();
        let closed = Instant::now();
        agency.say(&[Message::AllBetsSent, Message::RequestWinners])?;
        agency.hear(2 + 8)?;
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
        agency.say_hello(number)?;
        barrier.wait();
        // The agencies' batches are due one after the other, not all at the same moment.
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

/// Bytes of a RegisterBetOk.
const OK_BYTES: usize = 2;

impl Agency {
    fn say(&mut self, messages: &[Message<'_>]) -> Result<(), Failure> {
        let mut output = Buffer::new();
        messages.iter().for_each(|message| message.encode(&mut output));
        Ok(self.socket.write_all(&output)?)
    }

    fn hear(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.socket.read_exact(&mut vec![0; bytes])?)
    }

    fn say_hello(&mut self, agency: u32) -> Result<(), Failure> {
        self.say(&[Message::Hello { version: VERSION, agency, credential: &[] }])?;
        self.hear(2 + 8 + 1)
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
            let heard = self.socket.read(&mut replies)?;
            check_replies(&replies[..heard], half)?;
            in_flight -= ((heard + half) / OK_BYTES) as u64;
            half = (heard + half) % OK_BYTES;
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

    /// Sends a batch whenever it is due, and gives how long after that each was answered.
    fn send_paced(mut self, start: Instant, bets_a_second: f64) -> Result<Vec<f64>, Failure> {
        let mut due = Vec::new();
        let mut bets_before = 0;
        while bets_before < self.bets {
            due.push(start + Duration::from_secs_f64(bets_before as f64 / bets_a_second));
            bets_before += self.batches.get(due.len() - 1).1;
        }
        let mut replies = self.socket.try_clone()?;
        let answered = due.clone();
        let hear = move || -> Result<Vec<f64>, Failure> {
            let mut latencies = Vec::with_capacity(answered.len());
            for due in answered {
                replies.read_exact(&mut [0; OK_BYTES])?;
                latencies.push(Instant::now().saturating_duration_since(due).as_secs_f64());
            }
            Ok(latencies)
        };
        let hearing = thread::Builder::new().stack_size(STACK_BYTES).spawn(hear)?;
        for (number, due) in due.into_iter().enumerate() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (bytes, _) = self.batches.get(number);
            self.socket.write_all(bytes)?;
        }
        hearing.join().map_err(|_| "the reader panicked")?
    }
}

/// Whether these are RegisterBetOk and nothing else; `half` is how many bytes of one came before.
fn check_replies(bytes: &[u8], half: usize) -> Result<(), Failure> {
    let expected = |position: usize| if (position + half).is_multiple_of(OK_BYTES) { 0 } else { 2 };
    if !bytes.is_empty() && bytes.iter().enumerate().all(|(position, &byte)| byte == expected(position)) {
        Ok(())
    } else {
        Err(format!("the central answered {bytes:02x?}").into())
    }
}
