//! A file that is written once, whole or not at all: beside its path, then renamed.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::open::{beside, folder_of, sync_folder};

/// The steps in which a file comes to its path. After a crash between any two of them it is there whole, or not there.
pub trait WholeFile: Debug {
    /// The path.
    fn path(&self) -> &Path;

    /// The contents of the file at its path, if there is one.
    ///
    /// # Errors
    /// The system's.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>>;

    /// Writes `bytes` to a file beside the path, in place of what is there.
    ///
    /// # Errors
    /// The system's.
    fn write_beside(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes that file durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_beside(&mut self) -> io::Result<()>;

    /// Gives that file the path.
    ///
    /// # Errors
    /// The system's.
    fn rename(&mut self) -> io::Result<()>;

    /// Makes the name durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// Such a file of the disk.
#[derive(Debug)]
pub struct DiskWholeFile {
    path: PathBuf,
    /// The file beside the path.
    written: Option<File>,
}

impl DiskWholeFile {
    pub(super) fn new(path: PathBuf) -> DiskWholeFile {
        DiskWholeFile { path, written: None }
    }

    fn path_beside(&self) -> PathBuf {
        beside(&self.path, "new")
    }
}

impl WholeFile for DiskWholeFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_beside(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.path_beside())?;
        if let Err(error) = file.write_all(bytes) {
            // It takes room on a disk that may be full.
            let _ = fs::remove_file(self.path_beside());
            return Err(error);
        }
        self.written = Some(file);
        Ok(())
    }

    fn sync_beside(&mut self) -> io::Result<()> {
        self.written.take().map_or(Ok(()), |file| file.sync_all())
    }

    fn rename(&mut self) -> io::Result<()> {
        fs::rename(self.path_beside(), &self.path)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        sync_folder(&folder_of(&self.path)?)
    }
}
