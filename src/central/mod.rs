//! The server without its I/O: sessions and the lottery, driven by events.
//!
//! The shell ([`crate::server`]) tells the core what happens to each connection ([`Central::on`]) and asks what each
//! [wants](Central::wants). Requests are applied at once, and what they change is *staged*. Every reply is an `Answer`
//! that waits: no byte of it exists before the commit behind it has succeeded. That is the write barrier.
//!
//! The way of one batch: `requests` cuts the input into messages; `batch` checks the bets and stages their rows in the
//! [`Commit`] and their counts in the [`Lottery`]; the shell takes the commit ([`Central::seal`]) to the ledger and
//! brings back its outcome ([`Central::settle`]), which makes the counts final or takes them back; `replies` turns the
//! answers into bytes.
//!
//! While a commit is in flight no lottery bytes are applied, so there is one generation of staged changes and replies
//! keep the order of their requests. Connections that have not said a byte and echo sessions go on.
//!
//! | module | contents |
//! |---|---|
//! | [`Event`], [`Wants`] | what happens to a connection, and what it needs next |
//! | `session` | the states of a connection |
//! | `input`, `output` | bytes that wait to be applied, replies that wait to be sent |
//! | `requests` | messages and what each does |
//! | `batch` | RegisterBets: all of it or nothing |
//! | `replies` | answers to bytes, the draw |
//! | `echo` | the course's echo sessions |
//! | `settle` | the end of a turn: its commit and the outcome |
//! | `shared` | a round that other servers may take over |
//! | `speakers` | the one connection of each agency |
//! | [`PeerLog`] | lines of the log that a peer can cause |
//! | `budget` | memory of connections without an agency |
//! | [`Restore`] | the lottery as a recovered history left it |
//! | [`Status`] | the standing of the server, for logs and operators |
//! | [`credentials`] | proof of which agency a connection speaks for |

mod batch;
mod budget;
pub mod credentials;
mod echo;
mod events;
mod input;
mod output;
mod peer_log;
mod replies;
mod requests;
mod restore;
mod session;
mod settle;
mod shared;
mod speakers;
mod status;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use slotmap::SecondaryMap;
use thiserror::Error;

use crate::bet::Day;
use crate::ledger::Commit;
use crate::lottery::Lottery;
use crate::peer_event;
use crate::protocol::ErrorCode;

pub use crate::config::server::{Limits, Switch};
pub use events::{Event, Wants};
pub use peer_log::PeerLog;
pub use restore::Restore;
pub use status::{AgencyStatus, Stage, Status};

use budget::Budget;
use credentials::Credentials;
use replies::Answer;
use session::{Session, Speaking, State, Winners};
use shared::Tenure;
use speakers::Speakers;

/// A connection of the shell: an index and a generation. The id of a closed connection never comes back.
pub type ConnectionId = slotmap::DefaultKey;

/// The time, read once for a turn and not for each message.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// The last birthdate that is valid, in UTC.
    pub today: Day,
}

impl Now {
    /// The current time.
    pub fn read() -> Now {
        Now { instant: Instant::now(), today: Day::today() }
    }
}

/// Reason why the server must end without sending another byte.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Halt {
    /// The outcome of the commit is not known.
    #[error("{0}")]
    Unknown(String),
    /// Another server has taken over.
    #[error("another server has taken over the round")]
    Fenced,
}

/// The core of one round's server.
#[derive(Debug)]
pub struct Central {
    limits: Limits,
    credentials: Option<Credentials>,
    /// True if lines are echoed.
    has_echo: bool,
    lottery: Lottery,
    sessions: SecondaryMap<ConnectionId, Session>,
    /// Connections accepted so far.
    accepted: u64,
    /// Connections in the order of their acceptance: all that have no agency, and others behind the first of them.
    newcomers: VecDeque<ConnectionId>,
    speakers: Speakers,
    budget: Budget,
    peer_log: PeerLog,
    /// Staged bets and closings. Does not change while it is in flight.
    commit: Commit,
    /// The moment at which `commit` was sealed, while it is in flight.
    in_flight_since: Option<Instant>,
    /// Replies that wait for the commit, in order.
    answers: Vec<(ConnectionId, Answer)>,
    tenure: Tenure,
    /// The dirty list: connections with something new to send, or to be closed, or with a new deadline.
    dirty: Vec<ConnectionId>,
}

impl Central {
    /// A core that goes on where `lottery` stands. Without `credentials`, any client may act as any agency.
    pub fn new(limits: Limits, credentials: Option<Credentials>, lottery: Lottery) -> Central {
        Central {
            speakers: Speakers::new(lottery.agencies()),
            budget: Budget::new(limits.anonymous_bytes),
            peer_log: PeerLog::default(),
            has_echo: limits.echo.map_or(credentials.is_none(), |echo| echo == Switch::On),
            limits,
            credentials,
            lottery,
            sessions: SecondaryMap::new(),
            accepted: 0,
            newcomers: VecDeque::new(),
            commit: Commit::default(),
            in_flight_since: None,
            answers: Vec::new(),
            tenure: Tenure::Sole,
            dirty: Vec::new(),
        }
    }

    /// The lottery, to look at.
    pub fn lottery(&self) -> &Lottery {
        &self.lottery
    }

    /// True if there is no room for another connection.
    pub fn is_full(&self) -> bool {
        self.sessions.len() >= self.limits.connections
    }

    /// True if a connection without an agency may take so many bytes more.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.budget.used() + bytes <= self.limits.anonymous_bytes
    }

    /// The connection that was accepted first of those that speak for no agency.
    pub fn oldest_without_agency(&mut self) -> Option<ConnectionId> {
        let has_agency = |id| self.sessions.get(id).is_none_or(|session| session.agency().is_some());
        while self.newcomers.front().is_some_and(|&id| has_agency(id)) {
            self.newcomers.pop_front();
        }
        self.newcomers.front().copied()
    }

    /// The share of the log of each peer.
    pub fn peer_log(&mut self) -> &mut PeerLog {
        &mut self.peer_log
    }

    /// The moment at which [`PeerLog::pass`] has something to log.
    pub fn log_due(&self) -> Option<Instant> {
        self.peer_log.due()
    }

    /// Takes a new connection from `peer`.
    pub fn connect(&mut self, id: ConnectionId, peer: IpAddr, now: Now) {
        // Keeps the list as short as the silence timeout allows, whether anybody asks for it or not.
        self.oldest_without_agency();
        self.newcomers.push_back(id);
        self.accepted += 1;
        self.sessions.insert(id, Session::new(peer, self.accepted, &self.limits, now.instant));
    }

    /// Takes note of what happened to connection `id`. Events of a connection that is lost have no effect.
    pub fn on(&mut self, id: ConnectionId, event: Event<'_>, now: Now) {
        if !self.sessions.contains_key(id) {
            return;
        }
        match event {
            Event::Received(bytes) => {
                self.receive(id, bytes, now);
                if let Some(agency) = self.sessions[id].agency() {
                    self.speakers.hear(agency, now.instant);
                }
            }
            Event::Turn => self.go_on(id, now),
            Event::Ended => self.end(id),
            Event::Transport(bytes) => {
                self.sessions[id].transport_bytes = bytes;
                let has_room = self.charge(id);
                debug_assert!(has_room, "the shell makes room first");
            }
            Event::Identified(agency) => self.sessions[id].identity = Some(agency),
            Event::Insecure(first_byte) => self.refuse_insecure(id, first_byte),
            Event::Cut => {
                self.close(id);
                self.dirty.push(id);
            }
            Event::Failed => self.fail(id),
            Event::Sent(bytes) => self.take_sent(id, bytes, now),
            Event::Expired => self.expire(id, now),
            Event::Lost => {
                self.close(id);
                self.sessions.remove(id);
            }
        }
    }

    /// The next need of connection `id`.
    pub fn wants(&self, id: ConnectionId) -> Wants {
        let Some(session) = self.sessions.get(id) else { return Wants::Close };
        if session.state == State::Closing {
            if session.output.is_done() { Wants::Close } else { Wants::Room }
        } else if !self.is_read(session) {
            Wants::Settlement
        } else if session.output.is_full(&self.limits) {
            Wants::Room
        } else if session.input.waits_for_turn() {
            Wants::Turn
        } else if session.is_half_closed() {
            Wants::Draw
        } else {
            Wants::Input
        }
    }

    /// The bytes to send to connection `id`.
    pub fn unsent(&self, id: ConnectionId) -> &[u8] {
        self.sessions.get(id).map_or(&[], |session| session.output.unsent())
    }

    /// The moment at which connection `id` [expires](Event::Expired) if nothing changes.
    pub fn deadline(&self, id: ConnectionId) -> Option<Instant> {
        let session = self.sessions.get(id)?;
        session.deadline(&self.limits, self.is_read(session)).map(|(at, _)| at)
    }

    /// Takes the list of connections that have something new to send, are to be closed or have a new deadline.
    pub fn take_dirty(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.dirty)
    }

    /// Bytes of bets staged for the next commit.
    pub fn staged_bytes(&self) -> usize {
        self.commit.rows.len()
    }

    /// True while the outcome of a commit is awaited.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight_since.is_some()
    }

    /// Tells every agency that the server goes. Replies that wait for a commit in flight are never sent.
    pub fn shut_down(&mut self) {
        debug_assert!(self.is_in_flight() || self.commit.is_empty(), "the turn was sealed");
        self.answers.clear();
        let lottery = self.sessions.iter().filter(|(_, session)| session.is_lottery());
        for id in lottery.map(|(id, _)| id).collect::<Vec<_>>() {
            self.refuse(id, ErrorCode::Unavailable);
        }
        self.release(None);
    }

    /// False if the socket of `session` waits for the commit in flight: see [`Wants::Settlement`].
    fn is_read(&self, session: &Session) -> bool {
        !(self.is_in_flight() && session.is_lottery())
    }

    fn take_sent(&mut self, id: ConnectionId, bytes: usize, now: Now) {
        let Central { limits, lottery, sessions, .. } = self;
        let output = &mut sessions[id].output;
        output.take_sent(bytes, limits, now.instant);
        if let Some(agency) = output.wants_winners_of().filter(|_| output.unsent().is_empty()) {
            output.refill(lottery.winners(agency).unwrap_or_default(), limits);
        }
    }

    fn expire(&mut self, id: ConnectionId, now: Now) {
        let session = &self.sessions[id];
        let deadline = session.deadline(&self.limits, self.is_read(session));
        let Some((_, why)) = deadline.filter(|(at, _)| *at <= now.instant) else { return };
        peer_event!(self.peer_log, session.peer, Warn, "expire_connection", success, "ip": session.peer, "reason": why);
        self.fail(id);
    }

    /// Closes a session and drops what it is owed.
    fn fail(&mut self, id: ConnectionId) {
        self.close(id);
        self.sessions[id].output.abandon();
        self.dirty.push(id);
    }

    /// Closes a session whose peer has ended its side, unless it waits for the draw. A line to echo may end there, a message
    /// may not.
    fn end(&mut self, id: ConnectionId) {
        let session = &mut self.sessions[id];
        debug_assert!(!session.input.waits_for_turn(), "the end of input is read behind it");
        if session.input.is_empty()
            && let Some(speaking @ Speaking { winners: Winners::Parked, .. }) = session.speaking_mut()
        {
            speaking.winners = Winners::HalfClosed;
            return;
        }
        match session.state {
            State::Closing => return,
            State::Echo if !session.input.is_empty() => {
                let line = session.input.take();
                return self.echo(id, &line);
            }
            State::Anonymous | State::Agency(_) if !session.input.is_empty() => {
                peer_event!(self.peer_log, session.peer, Warn, "receive_message", fail, "ip": session.peer,
                    "error": "the connection ended in the middle of a message");
            }
            _ => {}
        }
        self.close(id);
        self.dirty.push(id);
    }

    /// Lets nothing that `id` says from here on count. It speaks for no agency any more.
    fn close(&mut self, id: ConnectionId) {
        let session = &mut self.sessions[id];
        if let Some(agency) = session.agency() {
            self.speakers.release(agency, id);
        }
        session.state = State::Closing;
        session.input.clear();
        self.charge(id);
    }

    /// Charges the budget with what `id` keeps without an agency. False if that exceeds it.
    fn charge(&mut self, id: ConnectionId) -> bool {
        let session = &mut self.sessions[id];
        let bytes = session.anonymous_bytes();
        self.budget.charge(&mut session.charge, bytes)
    }
}
