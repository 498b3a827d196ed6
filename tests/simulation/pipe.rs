//! One direction of a connection.

use std::collections::VecDeque;

use fastrand::Rng;

/// The way in which a direction ends, once the bytes before it have been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender has closed.
    Closed,
    /// The connection broke.
    Reset,
    /// Nothing more comes, and the receiver is not told: half-open.
    Silence,
}

/// Bytes on their way, and the end behind them.
#[derive(Debug, Default)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    end: Option<End>,
}

impl Pipe {
    pub fn send(&mut self, bytes: &[u8]) {
        if self.end.is_none() {
            self.bytes.extend(bytes);
        }
    }

    /// Bytes that can be taken now.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.bytes.drain(..bytes).collect()
    }

    /// Its end, if all bytes before it have been taken.
    pub fn end(&self) -> Option<End> {
        self.end.filter(|_| self.bytes.is_empty())
    }

    /// True if it has an end, also behind bytes on their way.
    pub fn has_end(&self) -> bool {
        self.end.is_some()
    }

    /// True if it is broken, also behind bytes on their way.
    pub fn is_reset(&self) -> bool {
        self.end == Some(End::Reset)
    }

    /// True if a read would give something: bytes or an end.
    pub fn has_news(&self) -> bool {
        !self.bytes.is_empty() || matches!(self.end, Some(End::Closed | End::Reset))
    }

    /// Nothing sent from now on arrives. If it breaks, neither do some of the bytes on their way.
    pub fn finish(&mut self, end: End, random: &mut Rng) {
        if self.end.is_none() {
            self.end = Some(end);
            if end != End::Closed {
                self.bytes.truncate(random.usize(0..=self.bytes.len()));
            }
        }
    }

    /// A half-open direction turns out to be broken. False if it is none.
    pub fn find_out(&mut self) -> bool {
        let is_silent = self.end == Some(End::Silence);
        if is_silent {
            self.end = Some(End::Reset);
        }
        is_silent
    }
}
