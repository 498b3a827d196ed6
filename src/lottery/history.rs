//! A stored history: what is stored of a round already, and whether it is of this round.

use thiserror::Error;

use super::{Closing, Lottery};
use crate::bet::{Bet, Tally};

/// Reason why a stored history does not fit this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// It names an agency that the round does not have.
    #[error(
        "agency {agency} is not one of the {agencies} of NUM_AGENCIES; set NUM_AGENCIES as it was when the round began, \
         or restore the file from a copy"
    )]
    NoSuchAgency {
        /// The agency that is named.
        agency: u32,
        /// The number of agencies of the round.
        agencies: u32,
    },
    /// An agency closed when the round had another number of agencies.
    #[error("the stored round has {stored} agencies, and NUM_AGENCIES is {agencies}; set it to {stored} again")]
    OtherAgencies {
        /// The number that was stored.
        stored: u32,
        /// The number of agencies of the round.
        agencies: u32,
    },
    /// An agency closed when another number was to win.
    #[error(
        "the winning number of the round is {stored}, and WINNING_NUMBER is {winning_number}; set it to {stored} again"
    )]
    OtherWinningNumber {
        /// The number that was stored.
        stored: u32,
        /// The winning number of the round.
        winning_number: u32,
    },
    /// An agency closed with another number of bets than there are.
    #[error(
        "agency {agency} closed with {closed_with} bets, and {stored} are stored; restore all files of the round from one \
         copy, or move all of them away to begin a new round"
    )]
    BetsMissing {
        /// The agency.
        agency: u32,
        /// The number of bets in its closing.
        closed_with: u64,
        /// The number of its bets that are there.
        stored: u64,
    },
    /// The list of an agency's winners does not fit into memory. Its length is the file's, and has no limit here.
    #[error("there is no memory for more than {winners} winners of agency {agency}; let the server have more memory")]
    NoMemory {
        /// The agency.
        agency: u32,
        /// The number of winners that fit.
        winners: usize,
    },
}

impl Lottery {
    /// Checks that the stored round, of so many `agencies` and with this `winning_number`, is this one.
    ///
    /// # Errors
    /// [`Contradiction::OtherAgencies`] and [`Contradiction::OtherWinningNumber`].
    pub fn require_round(&self, agencies: u32, winning_number: u32) -> Result<(), Contradiction> {
        if agencies != self.agencies() {
            return Err(Contradiction::OtherAgencies { stored: agencies, agencies: self.agencies() });
        }
        if winning_number != self.winning_number {
            let configured = self.winning_number;
            return Err(Contradiction::OtherWinningNumber { stored: winning_number, winning_number: configured });
        }
        Ok(())
    }

    /// Takes note of a bet that is stored already, if it has won. [`Lottery::restore_tally`] counts it.
    ///
    /// # Errors
    /// [`Contradiction::NoSuchAgency`] and [`Contradiction::NoMemory`].
    pub fn restore_bet(&mut self, bet: &Bet<'_>) -> Result<(), Contradiction> {
        self.find(bet.agency).map_err(|_| self.no_such(bet.agency))?;
        if bet.has_won(self.winning_number) {
            let agency = self.agency_mut(bet.agency);
            let winners = agency.winners.len();
            agency.winners.try_reserve(1).map_err(|_| Contradiction::NoMemory { agency: bet.agency, winners })?;
            agency.winners.push(bet.document);
            agency.stored_winners += 1;
        }
        Ok(())
    }

    /// Counts `bets` of `agency` that are stored already, `encoded` as [`Tally::extend`] takes them.
    pub fn restore_tally(&mut self, agency: u32, bets: u32, encoded: &[u8]) {
        let agency = self.agency_mut(agency);
        agency.stored.extend(bets, encoded);
        agency.staged = agency.stored;
    }

    /// Counts the bets of `agency` that are stored already, of which these documents have won.
    ///
    /// # Errors
    /// [`Contradiction::NoSuchAgency`].
    pub fn restore_total(&mut self, agency: u32, stored: Tally, winners: &[u32]) -> Result<(), Contradiction> {
        self.find(agency).map_err(|_| self.no_such(agency))?;
        let restored = self.agency_mut(agency);
        (restored.stored, restored.staged) = (stored, stored);
        restored.winners = winners.to_vec();
        restored.stored_winners = winners.len();
        Ok(())
    }

    /// Counts a closing that is stored already, of an agency with `bets`.
    ///
    /// # Errors
    /// [`Contradiction`].
    pub fn restore_closing(&mut self, agency: u32, bets: u64) -> Result<(), Contradiction> {
        self.find(agency).map_err(|_| self.no_such(agency))?;
        let stored = self.stored(agency).bets;
        if stored != bets {
            return Err(Contradiction::BetsMissing { agency, closed_with: bets, stored });
        }
        if std::mem::replace(&mut self.agency_mut(agency).closing, Closing::Stored) != Closing::Stored {
            self.open -= 1;
        }
        Ok(())
    }

    fn no_such(&self, agency: u32) -> Contradiction {
        Contradiction::NoSuchAgency { agency, agencies: self.agencies() }
    }
}
