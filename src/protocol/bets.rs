//! The bets of a batch: decoded one at a time from a message's bytes, encoded one at a time into a buffer.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};
use thiserror::Error;

use super::MAX_PACKET_BYTES;
use super::message::{MessageType, TYPE_BYTES, put_type, put_u32};
use super::scanner::Malformed;
use crate::bet::{Bet, Day, InvalidBet};

/// Bytes of the length that stands before each bet.
pub(super) const BET_LENGTH_BYTES: usize = 8;

/// Bytes of a bet with empty names: agency, two name lengths, document, birthdate, number.
pub(super) const MIN_BET_BYTES: usize = 4 + 4 + 4 + 4 + 8 + 4;

/// The bets of a RegisterBets that have not been iterated yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bets<'a> {
    remaining: u32,
    bytes: &'a [u8],
}

/// Why the next bet of a batch is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BetFault {
    /// Its bytes do not fit the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its bytes fit, but what they say is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidBet),
}

impl<'a> Bets<'a> {
    pub(super) fn new(remaining: u32, bytes: &'a [u8]) -> Bets<'a> {
        Bets { remaining, bytes }
    }

    /// How many bets are still to come.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    pub(super) fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn decode_next(&mut self) -> Result<Bet<'a>, BetFault> {
        let (length, rest) = self.bytes.split_at_checked(BET_LENGTH_BYTES).ok_or(Malformed::Length)?;
        let length = usize::try_from(BigEndian::read_u64(length)).map_err(|_| Malformed::Length)?;
        let (bet, rest) = rest.split_at_checked(length).ok_or(Malformed::Length)?;
        self.bytes = rest;
        decode_bet(bet)
    }
}

impl<'a> Iterator for Bets<'a> {
    type Item = Result<Bet<'a>, BetFault>;

    /// The next bet. It is not validated, except that its birthdate is a day.
    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        Some(self.decode_next())
    }
}

impl fmt::Debug for Bets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

fn decode_bet(bytes: &[u8]) -> Result<Bet<'_>, BetFault> {
    let (agency, rest) = split_u32(bytes)?;
    let (names, rest) = rest.split_at_checked(rest.len().wrapping_sub(BEHIND_NAMES_BYTES)).ok_or(Malformed::Length)?;
    let (first_name, last_name) = decode_names(names)?;
    Ok(Bet {
        agency,
        first_name,
        last_name,
        document: BigEndian::read_u32(rest),
        birthdate: Day::from_unix_seconds(BigEndian::read_i64(&rest[4..])).ok_or(InvalidBet::Birthdate)?,
        number: BigEndian::read_u32(&rest[12..]),
    })
}

/// Document, birthdate, number.
const BEHIND_NAMES_BYTES: usize = 4 + 8 + 4;

/// Two strings, each behind its length, and nothing else.
fn decode_names(bytes: &[u8]) -> Result<(&str, &str), Malformed> {
    let (first_bytes, rest) = split_u32(bytes)?;
    let (_, behind_first) = rest.split_at_checked(first_bytes as usize).ok_or(Malformed::Length)?;
    let (last_bytes, last) = split_u32(behind_first)?;
    if last.len() != last_bytes as usize {
        return Err(Malformed::Length);
    }
    // The bytes of a length below 128 are text too, and what is on both sides of them is text if it all is: most names
    // are looked at in one go.
    if last_bytes < 128 {
        let text = as_text(rest)?;
        return Ok((&text[..first_bytes as usize], &text[first_bytes as usize + 4..]));
    }
    Ok((as_text(&rest[..first_bytes as usize])?, as_text(last)?))
}

fn split_u32(bytes: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    let (value, rest) = bytes.split_at_checked(4).ok_or(Malformed::Length)?;
    Ok((BigEndian::read_u32(value), rest))
}

fn as_text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)
}

/// A RegisterBets in the making, at the end of a buffer that may hold other messages before it.
///
/// A batch never takes more than [`MAX_PACKET_BYTES`]. A batch that is dropped, or finished without a bet,
/// leaves the buffer as it was.
///
/// ```
/// use loteria::protocol::Batch;
///
/// let mut output = Vec::new();
/// let batch = Batch::begin(&mut output);
/// assert_eq!(batch.finish(), 0);
/// assert!(output.is_empty());
/// ```
#[derive(Debug)]
pub struct Batch<'o> {
    output: &'o mut Vec<u8>,
    start: usize,
    bets: u32,
    finished: bool,
}

/// The bet would make the batch longer than a packet may be: it goes into the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the batch is full")]
pub struct Full;

const COUNT_BYTES: usize = 4;

impl<'o> Batch<'o> {
    /// An empty batch behind what `output` holds.
    pub fn begin(output: &'o mut Vec<u8>) -> Batch<'o> {
        let start = output.len();
        put_type(output, MessageType::RegisterBets);
        put_u32(output, 0);
        Batch { output, start, bets: 0, finished: false }
    }

    /// Adds a bet.
    ///
    /// # Errors
    /// [`Full`] if it no longer fits, and the batch is as it was. The first bet always fits if it is valid.
    pub fn push(&mut self, bet: &Bet<'_>) -> Result<(), Full> {
        let bet_bytes = MIN_BET_BYTES + bet.first_name.len() + bet.last_name.len();
        let packet_bytes = self.output.len() - self.start + BET_LENGTH_BYTES + bet_bytes;
        if packet_bytes > MAX_PACKET_BYTES {
            return Err(Full);
        }
        let mut head = [0; BET_LENGTH_BYTES + 4 + 4];
        BigEndian::write_u64(&mut head, bet_bytes as u64);
        BigEndian::write_u32(&mut head[8..], bet.agency);
        BigEndian::write_u32(&mut head[12..], bet.first_name.len() as u32);
        let mut tail = [0; BEHIND_NAMES_BYTES];
        BigEndian::write_u32(&mut tail, bet.document);
        BigEndian::write_i64(&mut tail[4..], bet.birthdate.unix_seconds());
        BigEndian::write_u32(&mut tail[12..], bet.number);

        self.output.extend_from_slice(&head);
        self.output.extend_from_slice(bet.first_name.as_bytes());
        put_u32(self.output, bet.last_name.len() as u32);
        self.output.extend_from_slice(bet.last_name.as_bytes());
        self.output.extend_from_slice(&tail);
        self.bets += 1;
        Ok(())
    }

    /// How many bets it holds.
    pub fn bets(&self) -> u32 {
        self.bets
    }

    /// Completes the message and says how many bets it holds. Without a bet there is no message.
    pub fn finish(mut self) -> u32 {
        if self.bets > 0 {
            let count = self.start + TYPE_BYTES;
            BigEndian::write_u32(&mut self.output[count..count + COUNT_BYTES], self.bets);
            self.finished = true;
        }
        self.bets
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.output.truncate(self.start);
        }
    }
}
