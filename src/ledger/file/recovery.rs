//! The history that the files hold after a crash.
//!
//! A file is rows up to its last line break. The bytes behind it are what a crash left of a write that was never
//! acknowledged; they are cut off. Everything before it must be whole: a row that is not was damaged by something else,
//! and the program refuses to start rather than guess. So it does if a file does not begin with what the
//! [state](super::State) says. Whole rows behind that are kept: the state may lag, so they may have been acknowledged.
//! Nothing is changed until all files have been read.

use std::error::Error;
use std::io::{self, Read, SeekFrom};
use std::path::PathBuf;

use blake3::Hasher;

use super::digest::{Extent, Hashing, extent};
use super::journal::Journal;
use super::medium::Medium;
use super::refusal::{Alteration, Damage, Operation, RecoveryError};
use super::state::{State, StateFile};
use super::tail::{End, find_end};
use super::{Files, SyncPolicy, closings};
use crate::bet::{RowError, RowFault, load_bets};
use crate::ledger::Recovered;

/// The extent of a recovered history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bets of all agencies.
    pub bets: u64,
    /// Agencies that had closed.
    pub agencies_closed: u64,
    /// Bytes cut off from the ends of both files.
    pub truncated_bytes: u64,
    /// Bytes at the start of the bets that are, by their digest, those that were stored. With 0 the state said nothing.
    pub verified_bytes: u64,
}

/// Reason why the recovery of a file stopped.
enum Stop<R> {
    Io(Operation, io::Error),
    Damaged(Damage),
    Altered(Alteration),
    Refused { line: u64, refusal: R },
}

impl<R> From<RowError> for Stop<R> {
    fn from(error: RowError) -> Stop<R> {
        match error.fault {
            RowFault::Unreadable(error) => Stop::Io(Operation::Read, error),
            _ => Stop::Damaged(Damage::Row(error)),
        }
    }
}

fn unreadable<R>(error: io::Error) -> Stop<R> {
    Stop::Io(Operation::Read, error)
}

/// The files of a round once they are recovered.
pub(super) struct Recovery<M> {
    pub bets: Journal<M>,
    pub closings: Journal<M>,
    pub state: StateFile<M>,
    pub summary: Summary,
}

pub(super) fn recover<M: Medium, R: Error + 'static>(
    files: Files<M>,
    sync: SyncPolicy,
    mut replay: impl FnMut(Recovered<'_>) -> Result<(), R>,
) -> Result<Recovery<M>, RecoveryError<R>> {
    let Files { mut bets, mut closings, state } = files;
    let paths @ [of_bets, of_closings, of_state] = &[&bets, &closings, &state].map(|file| file.path().to_owned());
    let explain = |path: &PathBuf| {
        let (path, state) = (path.clone(), paths[2].clone());
        move |stop| match stop {
            Stop::Io(operation, error) => RecoveryError::Io { path, operation, error },
            Stop::Damaged(damage) => RecoveryError::Damaged { path, damage },
            Stop::Altered(alteration) => RecoveryError::Altered { path, state, alteration },
            Stop::Refused { line, refusal } => RecoveryError::Refused { path, line, refusal },
        }
    };
    let (mut state, committed) = StateFile::open(state).map_err(unreadable).map_err(explain(of_state))?;
    let bets_committed = committed.map(|state| state.bets);
    let closings_committed = committed.map(|state| state.closings);

    let bets_end = find_rows(&mut bets, bets_committed).map_err(explain(of_bets))?;
    let closings_end = find_rows(&mut closings, closings_committed).map_err(explain(of_closings))?;
    replay_terms((&mut closings).take(closings_end.rows), &mut replay).map_err(explain(of_closings))?;
    let read = read_rows(&mut bets, bets_end, bets_committed, |rows| replay_bets(rows, &mut replay));
    let (bets_read, bets_written) = read.map_err(explain(of_bets))?;
    let read = read_rows(&mut closings, closings_end, closings_committed, |rows| replay_closings(rows, &mut replay));
    let (closings_read, closings_written) = read.map_err(explain(of_closings))?;

    let stored = State { bets: extent(&bets_written), closings: extent(&closings_written) };
    cut_off(&mut bets, bets_end, sync).map_err(explain(of_bets))?;
    cut_off(&mut closings, closings_end, sync).map_err(explain(of_closings))?;
    let summary = Summary {
        bets: bets_read,
        agencies_closed: closings_read,
        truncated_bytes: bets_end.tail + closings_end.tail,
        verified_bytes: bets_committed.map_or(0, |committed| committed.length),
    };
    let (bets, closings) = (Journal::new(bets, sync, bets_written), Journal::new(closings, sync, closings_written));
    state.write(&stored);
    Ok(Recovery { bets, closings, state, summary })
}

/// Finds the end of the rows, which must not be before the end of what was committed, and leaves the file at its start.
fn find_rows<R>(medium: &mut impl Medium, committed: Option<Extent>) -> Result<End, Stop<R>> {
    let end = find_end(medium).map_err(unreadable)?.map_err(Stop::Damaged)?;
    let stored = committed.map_or(0, |committed| committed.length);
    if stored > end.rows {
        return Err(Stop::Altered(Alteration::Shorter { missing: stored - end.rows, stored }));
    }
    medium.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(end)
}

/// Reads a file from its start to the end of its rows, which must begin with what was committed. Their number, and a
/// hasher that has seen all of them.
fn read_rows<M: Medium, R>(
    medium: &mut M,
    end: End,
    committed: Option<Extent>,
    replay: impl FnOnce(&mut Hashing<io::Take<&mut M>>) -> Result<u64, Stop<R>>,
) -> Result<(u64, Hasher), Stop<R>> {
    medium.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut rows = Hashing::new(medium.take(end.rows), committed.map_or(0, |committed| committed.length));
    let read = replay(&mut rows)?;
    let (digest, hasher) = rows.finish();
    match committed {
        Some(committed) if digest != Some(committed.digest) => {
            Err(Stop::Altered(Alteration::OtherContents { stored: committed.length }))
        }
        _ => {
            debug_assert_eq!(hasher.count(), end.rows, "every row was read");
            Ok((read, hasher))
        }
    }
}

fn replay_bets<R>(bets: impl Read, replay: &mut impl FnMut(Recovered<'_>) -> Result<(), R>) -> Result<u64, Stop<R>> {
    let mut rows = load_bets(bets);
    let mut read = 0;
    while let Some(bet) = rows.next_bet()? {
        if let Err(refusal) = replay(Recovered::Bet(&bet)) {
            return Err(Stop::Refused { line: rows.line(), refusal });
        }
        read += 1;
    }
    Ok(read)
}

/// Gives the terms to `replay` before any bet: with another number of agencies the bets would be refused one by one, for a
/// reason that does not say it, and winners are found as their bets are read. They are the first closing's; all closings
/// are read again behind the bets.
fn replay_terms<R>(
    closings: impl Read,
    replay: &mut impl FnMut(Recovered<'_>) -> Result<(), R>,
) -> Result<(), Stop<R>> {
    match closings::read(closings).next() {
        Some(Ok((line, closing))) => {
            replay(Recovered::Terms(closing.terms)).map_err(|refusal| Stop::Refused { line, refusal })
        }
        Some(Err(_)) | None => Ok(()),
    }
}

fn replay_closings<R>(
    closings: impl Read,
    replay: &mut impl FnMut(Recovered<'_>) -> Result<(), R>,
) -> Result<u64, Stop<R>> {
    let mut read = 0;
    for closing in closings::read(closings) {
        let (line, closing) = closing?;
        replay(Recovered::Closing(closing)).map_err(|refusal| Stop::Refused { line, refusal })?;
        read += 1;
    }
    Ok(read)
}

/// Cuts the file to its whole rows and makes them durable: a process that died between a write and its sync leaves rows
/// that this one counts as stored and that a power loss would still take.
fn cut_off<R>(medium: &mut impl Medium, end: End, sync: SyncPolicy) -> Result<(), Stop<R>> {
    if end.tail > 0 {
        medium.set_len(end.rows).map_err(|error| Stop::Io(Operation::Cut, error))?;
    }
    if sync == SyncPolicy::Always {
        medium.sync().map_err(|error| Stop::Io(Operation::Sync, error))?;
    }
    Ok(())
}
