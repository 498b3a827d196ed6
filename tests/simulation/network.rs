//! Connections whose bytes are on their way until they are taken, and which break at any byte.
//!
//! Bytes that are not taken are delayed; taking a part of them splits a message, and taking several at once coalesces them.
//!
//! The server's side is polled by edges. A connection is reported once when it can be read (or written), and again only
//! after it was read (or written) to `WouldBlock` and something new has happened since. Edges are reported late and in any
//! order, and none is lost.

use std::collections::BTreeMap;

use fastrand::Rng;
use loteria::central::ConnectionId;
use loteria::server::turn::Ready;

use crate::chance::Chance;
use crate::chronicle::{Happening, count};
use crate::pipe::{End, Pipe};
use crate::reads::Reads;

/// The party that opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Agency(u32),
    /// It sends a line to have it echoed.
    Echo {
        bytes: usize,
        /// True if there is no line break: the line ends with the input.
        ends_with_input: bool,
    },
    /// It never says anything.
    Silent,
    /// It never ends its first message.
    Stuck,
}

/// The standing of a connection at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits to be accepted.
    Backlog,
    Accepted(ConnectionId),
    /// It is closed.
    Gone,
}

/// One kind of readiness of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The next news makes it pending.
    Armed,
    /// A poll will report it.
    Pending,
    /// The server was told, and has not read (or written) to `WouldBlock` since.
    Reported,
}

impl Edge {
    /// Something new has happened.
    pub fn raise(&mut self) {
        if *self == Edge::Armed {
            *self = Edge::Pending;
        }
    }

    /// The server has read (or written) to `WouldBlock`.
    pub fn arm(&mut self) {
        if *self == Edge::Reported {
            *self = Edge::Armed;
        }
    }

    fn report(&mut self, random: &mut Rng) -> bool {
        let is_reported = *self == Edge::Pending && !random.one_in(3);
        if is_reported {
            *self = Edge::Reported;
        }
        is_reported
    }
}

/// A connection to the server.
#[derive(Debug)]
pub struct Link {
    pub owner: Owner,
    /// True if it is over TLS.
    pub is_secure: bool,
    pub to_server: Pipe,
    pub to_client: Pipe,
    pub place: Place,
    /// True if the client still has it open.
    pub is_held: bool,
    pub readable: Edge,
    pub writable: Edge,
    /// Bytes that `to_client` has room for.
    pub capacity: usize,
    /// Bytes that the server has read.
    pub read: usize,
    /// True if the server has read the end of `to_server`.
    pub has_read_end: bool,
    /// Bytes that the server has written.
    pub written: usize,
}

impl Link {
    /// True if the server has ended its side.
    pub fn is_ended(&self) -> bool {
        self.to_client.has_end()
    }

    /// True if it is of no use to either side.
    fn is_forgotten(&self) -> bool {
        !self.is_held && self.place == Place::Gone
    }
}

/// Every connection of the world, by its number: the newer, the higher.
#[derive(Debug)]
pub struct Network {
    pub links: BTreeMap<usize, Link>,
    next: usize,
    pub random: Rng,
    /// Connections that were closed before their readiness was reported.
    stale: Vec<ConnectionId>,
    /// Reads of the turn that the server takes now.
    pub reads: Reads,
}

impl Network {
    pub fn new(random: Rng, reads: Reads) -> Network {
        Network { links: BTreeMap::new(), next: 0, random, stale: Vec::new(), reads }
    }

    /// A client connects. Gives the number of the connection.
    pub fn connect(&mut self, owner: Owner) -> usize {
        let number = self.next;
        self.next += 1;
        let link = Link {
            owner,
            is_secure: false,
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            place: Place::Backlog,
            is_held: true,
            readable: Edge::Armed,
            writable: Edge::Armed,
            capacity: self.random.pick(&[10, 100, usize::MAX, usize::MAX]),
            read: 0,
            has_read_end: false,
            written: 0,
        };
        self.links.insert(number, link);
        number
    }

    /// A client speaks TLS on a connection.
    pub fn secure(&mut self, number: usize) {
        if let Some(link) = self.links.get_mut(&number) {
            link.is_secure = true;
        }
    }

    /// A client sends.
    pub fn send(&mut self, number: usize, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.to_server.send(bytes);
        link.readable.raise();
    }

    /// A client reads. Gives nothing if there is nothing, or the connection has ended.
    pub fn hear(&mut self, number: usize) -> Vec<u8> {
        let Some(link) = self.links.get_mut(&number) else { return Vec::new() };
        let arrived = link.to_client.len();
        if arrived == 0 {
            return Vec::new();
        }
        link.writable.raise();
        link.to_client.take(self.random.usize(1..=arrived))
    }

    /// The end that a client has heard.
    pub fn end(&self, number: usize) -> Option<End> {
        self.links.get(&number)?.to_client.end()
    }

    /// A client ends its side.
    pub fn finish(&mut self, number: usize, end: End) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.to_server.finish(end, &mut self.random);
        link.readable.raise();
        link.writable.raise();
    }

    /// A client leaves.
    pub fn leave(&mut self, number: usize, end: End) {
        self.finish(number, end);
        if let Some(link) = self.links.get_mut(&number) {
            link.is_held = false;
        }
    }

    /// Both sides lose a connection, sooner or later.
    pub fn break_off(&mut self, number: usize, end: End) {
        self.finish(number, end);
        if let Some(link) = self.links.get_mut(&number) {
            link.to_client.finish(end, &mut self.random);
        }
    }

    /// Keepalive finds out about those that are silent.
    pub fn find_out(&mut self) {
        for link in self.links.values_mut() {
            link.to_client.find_out();
            if link.to_server.find_out() {
                link.readable.raise();
                link.writable.raise();
            }
        }
    }

    /// The server's side is closed.
    pub fn close(&mut self, number: usize, end: End) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if let Place::Accepted(id) = link.place
            && (link.readable == Edge::Pending || link.writable == Edge::Pending)
        {
            self.stale.push(id);
        }
        link.place = Place::Gone;
        link.to_client.finish(end, &mut self.random);
    }

    /// The server's process is dead, and the ends of its connections with it.
    pub fn lose_server(&mut self) {
        let numbers: Vec<usize> = self.links.keys().copied().collect();
        for number in numbers {
            let end = self.random.pick(&[End::Closed, End::Reset, End::Reset, End::Silence]);
            self.close(number, end);
        }
        self.stale.clear();
    }

    /// Drops the connections that neither side has any more.
    pub fn forget(&mut self) {
        self.links.retain(|_, link| !link.is_forgotten());
    }

    /// The oldest connection that waits to be accepted.
    pub fn backlog(&self) -> Option<usize> {
        self.links.iter().find(|(_, link)| link.place == Place::Backlog).map(|(&number, _)| number)
    }

    /// The server has a connection polled under `id`: what is there already is news.
    pub fn register(&mut self, number: usize, id: ConnectionId) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.place = Place::Accepted(id);
        link.writable = Edge::Pending;
        if link.to_server.has_news() {
            link.readable = Edge::Pending;
        }
    }

    /// Appends some of the connections with a pending edge.
    pub fn poll(&mut self, ready: &mut Vec<Ready>) {
        let first = ready.len();
        for link in self.links.values_mut() {
            let Place::Accepted(id) = link.place else { continue };
            let is_readable = link.readable.report(&mut self.random);
            let is_writable = link.writable.report(&mut self.random);
            if is_readable || is_writable {
                ready.push(Ready { id, is_readable, is_writable, is_over: link.to_server.is_reset() });
            }
        }
        for id in self.stale.drain(..) {
            count(Happening::StaleEdge);
            ready.push(Ready { id, is_readable: true, is_writable: true, is_over: true });
        }
        self.random.shuffle(&mut ready[first..]);
    }
}
