//! Bets as rows of CSV and back, in the format of the course's `store_bets`: as Python's `csv.writer` writes them,
//! fields quoted only where they must be, rows ended by CRLF.

use std::io::{self, Read, Write};
use std::str;

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use csv_core::{WriteResult, WriterBuilder};
use thiserror::Error;

use crate::bet::{Bet, Day, InvalidBet};

/// Fields of a row of bets.
const BET_FIELDS: usize = 6;

/// The most bytes that a row of a valid bet takes: numbers of 10, 8 and 4 digits, a date, two names made of quotes that
/// are doubled and enclosed, 5 commas, CRLF.
pub(super) const MAX_ROW_BYTES: usize = 10 + 2 * (2 * crate::bet::MAX_NAME_BYTES + 2) + 8 + 10 + 4 + 5 + 2;

/// Appends `bets` to `storage`: the course's `store_bets`.
///
/// ```
/// use loteria::bet::{Bet, Day};
/// use loteria::storage::{load_bets, store_bets};
///
/// let bet = Bet {
///     agency: 1,
///     first_name: "María, \"la\" Ñata",
///     last_name: "Paz",
///     document: 1234567,
///     birthdate: Day::OLDEST_BIRTHDATE,
///     number: 7574,
/// };
/// let mut storage = Vec::new();
/// store_bets(&mut storage, [bet])?;
/// assert_eq!(storage, "1,\"María, \"\"la\"\" Ñata\",Paz,1234567,1900-01-01,7574\r\n".as_bytes());
/// assert_eq!(load_bets(storage.as_slice()).next_bet()?, Some(bet));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What `storage` says.
pub fn store_bets<'a>(storage: &mut impl Write, bets: impl IntoIterator<Item = Bet<'a>>) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut writer = RowWriter::new();
    bets.into_iter().for_each(|bet| writer.write_bet(&bet, &mut rows));
    storage.write_all(&rows)
}

/// Writes rows to the end of a buffer, without allocating for each.
#[derive(Debug)]
pub(super) struct RowWriter {
    csv: csv_core::Writer,
}

impl RowWriter {
    pub(super) fn new() -> RowWriter {
        RowWriter { csv: WriterBuilder::new().terminator(csv_core::Terminator::CRLF).build() }
    }

    pub(super) fn write_bet(&mut self, bet: &Bet<'_>, output: &mut Vec<u8>) {
        let (agency, document, number) =
            (Digits::of(bet.agency.into()), Digits::of(bet.document.into()), Digits::of(bet.number.into()));
        self.write_row(
            &[
                agency.as_bytes(),
                bet.first_name.as_bytes(),
                bet.last_name.as_bytes(),
                document.as_bytes(),
                &bet.birthdate.to_ascii(),
                number.as_bytes(),
            ],
            output,
        );
    }

    pub(super) fn write_closing(&mut self, agency: u32, bets: u64, output: &mut Vec<u8>) {
        self.write_row(&[Digits::of(agency.into()).as_bytes(), Digits::of(bets).as_bytes()], output);
    }

    fn write_row(&mut self, fields: &[&[u8]], output: &mut Vec<u8>) {
        // Every byte doubled, two quotes and a delimiter a field, CRLF: no call below can run out of room.
        let room: usize = fields.iter().map(|field| 2 * field.len() + 3).sum::<usize>() + 2;
        let start = output.len();
        output.resize(start + room, 0);
        let mut end = start;
        for (position, field) in fields.iter().enumerate() {
            if position > 0 {
                let (result, written) = self.csv.delimiter(&mut output[end..]);
                debug_assert_eq!(result, WriteResult::InputEmpty);
                end += written;
            }
            let (result, _, written) = self.csv.field(field, &mut output[end..]);
            debug_assert_eq!(result, WriteResult::InputEmpty);
            end += written;
        }
        let (result, written) = self.csv.terminator(&mut output[end..]);
        debug_assert_eq!(result, WriteResult::InputEmpty);
        output.truncate(end + written);
    }
}

/// A number in decimal.
struct Digits {
    digits: [u8; 20],
    start: usize,
}

impl Digits {
    fn of(mut value: u64) -> Digits {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Digits { digits, start };
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Reads the bets of `storage` one at a time, in order: the course's `load_bets`.
pub fn load_bets<R: Read>(storage: R) -> LoadBets<R> {
    LoadBets { rows: reader(storage), row: ByteRecord::new() }
}

/// A reader of rows without a header, of any number of fields.
pub(super) fn reader<R: Read>(storage: R) -> Reader<Rationed<R>> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::CRLF)
        .buffer_capacity(READ_BYTES)
        .from_reader(Rationed { storage, ration: 0 })
}

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 16;

/// Gives no more bytes than it was allowed to. A quote that is never closed would otherwise make one row of all that follows
/// it, and hold that in memory.
#[derive(Debug)]
pub(super) struct Rationed<R> {
    storage: R,
    ration: usize,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ration == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a row that is longer than any: is a quote missing?",
            ));
        }
        let length = buffer.len().min(self.ration);
        let bytes = self.storage.read(&mut buffer[..length])?;
        self.ration -= bytes;
        Ok(bytes)
    }
}

/// What [`load_bets`] gives: bets that borrow the row that was read last.
#[derive(Debug)]
pub struct LoadBets<R> {
    rows: Reader<Rationed<R>>,
    row: ByteRecord,
}

impl<R: Read> LoadBets<R> {
    /// The next bet, `None` after the last.
    ///
    /// # Errors
    /// [`RowError`] if the row is not one that [`store_bets`] writes.
    pub fn next_bet(&mut self) -> Result<Option<Bet<'_>>, RowError> {
        if !next_row(&mut self.rows, &mut self.row)? {
            return Ok(None);
        }
        let bet = parse_bet(&self.row).map_err(|fault| at_row(&self.row, fault))?;
        Ok(Some(bet))
    }

    /// The line at which the last bet began, from 1.
    pub fn line(&self) -> u64 {
        line_of(&self.row)
    }
}

pub(super) fn next_row<R: Read>(rows: &mut Reader<Rationed<R>>, row: &mut ByteRecord) -> Result<bool, RowError> {
    // What is left of the last reading, which may end within this row, and one more.
    rows.get_mut().ration = READ_BYTES + MAX_ROW_BYTES;
    let line = rows.position().record() + 1;
    rows.read_byte_record(row).map_err(|error| RowError { line, fault: RowFault::Unreadable(error) })
}

pub(super) fn at_row(row: &ByteRecord, fault: RowFault) -> RowError {
    RowError { line: line_of(row), fault }
}

/// The line at which `row` begins, from 1: no field holds a line break. The position's own count is one behind in a file with
/// CRLF, because the reader looks at the LF only with the next row.
pub(super) fn line_of(row: &ByteRecord) -> u64 {
    row.position().map_or(0, |position| position.record() + 1)
}

/// A row that holds no bet.
#[derive(Debug, Error)]
#[error("line {line}: {fault}")]
pub struct RowError {
    /// The line it begins at, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: RowFault,
}

/// What is wrong with a row.
#[derive(Debug, Error)]
pub enum RowFault {
    /// It could not be read.
    #[error("{0}")]
    Unreadable(csv::Error),
    /// It has more or fewer fields than it should.
    #[error("{found} fields instead of {expected}")]
    Fields {
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// This field is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    /// This field is not a number in decimal digits, or too large.
    #[error("{0} is not a number")]
    NotANumber(&'static str),
    /// The fields are well-formed, but no valid bet.
    #[error("{0}")]
    Invalid(#[from] InvalidBet),
}

fn parse_bet(row: &ByteRecord) -> Result<Bet<'_>, RowFault> {
    if row.len() != BET_FIELDS {
        return Err(RowFault::Fields { found: row.len(), expected: BET_FIELDS });
    }
    let text = |field: usize, name| str::from_utf8(&row[field]).map_err(|_| RowFault::NotUtf8(name));
    let bet = Bet {
        agency: parse_number(&row[0], "agency")?,
        first_name: text(1, "first name")?,
        last_name: text(2, "last name")?,
        document: parse_number(&row[3], "document")?,
        birthdate: Day::from_ascii(&row[4]).ok_or(InvalidBet::Birthdate)?,
        number: parse_number(&row[5], "number")?,
    };
    // A clock that went back must not make yesterday's bets unreadable: any birthdate once stored is taken.
    bet.validate(Day::LAST)?;
    Ok(bet)
}

/// Decimal digits, nothing else.
pub(super) fn parse_number<N: TryFrom<u64>>(field: &[u8], name: &'static str) -> Result<N, RowFault> {
    let digits = |value: u64, &byte: &u8| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    };
    let value = if field.is_empty() { None } else { field.iter().try_fold(0, digits) };
    value.and_then(|value| N::try_from(value).ok()).ok_or(RowFault::NotANumber(name))
}
