//! The rules of a round: who may register bets, who has closed, when the draw happens, who has won. Pure.
//!
//! A turn of the server *stages* bets and closings. They count at once for the questions of the same turn (the next batch
//! of an agency that closes is refused). They become final when the ledger has [stored](Lottery::commit) them, or are
//! [taken back](Lottery::rollback) when it has not. Winners are kept as their bets are staged, so that the draw costs
//! nothing that grows with the number of bets.

mod history;

use crate::bet::{Bet, Tally, WINNER_NUMBER};
use crate::planted::{Fault, planted};

pub use history::Contradiction;

/// The agencies of one round and their standing.
#[derive(Debug)]
pub struct Lottery {
    agencies: Vec<Agency>,
    winning_number: u32,
    /// Agencies whose closing is not stored.
    open: usize,
    /// Agencies with something staged, each once.
    staged: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Agency {
    /// Stored bets.
    stored: Tally,
    /// Stored and staged bets.
    staged: Tally,
    /// Documents of the winners among its bets, in the order of the bets. The staged ones come last.
    winners: Vec<u32>,
    /// The number of `winners` whose bets are stored.
    stored_winners: usize,
    closing: Closing,
    /// True if it is in [`Lottery::staged`].
    is_listed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    Open,
    Staged,
    Stored,
}

/// The standing of an agency, by what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its bets are taken.
    Open,
    /// It has closed, and others have not.
    Closed,
    /// Every agency has closed.
    Drawn,
}

/// Reason why bets of an agency are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The round has no such agency.
    NoSuchAgency,
    /// It has closed, or closes in this turn.
    Closed,
}

/// The end of an agency's staged bets when a batch began, to take the batch back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    agency: u32,
    staged: Tally,
    winners: usize,
}

impl Lottery {
    /// A round of the agencies 1 to `agencies`, none of which has a bet. With 0, nothing is ever drawn. The course's number
    /// wins.
    pub fn new(agencies: u32) -> Lottery {
        let open = agencies as usize;
        let agencies = vec![Agency::default(); open];
        Lottery { agencies, winning_number: WINNER_NUMBER, open, staged: Vec::new() }
    }

    /// The same round before its first bet, in which `winning_number` wins.
    pub fn with_winning_number(self, winning_number: u32) -> Lottery {
        debug_assert!(self.total_stored() == 0 && self.staged.is_empty(), "winners are found as their bets come");
        Lottery { winning_number, ..self }
    }

    /// The number of agencies.
    pub fn agencies(&self) -> u32 {
        self.agencies.len() as u32
    }

    /// The number that wins.
    pub fn winning_number(&self) -> u32 {
        self.winning_number
    }

    /// Checks that the round has `agency`.
    ///
    /// # Errors
    /// [`Refusal::NoSuchAgency`].
    pub fn find(&self, agency: u32) -> Result<(), Refusal> {
        if (1..=self.agencies()).contains(&agency) { Ok(()) } else { Err(Refusal::NoSuchAgency) }
    }

    /// Checks that bets of `agency` are taken.
    ///
    /// # Errors
    /// [`Refusal`]. It is closed from its AllBetsSent on, before that is stored.
    pub fn may_register(&self, agency: u32) -> Result<(), Refusal> {
        self.find(agency)?;
        match self.agency(agency).closing {
            Closing::Open => Ok(()),
            Closing::Staged | Closing::Stored => Err(Refusal::Closed),
        }
    }

    /// The end of the staged bets of `agency`.
    pub fn mark(&self, agency: u32) -> Mark {
        let Agency { staged, ref winners, .. } = *self.agency(agency);
        Mark { agency, staged, winners: winners.len() }
    }

    /// Takes back the bets staged for an agency since its `mark`.
    pub fn revert_to(&mut self, mark: Mark) {
        let agency = self.agency_mut(mark.agency);
        agency.staged = mark.staged;
        agency.winners.truncate(mark.winners);
    }

    /// Takes note of a bet of an agency that [may register](Lottery::may_register) it, if it has won. The batch is staged
    /// [behind its last bet](Lottery::stage_tally).
    #[inline(always)]
    pub fn stage_bet(&mut self, bet: &Bet<'_>) {
        if bet.has_won(self.winning_number) {
            self.agency_mut(bet.agency).winners.push(bet.document);
        }
    }

    /// Stages a batch: `bets` of `agency`, `encoded` as [`Tally::extend`] takes them.
    pub fn stage_tally(&mut self, agency: u32, bets: u32, encoded: &[u8]) {
        let agency = self.list(agency);
        debug_assert_eq!(agency.closing, Closing::Open, "may_register was asked first");
        agency.staged.extend(bets, if planted(Fault::ChecksumForgotten) { b"" } else { encoded });
    }

    /// Stages the closing of `agency`. True if it was open: closing twice is closing once.
    pub fn stage_closing(&mut self, agency: u32) -> bool {
        let agency = self.list(agency);
        let was_open = agency.closing == Closing::Open;
        if was_open {
            agency.closing = Closing::Staged;
        }
        was_open
    }

    /// The agencies whose closing is staged, each with the number of bets that it closes with.
    pub fn staged_closings(&self) -> impl Iterator<Item = (u32, u64)> {
        let staged = |&agency: &u32| self.agency(agency).closing == Closing::Staged;
        self.staged.iter().copied().filter(staged).map(|agency| (agency, self.stored_once_committed(agency).bets))
    }

    /// The agencies with something staged, each with its stored tally and the one that it will have.
    pub fn staged_tallies(&self) -> impl Iterator<Item = (u32, Tally, Tally)> {
        self.staged.iter().map(|&agency| (agency, self.stored(agency), self.stored_once_committed(agency)))
    }

    /// True if `agency` has closed, or closes in this turn.
    pub fn is_closing(&self, agency: u32) -> bool {
        self.agency(agency).closing != Closing::Open
    }

    /// True if the draw happens once the staged closings are stored.
    pub fn is_drawn_once_committed(&self) -> bool {
        self.staged_closings().count() == self.open && !self.agencies.is_empty()
    }

    /// Makes the staged bets and closings final. True if the draw happens now: once, with the last closing.
    pub fn commit(&mut self) -> bool {
        let open_before = self.open;
        let mut staged = std::mem::take(&mut self.staged);
        for number in staged.drain(..) {
            let agency = self.agency_mut(number);
            agency.is_listed = false;
            agency.stored = agency.staged;
            agency.stored_winners = agency.winners.len();
            if agency.closing == Closing::Staged {
                agency.closing = Closing::Stored;
                self.open -= 1;
            }
        }
        self.staged = staged;
        open_before > 0 && self.open == 0
    }

    /// Takes the staged bets and closings back.
    pub fn rollback(&mut self) {
        for number in std::mem::take(&mut self.staged) {
            let agency = self.agency_mut(number);
            agency.is_listed = false;
            if !planted(Fault::LostBetsCount) {
                agency.staged = agency.stored;
            }
            if !planted(Fault::LostBetsWin) {
                agency.winners.truncate(agency.stored_winners);
            }
            if agency.closing == Closing::Staged {
                agency.closing = Closing::Open;
            }
        }
    }

    /// Stored bets of `agency`.
    pub fn stored(&self, agency: u32) -> Tally {
        self.agency(agency).stored
    }

    /// Stored and staged bets of `agency`.
    pub fn stored_once_committed(&self, agency: u32) -> Tally {
        self.agency(agency).staged
    }

    /// Winners among the stored and staged bets of `agency`. They are told after the draw only.
    pub fn winners_once_committed(&self, agency: u32) -> u64 {
        self.agency(agency).winners.len() as u64
    }

    /// Stored bets of all agencies.
    pub fn total_stored(&self) -> u64 {
        self.agencies.iter().map(|agency| agency.stored.bets).sum()
    }

    /// The standing of `agency`.
    pub fn standing(&self, agency: u32) -> Standing {
        match self.agency(agency).closing {
            _ if self.is_drawn() => Standing::Drawn,
            Closing::Stored => Standing::Closed,
            Closing::Open | Closing::Staged => Standing::Open,
        }
    }

    /// The agencies whose closing is not stored, in order.
    pub fn open_agencies(&self) -> impl Iterator<Item = u32> {
        (1..=self.agencies()).filter(|&agency| self.agency(agency).closing != Closing::Stored)
    }

    /// True once every agency has closed, if there is one.
    pub fn is_drawn(&self) -> bool {
        self.open == 0 && !self.agencies.is_empty()
    }

    /// The documents of the winners of `agency`, in the order of its bets. `None` before the draw.
    pub fn winners(&self, agency: u32) -> Option<&[u32]> {
        self.is_drawn().then(|| self.agency(agency).winners.as_slice())
    }

    fn agency(&self, number: u32) -> &Agency {
        &self.agencies[number as usize - 1]
    }

    fn agency_mut(&mut self, number: u32) -> &mut Agency {
        &mut self.agencies[number as usize - 1]
    }

    /// An agency for which something is about to be staged.
    fn list(&mut self, number: u32) -> &mut Agency {
        let agency = &mut self.agencies[number as usize - 1];
        if !std::mem::replace(&mut agency.is_listed, true) {
            self.staged.push(number);
        }
        agency
    }
}

#[cfg(test)]
mod tests;
