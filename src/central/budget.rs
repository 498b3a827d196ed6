//! The memory that connections without an agency share.
//!
//! An agency needs no such budget: it has one connection, with one unfinished message. Any client can open thousands of
//! connections without one, so their unfinished messages and the buffers of their TLS are bounded together. If an
//! unfinished message exceeds the budget, its connection is refused, and no other is evicted. A TLS handshake makes the oldest
//! connections without an agency go, as a new connection does where all slots are taken.

/// The bytes allocated for unfinished messages and TLS of connections without an agency, and their bound.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: usize,
}

/// One connection's part of the budget.
#[derive(Debug, Default)]
pub(super) struct Charge(usize);

impl Budget {
    pub fn new(limit: usize) -> Budget {
        Budget { limit, used: 0 }
    }

    /// Charges a connection with `bytes` in place of what it was charged with before. False if that is too much.
    pub fn charge(&mut self, charge: &mut Charge, bytes: usize) -> bool {
        self.used = self.used - charge.0 + bytes;
        charge.0 = bytes;
        self.used <= self.limit
    }

    /// Bytes charged to all connections.
    pub fn used(&self) -> usize {
        self.used
    }
}
