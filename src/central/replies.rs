//! Replies: answers that wait for the commit, and their bytes once it has succeeded.

use super::requests::state_of;
use super::session::{Session, Version, Winners};
use super::{Central, ConnectionId, Limits};
use crate::bet::Tally;
use crate::lottery::{Lottery, Standing};
use crate::planted::{Fault, planted};
use crate::protocol::{AgencyState, ErrorCode, Message};
use crate::{event, peer_event};

/// A reply that waits for the end of the turn.
#[derive(Debug)]
pub(super) enum Answer {
    /// To a batch that was staged.
    Batch {
        agency: u32,
        bets: u32,
        /// Document and number of its bet, if it has just one.
        only: Option<(u32, u32)>,
    },
    /// To an AllBetsSent. It has no bytes, unless the closing could not be stored.
    Closing { agency: u32, is_first: bool },
    /// To a Hello: the standing of the agency once what was staged before the Hello is committed. Bets staged behind it
    /// in the same turn do not count: their sender may not have read the Welcome yet.
    Welcome { agency: u32, stored: Tally, is_open: bool },
    /// To a RequestWinners after the draw.
    Winners { agency: u32 },
    /// To anything that is refused.
    Refusal {
        code: ErrorCode,
        /// The position of the bet in its batch, from 1; 0 if the reason is not one bet.
        position: u32,
    },
}

/// A bound on the bytes of every reply but InformWinners: those of a Welcome2.
const SMALL_REPLY_BYTES: usize = 15;

impl Central {
    /// Puts a reply to `id` behind those that wait.
    pub(super) fn answer(&mut self, id: ConnectionId, answer: Answer) {
        let bytes = match answer {
            Answer::Winners { agency } => {
                Message::inform_winners_bytes(self.lottery.winners(agency).map_or(0, <[u32]>::len))
            }
            _ => SMALL_REPLY_BYTES,
        };
        self.sessions[id].output.promise(bytes);
        self.answers.push((id, answer));
    }

    /// Turns the waiting answers into bytes. `not_stored` is the reason why the commit behind them is not stored.
    pub(super) fn release(&mut self, not_stored: Option<&str>) {
        let mut answers = std::mem::take(&mut self.answers);
        for &(id, ref answer) in &answers {
            if self.sessions.contains_key(id) {
                self.release_one(id, answer, not_stored);
                self.dirty.push(id);
            }
        }
        for (id, _) in answers.drain(..) {
            if let Some(session) = self.sessions.get_mut(id) {
                session.output.end_turn();
            }
        }
        self.answers = answers;
    }

    fn release_one(&mut self, id: ConnectionId, answer: &Answer, not_stored: Option<&str>) {
        let Central { lottery, sessions, limits, peer_log, .. } = self;
        let session = &mut sessions[id];
        let peer = session.peer;
        let Some(tail) = session.output.tail() else { return };
        match *answer {
            Answer::Batch { agency, bets, only } => match not_stored {
                None => {
                    if let Some((document, number)) = only {
                        event!(Info, "apuesta_almacenada", success, "dni": document, "numero": number);
                    }
                    // An empty batch costs its sender nothing.
                    if bets > 0 || peer_log.admit(peer) {
                        event!(Info, "apuesta_recibida", success, "cantidad": bets, "agencia": agency);
                    }
                    Message::RegisterBetOk.encode(tail);
                }
                Some(error) => {
                    peer_event!(peer_log, peer, Error, "apuesta_recibida", fail, "cantidad": bets, "agencia": agency,
                        "ip": peer, "error": error);
                    self.release_not_stored(id);
                }
            },
            Answer::Closing { agency, is_first } if lottery.standing(agency) != Standing::Open => {
                if is_first {
                    event!(Info, "cierre_agencia", success, "agencia": agency, "cantidad": lottery.stored(agency).bets);
                }
            }
            Answer::Closing { agency, .. } => {
                peer_event!(peer_log, peer, Error, "cierre_agencia", fail, "agencia": agency,
                    "error": not_stored.unwrap_or("not stored"));
                self.release_not_stored(id);
            }
            Answer::Welcome { agency, stored, is_open } => {
                let stored = if not_stored.is_some() { lottery.stored(agency) } else { stored };
                let state = if is_open { AgencyState::Open } else { state_of(lottery.standing(agency)) };
                event!(Debug, "hello", success, "ip": peer, "agencia": agency, "almacenadas": stored.bets);
                match session.version {
                    Version::One => Message::Welcome { stored: stored.bets, state }.encode(tail),
                    Version::Two => Message::Welcome2 { stored, state }.encode(tail),
                }
            }
            Answer::Winners { agency } => inform_winners(lottery, session, agency, limits),
            Answer::Refusal { code, position } => {
                event!(Debug, "refuse", success, "ip": peer, "codigo": code as u16, "error": code);
                refusal(session.version, code, position).encode(tail);
            }
        }
    }

    /// Tells `id` that something was not stored. Its later requests may build upon it and are not answered.
    fn release_not_stored(&mut self, id: ConnectionId) {
        let Session { version, output, .. } = &mut self.sessions[id];
        if let Some(tail) = output.tail() {
            refusal(*version, ErrorCode::NotStored, 0).encode(tail);
        }
        output.cut();
        self.close(id);
    }

    /// Answers the parked requests. It happens once, with the commit of the last closing.
    pub(super) fn draw(&mut self) {
        event!(Info, "sorteo", success);
        let parked =
            self.sessions.iter().filter(|(_, session)| session.is_parked() && !planted(Fault::ParkedForgotten));
        for id in parked.map(|(id, _)| id).collect::<Vec<_>>() {
            let Central { lottery, sessions, limits, .. } = self;
            let session = &mut sessions[id];
            let (Some(agency), is_half_closed) = (session.agency(), session.is_half_closed()) else { continue };
            inform_winners(lottery, session, agency, limits);
            if is_half_closed {
                self.close(id);
            }
            self.dirty.push(id);
        }
    }
}

/// A refusal in the words of `version`.
fn refusal(version: Version, code: ErrorCode, position: u32) -> Message<'static> {
    match version {
        Version::One => Message::RegisterBetFailed(code),
        Version::Two => Message::Refused { code, position },
    }
}

/// Appends the winners of `agency`. The line about it is INFO the first time.
fn inform_winners(lottery: &Lottery, session: &mut Session, agency: u32, limits: &Limits) {
    let agency = if planted(Fault::WinnersBroadcast) { 1 } else { agency };
    // The draw has happened.
    let winners = lottery.winners(agency).unwrap_or_default();
    let told = session.speaking_mut().map(|speaking| std::mem::replace(&mut speaking.winners, Winners::Told));
    if told == Some(Winners::Told) {
        event!(Debug, "informar_ganadores", success, "agencia": agency, "cantidad": winners.len());
    } else {
        event!(Info, "informar_ganadores", success, "agencia": agency, "cantidad": winners.len());
    }
    session.output.inform_winners(agency, winners, limits);
}
