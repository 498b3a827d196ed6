//! The comparison of the stored bets with the files that were sent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use loteria::bet::{RowError, load_bets};
use loteria::client::source::{BetFile, BetSource, SourceError};

/// The contents of an agency's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Number of bets.
    pub bets: u64,
    /// The documents of the winners among them, in order.
    pub winners: Vec<u32>,
}

/// A fault of the stored bets, or of the files that they are compared with.
#[derive(Debug, Error)]
pub enum Difference {
    /// The stored bets can't be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A stored row is not a bet.
    #[error("the stored bets: {0}")]
    Row(#[from] RowError),
    /// An agency's file can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A stored row is not the next one of its agency's file.
    #[error("line {line} of the stored bets is not the next one of agency {agency}")]
    NotNext {
        /// The line.
        line: u64,
        /// The agency in that row.
        agency: u32,
    },
    /// Bets were sent but are not stored.
    #[error("of agency {agency}, only the first {stored} bets are stored")]
    Missing {
        /// The agency.
        agency: u32,
        /// Number of its bets that are stored.
        stored: u64,
    },
}

/// The stored bets of an agency, which are the first of its file, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The agency.
    pub agency: u32,
    /// Its file.
    pub path: PathBuf,
    /// Number of its bets that are stored.
    pub bets: u64,
    /// The documents of the winners among them, in order.
    pub winners: Vec<u32>,
    /// True if the file has no more.
    pub is_whole: bool,
}

/// Compares the bets that `rows` reads with the files of agencies: those of each must be the first of its file, in order.
/// Bets of other agencies are not compared. Those on `winning_number` win.
///
/// # Errors
/// The first [`Difference`].
pub fn compare_stored(
    rows: impl Read,
    files: &[(u32, PathBuf)],
    winning_number: u32,
) -> Result<Vec<Stored>, Difference> {
    compare_rows(rows, files, winning_number, |_| Ok(()))
}

/// Compares the bets in `stored` with the files of agencies 1, 2, ...: each bet of each file once, in the order of its file, and
/// no other. Those on `winning_number` win.
///
/// # Errors
/// The first [`Difference`].
pub fn compare(stored: &Path, files: &[PathBuf], winning_number: u32) -> Result<Vec<Sent>, Difference> {
    let rows = File::open(stored).map_err(|error| Difference::Io { path: stored.to_owned(), error })?;
    let files: Vec<(u32, PathBuf)> = (1..).zip(files.iter().cloned()).collect();
    let compared = compare_rows(rows, &files, winning_number, Err)?;
    if let Some(&Stored { agency, bets: stored, .. }) = compared.iter().find(|stored| !stored.is_whole) {
        return Err(Difference::Missing { agency, stored });
    }
    Ok(compared.into_iter().map(|Stored { bets, winners, .. }| Sent { bets, winners }).collect())
}

/// As [`compare_stored`]. `on_other` is given the difference that the bet of another agency would be.
fn compare_rows(
    rows: impl Read,
    files: &[(u32, PathBuf)],
    winning_number: u32,
    on_other: impl Fn(Difference) -> Result<(), Difference>,
) -> Result<Vec<Stored>, Difference> {
    let open = |(agency, path): &(u32, PathBuf)| {
        let stored = Stored { agency: *agency, path: path.clone(), bets: 0, winners: Vec::new(), is_whole: false };
        BetFile::open(path, *agency).map(|source| (*agency, (source, stored)))
    };
    let mut compared = files.iter().map(open).collect::<Result<BTreeMap<u32, _>, SourceError>>()?;
    let mut rows = load_bets(rows);
    let mut line = 0;
    while let Some(bet) = rows.next_bet()? {
        line += 1;
        let not_next = Difference::NotNext { line, agency: bet.agency };
        let Some((source, stored)) = compared.get_mut(&bet.agency) else {
            on_other(not_next)?;
            continue;
        };
        if source.peek()? != Some(bet) {
            return Err(not_next);
        }
        source.take();
        stored.bets += 1;
        stored.winners.extend(bet.has_won(winning_number).then_some(bet.document));
    }
    let end = |(mut source, stored): (BetFile, Stored)| Ok(Stored { is_whole: source.peek()?.is_none(), ..stored });
    compared.into_values().map(end).collect()
}
