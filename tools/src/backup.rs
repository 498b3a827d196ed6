//! `loteria backup`: a copy of the files of a round, also while its server runs.
//!
//! The state and the certificate are copied first, then the closings, then the bets: each file says something of those behind
//! it, which only grow meanwhile. So the copy is a state that a crash could have left, and a server starts on it.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use loteria::ledger::file::beside;
use loteria_tools::check::Comparison;
use thiserror::Error;

use crate::round::{BetsFile, Round};

/// Copy the files of a round to the folder DEST, also while its server runs
///
/// The copy is synced to the disk and verified. A server goes on with it as with any round: set STORAGE_FILEPATH to the bets in
/// DEST, or copy all of its files back while no server runs.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria backup backups/monday
  loteria backup --file /var/lib/loteria/bets.csv backups/$(date +%F)")]
pub struct Options {
    #[command(flatten)]
    bets: BetsFile,
    /// Folder for the copy; it is made if it is missing, and must be empty
    #[arg(value_name = "DEST")]
    into: PathBuf,
}

#[derive(Debug, Error)]
enum BackupError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: it is not a file; --file must be the bets of a round", .0.display())]
    NotAFile(PathBuf),
    #[error("{}: it is not empty; a copy goes to a folder of its own", .0.display())]
    NotEmpty(PathBuf),
    #[error("the copy in {} is not whole, {error}; remove it, and back up again", folder.display())]
    NotWhole { folder: PathBuf, error: Box<dyn Error> },
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |error| BackupError::Io { path: path.to_owned(), error }
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let Options { bets, into } = options;
    let path = bets.path()?;
    let name = path.file_name().filter(|_| path.is_file()).ok_or_else(|| BackupError::NotAFile(path.clone()))?;
    fs::create_dir_all(into).map_err(at(into))?;
    if fs::read_dir(into).map_err(at(into))?.next().is_some() {
        return Err(BackupError::NotEmpty(into.clone()).into());
    }
    let copy = into.join(name);
    for companion in ["state", "draw", "closed"] {
        copy_if_there(&beside(&path, companion), &beside(&copy, companion))?;
    }
    copy_if_there(&path, &copy)?;
    File::open(into).and_then(|folder| folder.sync_all()).map_err(at(into))?;
    let not_whole = |error| BackupError::NotWhole { folder: into.clone(), error };
    let (_, inspection) = Round::read(&copy, Comparison::default()).map_err(not_whole)?;
    let (bets, closed) = (inspection.summary.bets, inspection.summary.agencies_closed);
    let drawn = if inspection.certificate.is_some() { ", drawn" } else { "" };
    crate::print(format!("{}: {bets} bets, agencies closed: {closed}{drawn}\n", copy.display()).as_bytes());
    Ok(())
}

/// Copies a file durably. A file that is not there is not copied.
fn copy_if_there(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::copy(from, to) {
        Ok(_) => File::open(to).and_then(|copy| copy.sync_all()).map_err(at(to)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(from)(error)),
    }
}
