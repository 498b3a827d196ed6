//! Where the bets of an agency come from.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use super::rows::Fault;
use super::rows::{Rows, parse_number};
use crate::bet::{Bet, Day, InvalidBet};
use crate::config::client::{BetVariables, BetsFrom};
use crate::protocol::Batch;

/// The bets of one agency, in order, each valid.
pub trait BetSource {
    /// Makes the next bet the one that follows when `stored` bets of the agency are stored.
    ///
    /// # Errors
    /// [`SourceError::StoredMore`] if there are not as many, and what reading can run into.
    fn resume_after(&mut self, stored: u64) -> Result<(), SourceError>;

    /// The next bet, the same until it is [taken](BetSource::take); `None` after the last.
    ///
    /// # Errors
    /// If it can't be read, or is not valid.
    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError>;

    /// Goes on to the bet after the one that was peeked at.
    fn take(&mut self);

    /// Adds the next bet to `batch` and goes on to the one after it. Gives the document and the number of the one that was added:
    /// `None` if it does not fit, or there is none.
    ///
    /// # Errors
    /// If the bet can't be read, or is not valid.
    fn push(&mut self, batch: &mut Batch<'_>) -> Result<Option<(u32, u32)>, SourceError> {
        push_peeked(self, batch)
    }

    /// Adds the next bets to `batch` until it holds `at_most`, no more fit, or there are no more. Gives the document and the
    /// number of the last one that was added.
    ///
    /// # Errors
    /// If a bet can't be read, or is not valid.
    fn fill(&mut self, batch: &mut Batch<'_>, at_most: u32) -> Result<Option<(u32, u32)>, SourceError> {
        let mut last = None;
        while batch.bets() < at_most
            && let Some(pushed) = self.push(batch)?
        {
            last = Some(pushed);
        }
        Ok(last)
    }

    /// Whether these are all the bets of the agency, so that it closes after them.
    fn is_whole_agency(&self) -> bool;
}

/// Adds the bet that is next to be taken from `source`: see [`BetSource::push`].
fn push_peeked(
    source: &mut (impl BetSource + ?Sized),
    batch: &mut Batch<'_>,
) -> Result<Option<(u32, u32)>, SourceError> {
    let Some(bet) = source.peek()? else { return Ok(None) };
    let pushed = batch.push(&bet).is_ok().then_some((bet.document, bet.number));
    if pushed.is_some() {
        source.take();
    }
    Ok(pushed)
}

impl<S: BetSource + ?Sized> BetSource for Box<S> {
    fn resume_after(&mut self, stored: u64) -> Result<(), SourceError> {
        (**self).resume_after(stored)
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        (**self).peek()
    }

    fn take(&mut self) {
        (**self).take();
    }

    fn push(&mut self, batch: &mut Batch<'_>) -> Result<Option<(u32, u32)>, SourceError> {
        (**self).push(batch)
    }

    fn fill(&mut self, batch: &mut Batch<'_>, at_most: u32) -> Result<Option<(u32, u32)>, SourceError> {
        (**self).fill(batch, at_most)
    }

    fn is_whole_agency(&self) -> bool {
        (**self).is_whole_agency()
    }
}

/// Why there is no next bet though there should be.
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
        /// What the system says.
        error: io::Error,
    },
    /// A row is no valid bet.
    #[error("{} line {line}: {fault}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line that the row begins at, from 1.
        line: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// The bet of the environment is not valid.
    #[error("{variable}: {fault}")]
    Variable {
        /// The variable that is wrong.
        variable: &'static str,
        /// What is wrong.
        fault: InvalidBet,
    },
    /// The central has more bets of this agency than there are here.
    #[error("the central has {stored} bets of this agency, and {} holds only {held}: is it the file that was sent?", path.display())]
    StoredMore {
        /// The file.
        path: PathBuf,
        /// What the central has.
        stored: u64,
        /// What the file has.
        held: u64,
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

/// A file of the course's format, read a row at a time: `first name,last name,document,birthdate,number`, no header.
#[derive(Debug)]
pub struct BetFile {
    path: PathBuf,
    agency: u32,
    today: Day,
    rows: Rows<File>,
    /// Bets taken, or skipped.
    taken: u64,
}

impl BetFile {
    /// The bets in the file at `path`, from the first.
    ///
    /// # Errors
    /// [`SourceError::Io`].
    pub fn open(path: &Path, agency: u32) -> Result<BetFile, SourceError> {
        let rows = open_rows(path)?;
        Ok(BetFile { path: path.to_owned(), agency, today: Day::today(), rows, taken: 0 })
    }

    /// Goes on behind the next row, and says whether there was one.
    fn skip_one(&mut self) -> Result<bool, SourceError> {
        match self.rows.peek_plain(self.agency).map(|(_, bytes)| bytes) {
            Some(bytes) => self.take_plain(bytes),
            None if self.is_row_left()? => self.take(),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Goes on behind the next row, which is plain and takes so many bytes.
    #[inline(always)]
    fn take_plain(&mut self, bytes: usize) {
        self.rows.take_plain(bytes);
        self.taken += 1;
    }

    /// Reads the next row, if it has not been read, and says whether there is one.
    fn is_row_left(&mut self) -> Result<bool, SourceError> {
        self.rows.peek().map_err(|error| SourceError::Io { path: self.path.clone(), error })
    }

    fn parse_row(&self) -> Result<Bet<'_>, Fault> {
        let bet = self.rows.bet(self.agency)?;
        bet.validate(self.today)?;
        Ok(bet)
    }
}

fn open_rows(path: &Path) -> Result<Rows<File>, SourceError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::Missing { path: path.to_owned() },
        _ => SourceError::Io { path: path.to_owned(), error },
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    Rows::new(file).map_err(failed)
}

impl BetSource for BetFile {
    fn resume_after(&mut self, stored: u64) -> Result<(), SourceError> {
        if stored < self.taken {
            self.rows = open_rows(&self.path)?;
            self.taken = 0;
        }
        while self.taken < stored {
            if !self.skip_one()? {
                return Err(SourceError::StoredMore { path: self.path.clone(), stored, held: self.taken });
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        if !self.is_row_left()? {
            return Ok(None);
        }
        let row_fault = |fault| SourceError::Row { path: self.path.clone(), line: self.rows.line(), fault };
        self.parse_row().map(Some).map_err(row_fault)
    }

    fn take(&mut self) {
        self.rows.take();
        self.taken += 1;
    }

    #[inline(always)]
    fn push(&mut self, batch: &mut Batch<'_>) -> Result<Option<(u32, u32)>, SourceError> {
        if let Some((bet, bytes)) = self.rows.peek_plain(self.agency)
            && bet.validate(self.today).is_ok()
            && batch.push(&bet).is_ok()
        {
            let pushed = (bet.document, bet.number);
            self.take_plain(bytes);
            return Ok(Some(pushed));
        }
        // Whatever keeps it from being that easy is found out here, the end of the file and a full batch among it.
        push_peeked(self, batch)
    }

    fn is_whole_agency(&self) -> bool {
        true
    }
}

/// The bet of exercise 5, from five environment variables.
#[derive(Debug)]
pub struct OneBet {
    first_name: String,
    last_name: String,
    document: u32,
    birthdate: Day,
    number: u32,
    agency: u32,
    /// How many bets the agency had before this one.
    before: Option<u64>,
    is_taken: bool,
}

impl OneBet {
    /// The bet that `variables` say.
    ///
    /// # Errors
    /// [`SourceError::Variable`] for the first that is not valid.
    pub fn new(variables: &BetVariables, agency: u32) -> Result<OneBet, SourceError> {
        let wrong = |fault| SourceError::Variable { variable: variable_of(fault), fault };
        let bet = OneBet {
            first_name: variables.first_name.clone(),
            last_name: variables.last_name.clone(),
            document: parse_number(variables.document.as_bytes()).ok_or(wrong(InvalidBet::Document))?,
            birthdate: variables.birthdate.parse().map_err(|_| wrong(InvalidBet::Birthdate))?,
            number: parse_number(variables.number.as_bytes()).ok_or(wrong(InvalidBet::Number))?,
            agency,
            before: None,
            is_taken: false,
        };
        bet.as_bet().validate(Day::today()).map_err(wrong)?;
        Ok(bet)
    }

    fn as_bet(&self) -> Bet<'_> {
        Bet {
            agency: self.agency,
            first_name: self.first_name.as_str().into(),
            last_name: self.last_name.as_str().into(),
            document: self.document,
            birthdate: self.birthdate,
            number: self.number,
        }
    }
}

fn variable_of(fault: InvalidBet) -> &'static str {
    match fault {
        InvalidBet::FirstName(_) => "NOMBRE",
        InvalidBet::LastName(_) => "APELLIDO",
        InvalidBet::Document => "DOCUMENTO",
        InvalidBet::Birthdate => "NACIMIENTO",
        InvalidBet::Number => "NUMERO",
    }
}

impl BetSource for OneBet {
    /// The agency may have had any number of bets before: what is stored counts from the first time it is heard.
    fn resume_after(&mut self, stored: u64) -> Result<(), SourceError> {
        self.is_taken = stored > *self.before.get_or_insert(stored);
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<Bet<'_>>, SourceError> {
        Ok((!self.is_taken).then(|| self.as_bet()))
    }

    fn take(&mut self) {
        self.is_taken = true;
    }

    fn is_whole_agency(&self) -> bool {
        false
    }
}
