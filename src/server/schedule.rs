//! The schedule: the connection that is read next, how much of it, and when a turn has read enough. Pure.
//!
//! Two kinds of connections share a turn. An *interactive* client sends a batch and waits for its reply. A *bulk* sender
//! pipelines: it goes on sending while it waits. Three rules make a turn fair to both:
//!
//! 1. **Interactive first.** Interactive connections are read before bulk senders. Four of them in a row let one bulk
//!    sender through, so that no number of them stops it.
//! 2. **Shares.** Bulk senders are read in slices, one after the other. No connection gets more than its share of a turn;
//!    the rest of its input waits for the next.
//! 3. **A turn of bulk senders reads for about as long as a commit takes**, and 16 slices at least, because a commit costs
//!    much the same for one batch as for a hundred. Once bets of an interactive client are staged, half a commit is
//!    enough: its reply waits for the end of the turn. Turns stay that short for the next milliseconds, because its next
//!    batch is expected.
//!
//! Durations are measured by the caller and turned into bytes here, so that the schedule needs no clock.

use std::collections::VecDeque;
use std::time::Duration;

use slotmap::SecondaryMap;

use crate::central::ConnectionId;
use crate::protocol::MAX_PACKET_BYTES;

/// Bytes read from a bulk sender before the next one is read. Each read costs the system about as much as ten bets do,
/// and a small batch waits for at most one slice.
pub const SLICE_BYTES: usize = 4 * MAX_PACKET_BYTES;
/// The time that it takes to read and apply a slice of about 600 bets: 47 to 55 µs were measured on a machine with 2 cores.
const SLICE_TIME: Duration = Duration::from_micros(48);
/// A turn may always read this much if no interactive client waits: where commits cost next to nothing, polls and replies
/// must not become the cost.
const SHORTEST_TURN: usize = 16 * SLICE_BYTES;
/// A turn never reads more than this, however slow the disk is: about 8 ms.
const LONGEST_TURN: usize = 160 * SLICE_BYTES;
/// A connection that gives more than this in a turn is a bulk sender: more than two packets as agencies send them.
const BULK_BYTES: usize = 2 * MAX_PACKET_BYTES;
/// Turns for which it stays one.
const BULK_TURNS: u64 = 8;
/// The time for which an interactive client that was served is expected to send its next batch.
const EXPECTED: Duration = Duration::from_millis(5);
/// Interactive connections read in a row before a bulk sender: reading one costs about a quarter of a slice.
const INTERACTIVE_IN_A_ROW: u32 = 4;
/// One slow commit changes the expected duration by an eighth of the difference.
const WEIGHT: u32 = 8;

/// The order in which connections are read.
#[derive(Debug)]
pub struct Schedule {
    entries: SecondaryMap<ConnectionId, Entry>,
    interactive: VecDeque<ConnectionId>,
    bulk: VecDeque<ConnectionId>,
    /// Connections that have had their share of this turn.
    served: Vec<ConnectionId>,
    /// Connections that wait for the commit in flight.
    held: Vec<ConnectionId>,
    interactive_in_a_row: u32,
    /// The share of a turn that a connection has, in bytes.
    share: usize,
    turn: u64,
    /// Bytes read in this turn.
    taken: usize,
    /// True once bets of an interactive client are staged in this turn.
    is_awaited: bool,
    /// The estimated duration of the turns since bets of an interactive client were staged.
    quiet: Duration,
    /// The duration of a commit, recent ones counting most.
    commit: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// True if it is in line, or has had its share of this turn.
    is_listed: bool,
    /// True if it is in `held`.
    is_held: bool,
    /// The last turn in which it was read, and the bytes taken from it then.
    turn: u64,
    taken: usize,
    /// The last turn in which it counts as a bulk sender.
    bulk_until: u64,
}

/// Permission to read from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The connection.
    pub id: ConnectionId,
    /// The most bytes to read from it now, at least 1.
    pub bytes: usize,
    /// True if it is a bulk sender: this is the moment to look for interactive clients that came meanwhile.
    pub is_bulk: bool,
}

impl Schedule {
    /// A schedule in which a connection may give `share` bytes in a turn.
    pub fn new(share: usize) -> Schedule {
        Schedule {
            entries: SecondaryMap::new(),
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            served: Vec::new(),
            held: Vec::new(),
            interactive_in_a_row: 0,
            share,
            turn: 1,
            taken: 0,
            is_awaited: false,
            quiet: EXPECTED,
            commit: Duration::ZERO,
        }
    }

    /// Takes a new connection, which is not in line yet.
    pub fn add(&mut self, id: ConnectionId) {
        self.entries.insert(id, Entry::default());
    }

    /// Forgets a connection.
    pub fn remove(&mut self, id: ConnectionId) {
        self.entries.remove(id);
    }

    /// Puts a connection in line to be read, unless it is.
    pub fn list(&mut self, id: ConnectionId) {
        let turn = self.turn;
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !std::mem::replace(&mut entry.is_listed, true) {
            if entry.is_bulk(turn) { self.bulk.push_back(id) } else { self.interactive.push_back(id) }
        }
    }

    /// Lets a connection wait for the next turn.
    pub fn defer(&mut self, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !std::mem::replace(&mut entry.is_listed, true) {
            self.served.push(id);
        }
    }

    /// Lets a connection wait for the commit in flight, once, however often its peer makes it ready meanwhile.
    pub fn hold(&mut self, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !std::mem::replace(&mut entry.is_held, true) {
            self.held.push(id);
        }
    }

    /// Puts those that waited for the commit in line again, after a commit that took so long.
    pub fn settled(&mut self, took: Duration) {
        self.commit = match self.commit {
            Duration::ZERO => took,
            commit => commit / WEIGHT * (WEIGHT - 1) + took / WEIGHT,
        };
        for id in std::mem::take(&mut self.held) {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.is_held = false;
                self.list(id);
            }
        }
    }

    /// True if the next turn would read from a connection at once.
    pub fn has_work(&self) -> bool {
        !(self.interactive.is_empty() && self.bulk.is_empty() && self.served.is_empty())
    }

    /// Starts a turn.
    pub fn begin_turn(&mut self) {
        self.turn += 1;
        self.quiet = self.quiet.saturating_add(self.commit + time_of(self.taken));
        self.taken = 0;
        self.is_awaited = false;
        // Connections that had nothing in the last turn go first in this one.
        self.bulk.extend(self.served.drain(..));
    }

    /// The next read of this turn. `None` ends it.
    pub fn grant(&mut self) -> Option<Grant> {
        while self.taken < self.turn_bytes() {
            let (id, is_bulk) = self.pop()?;
            let Some(entry) = self.entries.get_mut(id) else { continue };
            if entry.turn != self.turn {
                (entry.turn, entry.taken) = (self.turn, 0);
            }
            if entry.taken >= self.share {
                self.served.push(id);
                continue;
            }
            entry.is_listed = false;
            let bytes = SLICE_BYTES.min(self.share.saturating_sub(entry.taken)).max(1);
            return Some(Grant { id, bytes, is_bulk });
        }
        None
    }

    /// Takes note that `bytes` were read from a connection. `is_staged` is true if bets were staged for it.
    pub fn took(&mut self, id: ConnectionId, bytes: usize, is_staged: bool) {
        self.taken += bytes;
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.taken += bytes;
        if entry.taken > BULK_BYTES.min(self.share / 2) {
            entry.bulk_until = self.turn + BULK_TURNS;
        }
        if is_staged && !entry.is_bulk(self.turn) {
            (self.is_awaited, self.quiet) = (true, Duration::ZERO);
        }
    }

    /// Takes note that input of a connection which was kept for a turn is applied. That costs about as much as to read a
    /// packet. The client has sent more than it waits for, so it is a bulk sender.
    pub fn took_kept(&mut self, id: ConnectionId, is_staged: bool) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.bulk_until = self.turn + BULK_TURNS;
        }
        self.took(id, MAX_PACKET_BYTES, is_staged);
    }

    fn pop(&mut self) -> Option<(ConnectionId, bool)> {
        if self.interactive_in_a_row < INTERACTIVE_IN_A_ROW
            && let Some(id) = self.interactive.pop_front()
        {
            self.interactive_in_a_row += 1;
            return Some((id, false));
        }
        self.interactive_in_a_row = 0;
        let bulk = self.bulk.pop_front().map(|id| (id, true));
        bulk.or_else(|| self.interactive.pop_front().map(|id| (id, false)))
    }

    /// True if an interactive client is expected to send its next batch soon.
    fn is_expecting(&self) -> bool {
        self.quiet < EXPECTED
    }

    /// The bytes that this turn may read.
    fn turn_bytes(&self) -> usize {
        let bytes = bytes_in(self.commit).min(LONGEST_TURN);
        if !self.interactive.is_empty() || !self.is_expecting() {
            bytes.max(SHORTEST_TURN)
        } else if self.is_awaited {
            bytes / 2
        } else {
            (bytes / 2).max(SLICE_BYTES)
        }
    }
}

/// The time that it takes to read and apply so many bytes, about.
fn time_of(bytes: usize) -> Duration {
    SLICE_TIME * (bytes / SLICE_BYTES) as u32
}

/// The bytes that are read and applied in such a time, about.
fn bytes_in(time: Duration) -> usize {
    SLICE_BYTES * (time.as_nanos() / SLICE_TIME.as_nanos()) as usize
}

impl Entry {
    fn is_bulk(&self, turn: u64) -> bool {
        turn <= self.bulk_until
    }
}

#[cfg(test)]
mod tests;
