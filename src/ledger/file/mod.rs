//! The file ledger: `bets.csv` and, beside it, the agencies that have closed.
//!
//! A commit appends its rows with one write and one sync, then its closings with another pair: a closing on disk means
//! that every bet of that agency is on disk too. It carries their number, which [recovery](FileLedger::recover) checks.
//! A commit succeeds whole, or both files are cut back to what they were ([`Outcome::NotStored`]), or the
//! contents of the disk are unknown and the program must end ([`Outcome::Unknown`]).
//!
//! | file | row | written |
//! |---|---|---|
//! | `STORAGE_FILEPATH` | `agency,first_name,last_name,document,birthdate,number` | before a batch is acknowledged |
//! | the same with `.closed` | `agency,bets,agencies of the round` | before anything is drawn |

mod closings;
mod journal;
mod open;
mod recovery;

use super::{Commit, Ledger, Outcome, Recovered};

pub use crate::config::server::SyncPolicy;
pub use journal::{AppendError, Medium};
pub use open::{OpenError, closings_path, open};
pub use recovery::{Damage, RecoveryError, Summary};

use journal::Journal;

/// The two files of a round.
#[derive(Debug)]
pub struct FileLedger<M> {
    bets: Journal<M>,
    closings: Journal<M>,
    /// The outcome of the last commit, until it is polled.
    outcome: Option<Outcome>,
}

impl<M: Medium> FileLedger<M> {
    /// Reads both files, gives each bet and each closing to `replay`, and cuts off what a crash left unfinished at their
    /// ends.
    ///
    /// # Errors
    /// [`RecoveryError`]: the files can't be read or are damaged, or `replay` refuses what they say. Both files are as
    /// they were.
    pub fn recover<R: std::error::Error + 'static>(
        bets: M,
        closings: M,
        sync: SyncPolicy,
        replay: impl FnMut(Recovered<'_>) -> Result<(), R>,
    ) -> Result<(FileLedger<M>, Summary), RecoveryError<R>> {
        let (bets, closings, summary) = recovery::recover(bets, closings, sync, replay)?;
        Ok((FileLedger { bets, closings, outcome: None }, summary))
    }

    fn store(&mut self, commit: &Commit) -> Result<(), AppendError> {
        let length_before = self.bets.length();
        self.bets.append(&commit.rows)?;
        match self.closings.append(&closings::rows(&commit.closings)) {
            Err(AppendError::NotStored(error)) => {
                self.bets.cut_back_to(length_before)?;
                Err(AppendError::NotStored(error))
            }
            stored => stored,
        }
    }
}

impl<M: Medium> Ledger for FileLedger<M> {
    fn begin(&mut self, commit: &Commit) {
        debug_assert_eq!(self.outcome, None, "the last outcome was polled");
        self.outcome = Some(match self.store(commit) {
            Ok(()) => Outcome::Stored,
            Err(AppendError::NotStored(error)) => Outcome::NotStored(error.to_string()),
            Err(unknown @ AppendError::Unknown(_)) => Outcome::Unknown(unknown.to_string()),
        });
    }

    fn poll(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }
}
