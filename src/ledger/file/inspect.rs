//! The files of a round, read and neither locked nor changed. Their server may be running.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::digest::{Extent, extent};
use super::medium::DiskFile;
use super::open::{beside, require_both};
use super::recovery::{self, Reading};
use super::whole::DiskWholeFile;
use super::{Certificate, OpenError, RecoveryError, State, Summary};
use crate::ledger::Replay;

/// The contents of the files.
#[derive(Debug)]
pub struct Inspection {
    /// The extent of the history.
    pub summary: Summary,
    /// The whole rows of the bets. What a crash left behind them, or a server is writing, does not count.
    pub bets: Extent,
    /// The whole rows of the closings.
    pub closings: Extent,
    /// The state, if there is one. The files begin with what it says.
    pub state: Option<State>,
    /// The certificate of the draw, if there is one. It fits the other files.
    pub certificate: Option<Certificate>,
}

/// Reason why a server would refuse the files.
#[derive(Debug, Error)]
pub enum InspectError<R: std::error::Error + 'static> {
    /// A file can't be opened.
    #[error("{}: {error}; --file must be the bets of a round", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Half a round.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// They can't be used.
    #[error(transparent)]
    Recovery(#[from] RecoveryError<R>),
}

/// Reads the bets at `path` and their companions, as a start of the server does, and gives each step to `round`.
///
/// # Errors
/// [`InspectError`].
pub fn inspect<R: Replay>(path: &Path, round: &mut R) -> Result<Inspection, InspectError<R::Refusal>> {
    let of_state = beside(path, "state");
    // Before the files that it is about, which only grow.
    let state = State::read(&fs::read(&of_state).unwrap_or_default());
    require_both(path, &beside(path, "closed"))?;
    let (mut bets, mut closings) = (open(path)?, open(&beside(path, "closed"))?);
    let mut certificate = DiskWholeFile::new(beside(path, "draw"));
    let reading = recovery::read(&mut bets, &mut closings, &mut certificate, state, round);
    let Reading { bets_written, closings_written, certificate, summary, .. } =
        reading.map_err(|stopped| stopped.explain(of_state))?;
    let (bets, closings) = (extent(&bets_written), extent(&closings_written));
    Ok(Inspection { summary, bets, closings, state, certificate })
}

fn open<R: std::error::Error>(path: &Path) -> Result<DiskFile, InspectError<R>> {
    let opened = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        Ok(DiskFile::new(file, path, &metadata))
    });
    opened.map_err(|error| InspectError::Io { path: path.to_owned(), error })
}
