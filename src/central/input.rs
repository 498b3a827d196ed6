//! The input side of a session: bytes received that could not be applied yet.

use std::time::Instant;

use crate::protocol::{self, MAX_HELLO_BYTES, Scanner};

/// Bytes that wait, and what they wait for.
#[derive(Debug)]
pub(super) struct Input {
    /// Empty, and then unallocated, most of the time.
    bytes: Vec<u8>,
    waits_for: WaitsFor,
    /// Finds the end of the message at the front of `bytes`.
    pub scanner: Scanner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// Nothing: there are no bytes.
    Nothing,
    /// The rest of a message that began to arrive at this moment.
    Rest { since: Instant },
    /// Room for replies, or the end of the commit in flight. Whole messages may be among the bytes.
    Turn,
}

/// Bytes that a Hello received in pieces may take before they count as [anonymous](super::budget).
const UNCOUNTED_BYTES: usize = 2 * MAX_HELLO_BYTES;

impl Input {
    pub fn new(limits: protocol::MessageLimits) -> Input {
        Input { bytes: Vec::new(), waits_for: WaitsFor::Nothing, scanner: Scanner::new(limits) }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the bytes that waited, to apply them with what follows.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Keeps `rest`: the part of a message that is not whole yet. `went_on` is true if whole messages came before it.
    pub fn keep_partial(&mut self, rest: &[u8], went_on: bool, now: Instant) {
        self.waits_for = match self.waits_for {
            _ if rest.is_empty() => WaitsFor::Nothing,
            waiting @ WaitsFor::Rest { .. } if !went_on => waiting,
            _ => WaitsFor::Rest { since: now },
        };
        self.bytes = rest.to_vec();
    }

    /// Keeps `rest`, which can be applied later, in a turn of its own.
    pub fn keep_for_turn(&mut self, rest: &[u8]) {
        debug_assert!(!rest.is_empty());
        self.waits_for = WaitsFor::Turn;
        self.bytes = rest.to_vec();
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
        self.waits_for = WaitsFor::Nothing;
    }

    /// True if it may hold whole messages.
    pub fn waits_for_turn(&self) -> bool {
        self.waits_for == WaitsFor::Turn
    }

    /// The moment at which the unfinished message began to arrive.
    pub fn partial_since(&self) -> Option<Instant> {
        match self.waits_for {
            WaitsFor::Rest { since } => Some(since),
            WaitsFor::Nothing | WaitsFor::Turn => None,
        }
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes that count as anonymous if the session has no agency.
    pub fn anonymous_bytes(&self) -> usize {
        Some(self.allocated()).filter(|&bytes| bytes > UNCOUNTED_BYTES).unwrap_or(0)
    }

    /// Moves the start of the unfinished message `by` into the future: nothing was read meanwhile.
    pub fn postpone(&mut self, by: std::time::Duration) {
        if let WaitsFor::Rest { since } = &mut self.waits_for {
            *since += by;
        }
    }
}
