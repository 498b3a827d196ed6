//! The comparison of the stored bets with the files that were sent.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use loteria::bet::{RowError, WINNER_NUMBER, load_bets};
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

/// Compares the bets in `stored` with the files of agencies 1, 2, ...: each bet of each file once, in the order of its file, and
/// no other.
///
/// # Errors
/// The first [`Difference`].
pub fn compare(stored: &Path, files: &[PathBuf]) -> Result<Vec<Sent>, Difference> {
    let open = |(agency, file): (u32, &PathBuf)| BetFile::open(file, agency);
    let mut sources = (1..).zip(files).map(open).collect::<Result<Vec<BetFile>, SourceError>>()?;
    let mut sent = vec![Sent::default(); files.len()];

    let rows = File::open(stored).map_err(|error| Difference::Io { path: stored.to_owned(), error })?;
    let mut rows = load_bets(rows);
    let mut line = 0;
    while let Some(bet) = rows.next_bet()? {
        line += 1;
        let not_next = Difference::NotNext { line, agency: bet.agency };
        let index = (bet.agency as usize).wrapping_sub(1);
        let Some((source, sent)) = sources.get_mut(index).zip(sent.get_mut(index)) else { return Err(not_next) };
        if source.peek()? != Some(bet) {
            return Err(not_next);
        }
        source.take();
        sent.bets += 1;
        sent.winners.extend(bet.has_won(WINNER_NUMBER).then_some(bet.document));
    }
    for ((agency, source), sent) in (1..).zip(&mut sources).zip(&sent) {
        if source.peek()?.is_some() {
            return Err(Difference::Missing { agency, stored: sent.bets });
        }
    }
    Ok(sent)
}
