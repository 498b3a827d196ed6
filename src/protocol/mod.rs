//! The wire of `protocol.md`: messages to bytes and back. Pure: no sockets, no clock.
//!
//! A message is its type, a big-endian `u16`, and a body whose length follows from its first bytes. Decoding takes two
//! steps. A [`Scanner`] walks over the bytes received so far, in whatever pieces they arrived, and finds the end of the
//! message at the front; it remembers its position, so that a message which arrives byte by byte is walked over once.
//! Once the message is complete, [`Message::decode`] returns its parts, borrowed from those bytes: a partial message is
//! never represented. [`Bets`] decodes the bets of a batch one at a time, and [`Batch`] encodes them one at a time.

mod bets;
mod codes;
mod message;
mod scanner;

pub use bets::{Batch, BetFault, Bets, Full, encode_bet};
pub use codes::{AgencyState, ErrorCode};
pub use message::{Documents, Message, MessageType};
pub use scanner::{Malformed, MessageLimits, Scanner};

/// The version that an agency names in [`Message::Hello`]. The server speaks it and every one before it, from 1.
pub const VERSION: u16 = 2;

/// Most bytes that an agency puts into one message, type and counts included: the 8 kB of the course.
pub const MAX_PACKET_BYTES: usize = 8192;

/// Least limit of a batch: a bet with the longest names takes 552 bytes.
pub const MIN_PACKET_BYTES: usize = 1024;

/// Most bytes of the credential in a Hello.
pub const MAX_CREDENTIAL_BYTES: usize = 255;

/// Most bytes of a Hello.
pub const MAX_HELLO_BYTES: usize = 10 + MAX_CREDENTIAL_BYTES;

/// First byte of a lottery connection, because every type is below 256. Any other byte begins an echo session.
pub const FIRST_BYTE: u8 = 0;
