//! The source of the bets of an agency: a file, or the environment.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

use crate::bet::{Bet, Day, InvalidBet, RowError, RowFault, Rows, Tally};
use crate::buffer::Buffer;
use crate::config::client::{BetVariables, BetsFrom};
use crate::logging::Excerpt;
use crate::protocol::{self, Batch};

/// The bets of one agency, in order, each valid.
pub trait BetSource {
    /// Goes to the bet that follows the `stored` ones, which must be the first of this source.
    ///
    /// # Errors
    /// [`SourceError::StoredMore`], [`SourceError::StoredOthers`] or [`SourceError::Unsure`] if they are not, and errors of
    /// reading.
    fn resume_after(&mut self, stored: Tally) -> Result<(), SourceError>;

    /// The next bet, the same until it is [taken](BetSource::take); `None` after the last.
    ///
    /// # Errors
    /// If it can't be read, or is not valid.
    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError>;

    /// Goes on behind the bet that was peeked at.
    fn take(&mut self);

    /// True if these are all the bets of the agency, so that it closes after them.
    fn is_whole_agency(&self) -> bool;

    /// Adds the next bets to `batch` until it has `at_most`, no more fit, or there are no more. Gives the document and the
    /// number of the last one that was added.
    ///
    /// # Errors
    /// If a bet can't be read, or is not valid.
    fn fill(&mut self, batch: &mut Batch<'_>, at_most: u32) -> Result<Option<(u32, u32)>, SourceError> {
        fill_one_by_one(self, batch, at_most)
    }
}

#[inline(always)]
fn fill_one_by_one<S: BetSource + ?Sized>(
    source: &mut S,
    batch: &mut Batch<'_>,
    at_most: u32,
) -> Result<Option<(u32, u32)>, SourceError> {
    let mut last = None;
    while batch.bets() < at_most
        && let Some(bet) = source.peek()?
        && batch.push(&bet).is_ok()
    {
        last = Some((bet.document, bet.number));
        source.take();
    }
    Ok(last)
}

impl<S: BetSource + ?Sized> BetSource for Box<S> {
    fn resume_after(&mut self, stored: Tally) -> Result<(), SourceError> {
        (**self).resume_after(stored)
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        (**self).peek()
    }

    fn take(&mut self) {
        (**self).take();
    }

    fn is_whole_agency(&self) -> bool {
        (**self).is_whole_agency()
    }

    /// One dynamic call for a batch instead of two for each bet.
    fn fill(&mut self, batch: &mut Batch<'_>, at_most: u32) -> Result<Option<(u32, u32)>, SourceError> {
        (**self).fill(batch, at_most)
    }
}

/// Reason why the next bet can't be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("{}: there is no such file; set CLI_BETS_FILE to the agency's file of bets, or make one with `make data`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be opened or read.
    #[error("{}: {error}; CLI_BETS_FILE must be a file that can be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Another program wrote to the file.
    #[error(
        "{} was changed while it was read, so bets of two files may be stored; nothing was closed: start the agency again, \
         which compares the file with what is stored", path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A row is no valid bet.
    #[error("{} {error}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row and the reason.
        error: RowError,
    },
    /// The bet of the environment is not valid.
    #[error("{variable}: {:?}: {fault}", Excerpt(value))]
    Variable {
        /// The variable that is wrong.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The reason.
        fault: InvalidBet,
    },
    /// The server has more bets of this agency than the file.
    #[error("the server has {stored} bets of this agency, and {} holds only {held}: is it the file that was sent?", path.display())]
    StoredMore {
        /// The file.
        path: PathBuf,
        /// Bets that the server has.
        stored: u64,
        /// Bets that the file has.
        held: u64,
    },
    /// The stored bets are not those that the file begins with.
    #[error(
        "the server has {stored} of this agency, and the first {} of {} have checksum {:08x}: another file was sent \
         before; send that one, or begin a new round: stop the server and move bets.csv and its companions away",
        held.bets, path.display(), held.checksum
    )]
    StoredOthers {
        /// The file.
        path: PathBuf,
        /// Bets that the server has.
        stored: Tally,
        /// As many bets of the file.
        held: Tally,
    },
    /// Another process sent bets of this agency meanwhile.
    #[error(
        "the server has {stored} of this agency, some of them from another client, so it can't be told if this bet is one \
         of them; look for it in bets.csv"
    )]
    Unsure {
        /// Bets that the server has.
        stored: Tally,
    },
}

/// The source that the configuration names, for `agency`.
///
/// # Errors
/// [`SourceError`] if there is no such file, or the bet of the environment is not valid.
pub fn open(from: &BetsFrom, agency: u32) -> Result<Box<dyn BetSource>, SourceError> {
    Ok(match from {
        BetsFrom::Environment(variables) => Box::new(OneBet::new(variables, agency)?),
        BetsFrom::File(path) => Box::new(BetFile::open(path, agency)?),
    })
}

/// A file of the course's format: `first name,last name,document,birthdate,number`, no header.
#[derive(Debug)]
pub struct BetFile {
    path: PathBuf,
    agency: u32,
    rows: Rows<Arc<File>>,
    file: Arc<File>,
    /// `None` once it was read whole: what becomes of it then does not matter.
    opened_as: Contents,
    /// The bets in front of the next one.
    taken: Tally,
}

impl BetFile {
    /// The bets in the file at `path`, from the first.
    ///
    /// # Errors
    /// [`SourceError::Missing`], [`SourceError::Io`].
    pub fn open(path: &Path, agency: u32) -> Result<BetFile, SourceError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => SourceError::Missing { path: path.to_owned() },
            _ => SourceError::Io { path: path.to_owned(), error },
        };
        let file = Arc::new(File::open(path).map_err(failed)?);
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let opened_as = contents_of(&file).map_err(failed)?;
        let rows = Rows::new(Arc::clone(&file), Some(agency), Day::today());
        Ok(BetFile { path: path.to_owned(), agency, rows, file, opened_as, taken: Tally::default() })
    }
}

/// The length of a file and the time of its last change; `None` of a pipe, which is written to while it is read.
type Contents = Option<(u64, SystemTime)>;

fn contents_of(file: &File) -> io::Result<Contents> {
    let metadata = file.metadata()?;
    let contents = || metadata.modified().map(|modified| (metadata.len(), modified));
    metadata.is_file().then(contents).transpose()
}

impl SourceError {
    #[cold]
    fn of_row(path: &Path, error: RowError) -> SourceError {
        let path = path.to_owned();
        match error {
            RowError { fault: RowFault::Unreadable(error), .. } => SourceError::Io { path, error },
            error => SourceError::Row { path, error },
        }
    }
}

impl BetSource for BetFile {
    fn resume_after(&mut self, stored: Tally) -> Result<(), SourceError> {
        if stored.bets < self.taken.bets {
            *self = BetFile::open(&self.path, self.agency)?;
        }
        let mut unsent = Buffer::new();
        while self.taken.bets < stored.bets {
            let left = u32::try_from(stored.bets - self.taken.bets).unwrap_or(u32::MAX);
            if self.fill(&mut Batch::begin(&mut unsent), left)?.is_none() {
                let (stored, held) = (stored.bets, self.taken.bets);
                return Err(SourceError::StoredMore { path: self.path.clone(), stored, held });
            }
        }
        if self.taken == stored {
            return Ok(());
        }
        Err(SourceError::StoredOthers { path: self.path.clone(), stored, held: self.taken })
    }

    #[inline(always)]
    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        match self.rows.peek() {
            // Behind the last bet the agency closes, and the stored bets must be those of one file then.
            Ok(None) => check_unchanged(&self.path, &self.file, self.opened_as.take()).map(|()| None),
            peeked => peeked.map_err(|error| SourceError::of_row(&self.path, error)),
        }
    }

    #[inline(always)]
    fn take(&mut self) {
        self.rows.take();
    }

    #[inline(always)]
    fn fill(&mut self, batch: &mut Batch<'_>, at_most: u32) -> Result<Option<(u32, u32)>, SourceError> {
        debug_assert_eq!(batch.bets(), 0, "a batch is filled once");
        let filled = fill_one_by_one(self, batch, at_most);
        self.taken.extend(batch.bets(), batch.encoded_bets());
        filled
    }

    fn is_whole_agency(&self) -> bool {
        true
    }
}

#[cold]
fn check_unchanged(path: &Path, file: &File, opened_as: Contents) -> Result<(), SourceError> {
    let now = contents_of(file).map_err(|error| SourceError::Io { path: path.to_owned(), error })?;
    if opened_as.is_none() || opened_as == now { Ok(()) } else { Err(SourceError::Changed { path: path.to_owned() }) }
}

/// The bet of exercise 5, from five environment variables.
#[derive(Debug)]
pub struct OneBet {
    variables: BetVariables,
    agency: u32,
    /// Bets that the agency had before this one, once known.
    before: Option<Tally>,
    is_taken: bool,
}

impl OneBet {
    /// The bet that `variables` say.
    ///
    /// # Errors
    /// [`SourceError::Variable`] for the first that is not valid.
    pub fn new(variables: &BetVariables, agency: u32) -> Result<OneBet, SourceError> {
        let bet = OneBet { variables: variables.clone(), agency, before: None, is_taken: false };
        bet.bet()?;
        Ok(bet)
    }

    fn bet(&self) -> Result<Bet<'_>, SourceError> {
        let BetVariables { first_name, last_name, document, birthdate, number } = &self.variables;
        let fields = [first_name, last_name, document, birthdate, number].map(|text| text.as_bytes());
        let bet = Bet::parse(self.agency, fields).and_then(|bet| bet.validate(Day::today()).map(|()| bet));
        bet.map_err(|fault| {
            let (variable, value) = match fault {
                InvalidBet::FirstName(_) => ("NOMBRE", first_name),
                InvalidBet::LastName(_) => ("APELLIDO", last_name),
                InvalidBet::Document => ("DOCUMENTO", document),
                InvalidBet::Birthdate => ("NACIMIENTO", birthdate),
                InvalidBet::Number => ("NUMERO", number),
            };
            SourceError::Variable { variable, value: value.clone(), fault }
        })
    }
}

impl BetSource for OneBet {
    /// The agency may have had any bets before: the first that are heard to be stored are those. Later this one is there, or
    /// not, or another client has sent bets meanwhile.
    fn resume_after(&mut self, stored: Tally) -> Result<(), SourceError> {
        let before = *self.before.get_or_insert(stored);
        let mut with_it = before;
        let mut encoded = Buffer::new();
        protocol::encode_bet(&self.bet()?, &mut encoded);
        with_it.extend(1, &encoded);
        self.is_taken = stored == with_it;
        if stored == before || stored == with_it {
            return Ok(());
        }
        // One bet has come, and it is not this one.
        if stored.bets == before.bets + 1 {
            self.before = Some(stored);
            return Ok(());
        }
        Err(SourceError::Unsure { stored })
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        if self.is_taken { Ok(None) } else { self.bet().map(Some) }
    }

    fn take(&mut self) {
        self.is_taken = true;
    }

    fn is_whole_agency(&self) -> bool {
        false
    }
}
