//! An open file and the name under which others see it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::whole::{DiskWholeFile, WholeFile};
use crate::planted::{Fault, planted};

/// The operations that the ledger needs of a file. Writes go to the end, wherever reading stands.
pub trait Medium: Read + Write + Seek {
    /// A file that is written whole on the same disk.
    type Whole: WholeFile;

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

    /// Writes `bytes` at `offset`, and syncs nothing.
    ///
    /// # Errors
    /// The system's. A part of `bytes` may have been written.
    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// The path at which the file was opened.
    fn path(&self) -> &Path;

    /// The file that has that path now.
    ///
    /// # Errors
    /// The system's.
    fn at_path(&self) -> io::Result<AtPath>;
}

/// The file that has the path of an open one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPath {
    /// The open one itself.
    Same {
        /// Its length in bytes.
        length: u64,
    },
    /// Another one.
    Other,
    /// None.
    Missing,
}

/// The change of a file that its server has open.
#[derive(Debug, Error)]
pub enum Change {
    /// Its path names nothing.
    #[error("it was removed or renamed")]
    Removed,
    /// Its path names another file.
    #[error("another file has taken its place")]
    Replaced,
    /// Another program has cut it or written to it.
    #[error("it has {found} bytes instead of {written}, so another program cut it or wrote to it")]
    Length {
        /// The bytes that it has.
        found: u64,
        /// The bytes that the server has written.
        written: u64,
    },
    /// The system can't tell.
    #[error("its path can't be looked up: {0}")]
    Unreachable(io::Error),
}

/// Checks with one `stat` that `medium` is the file at its path and has the `written` bytes.
pub(super) fn check(medium: &impl Medium, written: u64) -> Result<(), Change> {
    match medium.at_path().map_err(Change::Unreachable)? {
        AtPath::Same { length } if length == written || planted(Fault::LengthUnnoticed) => Ok(()),
        AtPath::Same { length: found } => Err(Change::Length { found, written }),
        AtPath::Other if planted(Fault::ReplacedUnnoticed) => Ok(()),
        AtPath::Other => Err(Change::Replaced),
        AtPath::Missing => Err(Change::Removed),
    }
}

/// An open file of the disk.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl DiskFile {
    /// The `file` that was opened at `path`.
    pub(super) fn new(file: File, path: &Path, metadata: &Metadata) -> DiskFile {
        DiskFile { file, path: path.to_owned(), identity: identity(metadata) }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Read for DiskFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for DiskFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Medium for DiskFile {
    type Whole = DiskWholeFile;

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn at_path(&self) -> io::Result<AtPath> {
        match fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.identity => Ok(AtPath::Same { length: found.len() }),
            Ok(_) => Ok(AtPath::Other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(AtPath::Missing),
            Err(error) => Err(error),
        }
    }
}
