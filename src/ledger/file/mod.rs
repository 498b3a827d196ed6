//! `bets.csv` and, beside it, which agencies have closed: what is acknowledged is in these two files.
//!
//! A bet is [staged](Store::stage_bet) as a row in memory; a [commit](Store::commit_bets) appends every staged row with
//! one write and one sync. A commit succeeds whole, or the file is cut back to what it was ([`CommitError::NotStored`]), or
//! nobody can tell any more what the disk holds and the program must end ([`CommitError::Unknown`]).
//!
//! Bets are committed before closings, each with its own sync: a closing on disk therefore means that every bet of that
//! agency is on disk too. The closing says how many those are, which recovery checks.
//!
//! | file | row | written |
//! |---|---|---|
//! | `STORAGE_FILEPATH` | `agency,first_name,last_name,document,birthdate,number` | before a batch is acknowledged |
//! | the same with `.closed` | `agency,bets,agencies that take part` | before anything is drawn |

mod closings;
mod journal;
mod recovery;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bet::{self, Bet};
use crate::lottery::Lottery;

pub use journal::{CommitError, Journal, Medium, Sync};
pub use recovery::{Damage, Recovered, RecoveryError};

/// The central's two files.
#[derive(Debug)]
pub struct Store<M> {
    bets: Journal<M>,
    closings: Journal<M>,
}

impl<M: Medium> Store<M> {
    /// Reads both files into `lottery`, which is new, and cuts off what a crash left unfinished at their ends.
    ///
    /// # Errors
    /// [`RecoveryError`], and both files are as they were.
    pub fn recover(
        bets: M,
        closings: M,
        sync: Sync,
        lottery: &mut Lottery,
    ) -> Result<(Store<M>, Recovered), RecoveryError> {
        let (bets, closings, recovered) = recovery::recover(bets, closings, sync, lottery)?;
        Ok((Store { bets, closings }, recovered))
    }

    /// Adds `bet` to the next commit.
    pub fn stage_bet(&mut self, bet: &Bet<'_>) {
        bet::write_row(bet, self.bets.staged());
    }

    /// Adds the closing of `agency`, all of whose `bets` are committed, to the next commit of closings.
    ///
    /// `agencies` take part: a contest that has begun to close goes on with as many, or its draw could happen twice.
    pub fn stage_closing(&mut self, agency: u32, bets: u64, agencies: u32) {
        closings::write_closing(agency, bets, agencies, self.closings.staged());
    }

    /// Bytes of rows that wait for the next commit of bets.
    pub fn staged_bytes(&self) -> usize {
        self.bets.staged_bytes()
    }

    /// Takes back the rows that were staged after there were `staged_bytes` of them.
    pub fn revert(&mut self, staged_bytes: usize) {
        self.bets.staged().truncate(staged_bytes);
    }

    /// Makes every staged bet durable. Does nothing if there is none.
    ///
    /// # Errors
    /// See [`CommitError`]; the staged bets are gone in any case.
    pub fn commit_bets(&mut self) -> Result<(), CommitError> {
        self.bets.commit()
    }

    /// Makes every staged closing durable. Does nothing if there is none.
    ///
    /// # Errors
    /// See [`CommitError`]; the staged closings are gone in any case.
    pub fn commit_closings(&mut self) -> Result<(), CommitError> {
        self.closings.commit()
    }
}

/// Where the closings of the bets in `bets_path` are kept.
pub fn closings_path(bets_path: &Path) -> PathBuf {
    let mut name = bets_path.as_os_str().to_owned();
    name.push(".closed");
    name.into()
}

/// Why the files could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system says no.
    #[error("{}: {error}; STORAGE_FILEPATH must be a file that can be written, in a folder that exists", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is a device, a pipe: nothing that is written there could be read again.
    #[error("{}: not a regular file; STORAGE_FILEPATH must be one", path.display())]
    NotAFile {
        /// What it is not.
        path: PathBuf,
    },
    /// Another server has them open.
    #[error("{}: in use by another server; stop it, or set STORAGE_FILEPATH to another file", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// Opens the bets at `path` and the closings beside them, creating what is missing, and locks both until they are closed.
///
/// # Errors
/// [`OpenError`].
pub fn open(path: &Path) -> Result<(File, File), OpenError> {
    let closings_path = closings_path(path);
    let bets = open_locked(path)?;
    let closings = open_locked(&closings_path)?;
    sync_folder(path).map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
    Ok((bets, closings))
}

fn open_locked(path: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError::Io { path: path.to_owned(), error };
    let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(OpenError::NotAFile { path: path.to_owned() });
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Makes the names of newly created files durable, see fsync(2).
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
