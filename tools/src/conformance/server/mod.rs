//! Tests of a server: one for each requirement `S-...` of `protocol.md`.
//!
//! A server accumulates one round, so each test has an agency of its own, and the tests of the draw come last. Agency 1 stays
//! open and empty until then: the vectors of the page name it.

mod batches;
mod closing;
mod connections;
mod draw;
mod greeting;
mod receiving;
mod restart;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use loteria_tools::Process;
use thiserror::Error;

use super::report::{Report, Unmet, Verdict, must};
use super::requirements::{PROTOCOL, malformed};
use super::wire::{Bet, Seen, Wire, batch, hello};

/// A server under test.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    /// The number of agencies of its round.
    pub agencies: u32,
    pub winning_number: u32,
    /// The credential of an agency, with its number in place of `{id}`.
    pub credential: Option<String>,
    /// The longest time for anything that must come, its time limits included.
    pub patience: Duration,
    /// The shell command that starts it.
    pub command: Option<String>,
    pub process: Mutex<Option<Process>>,
}

/// Reason why a server can't be tested, whatever it does right.
#[derive(Debug, Error)]
pub enum Unfit {
    #[error("it has no agency {0} (code 5); --agencies must be the number of agencies of its round")]
    NoAgency(u32),
    #[error(
        "it asks for credentials (code 8); give --credential to test those requirements, and for the others start it without"
    )]
    AsksForCredentials,
    #[error(
        "agency {agency} has {stored} bets and state {state}; start the server with an empty round, without the files of the last"
    )]
    NotEmpty { agency: u32, stored: u64, state: u8 },
}

/// A test, which gets an agency that no other test uses.
type Test = (&'static str, fn(&Server, u32) -> Verdict);

/// The tests that need credentials.
const WITH_CREDENTIALS: &[Test] = &[("S-13", greeting::nothing_before_hello), ("S-14", greeting::credentials)];

/// The tests that wait for a time limit. They run beside the others.
const PATIENT: &[Test] = &[("S-41", connections::without_agency), ("S-42", connections::half_a_message)];

/// The tests of an open round.
const OPEN: &[Test] = &[
    ("S-1", receiving::pieces),
    ("S-2", receiving::large_messages),
    ("S-3", receiving::order),
    ("S-4", receiving::types),
    ("S-5", receiving::versions),
    ("S-6", receiving::malformed),
    ("S-7", receiving::ack),
    ("S-8", greeting::version_1),
    ("S-9", greeting::version_2),
    ("S-10", greeting::words_of_refusals),
    ("S-11", greeting::repeated),
    ("S-12", greeting::no_such_agency),
    ("S-15", batches::all_or_none),
    ("S-16", batches::validity),
    ("S-17", batches::other_agency),
    ("S-18", batches::without_bets),
    ("S-19", batches::behind_a_refused_one),
    ("S-20", batches::without_hello),
    ("S-23", closing::closes),
    ("S-24", closing::repeated),
    ("S-25", closing::without_bets),
    ("S-26", closing::without_agency),
    ("S-35", connections::takeover),
    ("S-36", connections::ghost),
    ("S-37", connections::final_count),
    ("S-38", connections::code_survives_input),
    ("S-39", connections::stays_open),
    ("S-40", connections::owed_replies),
    ("S-45", connections::other_protocols),
];

/// The tests that kill the server.
const RESTART: &[Test] = &[("S-21", restart::acknowledged), ("S-22", restart::prefix)];

/// The least number of agencies of a round to test.
pub fn least_agencies() -> u32 {
    (1 + PATIENT.len() + OPEN.len() + RESTART.len() + draw::TESTS.len() + 1) as u32
}

/// The requirements that have a test.
pub fn tested() -> Vec<&'static str> {
    let groups = [WITH_CREDENTIALS, PATIENT, OPEN, RESTART].concat();
    groups.into_iter().map(|(id, _)| id).chain(draw::TESTS.iter().map(|test| test.id)).collect()
}

const NEEDS_CREDENTIAL: Unmet = Unmet::Skipped("needs --credential and a server that asks for credentials");
const NEEDS_NO_CREDENTIAL: Unmet = Unmet::Skipped("needs a server that asks for no credentials");
const NEEDS_COMMAND: Unmet = Unmet::Skipped("needs --command, to kill the server and start it again");

/// Tests `server`, which has an empty round.
pub fn run(server: &Server) -> Report {
    let mut verdicts: Vec<(&str, Verdict)> = Vec::new();
    if server.credential.is_some() {
        verdicts.extend(WITH_CREDENTIALS.iter().map(|(id, test)| (*id, test(server, 1))));
        verdicts.extend(tested().into_iter().map(|id| (id, Err(NEEDS_NO_CREDENTIAL))));
    } else {
        verdicts.extend(WITH_CREDENTIALS.iter().map(|(id, _)| (*id, Err(NEEDS_CREDENTIAL))));
        let mut agencies = 2..;
        let mut give = |tests: &[Test]| -> Vec<(Test, u32)> { tests.iter().copied().zip(agencies.by_ref()).collect() };
        let (patient, open, restart) = (give(PATIENT), give(OPEN), give(RESTART));
        let drawn = give(&[("", closing::closes)])[0].1;
        thread::scope(|scope| {
            let one = |((id, test), agency): (Test, u32)| (id, test(server, agency));
            let patient: Vec<_> = patient.into_iter().map(|test| scope.spawn(move || one(test))).collect();
            verdicts.extend(open.into_iter().map(one));
            verdicts.extend(patient.into_iter().map(|test| test.join().expect("a test does not panic")));
            verdicts.extend(restart.into_iter().map(one));
        });
        verdicts.extend(draw::run(server, drawn));
    }
    Report::on(&verdicts, |id| id.starts_with("S-"))
}

impl Server {
    /// Starts the server, if there is a command for it, and waits until it accepts connections.
    pub fn start(&self) -> std::io::Result<()> {
        let Some(command) = &self.command else { return Wire::connect(self.address, self.patience).map(|_| ()) };
        let mut process = Process::start(Command::new("sh").args(["-c", &format!("exec {command}")]), |_| ())?;
        let until = Instant::now() + self.patience;
        while let Err(error) = Wire::connect(self.address, self.patience) {
            if process.status()?.is_some() {
                let ended = process.wait()?;
                let last = ended.lines.last().map_or("", String::as_str);
                return Err(std::io::Error::other(format!("--command ended, and its last line is {last:?}")));
            }
            if Instant::now() > until {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(5));
        }
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    /// Asks for every agency that a test needs. Only what makes every test useless is an error: the rest is for the tests.
    pub fn check(&self) -> Result<(), Unfit> {
        if self.credential.is_some() {
            return Ok(());
        }
        for agency in (1..least_agencies()).chain([self.agencies]) {
            let Ok(mut wire) = self.connect() else { return Ok(()) };
            match wire.send(&hello(1, agency, "")).read() {
                Seen::Refused { code: 5, .. } => return Err(Unfit::NoAgency(agency)),
                Seen::Refused { code: 8, .. } => return Err(Unfit::AsksForCredentials),
                Seen::Welcome { stored: 0, state: 0, .. } => {}
                Seen::Welcome { stored, state, .. } => return Err(Unfit::NotEmpty { agency, stored, state }),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Kills the server and starts it again.
    fn restart(&self) -> Verdict {
        // Dropping the process kills it and waits until it is gone.
        let was_running = self.process.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
        if !was_running {
            return Err(NEEDS_COMMAND);
        }
        self.start().map_err(|error| Unmet::failed("the server starts again", error))
    }

    fn connect(&self) -> Result<Wire, Unmet> {
        Wire::connect(self.address, self.patience).map_err(|error| Unmet::failed("a connection", error))
    }

    /// Connects, and sends a Hello of version 1 that must be welcome.
    fn greet(&self, agency: u32) -> Result<Wire, Unmet> {
        let mut wire = self.connect()?;
        welcomed(&mut wire, agency)?;
        Ok(wire)
    }

    /// A bet that loses.
    fn bet(&self, agency: u32, document: u32) -> Bet {
        Bet::of(agency, document, (self.winning_number + 1) % 10_000)
    }

    /// A bet that wins.
    fn winner(&self, agency: u32, document: u32) -> Bet {
        Bet::of(agency, document, self.winning_number)
    }

    /// A bet that is not valid.
    fn invalid(&self, agency: u32) -> Bet {
        Bet::of(agency, 100_000_000, 1)
    }

    /// Sends each vector with this code that `is_wanted` on a connection of its own.
    fn vectors(&self, code: u16, is_wanted: impl Fn(&[u8]) -> bool) -> Verdict {
        for vector in malformed(PROTOCOL).iter().filter(|vector| vector.code == code && is_wanted(&vector.bytes)) {
            let seen = self.connect()?.send(&vector.bytes).read();
            refuses(&vector.reason, code, &seen)?;
        }
        Ok(())
    }
}

/// The number of stored bets and the state, as a Hello of version 1 on this connection tells.
fn welcomed(wire: &mut Wire, agency: u32) -> Result<(u64, u8), Unmet> {
    match wire.send(&hello(1, agency, "")).read() {
        Seen::Welcome { stored, state, .. } => Ok((stored, state)),
        seen => Err(Unmet::failed(format_args!("a Welcome for agency {agency}"), seen)),
    }
}

/// Sends a batch that must be stored.
fn stores(wire: &mut Wire, bets: &[Bet]) -> Verdict {
    must("a valid batch", &Seen::RegisterBetOk, &wire.send(&batch(bets)).read())
}

/// Passes if `seen` refuses with `code`, in either version's words.
fn refuses(what: &str, code: u16, seen: &Seen) -> Verdict {
    match seen {
        Seen::Refused { code: seen, .. } if *seen == code => Ok(()),
        seen => Err(Unmet::failed(format_args!("{what}: code {code}"), seen)),
    }
}

/// Passes if the state and the number of bets are these.
fn stands(wire: &mut Wire, agency: u32, stored: u64, state: u8) -> Verdict {
    let seen = welcomed(wire, agency)?;
    super::report::ensure(
        seen == (stored, state),
        format_args!("{stored} bets, state {state}"),
        format_args!("{} bets, state {}", seen.0, seen.1),
    )
}
