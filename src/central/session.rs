//! A session: one connection as the core sees it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Limits;
use super::budget::Charge;
use super::input::Input;
use super::output::Output;
use crate::protocol::{ErrorCode, FIRST_BYTE, MessageLimits};

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub peer: IpAddr,
    /// The order of acceptance: a later connection has a higher number.
    pub serial: u64,
    pub state: State,
    pub version: Version,
    /// The agency that its certificate names, whatever it says.
    pub identity: Option<u32>,
    /// Bytes that its transport takes.
    pub transport_bytes: usize,
    pub input: Input,
    pub output: Output,
    /// Its part of the [budget](super::budget).
    pub charge: Charge,
    accepted_at: Instant,
}

/// The version of the protocol that the peer speaks: the one that its last Hello names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Version 1, or no Hello yet.
    One,
    Two,
}

impl Version {
    /// The version that a Hello names. Others than 1 and 2 are refused from its first bytes.
    pub fn of(named: u16) -> Version {
        if named == 1 { Version::One } else { Version::Two }
    }
}

/// The state of a session, as the diagram in `protocol.md` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No byte has arrived.
    Silent,
    /// It began with a byte that no message begins with: one line goes back.
    Echo,
    /// It speaks the protocol and has not named its agency.
    Anonymous,
    /// It speaks for an agency.
    Agency(Speaking),
    /// Its last replies go out; further input is dropped.
    Closing,
}

/// The state of a session that speaks for an agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speaking {
    pub agency: u32,
    pub order: Order,
    pub winners: Winners,
}

/// The order in which its bets are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It has not said Hello. Each batch stands for itself.
    Loose,
    /// It said Hello and goes on from the number of bets in the Welcome: no batch may be missing.
    Exact,
    /// A batch was refused with this code since its Hello. Were a later one stored, the number of stored bets would no
    /// longer say which bets those are. Everything is refused until it says Hello again.
    Broken(ErrorCode),
}

/// The state of its request for winners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winners {
    /// It has not asked.
    NotAsked,
    /// It waits for the draw.
    Parked,
    /// It waits for the draw, and its peer has ended its side: it is told, and closed.
    HalfClosed,
    /// It was told.
    Told,
}

impl Session {
    pub fn new(peer: IpAddr, serial: u64, limits: &Limits, now: Instant) -> Session {
        Session {
            peer,
            serial,
            state: State::Silent,
            version: Version::One,
            identity: None,
            transport_bytes: 0,
            input: Input::new(MessageLimits { message_bytes: limits.message_bytes, batch_bets: limits.batch_bets }),
            output: Output::new(),
            charge: Charge::default(),
            accepted_at: now,
        }
    }

    /// Learns from the first byte what kind of connection this is.
    pub fn recognise(&mut self, first_byte: u8) {
        if self.state == State::Silent {
            self.state = if first_byte == FIRST_BYTE { State::Anonymous } else { State::Echo };
        }
    }

    /// The agency that it speaks for.
    pub fn agency(&self) -> Option<u32> {
        self.speaking().map(|speaking| speaking.agency)
    }

    /// Its state, if it speaks for an agency.
    pub fn speaking(&self) -> Option<&Speaking> {
        if let State::Agency(speaking) = &self.state { Some(speaking) } else { None }
    }

    /// The same, to change.
    pub fn speaking_mut(&mut self) -> Option<&mut Speaking> {
        if let State::Agency(speaking) = &mut self.state { Some(speaking) } else { None }
    }

    /// True if it speaks the protocol.
    pub fn is_lottery(&self) -> bool {
        matches!(self.state, State::Anonymous | State::Agency(_))
    }

    /// True if it waits for the draw.
    pub fn is_parked(&self) -> bool {
        self.speaking().is_some_and(|speaking| matches!(speaking.winners, Winners::Parked | Winners::HalfClosed))
    }

    /// True if its peer has ended its side and it waits for the draw.
    pub fn is_half_closed(&self) -> bool {
        self.speaking().is_some_and(|speaking| speaking.winners == Winners::HalfClosed)
    }

    /// Bytes that count against the budget of connections without an agency.
    pub fn anonymous_bytes(&self) -> usize {
        match self.state {
            State::Agency(_) => 0,
            // The shell drops the transport of a connection that it closes.
            State::Closing => self.input.anonymous_bytes(),
            State::Silent | State::Echo | State::Anonymous => self.input.anonymous_bytes() + self.transport_bytes,
        }
    }

    /// Bytes allocated for input, output and the transport.
    pub fn allocated(&self) -> usize {
        self.input.allocated() + self.output.allocated() + self.transport_bytes
    }

    /// The moment at which it is closed if nothing changes, and the reason. While it is not read, its input is not late.
    pub fn deadline(&self, limits: &Limits, is_read: bool) -> Option<(Instant, &'static str)> {
        let is_known = matches!(self.state, State::Agency(_) | State::Closing);
        let unread = self.output.unread_since().map(|since| (since + limits.unread, UNREAD));
        let message = self.input.partial_since().map(|since| (since + limits.message, MESSAGE));
        let silence = (!is_known).then(|| (self.accepted_at + limits.silence, SILENCE));
        let input = [message, silence].into_iter().flatten().filter(|_| is_read);
        unread.into_iter().chain(input).min_by_key(|(at, _)| *at)
    }

    /// Moves the deadlines of its input `by` into the future: nothing was read meanwhile. True if it has one.
    pub fn postpone(&mut self, by: Duration) -> bool {
        self.accepted_at += by;
        self.input.postpone(by);
        self.state == State::Anonymous || self.input.partial_since().is_some()
    }
}

const UNREAD: &str = "its replies stayed unread for longer than UNREAD_TIMEOUT";
const MESSAGE: &str = "a message took longer than MESSAGE_TIMEOUT";
const SILENCE: &str = "it named no agency within SILENCE_TIMEOUT";
