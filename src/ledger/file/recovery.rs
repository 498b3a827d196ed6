//! The history that the files hold after a crash.
//!
//! A file is rows up to its last line break. The bytes behind it are what a crash left of a write that was never
//! acknowledged; they are cut off. Everything before it must be whole: a row that is not was damaged by something else,
//! and the program refuses to start rather than guess. Nothing is changed until both files have been read.

use std::error::Error;
use std::io::{self, Read, SeekFrom};

use thiserror::Error;

use super::SyncPolicy;
use super::closings;
use super::journal::{Journal, Medium};
use crate::bet::{MAX_ROW_BYTES, RowError, load_bets};
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
}

/// Reason why the files can't be used. They are as they were. `R` is the refusal of the caller that replays them.
#[derive(Debug, Error)]
pub enum RecoveryError<R: Error + 'static> {
    /// They could not be read or cut.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The bets are damaged.
    #[error("the file of bets is damaged, {0}; restore it from a copy, or move both files away to begin a new round")]
    Bets(Damage<R>),
    /// The closings are damaged.
    #[error(
        "the file of closed agencies is damaged, {0}; restore it from a copy, or move both files away to begin a new round"
    )]
    Closings(Damage<R>),
}

/// Reason why a file can't be what the program wrote.
#[derive(Debug, Error)]
pub enum Damage<R: Error + 'static> {
    /// A row is no row of it.
    #[error("{0}")]
    Row(#[from] RowError),
    /// The bytes behind the last line break can't be the beginning of a row.
    #[error("its last {bytes} bytes are no beginning of a row")]
    Tail {
        /// The number of bytes.
        bytes: u64,
    },
    /// A row contradicts the rows before it or the configuration.
    #[error("line {line}: {refusal}")]
    Refused {
        /// The line of the row, from 1.
        line: u64,
        /// The reason.
        refusal: R,
    },
}

type Recovery<M> = (Journal<M>, Journal<M>, Summary);

pub(super) fn recover<M: Medium, R: Error + 'static>(
    mut bets: M,
    mut closings: M,
    sync: SyncPolicy,
    mut replay: impl FnMut(Recovered<'_>) -> Result<(), R>,
) -> Result<Recovery<M>, RecoveryError<R>> {
    let bets_end = find_end(&mut bets)?.map_err(RecoveryError::Bets)?;
    let bets_read = replay_bets((&mut bets).take(bets_end.rows), &mut replay).map_err(RecoveryError::Bets)?;

    let closings_end = find_end(&mut closings)?.map_err(RecoveryError::Closings)?;
    let closings_read =
        replay_closings((&mut closings).take(closings_end.rows), &mut replay).map_err(RecoveryError::Closings)?;

    cut_off(&mut bets, bets_end, sync)?;
    cut_off(&mut closings, closings_end, sync)?;
    let summary =
        Summary { bets: bets_read, agencies_closed: closings_read, truncated_bytes: bets_end.tail + closings_end.tail };
    Ok((Journal::new(bets, sync, bets_end.rows), Journal::new(closings, sync, closings_end.rows), summary))
}

fn replay_bets<R: Error>(
    bets: impl Read,
    replay: &mut impl FnMut(Recovered<'_>) -> Result<(), R>,
) -> Result<u64, Damage<R>> {
    let mut rows = load_bets(bets);
    let mut read = 0;
    while let Some(bet) = rows.next_bet()? {
        if let Err(refusal) = replay(Recovered::Bet(&bet)) {
            return Err(Damage::Refused { line: rows.line(), refusal });
        }
        read += 1;
    }
    Ok(read)
}

fn replay_closings<R: Error>(
    closings: impl Read,
    replay: &mut impl FnMut(Recovered<'_>) -> Result<(), R>,
) -> Result<u64, Damage<R>> {
    let mut read = 0;
    for closing in closings::read(closings) {
        let (line, closing) = closing?;
        replay(Recovered::Closing(closing)).map_err(|refusal| Damage::Refused { line, refusal })?;
        read += 1;
    }
    Ok(read)
}

/// The extent of a file: bytes of whole rows, and bytes behind them.
#[derive(Clone, Copy, Debug)]
struct End {
    rows: u64,
    tail: u64,
}

/// Finds the last line break, and leaves the file at its start.
fn find_end<R: Error>(medium: &mut impl Medium) -> io::Result<Result<End, Damage<R>>> {
    let length = medium.seek(SeekFrom::End(0))?;
    let written = skip_zeros_back(medium, length)?;
    // A tail is shorter than a row: more than that never needs to be read.
    let last = read_before(medium, written, MAX_ROW_BYTES)?;
    medium.seek(SeekFrom::Start(0))?;

    let row_end = last.iter().rposition(|&byte| byte == b'\n').map(|position| position + 1);
    let tail = &last[row_end.unwrap_or(0)..];
    let tail_bytes = length - written + tail.len() as u64;
    if (row_end.is_none() && last.len() as u64 != written) || !begins_a_row(tail) {
        return Ok(Err(Damage::Tail { bytes: tail_bytes }));
    }
    Ok(Ok(End { rows: length - tail_bytes, tail: tail_bytes }))
}

/// The start of the zeros at the end of a file of `length` bytes. A disk that lost its power may have kept the length of
/// a write and not its bytes, which then read as zeros.
fn skip_zeros_back(medium: &mut impl Medium, length: u64) -> io::Result<u64> {
    let mut end = length;
    let earliest = length.saturating_sub(MAX_LOST_BYTES);
    while end > earliest {
        let chunk = read_before(medium, end, ZEROS_CHUNK_BYTES)?;
        let start = end - chunk.len() as u64;
        if let Some(last) = chunk.iter().rposition(|&byte| byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(end)
}

/// More than one commit writes: a turn reads for milliseconds. No crash leaves a longer run of zeros.
const MAX_LOST_BYTES: u64 = 1 << 26;

const ZEROS_CHUNK_BYTES: usize = 1 << 16;

/// The last bytes before `end`, at most `limit` of them.
fn read_before(medium: &mut impl Medium, end: u64, limit: usize) -> io::Result<Vec<u8>> {
    let bytes = end.min(limit as u64);
    medium.seek(SeekFrom::Start(end - bytes))?;
    let mut chunk = vec![0; bytes as usize];
    medium.read_exact(&mut chunk)?;
    Ok(chunk)
}

/// True if `tail` may be the beginning of a row: its first field is a number.
fn begins_a_row(tail: &[u8]) -> bool {
    tail.iter().take_while(|&&byte| byte != b',').all(u8::is_ascii_digit)
}

/// Cuts the file to its whole rows and makes them durable: a process that died between a write and its sync leaves rows
/// that this one counts as stored and that a power loss would still take.
fn cut_off(medium: &mut impl Medium, end: End, sync: SyncPolicy) -> io::Result<()> {
    if end.tail > 0 {
        medium.set_len(end.rows)?;
    }
    if sync == SyncPolicy::Always {
        medium.sync()?;
    }
    medium.seek(SeekFrom::End(0))?;
    Ok(())
}
