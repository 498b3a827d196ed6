//! What a peer may cost the central.

use std::time::Duration;

use crate::protocol;

/// The bounds on connections, memory and time. Each is a key of `config.ini`, see [`crate::config::server`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Bytes of one message and bets of one batch.
    pub protocol: protocol::MessageLimits,
    /// Bets of one agency. Each takes some 50 bytes of disk, and 4 of memory if it wins.
    pub agency_bets: u64,
    /// Bytes of an echo session's line, its end not counted.
    pub echo_line_bytes: usize,
    /// Bytes that are allocated for unfinished messages of connections that speak for no agency, all of them together. Those that
    /// do need no such limit: there is one for each agency, with one message each.
    pub anonymous_bytes: usize,
    /// Replies that a peer leaves unread, in bytes, above which nothing more is read from it.
    pub unsent_bytes: usize,
    /// Bytes taken from one connection in a turn: its share.
    pub turn_bytes: usize,
    /// Replies to one connection in a turn: small messages cost more to answer than to read.
    pub turn_answers: usize,
    /// How long a connection may stay without saying whose it is.
    pub silence: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a peer may leave replies unread.
    pub unread: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            protocol: protocol::MessageLimits::default(),
            agency_bets: 20_000_000,
            echo_line_bytes: 8 * 1024,
            anonymous_bytes: 64 << 20,
            unsent_bytes: 64 * 1024,
            turn_bytes: 128 * 1024,
            turn_answers: 64,
            silence: Duration::from_secs(30),
            message: Duration::from_secs(30),
            unread: Duration::from_secs(30),
        }
    }
}
