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
//! | the same with `.closed` | `agency,bets,agencies of the round,winning number`, and `time,reason` if closed by hand | before anything is drawn |
//! | the same with `.state` | lengths and digests of both | after each commit, not synced |
//! | the same with `.draw` | the [`Certificate`] of the draw | with the last closing, before winners are told |
//!
//! The first two exist together from the first start on. The state may be missing, or torn by a power loss: then nothing
//! is verified at that start. The certificate is compared with the others at every start.

mod certificate;
mod closings;
mod digest;
mod inspect;
mod journal;
mod medium;
mod open;
mod recovery;
mod refusal;
mod state;
mod tail;
mod whole;

use super::{Closing, Commit, Draw, Ledger, Outcome, Replay};
use crate::planted::{Fault, planted};

pub use crate::config::server::SyncPolicy;
pub use certificate::{Certificate, Discrepancy};
pub use closings::{InvalidReason, Note, Reason, notes};
pub use digest::Extent;
pub use inspect::{InspectError, Inspection, inspect};
pub use journal::AppendError;
pub use medium::{AtPath, Change, DiskFile, Medium};
pub use open::{OpenError, beside, open};
pub use recovery::Summary;
pub use refusal::{Alteration, Damage, Operation, RecoveryError};
pub use state::State;
pub use whole::{DiskWholeFile, WholeFile};

use certificate::{WriteError, timestamp};
use journal::Journal;
use recovery::Recovery;
use state::StateFile;

/// The open files of a round.
#[derive(Clone, Debug, Default)]
pub struct Files<M: Medium> {
    /// `bets.csv`.
    pub bets: M,
    /// `bets.csv.closed`.
    pub closings: M,
    /// `bets.csv.state`.
    pub state: M,
    /// `bets.csv.draw`.
    pub certificate: M::Whole,
}

/// The ledger of a round.
#[derive(Debug)]
pub struct FileLedger<M: Medium> {
    bets: Journal<M>,
    closings: Journal<M>,
    state: StateFile<M>,
    certificate: M::Whole,
    /// The outcome of the last commit, until it is polled.
    outcome: Option<Outcome>,
}

impl<M: Medium> FileLedger<M> {
    /// Reads the files, gives each bet and each closing to `round`, cuts off what a crash left unfinished at their ends, and
    /// writes the certificate of a draw that has none.
    ///
    /// # Errors
    /// [`RecoveryError`]: the files can't be read, are damaged or were altered, or `round` refuses what they say. They
    /// are as they were.
    pub fn recover<R: Replay>(
        files: Files<M>,
        sync: SyncPolicy,
        round: &mut R,
    ) -> Result<(FileLedger<M>, Summary), RecoveryError<R::Refusal>> {
        let of_state = files.state.path().to_owned();
        let recovered = recovery::recover(files, sync, round).map_err(|stopped| stopped.explain(of_state));
        let Recovery { bets, closings, state, certificate, summary } = recovered?;
        Ok((FileLedger { bets, closings, state, certificate, outcome: None }, summary))
    }

    fn store(&mut self, commit: &Commit) -> Result<(), AppendError> {
        if planted(Fault::StateBeforeSync) {
            self.state.write(&State { bets: self.bets.extent_with(&commit.rows), closings: self.closings.extent() });
        }
        if planted(Fault::CertificateBeforeCommit) {
            self.certify(commit.draw.as_ref(), self.bets.extent_with(&commit.rows))?;
        }
        let (bets_before, closings_before) = (self.bets.mark(), self.closings.mark());
        self.bets.append(&commit.rows)?;
        match self.closings.append(&closings::rows(&commit.closings)) {
            Err(AppendError::NotStored(error)) => {
                self.bets.cut_back_to(bets_before)?;
                return Err(AppendError::NotStored(error));
            }
            stored => stored?,
        }
        self.bets.check()?;
        self.closings.check()?;
        if !planted(Fault::CertificateBeforeCommit) && !planted(Fault::CertificateForgotten) {
            match self.certify(commit.draw.as_ref(), self.bets.extent()) {
                Err(AppendError::NotStored(error)) => {
                    // Closings first: each says that its bets are stored.
                    self.closings.cut_back_to(closings_before)?;
                    self.bets.cut_back_to(bets_before)?;
                    return Err(AppendError::NotStored(error));
                }
                certified => certified?,
            }
        }
        self.state.write(&State { bets: self.bets.extent(), closings: self.closings.extent() });
        Ok(())
    }

    /// Closes an agency that will never come back, for `reason`. The draw is left to the next start.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn close_by_hand(&mut self, closing: Closing, reason: &Reason) -> Result<(), AppendError> {
        self.closings.append(&closings::row_by_hand(closing, &timestamp(), reason))?;
        self.bets.check()?;
        self.closings.check()?;
        self.state.write(&State { bets: self.bets.extent(), closings: self.closings.extent() });
        Ok(())
    }

    /// Writes the certificate of the draw, if there is one.
    fn certify(&mut self, draw: Option<&Draw>, bets: Extent) -> Result<(), AppendError> {
        let Some(draw) = draw else { return Ok(()) };
        Certificate::new(draw, bets).write(&mut self.certificate).map_err(|error| match error {
            WriteError::NotWritten(error) => AppendError::NotStored(error),
            WriteError::Unknown(error) => AppendError::Unknown { path: self.certificate.path().to_owned(), error },
        })
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
