//! What the files say after a crash.
//!
//! A file is rows up to its last line break. What stands behind that is what a crash left of a write that was never
//! acknowledged, and is cut off. Everything before it must be whole: a row that is not was damaged by something else, and
//! the program refuses to start rather than guess. Nothing is changed until both files have been read.

use std::io::{self, Read, SeekFrom};

use thiserror::Error;

use super::closings::{Closing, read_closings};
use super::journal::{Journal, Medium, Sync};
use crate::bet::{MAX_ROW_BYTES, RowError, load_bets};
use crate::lottery::Lottery;
use crate::planted::{Fault, planted};

/// What recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bets of all agencies.
    pub bets: u64,
    /// Agencies that had closed.
    pub agencies_closed: u64,
    /// Bytes cut off from the ends of both files.
    pub truncated_bytes: u64,
}

/// Why the files can't be used. They are as they were.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// They could not be read or cut.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The bets are damaged.
    #[error("the file of bets is damaged, {0}; restore it from a copy, or move both files away to begin a new contest")]
    Bets(Damage),
    /// The closings are damaged.
    #[error(
        "the file of closed agencies is damaged, {0}; restore it from a copy, or move both files away to begin a new contest"
    )]
    Closings(Damage),
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum Damage {
    /// A row can't be what the program wrote.
    #[error("{0}")]
    Row(#[from] RowError),
    /// What follows the last line break can't be the beginning of a row.
    #[error("its last {bytes} bytes are no beginning of a row")]
    Tail {
        /// How many bytes follow.
        bytes: u64,
    },
    /// A row names an agency that does not take part.
    #[error("line {line}: agency {agency} is not one of the {agencies} of NUM_AGENCIES")]
    NoSuchAgency {
        /// The line of the row.
        line: u64,
        /// What it names.
        agency: u32,
        /// How many take part.
        agencies: u32,
    },
    /// An agency closed when another number of agencies took part.
    #[error("line {line}: it is of a contest of {agencies} agencies, and NUM_AGENCIES is {now}")]
    OtherAgencies {
        /// The line of the closing.
        line: u64,
        /// How many took part.
        agencies: u64,
        /// How many do now.
        now: u32,
    },
    /// An agency closed with another number of bets than there are.
    #[error("line {line}: agency {agency} closed with {closed_with} bets, and {stored} are stored")]
    BetsMissing {
        /// The line of the closing.
        line: u64,
        /// Who closed.
        agency: u32,
        /// What the closing says.
        closed_with: u64,
        /// What the file of bets says.
        stored: u64,
    },
}

pub(super) fn recover<M: Medium>(
    mut bets: M,
    mut closings: M,
    sync: Sync,
    lottery: &mut Lottery,
) -> Result<(Journal<M>, Journal<M>, Recovered), RecoveryError> {
    let bets_end = find_end(&mut bets)?.map_err(RecoveryError::Bets)?;
    recover_bets((&mut bets).take(bets_end.rows), lottery).map_err(RecoveryError::Bets)?;

    let closings_end = find_end(&mut closings)?.map_err(RecoveryError::Closings)?;
    recover_closings((&mut closings).take(closings_end.rows), lottery).map_err(RecoveryError::Closings)?;

    cut_off(&mut bets, bets_end, sync)?;
    cut_off(&mut closings, closings_end, sync)?;
    let recovered = Recovered {
        bets: lottery.total_stored(),
        agencies_closed: lottery.closed() as u64,
        truncated_bytes: bets_end.tail + closings_end.tail,
    };
    Ok((Journal::new(bets, sync, bets_end.rows), Journal::new(closings, sync, closings_end.rows), recovered))
}

fn recover_bets(bets: impl Read, lottery: &mut Lottery) -> Result<(), Damage> {
    let mut rows = load_bets(bets);
    while let Some(bet) = rows.next_bet()? {
        if lottery.find(bet.agency).is_err() {
            let (agency, agencies) = (bet.agency, lottery.agencies());
            return Err(Damage::NoSuchAgency { line: rows.line(), agency, agencies });
        }
        lottery.stage_bet(&bet);
    }
    lottery.commit_bets();
    Ok(())
}

fn recover_closings(closings: impl Read, lottery: &mut Lottery) -> Result<(), Damage> {
    for closing in read_closings(closings) {
        let Closing { line, agency, bets: closed_with, agencies } = closing?;
        if agencies != u64::from(lottery.agencies()) {
            return Err(Damage::OtherAgencies { line, agencies, now: lottery.agencies() });
        }
        // An agency beyond the last is refused below, whatever is left of a number that is too large.
        let agency = u32::try_from(agency).unwrap_or(u32::MAX);
        if lottery.find(agency).is_err() {
            return Err(Damage::NoSuchAgency { line, agency, agencies: lottery.agencies() });
        }
        let stored = lottery.stored(agency);
        if stored != closed_with {
            return Err(Damage::BetsMissing { line, agency, closed_with, stored });
        }
        if !planted(Fault::ClosedForgotten) {
            lottery.stage_closing(agency);
        }
    }
    lottery.commit_closings();
    Ok(())
}

/// Where the rows of a file end, in bytes from its start, and how many bytes follow.
#[derive(Clone, Copy, Debug)]
struct End {
    rows: u64,
    tail: u64,
}

/// Finds the last line break, and leaves the file at its start.
fn find_end(medium: &mut impl Medium) -> io::Result<Result<End, Damage>> {
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

/// Where the zeros at the end of a file of `length` bytes begin. A disk that lost its power may have kept the length of a
/// write, however long it was, and not its bytes, which then read as zeros.
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

/// More than one commit writes, which is what connections send while a turn reads, for milliseconds. A longer run of zeros
/// is not a crash's doing.
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

/// Whether `tail` may be what is left of a row: its first field is a number.
fn begins_a_row(tail: &[u8]) -> bool {
    tail.iter().take_while(|&&byte| byte != b',').all(u8::is_ascii_digit)
}

/// Leaves the rows, and makes them durable: a process that died between a write and its sync leaves rows that this one
/// reads and counts as stored, and a power loss would still take them.
fn cut_off(medium: &mut impl Medium, end: End, sync: Sync) -> io::Result<()> {
    if end.tail > 0 && !planted(Fault::TornRowLeft) {
        medium.set_len(end.rows)?;
    }
    if sync == Sync::Always && !planted(Fault::RecoveredUnsynced) {
        medium.sync()?;
    }
    medium.seek(SeekFrom::End(0))?;
    Ok(())
}
