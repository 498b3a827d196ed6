//! RegisterBets: all bets of a batch are staged, or none.

use thiserror::Error;

use super::requests::code_of;
use super::session::{Order, Speaking};
use super::{Answer, Central, ConnectionId};
use crate::bet::{self, Day};
use crate::lottery::Refusal;
use crate::peer_event;
use crate::planted::{Fault, planted};
use crate::protocol::{BetFault, Bets, ErrorCode};

/// A batch whose rows and counts are staged.
struct Staged {
    agency: u32,
    /// Document and number of its bet, if it has just one.
    only: Option<(u32, u32)>,
}

/// Reason why nothing of a batch is staged.
#[derive(Debug, Error)]
enum BatchRefusal {
    #[error("bet {position} of the batch: {fault}")]
    Bet { position: u32, fault: BetFault },
    #[error("bet {position} of the batch: agency {named} is not the connection's")]
    OtherAgency { position: u32, named: u32 },
    #[error("agency {agency} has closed")]
    Closed { agency: u32 },
    #[error("agency {agency} would have more than {limit} bets, see MAX_AGENCY_BETS")]
    OverLimit { agency: u32, limit: u64 },
    #[error("{0}")]
    Code(ErrorCode),
    #[error("it follows a refused batch, and no Hello since: {0}")]
    FollowsRefused(ErrorCode),
}

impl BatchRefusal {
    /// The position of the bet that is the reason, from 1; 0 if none is.
    fn position(&self) -> u32 {
        match self {
            BatchRefusal::Bet { position, .. } | BatchRefusal::OtherAgency { position, .. } => *position,
            _ => 0,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            BatchRefusal::Bet { fault: BetFault::Invalid(_), .. } => ErrorCode::InvalidBet,
            BatchRefusal::Bet { fault: BetFault::Malformed(malformed), .. } => (*malformed).into(),
            BatchRefusal::OtherAgency { .. } => ErrorCode::OtherAgency,
            BatchRefusal::Closed { .. } | BatchRefusal::OverLimit { .. } => ErrorCode::Closed,
            BatchRefusal::Code(code) | BatchRefusal::FollowsRefused(code) => *code,
        }
    }
}

impl Central {
    /// Applies a RegisterBets of `id`. `today` is the last birthdate that is valid.
    pub(super) fn register(&mut self, id: ConnectionId, bets: Bets<'_>, today: Day) {
        let count = bets.remaining();
        match self.stage_batch(id, bets, today) {
            Ok(Staged { agency, only }) => {
                self.claim(id, agency);
                self.answer(id, Answer::Batch { agency, bets: count, only });
            }
            Err(refusal) => {
                // The first refusal has its line. A window of batches may follow it.
                if !matches!(refusal, BatchRefusal::FollowsRefused(_)) {
                    let peer = self.sessions[id].peer;
                    peer_event!(self.peer_log, peer, Error, "apuesta_recibida", fail, "cantidad": count, "ip": peer,
                        "error": refusal);
                }
                self.refuse_batch(id, &refusal);
            }
        }
    }

    fn refuse_batch(&mut self, id: ConnectionId, refusal: &BatchRefusal) {
        let code = refusal.code();
        match (self.sessions[id].speaking_mut(), refusal) {
            // It named an agency that exists: it may go on to close, and to ask for its winners.
            (None, BatchRefusal::Closed { agency } | BatchRefusal::OverLimit { agency, .. }) => {
                self.claim(id, *agency);
            }
            (Some(speaking), _) if speaking.order != Order::Loose && !planted(Fault::AcceptedBehindRefused) => {
                speaking.order = Order::Broken(code);
            }
            _ => {}
        }
        self.refuse_bet(id, code, refusal.position());
    }

    fn stage_batch(&mut self, id: ConnectionId, bets: Bets<'_>, today: Day) -> Result<Staged, BatchRefusal> {
        let session = &self.sessions[id];
        if let Some(Speaking { order: Order::Broken(code), .. }) = session.speaking() {
            return Err(BatchRefusal::FollowsRefused(*code));
        }
        let first = bets.clone().next().transpose().map_err(|fault| BatchRefusal::Bet { position: 1, fault })?;
        let Some(agency) = session.agency().or(session.identity).or(first.map(|bet| bet.agency)) else {
            return Err(BatchRefusal::Code(ErrorCode::NoAgency));
        };
        self.lottery.find(agency).map_err(|refusal| BatchRefusal::Code(code_of(refusal)))?;
        if self.speakers.is_superseded(agency, session.serial) {
            return Err(BatchRefusal::Code(ErrorCode::TakenOver));
        }
        self.lottery.may_register(agency).map_err(|refusal| match refusal {
            Refusal::Closed => BatchRefusal::Closed { agency },
            Refusal::NoSuchAgency => BatchRefusal::Code(code_of(refusal)),
        })?;
        let limit = self.limits.agency_bets;
        if self.lottery.stored_once_committed(agency).bets + u64::from(bets.remaining()) > limit {
            return Err(BatchRefusal::OverLimit { agency, limit });
        }
        let (counts, rows) = (self.lottery.mark(agency), self.commit.rows.len());
        let staged = self.stage_bets(agency, bets, today);
        if staged.is_err() && !planted(Fault::PartialBatchKept) {
            self.lottery.revert_to(counts);
            self.commit.rows.truncate(rows);
        }
        staged
    }

    /// The loop over every bet. It is not inlined into what is done once a batch, so that the compiler sees it alone.
    #[inline(never)]
    fn stage_bets(&mut self, agency: u32, bets: Bets<'_>, today: Day) -> Result<Staged, BatchRefusal> {
        let encoded = bets.as_bytes();
        let mut position = 0;
        let mut last = None;
        for bet in bets {
            position += 1;
            let refused = |fault| BatchRefusal::Bet { position, fault };
            let bet = bet.map_err(refused)?;
            if bet.agency != agency {
                return Err(BatchRefusal::OtherAgency { position, named: bet.agency });
            }
            bet.validate(today).map_err(|invalid| refused(invalid.into()))?;
            self.lottery.stage_bet(&bet);
            bet::write_row(&bet, &mut self.commit.rows);
            last = Some((bet.document, bet.number));
        }
        self.lottery.stage_tally(agency, position, encoded);
        Ok(Staged { agency, only: last.filter(|_| position == 1) })
    }
}
