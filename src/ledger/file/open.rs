//! Opening the two files: regular, locked, and durable by name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Reason why the files could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system refuses.
    #[error("{}: {error}; STORAGE_FILEPATH must be a file that can be written, in a folder that exists", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It is a device or a pipe: nothing that is written there could be read again.
    #[error("{}: not a regular file; STORAGE_FILEPATH must be one", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another server has them open.
    #[error("{}: in use by another server; stop it, or set STORAGE_FILEPATH to another file", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
}

/// The path of the closings that belong to the bets at `bets_path`.
pub fn closings_path(bets_path: &Path) -> PathBuf {
    let mut name = bets_path.as_os_str().to_owned();
    name.push(".closed");
    name.into()
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
