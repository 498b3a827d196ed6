//! The end of a file: whole rows, and behind them what a crash left of a write.

use std::io::{self, SeekFrom};

use super::medium::Medium;
use super::refusal::Damage;
use crate::bet::MAX_ROW_BYTES;

/// The extent of a file: bytes of whole rows, and bytes behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub rows: u64,
    pub tail: u64,
}

/// Finds the last line break.
pub(super) fn find_end(medium: &mut impl Medium) -> io::Result<Result<End, Damage>> {
    let length = medium.seek(SeekFrom::End(0))?;
    let written = skip_zeros_back(medium, length)?;
    // A tail is shorter than a row: more than that never needs to be read.
    let last = read_before(medium, written, MAX_ROW_BYTES)?;
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
