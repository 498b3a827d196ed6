//! A round that other servers may take over.

use super::session::{Session, State};
use super::{Central, ConnectionId};
use crate::ledger::{Commit, Standing};
use crate::lottery::{Contradiction, Lottery};

/// The hold of this server on the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenure {
    /// No other server can take the round over.
    Sole,
    /// This server is the active one of several.
    Active,
    /// The ledger can't be reached, or another server is the active one.
    Suspended,
}

impl Central {
    /// Lets other servers share the round. This one could be replaced without noticing it, so every reply waits for a
    /// commit, which succeeds for the active server only. It is suspended until it is [resumed](Central::resume).
    pub fn share(&mut self) {
        self.tenure = Tenure::Suspended;
    }

    /// Forgets the round, of which this server is not the active one any more, and all that was to be told about it. Gives
    /// the connections that speak the protocol: they are to be reset, because nothing is known of what they last sent.
    /// Until it is [resumed](Central::resume), agencies are told that the server is unavailable. Echo goes on.
    pub fn suspend(&mut self) -> Vec<ConnectionId> {
        debug_assert!(self.tenure != Tenure::Sole, "no other server could take over");
        self.tenure = Tenure::Suspended;
        self.in_flight_since = None;
        self.answers.clear();
        self.commit = Commit::default();
        self.lottery = self.fresh_lottery();
        let speaks = |session: &Session| !matches!(session.state, State::Silent | State::Echo);
        self.sessions.iter().filter(|(_, session)| speaks(session)).map(|(id, _)| id).collect()
    }

    /// Goes on as the active server, where `standing` is.
    ///
    /// # Errors
    /// [`Contradiction`] if it can't be of this round.
    pub fn resume(&mut self, standing: &Standing) -> Result<(), Contradiction> {
        debug_assert!(self.tenure == Tenure::Suspended && !self.is_in_flight(), "it was suspended before");
        self.lottery = restored(self.fresh_lottery(), standing)?;
        self.tenure = Tenure::Active;
        Ok(())
    }

    /// The round as it is before its first bet.
    fn fresh_lottery(&self) -> Lottery {
        Lottery::new(self.lottery.agencies()).with_winning_number(self.lottery.winning_number())
    }
}

/// `lottery`, which is empty, where `standing` is.
fn restored(mut lottery: Lottery, standing: &Standing) -> Result<Lottery, Contradiction> {
    lottery.require_round(standing.terms.agencies, standing.terms.winning_number)?;
    let mut winners = standing.winners.as_slice();
    for total in &standing.totals {
        let (own, others) = winners.split_at(winners.partition_point(|&(agency, _)| agency <= total.agency));
        let documents: Vec<u32> = own.iter().map(|&(_, document)| document).collect();
        lottery.restore_total(total.agency, total.tally, &documents)?;
        if total.is_closed {
            lottery.restore_closing(total.agency, total.tally.bets)?;
        }
        winners = others;
    }
    Ok(lottery)
}
