//! Agencies with pre-encoded batches, all in one process: the cheapest way to load the server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use loteria::buffer::Buffer;
use loteria::client::source::{BetFile, BetSource};
use loteria::protocol::{Batch, Message, VERSION};
use loteria_tools::Stream;

use crate::Failure;
use crate::pace::paced;
use crate::setup::connector;
use crate::stage::make_data;

pub const ROLE: &str = "stream";

/// Every agency sends its bets with the window of our agencies, closes with the others, and waits for its winners. Prints the
/// seconds from the first batch to the last reply, then those from the last closing to the first winners.
pub const ROUND: &str = "round";
/// See [`paced`]. Its order ends with the bets a second.
pub const PACED: &str = "paced";
/// Every connection sends the bytes of its bets and waits for the end. Prints seconds.
pub const BYTES: &str = "bytes";
/// In place of the authority's file, where agencies speak no TLS.
pub const PLAIN: &str = "-";

/// The default of `batch.maxAmount`.
pub const BATCH_BETS: u64 = 148;
/// The default of `batch.window`.
pub const WINDOW: u64 = 32;
/// Number of different bets. They are sent again and again.
const DIFFERENT_BETS: u64 = 20_000;
const STACK_BYTES: usize = 1 << 17;

/// Plays the role. The order: one of the kinds above, the server's port, the file of the authority that agencies over TLS trust,
/// number of agencies, bets in all, and bets a second for [`PACED`].
pub fn play(order: &[&str]) -> Result<(), Failure> {
    let &[kind, port, authority, agencies, bets, ref rest @ ..] = order else {
        return Err("stream KIND PORT AUTHORITY AGENCIES BETS [BETS_A_SECOND]".into());
    };
    let crew = Crew { port: port.parse()?, authority, agencies: agencies.parse()?, bets: bets.parse()? };
    let numbers = match (kind, rest) {
        (ROUND, []) => round(&crew)?,
        (PACED, [rate]) => paced(&crew, rate.parse()?)?,
        (BYTES, []) => bytes(&crew)?,
        _ => return Err(format!("{order:?} is no order").into()),
    };
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    println!("{}", numbers.join(" "));
    Ok(())
}

/// The agencies of an order.
pub struct Crew<'a> {
    port: u16,
    authority: &'a str,
    pub agencies: u32,
    bets: u64,
}

/// Encoded batches, repeated without end.
pub struct Batches {
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
    pub fn get(&self, number: usize) -> (&[u8], u64) {
        let number = number % self.ends.len();
        let start = if number == 0 { 0 } else { self.ends[number - 1].0 };
        let (end, bets) = self.ends[number];
        (&self.bytes[start..end], bets)
    }
}

/// An agency and its connection.
pub struct Agency {
    pub stream: Stream,
    pub batches: Batches,
    /// Number of bets that are still to be sent.
    pub bets: u64,
}

/// Runs `part` for each agency of the crew in a thread of its own, and gives their results.
pub fn for_each_agency<T: Send + 'static>(
    &Crew { port, authority, agencies, bets }: &Crew<'_>,
    part: impl Fn(Agency, u32, &Barrier) -> Result<T, Failure> + Clone + Send + 'static,
) -> Result<Vec<T>, Failure> {
    let (_folder, files) = make_data(1, DIFFERENT_BETS.min(bets / u64::from(agencies) + 1))?;
    let file = files.first().ok_or("no data")?;
    let connector = if authority == PLAIN { None } else { Some(connector(Path::new(authority))?) };
    let barrier = Arc::new(Barrier::new(agencies as usize));
    let start = |number: u32| -> Result<JoinHandle<Result<T, Failure>>, Failure> {
        let batches = Batches::of(number, &mut BetFile::open(file, number)?)?;
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        let channel = connector.as_ref().map(|connector| connector.begin(0)).transpose()?;
        let stream = Stream::new(socket, channel);
        let own_bets = bets / u64::from(agencies) + u64::from(u64::from(number) <= bets % u64::from(agencies));
        let (part, barrier) = (part.clone(), Arc::clone(&barrier));
        let play = move || part(Agency { stream, batches, bets: own_bets }, number, &barrier);
        Ok(thread::Builder::new().stack_size(STACK_BYTES).spawn(play)?)
    };
    let threads: Vec<_> = (1..=agencies).map(start).collect::<Result<_, _>>()?;
    threads.into_iter().map(|thread| thread.join().map_err(|_| "an agency's thread panicked")?).collect()
}

/// Seconds from the earliest to the latest.
pub fn span(earliest: impl Iterator<Item = Instant>, latest: impl Iterator<Item = Instant>) -> Result<f64, Failure> {
    let (first, last) = (earliest.min().ok_or("no agency")?, latest.max().ok_or("no agency")?);
    Ok(last.saturating_duration_since(first).as_secs_f64())
}

fn round(crew: &Crew<'_>) -> Result<Vec<f64>, Failure> {
    let times = for_each_agency(crew, |mut agency, number, barrier| {
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

fn bytes(crew: &Crew<'_>) -> Result<Vec<f64>, Failure> {
    let times = for_each_agency(crew, |mut agency, _, barrier| {
        barrier.wait();
        let began = Instant::now();
        agency.send_at_once()?;
        agency.stream.shutdown(Shutdown::Write)?;
        agency.stream.read_to_end(&mut Vec::new())?;
        Ok((began, Instant::now()))
    })?;
    Ok(vec![span(times.iter().map(|times| times.0), times.iter().map(|times| times.1))?])
}

/// Length of a RegisterBetOk.
pub const OK_BYTES: usize = 2;

impl Agency {
    fn send(&mut self, messages: &[Message<'_>]) -> Result<(), Failure> {
        let mut output = Buffer::new();
        messages.iter().for_each(|message| message.encode(&mut output));
        Ok(self.stream.write_all(&output)?)
    }

    fn skip_reply(&mut self, bytes: usize) -> Result<(), Failure> {
        Ok(self.stream.read_exact(&mut vec![0; bytes])?)
    }

    pub fn log_in(&mut self, agency: u32) -> Result<(), Failure> {
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
            self.stream.write_all(&output)?;
            let read = self.stream.read(&mut replies)?;
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
            self.stream.write_all(bytes)?;
            self.bets = self.bets.saturating_sub(bets);
            next += 1;
        }
        Ok(())
    }
}

/// Checks that these bytes are RegisterBetOk and nothing else, after `half` bytes of one.
pub fn check_replies(bytes: &[u8], half: usize) -> Result<(), Failure> {
    let expected = |position: usize| if (position + half).is_multiple_of(OK_BYTES) { 0 } else { 2 };
    if !bytes.is_empty() && bytes.iter().enumerate().all(|(position, &byte)| byte == expected(position)) {
        Ok(())
    } else {
        Err(format!("the server answered {bytes:02x?}").into())
    }
}
