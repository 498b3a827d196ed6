//! The history that the files hold after a crash.
//!
//! A file is rows up to its last line break. The bytes behind it are what a crash left of a write that was never
//! acknowledged; they are cut off. Everything before it must be whole: a row that is not was damaged by something else,
//! and the program refuses to start rather than guess. So it does if a file does not begin with what the
//! [state](super::State) says. Whole rows behind that are kept: the state may lag, so they may have been acknowledged.
//! Nothing is changed until all files have been read.

use std::error::Error;
use std::io::{self, Read, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blake3::Hasher;

use super::certificate::{Certificate, Discrepancy};
use super::digest::{Extent, Hashing, extent};
use super::journal::Journal;
use super::medium::Medium;
use super::refusal::{Alteration, Damage, Operation, RecoveryError};
use super::state::{State, StateFile};
use super::tail::{End, find_end};
use super::whole::WholeFile;
use super::{Files, SyncPolicy, closings};
use crate::bet::{RowError, RowFault, load_bets};
use crate::ledger::{Draw, Recovered, Replay};

/// The extent of a recovered history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bets of all agencies.
    pub bets: u64,
    /// Agencies that had closed.
    pub agencies_closed: u64,
    /// Bytes cut off from the ends of both files.
    pub truncated_bytes: u64,
    /// True if every agency had closed and the draw had no certificate: it is drawn now.
    pub is_drawn_now: bool,
    /// The time of the draw, as its certificate has it.
    pub drawn_at: Option<SystemTime>,
    /// Bytes at the start of the bets that are, by their digest, those that were stored. With 0 the state said nothing.
    pub verified_bytes: u64,
}

/// Reason why the recovery of a file stopped.
pub(super) enum Stop<R> {
    Io(Operation, io::Error),
    Damaged(Damage),
    Altered(Alteration),
    NotAsDrawn(Discrepancy),
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
pub(super) struct Recovery<M: Medium> {
    pub bets: Journal<M>,
    pub closings: Journal<M>,
    pub state: StateFile<M>,
    pub certificate: M::Whole,
    pub summary: Summary,
}

/// Everything that reading the files has shown.
pub(super) struct Reading {
    pub bets_end: End,
    pub closings_end: End,
    pub bets_written: Hasher,
    pub closings_written: Hasher,
    /// The draw, if every agency has closed.
    pub draw: Option<Draw>,
    /// The certificate in its file, which fits the rest.
    pub certificate: Option<Certificate>,
    pub summary: Summary,
}

/// The path of a file, and the reason why it can't be used.
pub(super) struct Stopped<R> {
    path: PathBuf,
    stop: Stop<R>,
}

impl<R: Error + 'static> Stopped<R> {
    /// The error, for files with their state at this path.
    pub(super) fn explain(self, state: PathBuf) -> RecoveryError<R> {
        let Stopped { path, stop } = self;
        match stop {
            Stop::Io(operation, error) => RecoveryError::Io { path, operation, error },
            Stop::Damaged(damage) => RecoveryError::Damaged { path, damage },
            Stop::Altered(alteration) => RecoveryError::Altered { path, state, alteration },
            Stop::NotAsDrawn(discrepancy) => RecoveryError::NotAsDrawn { certificate: path, discrepancy },
            Stop::Refused { line, refusal } => RecoveryError::Refused { path, line, refusal },
        }
    }
}

fn at<R>(path: &Path) -> impl Fn(Stop<R>) -> Stopped<R> + use<R> {
    let path = path.to_owned();
    move |stop| Stopped { path: path.clone(), stop }
}

/// Reads the files and changes nothing. A server may be writing to them: of two files that it writes in order, the second is
/// read first.
pub(super) fn read<M: Medium, R: Replay>(
    bets: &mut M,
    closings: &mut M,
    certificate: &mut M::Whole,
    committed: Option<State>,
    round: &mut R,
) -> Result<Reading, Stopped<R::Refusal>> {
    let (of_bets, of_closings, of_certificate) = (at(bets.path()), at(closings.path()), at(certificate.path()));
    let certificate = read_certificate(certificate).map_err(&of_certificate)?;
    let bets_committed = committed.map(|state| state.bets);
    let closings_committed = committed.map(|state| state.closings);

    let closings_end = find_rows(closings, closings_committed).map_err(&of_closings)?;
    replay_terms(closings.take(closings_end.rows), round).map_err(&of_closings)?;
    let bets_end = find_rows(bets, bets_committed).map_err(&of_bets)?;
    let read = read_rows(bets, bets_end, bets_committed, |rows| replay_bets(rows, round));
    let (bets_read, bets_written) = read.map_err(of_bets)?;
    let read = read_rows(closings, closings_end, closings_committed, |rows| replay_closings(rows, round));
    let (closings_read, closings_written) = read.map_err(of_closings)?;

    let draw = round.draw();
    let checked = certificate.as_ref().map(|certificate| certificate.check(draw.as_ref(), extent(&bets_written)));
    checked.unwrap_or(Ok(())).map_err(Stop::NotAsDrawn).map_err(of_certificate)?;
    let summary = Summary {
        bets: bets_read,
        agencies_closed: closings_read,
        truncated_bytes: bets_end.tail + closings_end.tail,
        is_drawn_now: draw.is_some() && certificate.is_none(),
        drawn_at: certificate.as_ref().and_then(Certificate::time),
        verified_bytes: bets_committed.map_or(0, |committed| committed.length),
    };
    Ok(Reading { bets_end, closings_end, bets_written, closings_written, draw, certificate, summary })
}

/// Reads the files, then makes them those of a round that goes on.
pub(super) fn recover<M: Medium, R: Replay>(
    files: Files<M>,
    sync: SyncPolicy,
    round: &mut R,
) -> Result<Recovery<M>, Stopped<R::Refusal>> {
    let Files { mut bets, mut closings, state, mut certificate } = files;
    let of_state = at(state.path());
    let (mut state, committed) = StateFile::open(state).map_err(unreadable).map_err(of_state)?;
    let reading = read(&mut bets, &mut closings, &mut certificate, committed, round)?;
    let Reading { bets_end, closings_end, bets_written, closings_written, draw, certificate: certified, mut summary } =
        reading;
    let stored = State { bets: extent(&bets_written), closings: extent(&closings_written) };
    cut_off(&mut bets, bets_end, sync).map_err(at(bets.path()))?;
    cut_off(&mut closings, closings_end, sync).map_err(at(closings.path()))?;
    let of_certificate = at(certificate.path());
    if certified.is_some() {
        // A process that died behind the rename leaves a name that a power loss would still take.
        certificate.sync_folder().map_err(|error| of_certificate(Stop::Io(Operation::Sync, error)))?;
    } else if let Some(draw) = draw {
        let drawn = Certificate::new(&draw, stored.bets);
        summary.drawn_at = drawn.time();
        let written = drawn.write(&mut certificate);
        written.map_err(|error| of_certificate(Stop::Io(Operation::Write, error.into())))?;
    }
    let (bets, closings) = (Journal::new(bets, sync, bets_written), Journal::new(closings, sync, closings_written));
    state.write(&stored);
    Ok(Recovery { bets, closings, state, certificate, summary })
}

fn read_certificate<R>(file: &mut impl WholeFile) -> Result<Option<Certificate>, Stop<R>> {
    let contents = file.read().map_err(unreadable)?;
    contents.map(|contents| Certificate::parse(&contents)).transpose().map_err(Stop::NotAsDrawn)
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

fn replay_bets<R: Replay>(bets: impl Read, round: &mut R) -> Result<u64, Stop<R::Refusal>> {
    let mut rows = load_bets(bets);
    let mut read = 0;
    while let Some(bet) = rows.next_bet()? {
        if let Err(refusal) = round.replay(Recovered::Bet(&bet)) {
            return Err(Stop::Refused { line: rows.line(), refusal });
        }
        read += 1;
    }
    Ok(read)
}

/// Gives the terms to `round` before any bet: with another number of agencies the bets would be refused one by one, for a
/// reason that does not say it, and winners are found as their bets are read. They are the first closing's; all closings
/// are read again behind the bets.
fn replay_terms<R: Replay>(closings: impl Read, round: &mut R) -> Result<(), Stop<R::Refusal>> {
    match closings::read(closings).next() {
        Some(Ok((line, closing))) => {
            round.replay(Recovered::Terms(closing.terms)).map_err(|refusal| Stop::Refused { line, refusal })
        }
        Some(Err(_)) | None => Ok(()),
    }
}

fn replay_closings<R: Replay>(closings: impl Read, round: &mut R) -> Result<u64, Stop<R::Refusal>> {
    let mut read = 0;
    for closing in closings::read(closings) {
        let (line, closing) = closing?;
        round.replay(Recovered::Closing(closing)).map_err(|refusal| Stop::Refused { line, refusal })?;
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
