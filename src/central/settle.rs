//! The end of a turn: its commit and the outcome.

use super::shared::Tenure;
use super::{Central, Halt, Now};
use crate::ledger::{Commit, Outcome};
use crate::planted::{Fault, planted};

/// Bytes that a burst may leave allocated for the rows of the next commit.
const KEPT_ROW_BYTES: usize = 1 << 20;

impl Central {
    /// Ends the turn. Gives the commit to store, which is in flight from now on until [`Central::settle`]. `None` if
    /// nothing is staged, and the replies of the turn are released at once, or if a commit is in flight already. Where the
    /// round is [shared](Central::share), replies wait for a commit in any case, if only for an empty one.
    pub fn seal(&mut self, now: Now) -> Option<&Commit> {
        if self.is_in_flight() {
            return None;
        }
        self.stage_closings();
        let can_be_replaced = self.tenure == Tenure::Active && !planted(Fault::UnfencedReply);
        let is_proof_needed = can_be_replaced && !self.answers.is_empty();
        if self.commit.is_empty() && !is_proof_needed {
            self.finish_turn(None);
            return None;
        }
        self.in_flight_since = Some(now.instant);
        Some(&self.commit)
    }

    /// Takes the outcome of the commit in flight, makes the turn final or takes it back, and releases its replies.
    ///
    /// # Errors
    /// [`Halt`]: the replies are never released.
    pub fn settle(&mut self, outcome: Outcome, now: Now) -> Result<(), Halt> {
        let not_stored = match outcome {
            Outcome::Stored => None,
            Outcome::NotStored(why) => Some(why),
            Outcome::Unknown(why) => return Err(Halt::Unknown(why)),
            Outcome::Fenced => return Err(Halt::Fenced),
        };
        debug_assert!(self.is_in_flight(), "an outcome is of a commit in flight");
        debug_assert!(
            self.tenure != Tenure::Sole || !self.commit.is_empty(),
            "an empty commit proves something to others only"
        );
        let waited = self.in_flight_since.take().map_or_else(Default::default, |since| now.instant - since);
        self.finish_turn(not_stored.as_deref());
        if !waited.is_zero() {
            let unread = self.sessions.iter_mut().filter(|(_, session)| session.is_lottery());
            let postponed = unread.filter_map(|(id, session)| session.postpone(waited).then_some(id));
            self.dirty.extend(postponed);
        }
        Ok(())
    }

    fn finish_turn(&mut self, not_stored: Option<&str>) {
        self.commit.rows.clear();
        self.commit.rows.shrink_to(KEPT_ROW_BYTES);
        self.commit.closings.clear();
        self.commit.advances.clear();
        self.commit.draw = None;
        let is_draw = match not_stored {
            None => self.lottery.commit(),
            Some(_) => {
                self.lottery.rollback();
                false
            }
        };
        self.release(not_stored);
        if is_draw {
            self.draw();
        }
    }
}
