//! A file that only grows, by whole commits.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};

use thiserror::Error;

use crate::buffer::Buffer;
use crate::planted::{Fault, planted};

/// What a journal needs of its file. Writes go to the end, wherever reading stands.
pub trait Medium: Read + Write + Seek {
    /// Cuts the file to its first `bytes` bytes.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;

    /// Returns once what was written, and the length, would survive a power loss: fdatasync(2).
    ///
    /// # Errors
    /// The system's. What the file holds from then on is unknown.
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

/// When a commit reaches the disk itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before the commit returns: it survives a power loss.
    Always,
    /// When the system sees fit: it survives the death of the process, and no more.
    Never,
}

impl Sync {
    /// The policy that the configuration calls by this name.
    pub fn from_name(name: &str) -> Option<Sync> {
        [Sync::Always, Sync::Never].into_iter().find(|sync| sync.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Sync::Always => "always",
            Sync::Never => "never",
        }
    }
}

impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a commit failed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Nothing of it is in the file, which can take the next commit.
    #[error("{0}")]
    NotStored(io::Error),
    /// What is in the file can't be known any more: a sync failed, or cutting back a failed write did. Trying again could
    /// succeed for pages that are gone, so the program must end, and recovery will tell.
    #[error("{0}; what is on disk can't be known any more")]
    Unknown(io::Error),
}

/// An append-only file and what waits to be appended to it.
#[derive(Debug)]
pub struct Journal<M> {
    medium: M,
    sync: Sync,
    /// Bytes of the file that are committed: all of it, between commits.
    committed: u64,
    staged: Buffer,
}

/// What a burst may leave allocated for the rows of the next one.
const KEPT_CAPACITY: usize = 1 << 20;

impl<M: Medium> Journal<M> {
    /// A journal at the end of a file of `committed` bytes.
    pub(super) fn new(medium: M, sync: Sync, committed: u64) -> Journal<M> {
        Journal { medium, sync, committed, staged: Buffer::new() }
    }

    /// The rows of the next commit, to append to.
    pub(super) fn staged(&mut self) -> &mut Buffer {
        &mut self.staged
    }

    /// How many bytes the next commit has.
    pub fn staged_bytes(&self) -> usize {
        self.staged.len()
    }

    /// Appends what is staged with one write (more if the system takes it in pieces) and one sync.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn commit(&mut self) -> Result<(), CommitError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let written = write_all(&mut self.medium, &self.staged);
        let bytes = self.staged.len() as u64;
        self.staged.clear();
        self.staged.shrink_to(KEPT_CAPACITY);
        if let Err(error) = written {
            if !planted(Fault::NoCutBack) {
                self.cut_back().map_err(CommitError::Unknown)?;
            }
            return Err(CommitError::NotStored(error));
        }
        if let Err(error) = self.sync() {
            self.give_up();
            return Err(CommitError::Unknown(error));
        }
        self.committed += bytes;
        Ok(())
    }

    /// Takes what could not be synced out of the file, if it can. The system shows it still, though the disk may not hold it, and
    /// would say of the next sync that all is well: the next run would count these rows as stored.
    fn give_up(&mut self) {
        if !planted(Fault::UnsyncedLeft) {
            // The program ends in any case.
            let _ = self.medium.set_len(self.committed);
        }
    }

    /// Takes a part of a write out of the file again, for good: were it still there after a crash, an agency that was
    /// told that its batch is not stored would find it stored.
    fn cut_back(&mut self) -> io::Result<()> {
        self.medium.set_len(self.committed)?;
        self.sync()
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.sync {
            Sync::Always if !planted(Fault::ReplyBeforeSync) => self.medium.sync(),
            Sync::Always | Sync::Never => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_burst_allocated_is_given_back_once_it_is_committed() {
        let file = tempfile::tempfile().expect("a file");
        let mut journal = Journal::new(file, Sync::Never, 0);
        journal.staged().extend_from_slice(&vec![b'x'; 8 * KEPT_CAPACITY]);
        journal.commit().expect("stored");
        assert!(journal.staged.capacity() <= KEPT_CAPACITY, "{} bytes", journal.staged.capacity());
    }
}
