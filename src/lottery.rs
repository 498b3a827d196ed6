//! The rules of a round: who may register bets, who has closed, when the draw happens, who has won. Pure.
//!
//! A turn of the server *stages* bets and closings. They count at once for the questions of the same turn (the next batch
//! of an agency that closes is refused). They become final when the ledger has [stored](Lottery::commit) them, or are
//! [taken back](Lottery::rollback) when it has not. Winners are kept as their bets are staged, so that the draw costs
//! nothing that grows with the number of bets.

use thiserror::Error;

use crate::bet::Bet;
use crate::planted::{Fault, planted};

/// The agencies of one round and their standing.
#[derive(Debug)]
pub struct Lottery {
    agencies: Vec<Agency>,
    /// Agencies whose closing is not stored.
    open: usize,
    /// Agencies with something staged, each once.
    staged: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Agency {
    /// Stored bets.
    stored: u64,
    staged_bets: u64,
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

/// Reason why bets of an agency are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The round has no such agency.
    NoSuchAgency,
    /// It has closed, or closes in this turn.
    Closed,
}

/// Reason why a stored history does not fit this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// It names an agency that the round does not have.
    #[error("agency {agency} is not one of the {agencies} of NUM_AGENCIES")]
    NoSuchAgency {
        /// The agency that is named.
        agency: u32,
        /// The number of agencies of the round.
        agencies: u32,
    },
    /// An agency closed when the round had another number of agencies.
    #[error("it is of a round of {stored} agencies, and NUM_AGENCIES is {agencies}")]
    OtherAgencies {
        /// The number that was stored.
        stored: u32,
        /// The number of agencies of the round.
        agencies: u32,
    },
    /// An agency closed with another number of bets than there are.
    #[error("agency {agency} closed with {closed_with} bets, and {stored} are stored")]
    BetsMissing {
        /// The agency.
        agency: u32,
        /// The number of bets in its closing.
        closed_with: u64,
        /// The number of its bets that are there.
        stored: u64,
    },
}

/// The end of an agency's staged bets when a batch began, to take the batch back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    agency: u32,
    staged_bets: u64,
    winners: usize,
}

impl Lottery {
    /// A round of the agencies 1 to `agencies`, none of which has a bet. With 0, nothing is ever drawn.
    pub fn new(agencies: u32) -> Lottery {
        let open = agencies as usize;
        Lottery { agencies: vec![Agency::default(); open], open, staged: Vec::new() }
    }

    /// The number of agencies.
    pub fn agencies(&self) -> u32 {
        self.agencies.len() as u32
    }

    /// Counts a bet that is stored already.
    ///
    /// # Errors
    /// [`Contradiction::NoSuchAgency`].
    pub fn restore_bet(&mut self, bet: &Bet<'_>) -> Result<(), Contradiction> {
        self.find(bet.agency).map_err(|_| self.no_such(bet.agency))?;
        let agency = self.agency_mut(bet.agency);
        agency.stored += 1;
        if bet.has_won() {
            agency.winners.push(bet.document);
            agency.stored_winners += 1;
        }
        Ok(())
    }

    /// Counts a closing that is stored already, of an agency with `bets` in a round of `agencies`.
    ///
    /// # Errors
    /// [`Contradiction`].
    pub fn restore_closing(&mut self, agency: u32, bets: u64, agencies: u32) -> Result<(), Contradiction> {
        if agencies != self.agencies() {
            return Err(Contradiction::OtherAgencies { stored: agencies, agencies: self.agencies() });
        }
        self.find(agency).map_err(|_| self.no_such(agency))?;
        let stored = self.stored(agency);
        if stored != bets {
            return Err(Contradiction::BetsMissing { agency, closed_with: bets, stored });
        }
        if std::mem::replace(&mut self.agency_mut(agency).closing, Closing::Stored) != Closing::Stored {
            self.open -= 1;
        }
        Ok(())
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
        let Agency { staged_bets, ref winners, .. } = *self.agency(agency);
        Mark { agency, staged_bets, winners: winners.len() }
    }

    /// Takes back the bets staged for an agency since its `mark`.
    pub fn revert_to(&mut self, mark: Mark) {
        let agency = self.agency_mut(mark.agency);
        agency.staged_bets = mark.staged_bets;
        agency.winners.truncate(mark.winners);
    }

    /// Stages a bet of an agency that [may register](Lottery::may_register) it.
    #[inline(always)]
    pub fn stage_bet(&mut self, bet: &Bet<'_>) {
        let agency = self.list(bet.agency);
        debug_assert_eq!(agency.closing, Closing::Open, "may_register was asked first");
        agency.staged_bets += 1;
        if bet.has_won() {
            agency.winners.push(bet.document);
        }
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
        self.staged.iter().copied().filter(staged).map(|agency| (agency, self.stored_once_committed(agency)))
    }

    /// Makes the staged bets and closings final. True if the draw happens now: once, with the last closing.
    pub fn commit(&mut self) -> bool {
        let open_before = self.open;
        let mut staged = std::mem::take(&mut self.staged);
        for number in staged.drain(..) {
            let agency = self.agency_mut(number);
            agency.is_listed = false;
            agency.stored += std::mem::take(&mut agency.staged_bets);
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
            agency.staged_bets = 0;
            if !planted(Fault::LostBetsWin) {
                agency.winners.truncate(agency.stored_winners);
            }
            if agency.closing == Closing::Staged {
                agency.closing = Closing::Open;
            }
        }
    }

    /// Stored bets of `agency`.
    pub fn stored(&self, agency: u32) -> u64 {
        self.agency(agency).stored
    }

    /// Stored and staged bets of `agency`.
    pub fn stored_once_committed(&self, agency: u32) -> u64 {
        let agency = self.agency(agency);
        agency.stored + agency.staged_bets
    }

    /// Stored bets of all agencies.
    pub fn total_stored(&self) -> u64 {
        self.agencies.iter().map(|agency| agency.stored).sum()
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

    fn no_such(&self, agency: u32) -> Contradiction {
        Contradiction::NoSuchAgency { agency, agencies: self.agencies() }
    }

    fn agency(&self, number: u32) -> &Agency {
        &self.agencies[number as usize - 1]
    }

    fn agency_mut(&mut self, number: u32) -> &mut Agency {
        &mut self.agencies[number as usize - 1]
    }

    /// An agency for which something is about to be staged.
    #[inline(always)]
    fn list(&mut self, number: u32) -> &mut Agency {
        let agency = &mut self.agencies[number as usize - 1];
        if !std::mem::replace(&mut agency.is_listed, true) {
            self.staged.push(number);
        }
        agency
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bet::{Day, WINNER_NUMBER};

    fn bet(agency: u32, document: u32, number: u32) -> Bet<'static> {
        let (birthdate, ana) = (Day::OLDEST_BIRTHDATE, "Ana".try_into().expect("a name"));
        Bet { agency, first_name: ana, last_name: ana, document, birthdate, number }
    }

    fn close(lottery: &mut Lottery, agency: u32) -> bool {
        lottery.stage_closing(agency);
        lottery.commit()
    }

    #[test]
    fn the_draw_happens_once_with_the_last_closing() {
        let mut lottery = Lottery::new(2);
        assert!(!close(&mut lottery, 1));
        assert!(!close(&mut lottery, 1) && !lottery.is_drawn(), "closing twice is closing once");
        assert!(close(&mut lottery, 2) && lottery.is_drawn());
        assert!(!close(&mut lottery, 2));
    }

    #[test]
    fn a_round_without_agencies_is_never_drawn() {
        let mut lottery = Lottery::new(0);
        assert!(!lottery.commit() && !lottery.is_drawn());
        assert_eq!(lottery.find(0), Err(Refusal::NoSuchAgency));
    }

    #[test]
    fn winners_are_an_agencys_own_in_order_and_unknown_before_the_draw() {
        let mut lottery = Lottery::new(2);
        let bets = [(1, 30, WINNER_NUMBER), (2, 20, WINNER_NUMBER), (1, 11, 1), (1, 10, WINNER_NUMBER)];
        for (agency, document, number) in bets {
            lottery.stage_bet(&bet(agency, document, number));
        }
        close(&mut lottery, 1);
        assert_eq!(lottery.winners(1), None);
        close(&mut lottery, 2);
        assert_eq!(lottery.winners(1), Some([30, 10].as_slice()));
        assert_eq!(lottery.winners(2), Some([20].as_slice()));
    }

    #[test]
    fn a_reverted_batch_leaves_what_was_staged_before_it() {
        let mut lottery = Lottery::new(1);
        lottery.stage_bet(&bet(1, 1, WINNER_NUMBER));
        let mark = lottery.mark(1);
        lottery.stage_bet(&bet(1, 2, WINNER_NUMBER));
        lottery.revert_to(mark);
        assert_eq!(lottery.stored(1), 0, "nothing is stored yet");
        close(&mut lottery, 1);
        assert_eq!(lottery.stored(1), 1);
        assert_eq!(lottery.winners(1), Some([1].as_slice()));
    }

    #[test]
    fn a_rolled_back_turn_leaves_no_bet_and_no_closing() {
        let mut lottery = Lottery::new(1);
        lottery.stage_bet(&bet(1, 1, WINNER_NUMBER));
        lottery.stage_closing(1);
        assert_eq!(lottery.may_register(1), Err(Refusal::Closed), "from its AllBetsSent on");
        assert_eq!(lottery.staged_closings().collect::<Vec<_>>(), [(1, 1)]);
        lottery.rollback();
        assert_eq!(lottery.staged_closings().next(), None);
        assert_eq!((lottery.standing(1), lottery.stored(1), lottery.may_register(1)), (Standing::Open, 0, Ok(())));
        assert!(close(&mut lottery, 1));
        assert_eq!(lottery.winners(1), Some([].as_slice()));
    }

    #[test]
    fn a_restored_history_counts_as_if_it_had_been_committed() {
        let mut lottery = Lottery::new(2);
        assert_eq!(lottery.restore_bet(&bet(1, 7, WINNER_NUMBER)), Ok(()));
        assert_eq!(lottery.restore_closing(1, 1, 2), Ok(()));
        assert_eq!((lottery.standing(1), lottery.stored(1)), (Standing::Closed, 1));
        assert_eq!(lottery.open_agencies().collect::<Vec<_>>(), [2]);
        assert!(close(&mut lottery, 2));
        assert_eq!(lottery.winners(1), Some([7].as_slice()));
    }

    #[test]
    fn a_history_of_another_round_is_refused() {
        let mut lottery = Lottery::new(2);
        let no_such = |agency| Err(Contradiction::NoSuchAgency { agency, agencies: 2 });
        assert_eq!(lottery.restore_bet(&bet(3, 7, 1)), no_such(3));
        assert_eq!(lottery.restore_closing(0, 0, 2), no_such(0));
        let other = Contradiction::OtherAgencies { stored: 3, agencies: 2 };
        assert_eq!(lottery.restore_closing(1, 0, 3), Err(other));
        let missing = Contradiction::BetsMissing { agency: 1, closed_with: 1, stored: 0 };
        assert_eq!(lottery.restore_closing(1, 1, 2), Err(missing));
    }
}
