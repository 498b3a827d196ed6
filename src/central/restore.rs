//! The lottery as a recovered history left it, and its draw for the ledger.

use crate::bet::Bet;
use crate::buffer::Buffer;
use crate::ledger::{AgencyDraw, Draw, Recovered, Replay, Terms};
use crate::lottery::{Contradiction, Lottery};
use crate::protocol;

/// Bytes of encoded bets that are added to a tally at once: CRC-32 is slow for few bytes.
const TALLIED_BYTES: usize = 8192;

/// Counts the steps of a recovered history in a lottery.
///
/// The ledger keeps rows, and a tally is over the bets as the wire has them, so they are encoded again. The bets of one
/// agency follow each other in batches.
#[derive(Debug)]
pub struct Restore {
    lottery: Lottery,
    /// The agency of the bets in `encoded`.
    agency: u32,
    bets: u32,
    encoded: Buffer,
}

impl Restore {
    /// Goes on from `lottery`.
    pub fn new(lottery: Lottery) -> Restore {
        Restore { lottery, agency: 0, bets: 0, encoded: Buffer::new() }
    }

    /// Counts the next step.
    ///
    /// # Errors
    /// [`Contradiction`] if it can't be of this round.
    pub fn step(&mut self, step: Recovered<'_>) -> Result<(), Contradiction> {
        match step {
            Recovered::Terms(terms) => self.lottery.require_round(terms.agencies, terms.winning_number),
            Recovered::Bet(bet) => self.add(bet),
            Recovered::Closing(closing) => {
                self.tally();
                self.lottery.require_round(closing.terms.agencies, closing.terms.winning_number)?;
                self.lottery.restore_closing(closing.agency, closing.bets)
            }
        }
    }

    /// The lottery behind the last step.
    pub fn finish(mut self) -> Lottery {
        self.tally();
        self.lottery
    }

    fn add(&mut self, bet: &Bet<'_>) -> Result<(), Contradiction> {
        self.lottery.restore_bet(bet)?;
        if bet.agency != self.agency || self.encoded.len() >= TALLIED_BYTES {
            self.tally();
            self.agency = bet.agency;
        }
        self.bets += 1;
        protocol::encode_bet(bet, &mut self.encoded);
        Ok(())
    }

    fn tally(&mut self) {
        if self.bets > 0 {
            self.lottery.restore_tally(self.agency, self.bets, &self.encoded);
            self.bets = 0;
            self.encoded.clear();
        }
    }
}

impl Replay for Restore {
    type Refusal = Contradiction;

    fn replay(&mut self, step: Recovered<'_>) -> Result<(), Contradiction> {
        self.step(step)
    }

    fn draw(&mut self) -> Option<Draw> {
        self.tally();
        draw(&self.lottery)
    }
}

/// The terms of the round of `lottery`.
pub(super) fn terms(lottery: &Lottery) -> Terms {
    Terms { agencies: lottery.agencies(), winning_number: lottery.winning_number() }
}

/// The draw of `lottery`, if every closing is stored or staged.
pub(super) fn draw(lottery: &Lottery) -> Option<Draw> {
    let of_agency = |agency| AgencyDraw {
        agency,
        bets: lottery.stored_once_committed(agency).bets,
        winners: lottery.winners_once_committed(agency),
    };
    let agencies = || (1..=lottery.agencies()).map(of_agency).collect();
    lottery.is_drawn_once_committed().then(|| Draw { terms: terms(lottery), agencies: agencies() })
}
