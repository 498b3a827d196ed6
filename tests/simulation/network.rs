//! Connections whose bytes are on their way until somebody takes them, and which break at any byte.
//!
//! Delay is not to take; to take a part is to split; to take what was sent in several pieces at once is to coalesce.

use std::collections::VecDeque;

use loteria::central::SessionId;

use crate::random::Random;

/// How a direction ends, once the bytes before it have been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender has closed.
    Closed,
    /// The connection broke.
    Reset,
    /// Nothing more comes, and nobody says so: half-open.
    Silence,
}

/// One direction of a connection.
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

    /// How it ended, if all that came before has been taken.
    pub fn end(&self) -> Option<End> {
        self.end.filter(|_| self.bytes.is_empty())
    }

    /// Nothing sent from now on arrives. If it breaks, neither do some of the bytes on their way.
    pub fn finish(&mut self, end: End, random: &mut Random) {
        if self.end.is_none() {
            self.end = Some(end);
            if end != End::Closed {
                self.bytes.truncate(random.between(0, self.bytes.len()));
            }
        }
    }

    /// Whoever waited in vain finds out.
    pub fn find_out(&mut self) {
        if self.end == Some(End::Silence) {
            self.end = Some(End::Reset);
        }
    }
}

/// Where a connection stands at the central.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits to be accepted.
    Backlog,
    /// It is accepted.
    Session(SessionId),
    /// All is said, and the rest of what comes is dropped.
    Lingering(SessionId),
    /// It is closed.
    Gone,
}

/// A connection of an agency to the central.
#[derive(Debug)]
pub struct Link {
    pub agency: u32,
    pub to_central: Pipe,
    pub to_agency: Pipe,
    pub place: Place,
    /// Whether the agency still has it open.
    pub is_held: bool,
    /// Whether the central knows that the agency has ended its side.
    pub has_ended: bool,
}

impl Link {
    pub fn new(agency: u32) -> Link {
        let (to_central, to_agency) = (Pipe::default(), Pipe::default());
        Link { agency, to_central, to_agency, place: Place::Backlog, is_held: true, has_ended: false }
    }

    /// Both sides lose it, some day.
    pub fn break_off(&mut self, end: End, random: &mut Random) {
        self.to_central.finish(end, random);
        self.to_agency.finish(end, random);
    }

    /// The agency's side is gone.
    pub fn leave(&mut self, end: End, random: &mut Random) {
        self.is_held = false;
        self.to_central.finish(end, random);
    }

    /// The central's side is gone.
    pub fn lose_central(&mut self, end: End, random: &mut Random) {
        self.place = Place::Gone;
        self.to_agency.finish(end, random);
    }

    /// Whether nobody cares about it any more.
    pub fn is_forgotten(&self) -> bool {
        !self.is_held && self.place == Place::Gone
    }
}
