//! A file that only grows, by whole appends.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use blake3::Hasher;
use thiserror::Error;

use super::SyncPolicy;
use super::digest::{Extent, extent};
use super::medium::{self, Change, Medium};

/// Reason why an append failed.
#[derive(Debug, Error)]
pub enum AppendError {
    /// Nothing of it is in the file, which can take the next one.
    #[error("{0}")]
    NotStored(io::Error),
    /// The contents of the file are unknown: a sync failed, or cutting back a failed write did. Trying again could
    /// succeed for pages that are gone, so the program must end, and recovery will tell.
    #[error("{}: {error}; what is on disk can't be known any more", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file is no longer the one that was written, so what was acknowledged may not be in it.
    #[error("{} was changed while the server ran: {change}; put back what was stored, then start again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The change.
        change: Change,
    },
}

/// An append-only file.
#[derive(Debug)]
pub(super) struct Journal<M> {
    medium: M,
    sync: SyncPolicy,
    /// Everything that the file holds between appends.
    written: Hasher,
}

/// An end of a journal, to cut it back to.
pub(super) struct Mark(Hasher);

impl<M: Medium> Journal<M> {
    /// A journal at the end of a file that holds `written`.
    pub fn new(medium: M, sync: SyncPolicy, written: Hasher) -> Journal<M> {
        Journal { medium, sync, written }
    }

    /// The end of the file.
    pub fn mark(&self) -> Mark {
        Mark(self.written.clone())
    }

    /// The whole file.
    pub fn extent(&self) -> Extent {
        extent(&self.written)
    }

    /// The file as it would be with `bytes` appended.
    pub fn extent_with(&self, bytes: &[u8]) -> Extent {
        extent(self.written.clone().update(bytes))
    }

    /// Appends `bytes` with one write (more if the system takes them in pieces) and one sync. Does nothing if there are
    /// none.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Err(FailedWrite { written, error }) = write_all(&mut self.medium, bytes) {
            let length = self.written.count();
            self.cut(length + written as u64, length)?;
            return Err(AppendError::NotStored(error));
        }
        if let Err(error) = self.sync() {
            self.give_up();
            return Err(self.unknown(error));
        }
        self.written.update(bytes);
        Ok(())
    }

    /// Takes everything behind `mark` out of the file again.
    ///
    /// # Errors
    /// [`AppendError::Unknown`] or [`AppendError::Changed`].
    pub fn cut_back_to(&mut self, Mark(written): Mark) -> Result<(), AppendError> {
        self.cut(self.written.count(), written.count())?;
        self.written = written;
        Ok(())
    }

    /// Checks that the file is the one at its path, and holds as much as was written.
    ///
    /// # Errors
    /// [`AppendError::Changed`].
    pub fn check(&self) -> Result<(), AppendError> {
        self.check_length(self.written.count())
    }

    /// Cuts the file from one length to another, for good: were the rest still there after a crash, an agency that was
    /// told that its batch is not stored would find it stored. A file that others have cut would be filled up with zeros.
    fn cut(&mut self, from: u64, to: u64) -> Result<(), AppendError> {
        self.check_length(from)?;
        self.medium.set_len(to).and_then(|()| self.sync()).map_err(|error| self.unknown(error))
    }

    fn check_length(&self, bytes: u64) -> Result<(), AppendError> {
        let path = || self.medium.path().to_owned();
        medium::check(&self.medium, bytes).map_err(|change| AppendError::Changed { path: path(), change })
    }

    /// Takes bytes that could not be synced out of the file, if it can. The system still shows them, though the disk may
    /// not hold them, and reports the next sync as good: the next run would count these rows as stored.
    fn give_up(&mut self) {
        // The program ends in any case.
        let _ = self.medium.set_len(self.written.count());
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.sync {
            SyncPolicy::Always => self.medium.sync(),
            SyncPolicy::Never => Ok(()),
        }
    }

    fn unknown(&self, error: io::Error) -> AppendError {
        AppendError::Unknown { path: self.medium.path().to_owned(), error }
    }
}

/// A write that stopped after `written` bytes.
struct FailedWrite {
    written: usize,
    error: io::Error,
}

fn write_all(medium: &mut impl Write, bytes: &[u8]) -> Result<(), FailedWrite> {
    let mut written = 0;
    while written < bytes.len() {
        match medium.write(&bytes[written..]) {
            Ok(0) => return Err(FailedWrite { written, error: ErrorKind::WriteZero.into() }),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(FailedWrite { written, error }),
        }
    }
    Ok(())
}
