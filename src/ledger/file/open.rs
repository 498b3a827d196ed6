//! Opening the files: regular, locked, together, and durable by name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Files;
use super::medium::DiskFile;
use super::whole::DiskWholeFile;

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
    /// A file system without locks.
    #[error("{} can't be locked against a second server: {error}; its file system must support flock", path.display())]
    Unlockable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// One of the two files of a round is there, and the other is not.
    #[error(
        "{} holds a round, and {} is missing; restore both from one copy, or move all files of the round away",
        present.display(), missing.display()
    )]
    Alone {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The names of the files are not known to be durable.
    #[error(
        "the folder {} can't be synced: {error}; new files in it could be lost with the power, so the server must be able \
         to read it and its file system to sync it",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

/// The path of a companion of the bets at `bets_path`: `extension` is `closed`, `state` or `draw`.
pub fn beside(bets_path: &Path, extension: &str) -> PathBuf {
    let mut name = bets_path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Opens the bets at `path` and their companions beside them, creating what is missing, and locks them until they are
/// closed.
///
/// # Errors
/// [`OpenError`]. Bets without closings are half a round, and so are closings without bets, unless they are empty.
pub fn open(path: &Path) -> Result<Files<DiskFile>, OpenError> {
    let (closings_path, state_path) = (beside(path, "closed"), beside(path, "state"));
    require_both(path, &closings_path)?;
    let bets = open_locked(path, OpenOptions::new().append(true))?;
    let closings = open_locked(&closings_path, OpenOptions::new().append(true))?;
    // Its slots are written over, which O_APPEND prevents.
    let state = open_locked(&state_path, OpenOptions::new().write(true))?;
    for file in [path, &closings_path, &state_path] {
        let folder = folder_of(file).map_err(|error| OpenError::Io { path: file.to_owned(), error })?;
        sync_folder(&folder).map_err(|error| OpenError::Folder { folder, error })?;
    }
    Ok(Files { bets, closings, state, certificate: DiskWholeFile::new(beside(path, "draw")) })
}

/// Refuses half a round. A server that starts at the same time creates both files and stores nothing before they are
/// locked.
pub(super) fn require_both(bets: &Path, closings: &Path) -> Result<(), OpenError> {
    let length = |path: &Path| match fs::metadata(path) {
        Ok(metadata) => Ok(Some(if metadata.is_file() { metadata.len() } else { 0 })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::Io { path: path.to_owned(), error }),
    };
    match (length(bets)?, length(closings)?) {
        (Some(1..), None) => Err(OpenError::Alone { present: bets.to_owned(), missing: closings.to_owned() }),
        (None, Some(1..)) => Err(OpenError::Alone { present: closings.to_owned(), missing: bets.to_owned() }),
        _ => Ok(()),
    }
}

fn open_locked(path: &Path, options: &mut OpenOptions) -> Result<DiskFile, OpenError> {
    let failed = |error| OpenError::Io { path: path.to_owned(), error };
    let file = options.read(true).create(true).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(OpenError::NotAFile { path: path.to_owned() });
    }
    match file.try_lock() {
        Ok(()) => Ok(DiskFile::new(file, path, &metadata)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(OpenError::Unlockable { path: path.to_owned(), error }),
    }
}

/// The folder that holds the name of the file itself, behind any symbolic links.
pub(super) fn folder_of(path: &Path) -> io::Result<PathBuf> {
    let file = fs::canonicalize(path)?;
    Ok(file.parent().expect("a file is in a folder").to_owned())
}

/// Makes the names of newly created files durable, see fsync(2).
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dangling_links_file_is_created_and_its_own_folder_is_synced() {
        let folder = tempfile::tempdir().expect("a folder");
        let [near, far] = ["near", "far"].map(|name| folder.path().join(name));
        fs::create_dir(&near).expect("created");
        fs::create_dir(&far).expect("created");
        std::os::unix::fs::symlink("../far/bets.csv", near.join("bets.csv")).expect("linked");
        open(&near.join("bets.csv")).expect("opened");
        assert_eq!(folder_of(&near.join("bets.csv")).expect("it exists"), fs::canonicalize(far).expect("it exists"));
        let near = fs::canonicalize(near).expect("it exists");
        assert_eq!(folder_of(&near.join("bets.csv.closed")).expect("it exists"), near);
    }

    #[test]
    fn a_folder_that_can_not_be_synced_is_named() {
        let folder = Path::new("/proc/self");
        let error = sync_folder(folder).expect_err("proc(5) has no syncs");
        let refused = OpenError::Folder { folder: folder.to_owned(), error }.to_string();
        assert!(refused.starts_with("the folder /proc/self can't be synced: "), "{refused}");
        assert!(!refused.contains("STORAGE_FILEPATH"), "{refused}");
    }
}
