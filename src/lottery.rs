//! The central's rules: who may register, who has closed, when the draw happens, who is told what. Pure.
//!
//! What a turn of the server does is *staged* first: bets and closings count at once for the questions of the same
//! turn (a closed agency's next batch is refused), and become final when the store says that they are on disk, or are
//! taken back when it says that they are not. Winners are kept as their bets are staged, so that the draw costs nothing
//! that grows with the number of bets.

use crate::bet::Bet;
use crate::planted::{Fault, planted};
use crate::protocol::{AgencyState, ErrorCode};

/// Every agency of one lottery, and where it stands.
#[derive(Debug)]
pub struct Lottery {
    agencies: Vec<Agency>,
    /// Agencies that have not closed for good.
    open: usize,
    /// Agencies with something staged, each once.
    staged: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Agency {
    /// Bets on disk.
    stored: u64,
    /// Documents of the winners among its bets, in the order of the bets; the staged ones last.
    winners: Vec<u32>,
    /// How many of `winners` are on disk.
    stored_winners: usize,
    staged_bets: u64,
    closing: Closing,
    /// Whether it is in [`Lottery::staged`].
    listed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    Open,
    Staged,
    Closed,
}

/// Where an agency's staged bets ended when a batch began, to take the batch back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    staged_bets: u64,
    winners: usize,
}

impl Lottery {
    /// A lottery of the agencies 1 to `agencies`, none of which has a bet. With 0, nothing is ever drawn.
    pub fn new(agencies: u32) -> Lottery {
        let open = agencies as usize;
        Lottery { agencies: vec![Agency::default(); open], open, staged: Vec::new() }
    }

    /// How many agencies take part.
    pub fn agencies(&self) -> u32 {
        self.agencies.len() as u32
    }

    /// Whether `agency` takes part.
    ///
    /// # Errors
    /// [`ErrorCode::NoSuchAgency`].
    pub fn find(&self, agency: u32) -> Result<(), ErrorCode> {
        if (1..=self.agencies()).contains(&agency) { Ok(()) } else { Err(ErrorCode::NoSuchAgency) }
    }

    /// Whether bets of `agency` are taken.
    ///
    /// # Errors
    /// [`ErrorCode::NoSuchAgency`], or [`ErrorCode::Closed`] from its AllBetsSent on.
    pub fn may_register(&self, agency: u32) -> Result<(), ErrorCode> {
        self.find(agency)?;
        match self.agency(agency).closing {
            Closing::Open => Ok(()),
            Closing::Staged | Closing::Closed => Err(ErrorCode::Closed),
        }
    }

    /// Where the staged bets of `agency` end now.
    pub fn mark(&self, agency: u32) -> Mark {
        let agency = self.agency(agency);
        Mark { staged_bets: agency.staged_bets, winners: agency.winners.len() }
    }

    /// Takes back what was staged for `agency` since `mark`.
    pub fn revert(&mut self, agency: u32, mark: Mark) {
        let agency = self.agency_mut(agency);
        agency.staged_bets = mark.staged_bets;
        agency.winners.truncate(mark.winners);
    }

    /// Counts a bet of an agency that [may register](Lottery::may_register) it.
    #[inline(always)]
    pub fn stage_bet(&mut self, bet: &Bet<'_>) {
        let agency = self.list(bet.agency);
        debug_assert_eq!(agency.closing, Closing::Open, "may_register was asked first");
        agency.staged_bets += 1;
        if bet.has_won() {
            agency.winners.push(bet.document);
        }
    }

    /// Closes `agency`, and says whether it was open: closing twice is closing once.
    pub fn stage_closing(&mut self, agency: u32) -> bool {
        let agency = self.list(agency);
        let was_open = agency.closing == Closing::Open;
        if was_open {
            agency.closing = Closing::Staged;
        }
        was_open
    }

    /// The staged bets are on disk.
    pub fn commit_bets(&mut self) {
        self.for_each_staged(|agency| {
            agency.stored += agency.staged_bets;
            agency.staged_bets = 0;
            agency.stored_winners = agency.winners.len();
        });
    }

    /// The staged bets are not on disk and will not be. An agency that lost bets has not closed either.
    pub fn rollback_bets(&mut self) {
        self.for_each_staged(|agency| {
            if agency.staged_bets > 0 && agency.closing == Closing::Staged {
                agency.closing = Closing::Open;
            }
            agency.staged_bets = 0;
            if !planted(Fault::LostBetsWin) {
                agency.winners.truncate(agency.stored_winners);
            }
        });
    }

    /// Each agency whose closing is staged, and how many of its bets are stored.
    pub fn staged_closings(&self) -> impl Iterator<Item = (u32, u64)> {
        let closing = |number: u32| (self.agency(number).closing == Closing::Staged).then_some(number);
        self.staged.iter().filter_map(move |&number| closing(number)).map(|number| (number, self.stored(number)))
    }

    /// The staged closings are on disk; ends the turn. Says whether the draw happens now: once, with the last closing.
    pub fn commit_closings(&mut self) -> bool {
        let open_before = self.open;
        let mut closed = 0;
        self.for_each_staged(|agency| {
            if agency.closing == Closing::Staged {
                agency.closing = Closing::Closed;
                closed += 1;
            }
        });
        self.open -= closed;
        self.end_turn();
        open_before > 0 && self.open == 0
    }

    /// The staged closings are not on disk; ends the turn.
    pub fn rollback_closings(&mut self) {
        self.for_each_staged(|agency| {
            if agency.closing == Closing::Staged {
                agency.closing = Closing::Open;
            }
        });
        self.end_turn();
    }

    /// Bets of `agency` on disk.
    pub fn stored(&self, agency: u32) -> u64 {
        self.agency(agency).stored
    }

    /// Bets of `agency` on disk once what is staged is.
    pub fn stored_once_committed(&self, agency: u32) -> u64 {
        let agency = self.agency(agency);
        agency.stored + agency.staged_bets
    }

    /// Where `agency` stands, going by what is on disk.
    pub fn state(&self, agency: u32) -> AgencyState {
        match self.agency(agency).closing {
            _ if self.is_drawn() => AgencyState::Drawn,
            Closing::Closed => AgencyState::Closed,
            Closing::Open | Closing::Staged => AgencyState::Open,
        }
    }

    /// Whether the closing of `agency` is on disk.
    pub fn is_closed(&self, agency: u32) -> bool {
        self.agency(agency).closing == Closing::Closed
    }

    /// Whether the draw has happened: every agency has closed, and there is one.
    pub fn is_drawn(&self) -> bool {
        self.open == 0 && !self.agencies.is_empty()
    }

    /// How many agencies have closed.
    pub fn closed(&self) -> usize {
        self.agencies.len() - self.open
    }

    /// Bets of all agencies on disk.
    pub fn total_stored(&self) -> u64 {
        self.agencies.iter().map(|agency| agency.stored).sum()
    }

    /// The documents of the winners of `agency`, in the order of its bets; `None` before the draw.
    pub fn winners(&self, agency: u32) -> Option<&[u32]> {
        self.is_drawn().then(|| self.agency(agency).winners.as_slice())
    }

    fn agency(&self, number: u32) -> &Agency {
        &self.agencies[number as usize - 1]
    }

    fn agency_mut(&mut self, number: u32) -> &mut Agency {
        &mut self.agencies[number as usize - 1]
    }

    /// Takes note that something is staged for an agency, and gives it.
    #[inline(always)]
    fn list(&mut self, number: u32) -> &mut Agency {
        let agency = &mut self.agencies[number as usize - 1];
        if !std::mem::replace(&mut agency.listed, true) {
            self.staged.push(number);
        }
        agency
    }

    fn for_each_staged(&mut self, mut act: impl FnMut(&mut Agency)) {
        for &number in &self.staged {
            act(&mut self.agencies[number as usize - 1]);
        }
    }

    fn end_turn(&mut self) {
        self.for_each_staged(|agency| agency.listed = false);
        self.staged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bet::{Day, WINNER_NUMBER};

    fn bet(agency: u32, document: u32, number: u32) -> Bet<'static> {
        let birthdate = Day::OLDEST_BIRTHDATE;
        let ana = "Ana".try_into().expect("a name");
        Bet { agency, first_name: ana, last_name: ana, document, birthdate, number }
    }

    fn close(lottery: &mut Lottery, agency: u32) -> bool {
        lottery.stage_closing(agency);
        lottery.commit_bets();
        lottery.commit_closings()
    }

    #[test]
    fn the_draw_happens_once_with_the_last_closing() {
        let mut lottery = Lottery::new(2);
        assert!(!close(&mut lottery, 1));
        assert!(!close(&mut lottery, 1), "closing twice is closing once");
        assert!(!lottery.is_drawn());
        assert!(close(&mut lottery, 2));
        assert!(lottery.is_drawn());
        assert!(!close(&mut lottery, 2));
    }

    #[test]
    fn without_agencies_nothing_is_ever_drawn() {
        let mut lottery = Lottery::new(0);
        assert!(!lottery.commit_closings());
        assert!(!lottery.is_drawn());
        assert_eq!(lottery.find(0), Err(ErrorCode::NoSuchAgency));
    }

    #[test]
    fn winners_are_an_agencys_own_in_the_order_of_its_bets_and_unknown_before_the_draw() {
        let mut lottery = Lottery::new(2);
        for (agency, document, number) in
            [(1, 30, WINNER_NUMBER), (2, 20, WINNER_NUMBER), (1, 11, 1), (1, 10, WINNER_NUMBER)]
        {
            lottery.stage_bet(&bet(agency, document, number));
        }
        close(&mut lottery, 1);
        assert_eq!(lottery.winners(1), None);
        close(&mut lottery, 2);
        assert_eq!(lottery.winners(1), Some([30, 10].as_slice()));
        assert_eq!(lottery.winners(2), Some([20].as_slice()));
    }

    #[test]
    fn a_batch_taken_back_leaves_what_was_staged_before_it() {
        let mut lottery = Lottery::new(1);
        lottery.stage_bet(&bet(1, 1, WINNER_NUMBER));
        let mark = lottery.mark(1);
        lottery.stage_bet(&bet(1, 2, WINNER_NUMBER));
        lottery.revert(1, mark);
        assert_eq!(lottery.stored(1), 0, "nothing is on disk yet");
        close(&mut lottery, 1);
        assert_eq!(lottery.stored(1), 1);
        assert_eq!(lottery.winners(1), Some([1].as_slice()));
    }

    #[test]
    fn bets_that_did_not_reach_the_disk_are_forgotten_and_keep_their_agency_open() {
        let mut lottery = Lottery::new(2);
        lottery.stage_bet(&bet(1, 1, WINNER_NUMBER));
        lottery.stage_closing(1);
        lottery.stage_closing(2);
        assert_eq!(lottery.may_register(1), Err(ErrorCode::Closed), "from its AllBetsSent on");
        lottery.rollback_bets();
        assert_eq!(lottery.staged_closings().collect::<Vec<_>>(), [(2, 0)]);
        assert!(!lottery.commit_closings());
        assert_eq!((lottery.state(1), lottery.state(2)), (AgencyState::Open, AgencyState::Closed));
        assert_eq!(lottery.may_register(1), Ok(()));
        assert!(close(&mut lottery, 1));
        assert_eq!(lottery.winners(1), Some([].as_slice()));
    }

    #[test]
    fn a_closing_that_did_not_reach_the_disk_can_be_said_again() {
        let mut lottery = Lottery::new(1);
        lottery.stage_bet(&bet(1, 1, 0));
        lottery.stage_closing(1);
        lottery.commit_bets();
        lottery.rollback_closings();
        assert_eq!((lottery.state(1), lottery.stored(1)), (AgencyState::Open, 1));
        assert!(close(&mut lottery, 1));
    }
}
