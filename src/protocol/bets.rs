//! The bets of a batch, decoded and encoded one at a time.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};
use thiserror::Error;

use super::message::{MessageType, TYPE_BYTES};
use super::scanner::Malformed;
use super::{MAX_PACKET_BYTES, MIN_PACKET_BYTES};
use crate::bet::{Bet, Day, InvalidBet, InvalidName, Name};
use crate::buffer::Buffer;

/// Bytes of the length before each bet.
pub(super) const BET_LENGTH_BYTES: usize = 8;

/// Bytes of a bet with empty names: agency, two name lengths, document, birthdate, number.
pub(super) const MIN_BET_BYTES: usize = 4 + 4 + 4 + 4 + 8 + 4;

/// The bets of a RegisterBets that are still to be decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bets<'a> {
    remaining: u32,
    bytes: &'a [u8],
}

/// Reason why the next bet of a batch can't be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BetFault {
    /// Its bytes do not fit the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A field is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidBet),
}

impl<'a> Bets<'a> {
    pub(super) fn new(remaining: u32, bytes: &'a [u8]) -> Bets<'a> {
        Bets { remaining, bytes }
    }

    /// The number of bets that are still to be decoded.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// The bets that are still to be decoded, each behind its length.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline(always)]
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

    /// The next bet. Its numbers and the range of its birthdate are not validated.
    #[inline(always)]
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

#[inline(always)]
fn decode_bet(bytes: &[u8]) -> Result<Bet<'_>, BetFault> {
    let (agency, rest) = split_u32(bytes)?;
    let (first_name, rest) = split_name(rest)?;
    let (last_name, rest) = split_name(rest)?;
    let rest: &[u8; BEHIND_NAMES_BYTES] = rest.try_into().map_err(|_| Malformed::Length)?;
    let document = BigEndian::read_u32(rest);
    let birthdate = Day::from_unix_seconds(BigEndian::read_i64(&rest[4..]));
    let number = BigEndian::read_u32(&rest[12..]);
    match (first_name, last_name, birthdate) {
        (Ok(first_name), Ok(last_name), Some(birthdate)) => {
            Ok(Bet { agency, first_name, last_name, document, birthdate, number })
        }
        (Err(InvalidName::NotUtf8), ..) | (_, Err(InvalidName::NotUtf8), _) => Err(Malformed::NotUtf8.into()),
        (_, _, None) => Err(InvalidBet::Birthdate.into()),
        (Err(name), ..) => Err(InvalidBet::FirstName(name).into()),
        (_, Err(name), _) => Err(InvalidBet::LastName(name).into()),
    }
}

/// Bytes of document, birthdate and number.
const BEHIND_NAMES_BYTES: usize = 4 + 8 + 4;

fn split_u32(bytes: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    let (value, rest) = bytes.split_at_checked(4).ok_or(Malformed::Length)?;
    Ok((BigEndian::read_u32(value), rest))
}

#[inline(always)]
fn split_name(bytes: &[u8]) -> Result<(Result<Name<'_>, InvalidName>, &[u8]), Malformed> {
    let (length, bytes) = split_u32(bytes)?;
    let rest = bytes.get(length as usize..).ok_or(Malformed::Length)?;
    Ok((Name::at_front(bytes, length as usize), rest))
}

/// An encoder of one RegisterBets, which it appends to a buffer.
///
/// The message has at most [`MAX_PACKET_BYTES`], or fewer [if so asked](Batch::within). A batch that is dropped, or finished
/// without a bet, leaves the buffer as it was.
///
/// ```
/// use loteria::buffer::Buffer;
/// use loteria::protocol::Batch;
///
/// let mut output = Buffer::new();
/// let batch = Batch::begin(&mut output);
/// assert_eq!(batch.finish(), 0);
/// assert!(output.is_empty());
/// ```
#[derive(Debug)]
pub struct Batch<'o> {
    /// The message is written to the room of this buffer.
    output: &'o mut Buffer,
    /// Bytes of the message so far.
    bytes: usize,
    /// Most bytes of the message.
    max_bytes: usize,
    bets: u32,
}

/// The bet does not fit into this packet. It goes into the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the batch is full")]
pub struct Full;

/// Bytes of a RegisterBets before its bets: the type and the number of bets.
const HEAD_BYTES: usize = TYPE_BYTES + 4;

impl<'o> Batch<'o> {
    /// An empty batch at the end of `output`.
    pub fn begin(output: &'o mut Buffer) -> Batch<'o> {
        Batch::within(MAX_PACKET_BYTES, output)
    }

    /// An empty batch of at most `max_bytes`, which is at least [`MIN_PACKET_BYTES`] and at most [`MAX_PACKET_BYTES`].
    pub fn within(max_bytes: usize, output: &'o mut Buffer) -> Batch<'o> {
        debug_assert!((MIN_PACKET_BYTES..=MAX_PACKET_BYTES).contains(&max_bytes), "any bet fits");
        Batch { output, bytes: HEAD_BYTES, max_bytes, bets: 0 }
    }

    /// Adds a bet.
    ///
    /// # Errors
    /// [`Full`] if it does not fit; the batch is as it was. The first bet always fits.
    #[inline(always)]
    pub fn push(&mut self, bet: &Bet<'_>) -> Result<(), Full> {
        let end = self.bytes + encoded_bytes(bet);
        let room = self.output.room(self.max_bytes).get_mut(self.bytes..end).ok_or(Full)?;
        write_bet(bet, room);
        self.bytes = end;
        self.bets += 1;
        Ok(())
    }

    /// The bets in it, each behind its length.
    pub fn encoded_bets(&mut self) -> &[u8] {
        &self.output.room(self.bytes)[HEAD_BYTES..]
    }

    /// The number of bets in it.
    pub fn bets(&self) -> u32 {
        self.bets
    }

    /// Completes the message and gives the number of its bets. Without a bet there is no message.
    pub fn finish(self) -> u32 {
        if self.bets > 0 {
            let head = self.output.room(HEAD_BYTES);
            BigEndian::write_u16(head, MessageType::RegisterBets as u16);
            BigEndian::write_u32(&mut head[TYPE_BYTES..], self.bets);
            self.output.add(self.bytes);
        }
        self.bets
    }
}

/// Appends `bet` to `output` as a RegisterBets carries it, behind its length.
pub fn encode_bet(bet: &Bet<'_>, output: &mut Buffer) {
    let bytes = encoded_bytes(bet);
    write_bet(bet, output.room(bytes));
    output.add(bytes);
}

/// Bytes of `bet` in a RegisterBets, its length included.
#[inline(always)]
fn encoded_bytes(bet: &Bet<'_>) -> usize {
    BET_LENGTH_BYTES + MIN_BET_BYTES + bet.first_name.as_bytes().len() + bet.last_name.as_bytes().len()
}

/// Writes `bet` to `room`, which has just the bytes that it needs. Copying a name may overwrite what is behind it, which is
/// written later.
#[inline(always)]
fn write_bet(bet: &Bet<'_>, room: &mut [u8]) {
    let (first_bytes, last_bytes) = (bet.first_name.as_bytes().len(), bet.last_name.as_bytes().len());
    BigEndian::write_u64(room, (room.len() - BET_LENGTH_BYTES) as u64);
    BigEndian::write_u32(&mut room[8..], bet.agency);
    BigEndian::write_u32(&mut room[12..], first_bytes as u32);
    let room = &mut room[BET_LENGTH_BYTES + 4 + 4..];
    bet.first_name.copy_to(room);
    let room = &mut room[first_bytes..];
    BigEndian::write_u32(room, last_bytes as u32);
    let room = &mut room[4..];
    bet.last_name.copy_to(room);
    let tail = &mut room[last_bytes..];
    BigEndian::write_u32(tail, bet.document);
    BigEndian::write_i64(&mut tail[4..], bet.birthdate.unix_seconds());
    BigEndian::write_u32(&mut tail[12..], bet.number);
}
