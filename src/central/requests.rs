//! Requests: input to messages, and the effect of each.

use thiserror::Error;

use super::restore::{self, terms};
use super::session::{Order, Speaking, State, Version, Winners};
use super::shared::Tenure;
use super::{Answer, Central, ConnectionId, Now};
use crate::ledger::{Advance, Closing, Total};
use crate::lottery::{Refusal, Standing};
use crate::peer_event;
use crate::planted::{Fault, planted};
use crate::protocol::{self, AgencyState, ErrorCode, Malformed, Message, MessageType};

/// The bytes at the front of an input that were applied, and the state of the rest.
struct Applied {
    bytes: usize,
    rest: Rest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// A part of a message, or nothing.
    Partial,
    /// Input that can be applied in a later turn.
    Blocked,
}

impl Central {
    /// Applies every message that `bytes` complete and keeps the rest.
    pub(super) fn receive(&mut self, id: ConnectionId, bytes: &[u8], now: Now) {
        let session = &mut self.sessions[id];
        let Some(&first_byte) = bytes.first() else { return };
        session.recognise(first_byte);
        if session.input.is_empty() {
            self.apply_and_keep(id, bytes, now);
        } else {
            let mut input = session.input.take();
            input.extend_from_slice(bytes);
            self.apply_and_keep(id, &input, now);
        }
    }

    /// Goes on with the input that was kept for a turn.
    pub(super) fn go_on(&mut self, id: ConnectionId, now: Now) {
        if self.sessions[id].input.waits_for_turn() {
            let input = self.sessions[id].input.take();
            self.apply_and_keep(id, &input, now);
        }
    }

    fn apply_and_keep(&mut self, id: ConnectionId, input: &[u8], now: Now) {
        let applied = match self.sessions[id].state {
            State::Echo => Applied { bytes: self.apply_echo(id, input), rest: Rest::Partial },
            State::Anonymous | State::Agency(_) => self.apply_messages(id, input, now),
            State::Silent | State::Closing => Applied { bytes: input.len(), rest: Rest::Partial },
        };
        let kept = &mut self.sessions[id].input;
        match applied.rest {
            Rest::Partial => kept.keep_partial(&input[applied.bytes..], applied.bytes > 0, now.instant),
            Rest::Blocked => kept.keep_for_turn(&input[applied.bytes..]),
        }
        if !self.charge(id) {
            self.refuse_unfinished(id);
        }
    }

    fn apply_messages(&mut self, id: ConnectionId, input: &[u8], now: Now) -> Applied {
        let mut bytes = 0;
        while bytes < input.len() {
            let session = &mut self.sessions[id];
            if session.state == State::Closing {
                bytes = input.len();
                break;
            }
            let is_in_flight = self.in_flight_since.is_some() && !planted(Fault::AppliedInFlight);
            if is_in_flight || session.output.is_full(&self.limits) {
                return Applied { bytes, rest: Rest::Blocked };
            }
            if self.tenure == Tenure::Suspended {
                self.refuse(id, ErrorCode::Unavailable);
                continue;
            }
            let rest = &input[bytes..];
            let is_unknown = session.state == State::Anonymous && session.identity.is_none();
            let needs_hello = self.credentials.is_some() && is_unknown;
            if let Some(refused) = refused_from_its_front(rest, needs_hello) {
                peer_event!(self.peer_log, session.peer, Warn, "receive_message", fail, "ip": session.peer, "error": refused);
                self.refuse(id, refused.code());
                continue;
            }
            match session.input.scanner.scan(rest) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    self.apply_message(id, &rest[..length], now);
                    bytes += length;
                }
                Err(malformed) => self.refuse_malformed(id, malformed),
            }
        }
        Applied { bytes, rest: Rest::Partial }
    }

    fn apply_message(&mut self, id: ConnectionId, frame: &[u8], now: Now) {
        match Message::decode(frame) {
            Ok(Message::RegisterBets(bets)) => self.register(id, bets, now.today),
            Ok(Message::Ack) => {}
            Ok(Message::AllBetsSent) => self.all_bets_sent(id),
            Ok(Message::RequestWinners) => self.request_winners(id),
            Ok(Message::Hello { version, agency, credential }) => {
                self.sessions[id].version = Version::of(version);
                if let Err(code) = self.hello(id, agency, credential) {
                    let peer = self.sessions[id].peer;
                    peer_event!(self.peer_log, peer, Warn, "hello", fail, "ip": peer, "agencia": agency, "error": code);
                    self.refuse(id, code);
                }
            }
            // Refused from its type, above.
            Ok(
                Message::RegisterBetOk
                | Message::RegisterBetFailed(_)
                | Message::InformWinners(_)
                | Message::Welcome { .. }
                | Message::Welcome2 { .. }
                | Message::Refused { .. },
            ) => {}
            Err(malformed) => self.refuse_malformed(id, malformed),
        }
    }

    fn hello(&mut self, id: ConnectionId, agency: u32, credential: &[u8]) -> Result<(), ErrorCode> {
        let session = &self.sessions[id];
        // First, so that a peer without a credential does not learn which agencies there are.
        let is_admitted = match (session.identity, &self.credentials) {
            (Some(own), _) if own != agency => return Err(ErrorCode::OtherAgency),
            (None, Some(credentials)) => credentials.admit(agency, credential),
            (Some(_), _) | (None, None) => true,
        };
        if !is_admitted {
            return Err(ErrorCode::Credential);
        }
        self.lottery.find(agency).map_err(code_of)?;
        if session.agency().is_some_and(|own| own != agency) {
            return Err(ErrorCode::OtherAgency);
        }
        if self.speakers.is_superseded(agency, session.serial) {
            return Err(ErrorCode::TakenOver);
        }
        self.claim(id, agency).order = Order::Exact;
        let stored = if planted(Fault::WelcomeBeforeCommit) {
            self.lottery.stored(agency)
        } else {
            self.lottery.stored_once_committed(agency)
        };
        let is_open = self.lottery.may_register(agency).is_ok();
        self.answer(id, Answer::Welcome { agency, stored, is_open });
        Ok(())
    }

    fn all_bets_sent(&mut self, id: ConnectionId) {
        let Some(&Speaking { agency, order, .. }) = self.sessions[id].speaking() else {
            return self.refuse(id, ErrorCode::NoAgency);
        };
        if let Order::Broken(code) = order {
            return self.refuse(id, code);
        }
        let is_first = self.lottery.stage_closing(agency);
        if self.lottery.standing(agency) == Standing::Open {
            self.answer(id, Answer::Closing { agency, is_first });
        }
    }

    fn request_winners(&mut self, id: ConnectionId) {
        let is_drawn = self.lottery.is_drawn();
        let Some(speaking) = self.sessions[id].speaking_mut() else { return self.refuse(id, ErrorCode::NoAgency) };
        if is_drawn {
            let agency = speaking.agency;
            self.answer(id, Answer::Winners { agency });
        } else {
            speaking.winners = Winners::Parked;
        }
    }

    /// Lets `id` speak for `agency`. An older connection that did is told, and nothing that it says later counts.
    pub(super) fn claim(&mut self, id: ConnectionId, agency: u32) -> &mut Speaking {
        if let Some(older) = self.speakers.claim(agency, id, self.sessions[id].serial) {
            let peer = self.sessions[older].peer;
            peer_event!(self.peer_log, peer, Warn, "take_over", success, "agencia": agency, "ip": peer);
            self.refuse(older, ErrorCode::TakenOver);
        }
        let session = &mut self.sessions[id];
        if session.agency().is_none() {
            session.state = State::Agency(Speaking { agency, order: Order::Loose, winners: Winners::NotAsked });
        }
        session.speaking_mut().expect("it was given an agency above")
    }

    fn refuse_malformed(&mut self, id: ConnectionId, malformed: Malformed) {
        let peer = self.sessions[id].peer;
        peer_event!(self.peer_log, peer, Warn, "receive_message", fail, "ip": peer, "error": malformed);
        self.refuse(id, malformed.into());
    }

    pub(super) fn refuse(&mut self, id: ConnectionId, code: ErrorCode) {
        self.refuse_bet(id, code, 0);
    }

    /// Refuses a request for the bet at `position` of its batch, from 1; with 0 for another reason.
    pub(super) fn refuse_bet(&mut self, id: ConnectionId, code: ErrorCode, position: u32) {
        self.answer(id, Answer::Refusal { code, position });
        if code.ends_connection() {
            self.close(id);
        }
    }

    /// Refuses a connection that is not over TLS, with a code if it speaks the protocol.
    pub(super) fn refuse_insecure(&mut self, id: ConnectionId, first_byte: u8) {
        let session = &mut self.sessions[id];
        session.recognise(first_byte);
        peer_event!(self.peer_log, session.peer, Warn, "receive_message", fail, "ip": session.peer,
            "error": RefusedFront::Insecure);
        if session.is_lottery() {
            self.refuse(id, RefusedFront::Insecure.code());
        } else {
            self.close(id);
            self.dirty.push(id);
        }
    }

    /// Refuses input of `id` that there is no room for. It has no agency, so nothing of it is stored.
    fn refuse_unfinished(&mut self, id: ConnectionId) {
        let session = &self.sessions[id];
        peer_event!(self.peer_log, session.peer, Warn, "receive_message", fail, "ip": session.peer,
            "error": "unfinished messages of connections without an agency are over MAX_ANONYMOUS_BYTES");
        if session.is_lottery() {
            self.refuse(id, ErrorCode::Unavailable);
        } else {
            self.close(id);
            self.dirty.push(id);
        }
    }

    /// Moves the closings and the tallies that the lottery has staged into the commit.
    pub(super) fn stage_closings(&mut self) {
        let Central { lottery, commit, .. } = self;
        let terms = terms(lottery);
        commit.closings.extend(lottery.staged_closings().map(|(agency, bets)| Closing { agency, bets, terms }));
        commit.advances.extend(lottery.staged_tallies().map(|(agency, before, tally)| Advance {
            stored: before.bets,
            total: Total { agency, tally, is_closed: lottery.is_closing(agency) },
        }));
        if !commit.closings.is_empty() {
            commit.draw = restore::draw(lottery);
        }
    }
}

/// A refusal of a connection or a message that its first bytes decide.
#[derive(Clone, Copy, Debug, Error)]
enum RefusedFront {
    #[error("a connection without TLS, and TLS_REQUIRED is set")]
    Insecure,
    #[error("a message before Hello, where credentials are asked for")]
    BeforeHello,
    #[error("message type {0}, which no agency sends")]
    Type(u16),
    #[error("protocol version {0}, which is not spoken")]
    Version(u16),
}

impl RefusedFront {
    fn code(self) -> ErrorCode {
        match self {
            RefusedFront::Insecure => ErrorCode::TlsRequired,
            RefusedFront::BeforeHello => ErrorCode::Credential,
            RefusedFront::Type(_) => ErrorCode::UnknownType,
            RefusedFront::Version(_) => ErrorCode::Version,
        }
    }
}

/// The refusal of the message at the front of `input`, if its type or the version of its Hello decides it. Nothing more
/// of it is kept then: of a peer that has not proved who it is, never more than a Hello.
fn refused_from_its_front(input: &[u8], needs_hello: bool) -> Option<RefusedFront> {
    let code = u16::from_be_bytes(*input.first_chunk()?);
    match MessageType::from_code(code) {
        Ok(MessageType::Hello) => {
            let version = u16::from_be_bytes(*input[2..].first_chunk()?);
            (!(1..=protocol::VERSION).contains(&version)).then_some(RefusedFront::Version(version))
        }
        Ok(MessageType::Ack) => None,
        _ if needs_hello => Some(RefusedFront::BeforeHello),
        Ok(MessageType::RegisterBets | MessageType::AllBetsSent | MessageType::RequestWinners) => None,
        _ => Some(RefusedFront::Type(code)),
    }
}

/// The wire's code for a refusal of the lottery.
pub(super) fn code_of(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::NoSuchAgency => ErrorCode::NoSuchAgency,
        Refusal::Closed => ErrorCode::Closed,
    }
}

/// The wire's word for an agency's standing.
pub(super) fn state_of(standing: Standing) -> AgencyState {
    match standing {
        Standing::Open => AgencyState::Open,
        Standing::Closed => AgencyState::Closed,
        Standing::Drawn => AgencyState::Drawn,
    }
}
