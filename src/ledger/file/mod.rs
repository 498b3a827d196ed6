//! The file ledger: `bets.csv` and its companions beside it, the agencies that have closed and the state.
//!
//! A commit appends its rows with one write and one sync, then its closings with another pair: a closing on disk means
//! that every bet of that agency is on disk too. It carries their number, which [recovery](FileLedger::recover) checks.
//! A commit succeeds whole, or both files are cut back to what they were ([`Outcome::NotStored`]), or the
//! contents of the disk are unknown and the program must end ([`Outcome::Unknown`]).
//!
//! Other programs and people reach the files too. Before a commit succeeds, one `stat` of each shows that it is still the
//! file at its path and as long as it was written. At a start, the [`State`] shows whether the files still begin with
//! what was stored.
//!
//! | file | content | written |
//! |---|---|---|
//! | `STORAGE_FILEPATH` | `agency,first_name,last_name,document,birthdate,number` | before a batch is acknowledged |
//! | the same with `.closed` | `agency,bets,agencies of the round,winning number` | before anything is drawn |
//! | the same with `.state` | lengths and digests of both | after each commit, not synced |
//!
//! The first two exist together from the first start on. The last may be missing, or torn by a power loss: then nothing
//! is verified at that start.

mod closings;
mod digest;
mod journal;
mod medium;
mod open;
mod recovery;
mod refusal;
mod state;
mod tail;

use super::{Commit, Ledger, Outcome, Recovered};
use crate::planted::{Fault, planted};

pub use crate::config::server::SyncPolicy;
pub use digest::Extent;
pub use journal::AppendError;
pub use medium::{AtPath, Change, DiskFile, Medium};
pub use open::{OpenError, beside, open};
pub use recovery::Summary;
pub use refusal::{Alteration, Damage, Operation, RecoveryError};
pub use state::State;

use journal::Journal;
use recovery::Recovery;
use state::StateFile;

/// The open files of a round.
#[derive(Clone, Debug)]
pub struct Files<M> {
    /// `bets.csv`.
    pub bets: M,
    /// `bets.csv.closed`.
    pub closings: M,
    /// `bets.csv.state`.
    pub state: M,
}

/// The ledger of a round.
#[derive(Debug)]
pub struct FileLedger<M> {
    bets: Journal<M>,
    closings: Journal<M>,
    state: StateFile<M>,
    /// The outcome of the last commit, until it is polled.
    outcome: Option<Outcome>,
}

impl<M: Medium> FileLedger<M> {
    /// Reads the files, gives each bet and each closing to `replay`, and cuts off what a crash left unfinished at their
    /// ends.
    ///
    /// # Errors
    /// [`RecoveryError`]: the files can't be read, are damaged or were altered, or `replay` refuses what they say. They
    /// are as they were.
    pub fn recover<R: std::error::Error + 'static>(
        files: Files<M>,
        sync: SyncPolicy,
        replay: impl FnMut(Recovered<'_>) -> Result<(), R>,
    ) -> Result<(FileLedger<M>, Summary), RecoveryError<R>> {
        let Recovery { bets, closings, state, summary } = recovery::recover(files, sync, replay)?;
        Ok((FileLedger { bets, closings, state, outcome: None }, summary))
    }

    fn store(&mut self, commit: &Commit) -> Result<(), AppendError> {
        if planted(Fault::StateBeforeSync) {
            self.state.write(&State { bets: self.bets.extent_with(&commit.rows), closings: self.closings.extent() });
        }
        let before = self.bets.mark();
        self.bets.append(&commit.rows)?;
        match self.closings.append(&closings::rows(&commit.closings)) {
            Err(AppendError::NotStored(error)) => {
                self.bets.cut_back_to(before)?;
                return Err(AppendError::NotStored(error));
            }
            stored => stored?,
        }
        self.bets.check()?;
        self.closings.check()?;
        self.state.write(&State { bets: self.bets.extent(), closings: self.closings.extent() });
        Ok(())
    }
}

impl<M: Medium> Ledger for FileLedger<M> {
    fn begin(&mut self, commit: &Commit) {
        debug_assert_eq!(self.outcome, None, "the last outcome was polled");
        self.outcome = Some(match self.store(commit) {
            Ok(()) => Outcome::Stored,
            Err(AppendError::NotStored(error)) => Outcome::NotStored(error.to_string()),
            Err(error @ (AppendError::Unknown { .. } | AppendError::Changed { .. })) => {
                Outcome::Unknown(error.to_string())
            }
        });
    }

    fn poll(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }
}
