//! What a contest came to: whether the stored bets are those that were sent.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use loteria::bet::{RowError, load_bets};
use loteria::client::source::{BetFile, BetSource, SourceError};

/// What one agency sent, as its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many bets.
    pub bets: u64,
    /// The documents of the winners among them, in order.
    pub winners: Vec<u32>,
}

/// What is wrong with what is stored.
#[derive(Debug, Error)]
pub enum Difference {
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A stored row is no bet.
    #[error("the stored bets: {0}")]
    Row(#[from] RowError),
    /// A file of bets can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A row is stored that the agency did not send there.
    #[error("line {line} of the stored bets is not the next one of agency {agency}")]
    NotNext {
        /// The line.
        line: u64,
        /// Whose bet it says to be.
        agency: u32,
    },
    /// Bets were sent and are not stored.
    #[error("of agency {agency}, only the first {stored} bets are stored")]
    Missing {
        /// Whose.
        agency: u32,
        /// How many are.
        stored: u64,
    },
}

/// Compares the bets stored at `stored` with the files of agencies 1, 2, ...: each bet of each file once, an agency's in the
/// order of its file, and no other.
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
        sent.winners.extend(bet.has_won().then_some(bet.document));
    }
    for ((agency, source), sent) in (1..).zip(&mut sources).zip(&sent) {
        if source.peek()?.is_some() {
            return Err(Difference::Missing { agency, stored: sent.bets });
        }
    }
    Ok(sent)
}
