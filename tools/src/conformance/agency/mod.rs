//! Tests of an agency: one for each requirement `A-...` and `X-...` of `protocol.md`.
//!
//! Each test starts the agency with a file of its own and plays the server: one that answers well up to a point, and then
//! refuses, stalls, drips, lies or hangs up.

mod breaks;
mod limits;
mod play;
mod resumption;
mod simple;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use self::play::Play;
use super::report::{Report, Verdict};

/// The number of the agency under test.
pub const AGENCY: u32 = 7;

/// An agency under test.
#[derive(Debug)]
pub struct Agency {
    /// The program and its arguments, with placeholders.
    pub command: Vec<String>,
    /// True if it says Hello.
    pub is_exact: bool,
    /// The time within which it wants a whole reply.
    pub reply_timeout: Duration,
    /// The longest time for anything that must come, beside that one.
    pub patience: Duration,
    pub winning_number: u32,
    /// Number of tests that run at the same time.
    pub jobs: usize,
}

impl Agency {
    /// Starts the agency once, and ends it.
    ///
    /// # Errors
    /// The system's, if there is no such program.
    pub fn check(&self) -> std::io::Result<()> {
        Play::launch(self, Vec::new()).map(|_| ())
    }
}

type Test = (&'static str, fn(&Agency) -> Verdict);

const SIMPLE: &[Test] = &[
    ("A-1", simple::round),
    ("A-2", simple::short_messages),
    ("A-3", simple::pieces),
    ("A-4", simple::closes_last),
    ("A-5", simple::waits_for_the_draw),
    ("A-6", simple::keeps_its_side_open),
    ("A-7", simple::ends_well),
    ("A-8", simple::stops_at_a_code),
    ("A-9", simple::stops_at_the_undefined),
];

const EXACT: &[Test] = &[
    ("X-1", resumption::hello_first),
    ("X-2", resumption::skips),
    ("X-3", resumption::shorter_file),
    ("X-4", resumption::other_file),
    ("X-5", resumption::count_goes_back),
    ("X-6", breaks::at_every_byte),
    ("X-7", breaks::pauses),
    ("X-8", breaks::comes_back),
    ("X-9", breaks::takeover),
    ("X-10", limits::replies),
    ("X-11", limits::resets),
    ("X-12", limits::winners),
    ("X-13", resumption::closed_before),
    ("X-14", breaks::refused_before_hello),
    ("X-15", resumption::closes_again),
];

/// The requirements that have a test.
#[cfg(test)]
pub fn tested() -> Vec<&'static str> {
    SIMPLE.iter().chain(EXACT).map(|(id, _)| *id).collect()
}

/// Tests `agency`.
pub fn run(agency: &Agency) -> Report {
    let exact = if agency.is_exact { EXACT } else { &[] };
    let waiting = Mutex::new(SIMPLE.iter().chain(exact));
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..agency.jobs {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((id, test)) = next else { break };
                    let verdict = test(agency);
                    verdicts.lock().unwrap_or_else(PoisonError::into_inner).push((*id, verdict));
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    Report::on(&verdicts, |id| id.starts_with("A-") || (agency.is_exact && id.starts_with("X-")))
}
