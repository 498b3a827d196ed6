//! A file that only grows, by whole appends.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};

use thiserror::Error;

use crate::config::server::SyncPolicy;

/// The operations that a journal needs of its file. Writes go to the end, wherever reading stands.
pub trait Medium: Read + Write + Seek {
    /// Cuts the file to its first `bytes` bytes.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;

    /// Returns once what was written, and the length, would survive a power loss: fdatasync(2).
    ///
    /// # Errors
    /// The system's. The contents of the file are unknown from then on.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Reason why an append failed.
#[derive(Debug, Error)]
pub enum AppendError {
    /// Nothing of it is in the file, which can take the next one.
    #[error("{0}")]
    NotStored(io::Error),
    /// The contents of the file are unknown: a sync failed, or cutting back a failed write did. Trying again could
    /// succeed for pages that are gone, so the program must end, and recovery will tell.
    #[error("{0}; what is on disk can't be known any more")]
    Unknown(io::Error),
}

/// An append-only file.
#[derive(Debug)]
pub struct Journal<M> {
    medium: M,
    sync: SyncPolicy,
    /// The length of the file, in bytes, between appends.
    length: u64,
}

impl<M: Medium> Journal<M> {
    /// A journal at the end of a file of `length` bytes.
    pub(super) fn new(medium: M, sync: SyncPolicy, length: u64) -> Journal<M> {
        Journal { medium, sync, length }
    }

    /// The length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends `bytes` with one write (more if the system takes them in pieces) and one sync. Does nothing if there are
    /// none.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Err(error) = write_all(&mut self.medium, bytes) {
            self.cut_back_to(self.length)?;
            return Err(AppendError::NotStored(error));
        }
        if let Err(error) = self.sync() {
            self.give_up();
            return Err(AppendError::Unknown(error));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Takes everything behind the first `length` bytes out of the file again, for good: were it still there after a
    /// crash, an agency that was told that its batch is not stored would find it stored.
    ///
    /// # Errors
    /// [`AppendError::Unknown`].
    pub(super) fn cut_back_to(&mut self, length: u64) -> Result<(), AppendError> {
        self.medium.set_len(length).and_then(|()| self.sync()).map_err(AppendError::Unknown)?;
        self.length = length;
        Ok(())
    }

    /// Takes bytes that could not be synced out of the file, if it can. The system still shows them, though the disk may
    /// not hold them, and reports the next sync as good: the next run would count these rows as stored.
    fn give_up(&mut self) {
        // The program ends in any case.
        let _ = self.medium.set_len(self.length);
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.sync {
            SyncPolicy::Always => self.medium.sync(),
            SyncPolicy::Never => Ok(()),
        }
    }
}

fn write_all(medium: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match medium.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
