//! Reasons for which the files of a round can't be used, and their remedies.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::certificate::Discrepancy;
use crate::bet::RowError;

/// Reason why the files can't be used. They are as they were. `R` is the refusal of the lottery that replays them.
#[derive(Debug, Error)]
pub enum RecoveryError<R: Error + 'static> {
    /// The system fails.
    #[error("{}: it can't be {operation}: {error}; check the disk, then start again", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        operation: Operation,
        /// The system's error.
        error: io::Error,
    },
    /// A file is not what the program writes.
    #[error(
        "{} is damaged, {damage}; restore all files of the round from a copy, or move all of them away to begin a new round",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        damage: Damage,
    },
    /// A file does not hold what was stored.
    #[error(
        "{} was changed by something other than a crash, {alteration}; restore it from a copy, or remove {} to go on with it \
         as it is, or move all files of the round away to begin a new round",
        path.display(), state.display()
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The state file, which says what was stored.
        state: PathBuf,
        /// The change.
        alteration: Alteration,
    },
    /// The certificate of the draw is of other files.
    #[error(
        "{} was written with the draw and the other files do not fit it, {discrepancy}; restore all files of the round from \
         one copy, or remove it to draw again from the files as they are",
        certificate.display()
    )]
    NotAsDrawn {
        /// The certificate.
        certificate: PathBuf,
        /// The first difference.
        discrepancy: Discrepancy,
    },
    /// A row contradicts the rows before it or the configuration. The refusal says what to do.
    #[error("{}, line {line}: {refusal}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The line of the row, from 1.
        line: u64,
        /// The reason.
        refusal: R,
    },
}

/// An operation at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading, or seeking before it.
    Read,
    /// Cutting off what a crash left unfinished.
    Cut,
    /// Making it durable.
    Sync,
    /// Writing it whole.
    Write,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Operation::Read => "read",
            Operation::Cut => "cut to its whole rows",
            Operation::Sync => "synced",
            Operation::Write => "written",
        })
    }
}

/// Reason why a file can't be what the program wrote.
#[derive(Debug, Error)]
pub enum Damage {
    /// A row is no row of it.
    #[error("{0}")]
    Row(#[from] RowError),
    /// The bytes behind the last line break can't be the beginning of a row.
    #[error("its last {bytes} bytes are no beginning of a row")]
    Tail {
        /// The number of bytes.
        bytes: u64,
    },
}

/// The difference between a file and the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Alteration {
    /// It is shorter.
    #[error("the last {missing} of its {stored} bytes are missing, as after a power loss with STORAGE_SYNC = never")]
    Shorter {
        /// The bytes that are missing.
        missing: u64,
        /// The bytes that were stored.
        stored: u64,
    },
    /// It begins with other bytes.
    #[error("its first {stored} bytes are not those that were stored")]
    OtherContents {
        /// The bytes that were stored.
        stored: u64,
    },
}
