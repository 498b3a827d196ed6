//! The reads of one turn, and the shares that they must keep.

use std::collections::BTreeMap;

use crate::chronicle::{Happening, count};
use crate::network::{Edge, Link, Owner, Place};

/// The reads of a turn so far.
#[derive(Debug)]
pub struct Reads {
    /// Bytes that a connection may give in a turn.
    share: usize,
    /// True if no connection of this world ever has so many unread replies, or so much of a first message, that it is not
    /// read.
    is_never_held: bool,
    /// The read that is next, from 0.
    next: usize,
    of: BTreeMap<usize, Progress>,
    /// The first rule that was broken.
    pub fault: Option<String>,
}

/// The reads of one connection in this turn.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bytes: usize,
    /// The last attempt to read it.
    last: usize,
    /// True if that gave nothing.
    is_dry: bool,
}

impl Reads {
    pub fn new(share: usize, is_never_held: bool) -> Reads {
        Reads { share, is_never_held, next: 0, of: BTreeMap::new(), fault: None }
    }

    pub fn begin_turn(&mut self) {
        self.next = 0;
        self.of.clear();
    }

    /// The server tries to read connection `number`. Between two reads of a bulk sender, each other bulk sender that is
    /// ready is read.
    pub fn attempt(&mut self, number: usize, links: &BTreeMap<usize, Link>) {
        let before = self.of.get(&number).copied();
        if let Some(before) = before.filter(|before| self.is_never_held && !before.is_dry && self.is_bulk(*before)) {
            for (&other, progress) in &self.of {
                let waits = other != number && !progress.is_dry && self.is_bulk(*progress) && is_ready(other, links);
                if waits && progress.bytes < self.share && progress.last < before.last {
                    self.fault = Some(format!("connection {number} is read twice, and connection {other} waits"));
                } else if waits && progress.last > before.last {
                    count(Happening::BulkInTurn);
                }
            }
        }
        self.of.entry(number).or_default().last = self.next;
        self.next += 1;
    }

    /// There was nothing to read from connection `number`.
    pub fn dried(&mut self, number: usize) {
        self.of.entry(number).or_default().is_dry = true;
    }

    /// The server has read so many bytes of connection `number`.
    pub fn took(&mut self, number: usize, bytes: usize) {
        let progress = self.of.entry(number).or_default();
        progress.bytes += bytes;
        progress.is_dry = false;
        if progress.bytes > self.share {
            let (given, share) = (progress.bytes, self.share);
            self.fault = Some(format!("connection {number} gives {given} bytes in a turn, and its share is {share}"));
        } else if progress.bytes == self.share {
            count(Happening::WholeShare);
        }
    }

    /// Connections that were read in this turn.
    pub fn speakers(&self) -> impl Iterator<Item = usize> {
        self.of.iter().filter(|(_, progress)| progress.bytes > 0).map(|(&number, _)| number)
    }

    /// True if a connection that has given so much in this turn counts as a bulk sender.
    fn is_bulk(&self, progress: Progress) -> bool {
        progress.bytes > self.share / 2
    }
}

/// True if connection `number` has input that the server knows of, and nothing keeps it from being read: a newer
/// connection of its agency would.
fn is_ready(number: usize, links: &BTreeMap<usize, Link>) -> bool {
    let Some(link) = links.get(&number) else { return false };
    let Owner::Agency(_) = link.owner else { return false };
    let is_newest = links.range(number + 1..).all(|(_, newer)| newer.owner != link.owner);
    let is_accepted = matches!(link.place, Place::Accepted(_));
    is_newest && is_accepted && !link.is_ended() && link.readable == Edge::Reported && link.to_server.len() > 0
}
