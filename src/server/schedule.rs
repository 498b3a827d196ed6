//! The schedule: whose input is read next, how much of it, and when a turn has read enough. Pure.
//!
//! Two kinds of connections share a turn. An *interactive* client sends a batch and waits for its reply. A *bulk* sender
//! pipelines: it goes on sending while it waits. Three rules make a turn fair to both:
//!
//! 1. **Interactive first.** Interactive connections are read before bulk senders. Four of them in a row let one bulk
//!    sender through, so that no number of them stops it.
//! 2. **Shares.** Bulk senders are read in slices, one after the other. Nobody gets more than its share of a turn; the
//!    rest goes first in the next turn.
//! 3. **A turn reads for about as long as a commit takes**, and 16 slices at least, because a commit costs much the same
//!    for one batch as for a hundred. Once bets of an interactive client are staged, half a commit is enough: its reply
//!    waits for the end of the turn. For the next milliseconds turns stay short, because its next batch is expected.
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
/// The time that it takes to read and apply a slice, about.
const SLICE_TIME: Duration = Duration::from_micros(64);
/// A turn may always read this much if no interactive client waits: where commits cost next to nothing, polls and replies
/// must not become the cost.
const SHORTEST_TURN: usize = 16 * SLICE_BYTES;
/// A turn never reads more than this, however slow the disk is: about 10 ms.
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
    /// True if it is in one of the lists.
    is_listed: bool,
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

    /// Lets a connection wait for the commit in flight.
    pub fn hold(&mut self, id: ConnectionId) {
        self.held.push(id);
    }

    /// Puts those that waited for the commit in line again, after a commit that took so long.
    pub fn settled(&mut self, took: Duration) {
        self.commit = match self.commit {
            Duration::ZERO => took,
            commit => commit / WEIGHT * (WEIGHT - 1) + took / WEIGHT,
        };
        for id in std::mem::take(&mut self.held) {
            self.list(id);
        }
    }

    /// True if the next turn would read from somebody at once.
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
mod tests {
    use slotmap::SlotMap;

    use super::*;

    const SHARE: usize = 4 * SLICE_BYTES;

    fn ids(count: usize) -> Vec<ConnectionId> {
        let mut map = SlotMap::new();
        (0..count).map(|_| map.insert(())).collect()
    }

    /// A schedule in which `bulk` are known as bulk senders and have more to give, after commits of `commit`.
    fn schedule(bulk: &[ConnectionId], commit: Duration) -> Schedule {
        let mut schedule = Schedule::new(SHARE);
        (0..100).for_each(|_| schedule.settled(commit));
        for &id in bulk {
            schedule.add(id);
            schedule.entries[id].bulk_until = 1000;
            schedule.list(id);
        }
        schedule.begin_turn();
        schedule
    }

    /// A schedule in which `ids` are new and have something to give.
    fn newcomers(share: usize, ids: &[ConnectionId]) -> Schedule {
        let mut schedule = Schedule::new(share);
        ids.iter().for_each(|&id| join(&mut schedule, id));
        schedule.begin_turn();
        schedule
    }

    fn join(schedule: &mut Schedule, id: ConnectionId) {
        schedule.add(id);
        schedule.list(id);
    }

    /// Reads a turn in which everyone gives all that is granted. Gives who was read, and how many bytes.
    fn read_turn(schedule: &mut Schedule) -> Vec<(ConnectionId, usize)> {
        let mut read = Vec::new();
        while let Some(Grant { id, bytes, .. }) = schedule.grant() {
            schedule.took(id, bytes, true);
            schedule.list(id);
            read.push((id, bytes));
        }
        read
    }

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn bulk_senders_are_read_by_slices_in_turn_up_to_their_share() {
        let ids = ids(2);
        let mut schedule = schedule(&ids, 100 * MILLI);
        let expected: Vec<_> = (0..8).map(|slice| (ids[slice % 2], SLICE_BYTES)).collect();
        assert_eq!(read_turn(&mut schedule), expected);
        assert!(schedule.has_work(), "the next turn does not sleep");
        schedule.begin_turn();
        assert_eq!(read_turn(&mut schedule), expected, "a new turn owes a new share");
    }

    #[test]
    fn a_share_smaller_than_a_slice_bounds_the_read() {
        let ids = ids(1);
        let mut schedule = newcomers(100, &ids);
        assert_eq!(read_turn(&mut schedule), [(ids[0], 100)]);
    }

    #[test]
    fn an_interactive_client_is_read_before_bulk_senders() {
        let ids = ids(3);
        let mut schedule = schedule(&ids[..2], 100 * MILLI);
        join(&mut schedule, ids[2]);
        assert_eq!(schedule.grant().map(|grant| (grant.id, grant.is_bulk)), Some((ids[2], false)));
        assert_eq!(schedule.grant().map(|grant| (grant.id, grant.is_bulk)), Some((ids[0], true)));
    }

    #[test]
    fn no_number_of_interactive_clients_stops_a_bulk_sender() {
        let ids = ids(41);
        let mut schedule = schedule(&ids[..1], 100 * MILLI);
        ids[1..].iter().for_each(|&id| join(&mut schedule, id));
        let read: Vec<ConnectionId> = (0..5).filter_map(|_| schedule.grant()).map(|grant| grant.id).collect();
        assert_eq!(read, [ids[1], ids[2], ids[3], ids[4], ids[0]]);
    }

    #[test]
    fn a_turn_of_bulk_senders_reads_for_as_long_as_a_commit_takes() {
        let ids = ids(100);
        for (commit, slices) in [(Duration::ZERO, 16), (SLICE_TIME * 20, 20), (1000 * MILLI, 160)] {
            let mut schedule = schedule(&ids, commit);
            assert!(read_turn(&mut schedule).len().abs_diff(slices) <= 1, "{commit:?}");
        }
    }

    #[test]
    fn a_turn_that_an_interactive_client_waits_for_is_short() {
        let ids = ids(101);
        let mut schedule = schedule(&ids[..100], SLICE_TIME * 40);
        join(&mut schedule, ids[100]);
        let first = schedule.grant().expect("the interactive client");
        schedule.took(first.id, 1000, true);
        assert!(read_turn(&mut schedule).len().abs_diff(20) <= 1);
        schedule.begin_turn();
        assert!(read_turn(&mut schedule).len().abs_diff(20) <= 1, "its next batch is expected");
        schedule.quiet = EXPECTED;
        schedule.begin_turn();
        assert!(read_turn(&mut schedule).len().abs_diff(40) <= 1, "it has gone");
    }

    #[test]
    fn one_slow_commit_does_not_make_the_next_turn_long() {
        let ids = ids(100);
        let mut schedule = schedule(&ids, SLICE_TIME * 8);
        schedule.settled(SLICE_TIME * 80);
        assert!(read_turn(&mut schedule).len() <= 18);
    }

    #[test]
    fn a_client_that_pipelines_becomes_a_bulk_sender_and_is_forgiven_later() {
        let ids = ids(1);
        let mut schedule = newcomers(SHARE, &ids);
        assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(false));
        schedule.took(ids[0], BULK_BYTES + 1, true);
        assert!(!schedule.is_awaited);
        schedule.list(ids[0]);
        assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(true));
        (0..=BULK_TURNS).for_each(|_| schedule.begin_turn());
        schedule.list(ids[0]);
        assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(false));
    }

    #[test]
    fn a_held_connection_is_read_once_the_commit_is_settled() {
        let ids = ids(1);
        let mut schedule = Schedule::new(SHARE);
        schedule.add(ids[0]);
        schedule.hold(ids[0]);
        assert!(!schedule.has_work());
        schedule.settled(MILLI);
        assert!(schedule.has_work());
    }

    #[test]
    fn a_removed_connection_is_not_read() {
        let ids = ids(2);
        let mut schedule = newcomers(SHARE, &ids);
        schedule.remove(ids[0]);
        assert_eq!(schedule.grant().map(|grant| grant.id), Some(ids[1]));
    }
}
