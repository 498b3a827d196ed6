//! The part that a server plays where several share a round.

use super::connection::Socket;
use super::turn::{Server, TurnError};
use crate::central::Now;
use crate::event;
use crate::ledger::{Change, Ledger};

/// The part that a server plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It serves the round.
    Active,
    /// It was active, and has lost the ledger. It tells agencies that it is unavailable, and echoes.
    Suspended,
    /// Another server serves the round. This one does not listen, so that agencies find the other.
    Standby,
}

impl Part {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Active => "active",
            Part::Suspended => "suspended",
            Part::Standby => "standby",
        }
    }
}

impl<S: Socket, L: Ledger> Server<S, L> {
    /// The part that it plays.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Gives the ledger the waker of the poll.
    pub(super) fn wake_with(&mut self, waker: mio::Waker) {
        self.ledger.wake_with(waker);
    }

    pub(super) fn change_part(&mut self, change: Change, now: Now) -> Result<(), TurnError> {
        match change {
            Change::Active(standing) => {
                self.central.resume(&standing)?;
                self.part = Part::Active;
                event!(Info, "recover", success, "bets": self.central.lottery().total_stored(),
                    "agencies_closed": standing.totals.iter().filter(|total| total.is_closed).count());
            }
            Change::Standby => {
                self.suspend(now);
                self.part = Part::Standby;
                event!(Info, "standby", success, "reason": "another server is the active one");
            }
            Change::Lost(why) => {
                if self.part == Part::Active {
                    self.suspend(now);
                    self.part = Part::Suspended;
                }
                event!(Warn, "database", fail, "error": why, "part": self.part.name(), "retry_every": "1s");
            }
            Change::Unusable(why) => return Err(TurnError::Unusable(why)),
        }
        Ok(())
    }

    /// Resets the connections of agencies: what became of the last that they sent is not known.
    fn suspend(&mut self, now: Now) {
        self.commit_began = None;
        for id in self.central.suspend() {
            self.abort(id, now);
        }
    }
}
