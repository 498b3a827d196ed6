//! State machine that cuts a stream of bytes into messages: it finds where the message at the front ends.

use byteorder::{BigEndian, ByteOrder};
use thiserror::Error;

use super::bets::{BET_LENGTH_BYTES, MIN_BET_BYTES};
use super::message::{MessageType, TYPE_BYTES};
use super::{MAX_CREDENTIAL_BYTES, MAX_PACKET_BYTES};

/// Limits of one message. A [`Scanner`] refuses what exceeds them before memory is reserved for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Most bytes of one message, type and counts included.
    pub message_bytes: usize,
    /// Most bets of one RegisterBets.
    pub batch_bets: u32,
}

impl Default for MessageLimits {
    /// 64 KiB, eight times [`MAX_PACKET_BYTES`], because existing agencies exceed the 8 kB by one bet; 1,024 bets.
    fn default() -> MessageLimits {
        MessageLimits { message_bytes: 8 * MAX_PACKET_BYTES, batch_bets: 1024 }
    }
}

/// Reason why bytes are not a message, whatever follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u64)] // lets rustc copy the Result of a bet in words, which saves about 40 instructions per bet
pub enum Malformed {
    /// No message has this type.
    #[error("unknown message type {0}")]
    UnknownType(u16),
    /// The length of the message is more than [`MessageLimits::message_bytes`].
    #[error("a message of more than {limit} bytes")]
    MessageTooLong {
        /// The limit.
        limit: usize,
    },
    /// The count of the batch is more than [`MessageLimits::batch_bets`].
    #[error("a batch of {bets} bets, more than {limit}")]
    TooManyBets {
        /// The count.
        bets: u32,
        /// The limit.
        limit: u32,
    },
    /// Lengths inside the message are inconsistent.
    #[error("a length that does not fit its content")]
    Length,
    /// A name is not UTF-8.
    #[error("a name that is not UTF-8")]
    NotUtf8,
    /// The protocol does not define this error code.
    #[error("error code {0}, which the protocol does not define")]
    UnknownCode(u16),
    /// The protocol does not define this state of an agency.
    #[error("state {0} of an agency, which the protocol does not define")]
    UnknownState(u8),
}

/// Finds the end of the message at the front of a growing buffer.
///
/// ```
/// use loteria::protocol::{MessageLimits, Message, Scanner};
///
/// let mut scanner = Scanner::new(MessageLimits::default());
/// assert_eq!(scanner.scan(&[0]), Ok(None));
/// assert_eq!(scanner.scan(&[0, 5, 0, 6]), Ok(Some(2)));
/// assert_eq!(Message::decode(&[0, 5]), Ok(Message::AllBetsSent));
/// ```
#[derive(Debug)]
pub struct Scanner {
    limits: MessageLimits,
    walk: Walk,
}

/// Position of the scan in the message at the front.
#[derive(Clone, Copy, Debug)]
enum Walk {
    /// At its type.
    Type,
    /// Among the bets of a RegisterBets: `bets` more of them begin at byte `at`.
    Bets { at: usize, bets: u32 },
}

impl Scanner {
    /// A scanner at the start of a message.
    pub fn new(limits: MessageLimits) -> Scanner {
        Scanner { limits, walk: Walk::Type }
    }

    /// Length in bytes of the message at the start of `input`, or `None` while `input` does not hold all of it.
    ///
    /// After `None`, call again with the same bytes and more behind them. After a length, call with the bytes behind
    /// that message.
    ///
    /// # Errors
    /// [`Malformed`] as soon as no message can begin like this. The stream is unusable from there on.
    pub fn scan(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let end = match self.walk {
            Walk::Type => self.walk_message(input)?,
            Walk::Bets { at, bets } => self.walk_bets(input, at, bets)?,
        };
        if end.is_some() {
            self.walk = Walk::Type;
        }
        Ok(end)
    }

    fn walk_message(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some((head, body)) = input.split_at_checked(TYPE_BYTES) else { return Ok(None) };
        let body_bytes = match MessageType::from_code(BigEndian::read_u16(head))? {
            MessageType::RegisterBets => {
                let Some(count) = body.get(..4) else { return Ok(None) };
                let bets = BigEndian::read_u32(count);
                self.limits.check_batch(bets)?;
                return self.walk_bets(input, TYPE_BYTES + 4, bets);
            }
            MessageType::RegisterBetOk | MessageType::Ack | MessageType::AllBetsSent | MessageType::RequestWinners => 0,
            MessageType::RegisterBetFailed => 2,
            MessageType::InformWinners => {
                let Some(count) = body.get(..8) else { return Ok(None) };
                8_u64.saturating_add(BigEndian::read_u64(count).saturating_mul(4))
            }
            MessageType::Hello => {
                let Some(head) = body.get(..8) else { return Ok(None) };
                let credential_bytes = BigEndian::read_u16(&head[6..]);
                if usize::from(credential_bytes) > MAX_CREDENTIAL_BYTES {
                    return Err(Malformed::Length);
                }
                8 + u64::from(credential_bytes)
            }
            MessageType::Welcome => 9,
            MessageType::Welcome2 => 13,
            MessageType::Refused => 6,
        };
        let end = self.limits.check_message(body_bytes.saturating_add(TYPE_BYTES as u64))?;
        Ok((end <= input.len()).then_some(end))
    }

    fn walk_bets(&mut self, input: &[u8], mut at: usize, mut bets: u32) -> Result<Option<usize>, Malformed> {
        while bets > 0 {
            let Some(length) = input.get(at..at + BET_LENGTH_BYTES) else { break };
            let bet_bytes = BigEndian::read_u64(length);
            if bet_bytes < MIN_BET_BYTES as u64 {
                return Err(Malformed::Length);
            }
            let end = self.limits.check_message(bet_bytes.saturating_add((at + BET_LENGTH_BYTES) as u64))?;
            if end > input.len() {
                break;
            }
            (at, bets) = (end, bets - 1);
        }
        self.walk = Walk::Bets { at, bets };
        Ok((bets == 0).then_some(at))
    }
}

impl MessageLimits {
    /// `bytes` as a `usize`, if a message may be that long.
    fn check_message(&self, bytes: u64) -> Result<usize, Malformed> {
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.message_bytes => Ok(bytes),
            _ => Err(Malformed::MessageTooLong { limit: self.message_bytes }),
        }
    }

    fn check_batch(&self, bets: u32) -> Result<(), Malformed> {
        if bets > self.batch_bets {
            return Err(Malformed::TooManyBets { bets, limit: self.batch_bets });
        }
        Ok(())
    }
}
