//! Messages to bytes and back: the wire of `protocol.md`. Pure: no sockets, no clock.
//!
//! A message is its type, a big-endian `u16`, and a body whose length follows from its first bytes. Bytes become
//! messages in two steps. A [`Scanner`] walks over what has arrived, however it was cut, and says where the message at
//! the front ends; it remembers how far it came, so that a message which arrives byte by byte is walked over once.
//! When all of it is there, [`Message::decode`] gives its parts, borrowed from those bytes: no half message is
//! ever represented. The bets of a batch are decoded one at a time by [`Bets`], and encoded one at a time into a [`Batch`].

mod bets;
mod message;
mod scanner;

pub use bets::{Batch, BetFault, Bets, Full};
pub use message::{AgencyState, Documents, ErrorCode, Message, MessageType};
pub use scanner::{Limits, Malformed, Scanner};

/// The protocol version that [`Message::Hello`] says.
pub const VERSION: u16 = 1;

/// The most bytes that a sender puts into one message: the course's 8 kB, type and counts included.
pub const MAX_PACKET_BYTES: usize = 8192;

/// The most bytes of a credential that a Hello may carry.
pub const MAX_CREDENTIAL_BYTES: usize = 255;

/// The most bytes of a Hello.
pub const MAX_HELLO_BYTES: usize = 10 + MAX_CREDENTIAL_BYTES;

/// Every type is below 256, so a lottery connection begins with this byte and an echo session with any other.
pub const FIRST_BYTE: u8 = 0;
