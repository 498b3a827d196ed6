//! One turn of the server: read, expire, commit, write.
//!
//! The server never acts in the middle of an event. A turn reads a bounded amount from each ready connection, in the
//! order of the [`Schedule`], and applies every whole message; then it commits once; then it writes the replies that the
//! commit released. One commit serves every batch of a turn.
//!
//! This is the code that runs in production and in the simulator: it knows sockets only as [`Socket`], the rest of the
//! world as [`World`], and the disk as a [`Ledger`].

mod secure;
mod write;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slotmap::SlotMap;

use super::commit_times::Commits;
use super::connection::{Connection, Socket, Written};
use super::deadlines::Deadlines;
use super::part::Part;
use super::schedule::{Grant, SLICE_BYTES, Schedule};
use crate::central::{Central, ConnectionId, Event, Halt, Now, PeerLog, Wants};
use crate::ledger::Ledger;
use crate::lottery::Contradiction;
use crate::peer_event;
use crate::tls::Acceptor;

/// Readiness of a connection, as an edge-triggered poll reports it.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The connection.
    pub id: ConnectionId,
    /// It has input, or an end of input, or an error.
    pub is_readable: bool,
    /// It takes output.
    pub is_writable: bool,
    /// Both of its sides are closed, or it was reset.
    pub is_over: bool,
}

/// The world of a turn beside its sockets: the time and the poll.
pub trait World {
    /// The time.
    fn now(&mut self) -> Now;

    /// Appends the connections that have become ready since the last call to `ready`, without waiting.
    ///
    /// # Errors
    /// The system's.
    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()>;
}

/// Reason why a turn could not be completed. No reply leaves after it.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The system refuses to poll.
    #[error("poll: {0}")]
    Poll(#[from] io::Error),
    /// The ledger ended the server.
    #[error("storage: {0}")]
    Halt(#[from] Halt),
    /// The ledger can't be used.
    #[error("storage: {0}")]
    Unusable(String),
    /// The stored round is not this one.
    #[error("storage: {0}")]
    Contradiction(#[from] Contradiction),
}

/// Connections over sockets `S`, the core, and the ledger `L`.
#[derive(Debug)]
pub struct Server<S, L> {
    pub(super) central: Central,
    pub(super) ledger: L,
    pub(super) part: Part,
    connections: SlotMap<ConnectionId, Connection<S>>,
    schedule: Schedule,
    deadlines: Deadlines,
    /// Connections that a poll has reported and that were not looked at yet.
    ready: Vec<Ready>,
    /// Connections that take output again.
    writable: Vec<ConnectionId>,
    /// Connections with long replies, in the order in which they are written to.
    in_line: VecDeque<ConnectionId>,
    /// The buffer that input is read to.
    slice: Vec<u8>,
    /// The buffer that it is decrypted to.
    plain: Vec<u8>,
    /// TLS, if there is a certificate.
    tls: Option<Acceptor>,
    /// Reads of handshakes that are left in this turn.
    handshakes_left: usize,
    /// The moment at which the commit in flight began.
    pub(super) commit_began: Option<Instant>,
    /// The commits since the start.
    commits: Commits,
}

impl<S: Socket, L: Ledger> Server<S, L> {
    /// A server without connections. A connection's share of a turn is `turn_bytes`.
    pub fn new(mut central: Central, ledger: L, turn_bytes: usize) -> Server<S, L> {
        let is_shared = ledger.is_shared();
        if is_shared {
            central.share();
        }
        Server {
            central,
            ledger,
            part: if is_shared { Part::Standby } else { Part::Active },
            connections: SlotMap::new(),
            schedule: Schedule::new(turn_bytes),
            deadlines: Deadlines::default(),
            ready: Vec::new(),
            writable: Vec::new(),
            in_line: VecDeque::new(),
            slice: vec![0; SLICE_BYTES],
            plain: Vec::new(),
            tls: None,
            handshakes_left: 0,
            commit_began: None,
            commits: Commits::default(),
        }
    }

    /// The share of the log of each peer.
    pub(super) fn peer_log(&mut self) -> &mut PeerLog {
        self.central.peer_log()
    }

    /// The core, to look at.
    pub fn central(&self) -> &Central {
        &self.central
    }

    /// True if there is room for another connection. If there is none, the oldest connection without an agency makes room.
    pub fn make_room(&mut self, now: Now) -> bool {
        if !self.central.is_full() {
            return true;
        }
        self.evict("MAX_CONNECTIONS reached, and it has not said whose it is", now)
    }

    /// Resets the oldest connection without an agency. False if there is none.
    fn evict(&mut self, reason: &str, now: Now) -> bool {
        let Some(id) = self.central.oldest_without_agency() else { return false };
        let peer = self.connections[id].peer.ip();
        peer_event!(self.central.peer_log(), peer, Warn, "evict_connection", success, "ip": peer, "reason": reason);
        self.abort(id, now);
        true
    }

    /// Takes an accepted connection. `register` has its socket polled under the id that it gets.
    ///
    /// # Errors
    /// Those of `register`. The connection is dropped.
    pub fn add(
        &mut self,
        socket: S,
        peer: SocketAddr,
        now: Now,
        register: impl FnOnce(&mut S, ConnectionId) -> io::Result<()>,
    ) -> io::Result<ConnectionId> {
        let id = self.connections.insert(Connection::new(socket, peer));
        if let Err(error) = register(&mut self.connections[id].socket, id) {
            self.connections.remove(id);
            return Err(error);
        }
        self.central.connect(id, peer.ip(), now);
        self.schedule.add(id);
        self.set_deadline(id);
        Ok(id)
    }

    /// The commits since the start.
    pub(super) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// The moment at which the commit in flight began.
    pub(super) fn commit_began(&self) -> Option<Instant> {
        self.commit_began
    }

    /// The time to sleep before the next turn, if nothing is reported before. `None` is for ever.
    pub fn time_to_sleep(&self, now: Instant) -> Option<Duration> {
        if self.schedule.has_work() || !self.in_line.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = [self.deadlines.next(), self.central.log_due()].into_iter().flatten().min();
        due.map(|due| due.saturating_duration_since(now))
    }

    /// One turn, after a poll that has reported `ready`.
    ///
    /// # Errors
    /// [`TurnError`].
    pub fn turn(&mut self, ready: &mut Vec<Ready>, world: &mut impl World) -> Result<(), TurnError> {
        self.ready.append(ready);
        let now = world.now();
        self.central.peer_log().pass(now.instant);
        self.settle(world, now)?;
        self.read(world, now)?;
        self.expire(now);
        self.commit(world)?;
        self.write(write::SHARE_OF_TURN, now);
        Ok(())
    }

    /// Tells every agency that the server goes, and closes every connection.
    pub fn shut_down(&mut self, now: Now) {
        self.central.shut_down();
        self.write(usize::MAX, now);
        for id in self.connections.keys().collect::<Vec<_>>() {
            self.close(id, now);
        }
    }

    /// Reads a slice from one connection after the other, as the schedule grants them. Looks for interactive clients that
    /// came meanwhile before each slice of a bulk sender.
    fn read(&mut self, world: &mut impl World, now: Now) -> io::Result<()> {
        self.schedule.begin_turn();
        self.handshakes_left = secure::HANDSHAKES;
        self.take_ready();
        while let Some(grant) = self.schedule.grant() {
            if grant.is_bulk {
                world.poll(&mut self.ready)?;
                self.take_ready();
            }
            self.read_slice(grant, now);
        }
        Ok(())
    }

    fn take_ready(&mut self) {
        for Ready { id, is_readable, is_writable, is_over } in self.ready.drain(..) {
            // It may have been closed since.
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.is_over |= is_over;
            if is_readable || is_over {
                connection.is_readable |= is_readable;
                self.schedule.list(id);
            }
            if is_writable {
                self.writable.push(id);
            }
        }
    }

    fn read_slice(&mut self, Grant { id, bytes, .. }: Grant, now: Now) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.is_lingering() {
            return self.drop_slice(id, bytes, now);
        }
        let staged_before = self.central.staged_bytes();
        let is_staged = |central: &Central| central.staged_bytes() > staged_before;
        match self.central.wants(id) {
            Wants::Turn => {
                self.central.on(id, Event::Turn, now);
                self.schedule.took_kept(id, is_staged(&self.central));
            }
            Wants::Input if connection.transport.may_shake_hands() && self.handshakes_left == 0 => {
                return self.schedule.defer(id);
            }
            Wants::Input if connection.is_readable => match self.receive(id, bytes, now) {
                Ok(0) => {}
                Ok(bytes) => self.schedule.took(id, bytes, is_staged(&self.central)),
                Err(error) => return self.lose(id, &error, now),
            },
            _ => {}
        }
        self.reschedule(id, now);
    }

    fn set_deadline(&mut self, id: ConnectionId) {
        let own = self.connections.get(id).and_then(Connection::due);
        self.deadlines.set(id, own.into_iter().chain(self.central.deadline(id)).min());
    }

    /// Keeps the input of a lingering connection from resetting it.
    fn drop_slice(&mut self, id: ConnectionId, bytes: usize, now: Now) {
        let connection = &mut self.connections[id];
        match connection.drop_input(&mut self.slice[..bytes]) {
            None => self.close(id, now),
            Some(bytes) => {
                self.schedule.took(id, bytes, false);
                if self.connections[id].is_readable {
                    self.schedule.list(id);
                }
            }
        }
    }

    /// Puts a connection where it is found when it can go on.
    fn reschedule(&mut self, id: ConnectionId, now: Now) {
        let Some(connection) = self.connections.get(id) else { return };
        match self.central.wants(id) {
            Wants::Turn => self.schedule.list(id),
            Wants::Input if connection.is_readable => self.schedule.list(id),
            Wants::Settlement => self.schedule.hold(id),
            // Nothing is read or written there that would tell.
            Wants::Draw if connection.is_over => return self.close(id, now),
            // A poll reports it, or a write goes on with it.
            Wants::Input | Wants::Room | Wants::Draw | Wants::Close => {}
        }
        self.set_deadline(id);
    }

    fn expire(&mut self, now: Now) {
        while let Some(id) = self.deadlines.take_due(now.instant) {
            self.central.on(id, Event::Expired, now);
            let connection = &self.connections[id];
            let is_late = connection.transport.handshake_due().is_some_and(|due| due <= now.instant);
            if is_late {
                let peer = connection.peer.ip();
                peer_event!(self.central.peer_log(), peer, Warn, "tls", fail, "ip": peer,
                    "error": "a handshake took longer than TLS_HANDSHAKE_TIMEOUT");
            }
            if is_late || self.central.wants(id) == Wants::Close {
                self.abort(id, now);
            } else {
                self.set_deadline(id);
            }
        }
    }

    /// Begins to store what the turn has staged, and settles it if the ledger knows the outcome already.
    fn commit(&mut self, world: &mut impl World) -> Result<(), TurnError> {
        let now = world.now();
        if let Some(commit) = self.central.seal(now) {
            self.commit_began = Some(now.instant);
            self.ledger.begin(commit);
        }
        self.settle(world, now)
    }

    fn settle(&mut self, world: &mut impl World, now: Now) -> Result<(), TurnError> {
        loop {
            if let Some(outcome) = self.ledger.poll() {
                let took = self.commit_began.take().map_or(Duration::ZERO, |began| world.now().instant - began);
                self.commits.record(took, &outcome);
                self.schedule.settled(took);
                self.central.settle(outcome, now)?;
            } else if let Some(change) = self.ledger.poll_change() {
                self.change_part(change, now)?;
            } else {
                return Ok(());
            }
        }
    }

    /// Closes a connection that broke.
    fn lose(&mut self, id: ConnectionId, error: &io::Error, now: Now) {
        let peer = self.connections[id].peer.ip();
        peer_event!(self.central.peer_log(), peer, Warn, "lose_connection", success, "ip": peer, "error": error);
        self.close(id, now);
    }

    /// Resets a connection.
    pub(super) fn abort(&mut self, id: ConnectionId, now: Now) {
        self.connections[id].socket.reset_on_close();
        self.close(id, now);
    }

    fn close(&mut self, id: ConnectionId, now: Now) {
        let Some(connection) = self.connections.remove(id) else { return };
        self.deadlines.set(id, None);
        self.schedule.remove(id);
        self.central.on(id, Event::Lost, now);
        let peer = connection.peer.ip();
        peer_event!(self.central.peer_log(), peer, Info, "close_connection", success, "ip": peer);
    }
}

#[cfg(test)]
mod tests;
