//! Bets as rows of CSV and back, in the format of the course's `store_bets`: as Python's `csv.writer` writes them,
//! fields quoted only where they must be, rows ended by CRLF.

use std::io::{self, Read, Write};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use csv_core::{WriteResult, WriterBuilder};
use thiserror::Error;

use crate::bet::{Bet, Day, InvalidBet, MAX_DOCUMENT, MAX_NAME_BYTES, MAX_NUMBER, Name, NotUtf8};
use crate::buffer::Buffer;
use crate::text;

/// Fields of a row of bets.
const BET_FIELDS: usize = 6;

/// The most bytes that a row of a valid bet takes: numbers of 10, 8 and 4 digits, a date, two names made of quotes that
/// are doubled and enclosed, 5 commas, CRLF.
pub(super) const MAX_ROW_BYTES: usize = 10 + 2 * (2 * MAX_NAME_BYTES + 2) + 8 + 10 + 4 + 5 + 2;

/// Appends `bets` to `storage`: the course's `store_bets`.
///
/// ```
/// use loteria::bet::{Bet, Day};
/// use loteria::ledger::file::{load_bets, store_bets};
///
/// let bet = Bet {
///     agency: 1,
///     first_name: "María, \"la\" Ñata".into(),
///     last_name: "Paz".into(),
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
    let mut rows = Buffer::new();
    let mut writer = RowWriter::new();
    bets.into_iter().for_each(|bet| writer.write_bet(&bet, &mut rows));
    storage.write_all(&rows)
}

/// Writes rows to the end of a buffer, without allocating for each.
///
/// Numbers and dates have nothing in them that CSV could mistake, nor have plain names: they are written as they are. Whether
/// any other name has, and how it is written then, is for `csv_core` to say.
#[derive(Debug)]
pub(crate) struct RowWriter {
    csv: csv_core::Writer,
    /// A name as `csv_core` writes it.
    written: Vec<u8>,
}

impl RowWriter {
    pub(crate) fn new() -> RowWriter {
        let csv = WriterBuilder::new().terminator(csv_core::Terminator::CRLF).build();
        RowWriter { csv, written: Vec::new() }
    }

    #[inline(always)]
    pub(crate) fn write_bet(&mut self, bet: &Bet<'_>, output: &mut Buffer) {
        if PlainRow::suits(bet) {
            PlainRow::write(bet, output);
        } else {
            self.write_any(bet, output).expect("a Buffer takes it");
        }
    }

    /// Writes a row of whatever names and numbers. The bet need not be valid.
    #[inline(never)]
    fn write_any(&mut self, bet: &Bet<'_>, output: &mut Buffer) -> io::Result<()> {
        write!(output, "{},", bet.agency)?;
        for name in [bet.first_name, bet.last_name] {
            output.write_all(self.as_csv_writes(name.as_bytes()))?;
            output.write_all(b",")?;
        }
        write!(output, "{},{},{}\r\n", bet.document, bet.birthdate, bet.number)
    }

    fn as_csv_writes<'n>(&'n mut self, name: &'n [u8]) -> &'n [u8] {
        let RowWriter { csv, written } = self;
        if !csv.should_quote(name) {
            return name;
        }
        // Every byte doubled and two quotes: neither call can run out of room.
        written.resize(2 * name.len() + 2, 0);
        let (result, _, bytes) = csv.field(name, written);
        debug_assert_eq!(result, WriteResult::InputEmpty);
        let (result, closing_bytes) = csv.finish(&mut written[bytes..]);
        debug_assert_eq!(result, WriteResult::InputEmpty);
        &written[..bytes + closing_bytes]
    }
}

/// A row in the making, of what can be written as it is.
struct PlainRow<'o> {
    /// For names made of doubled quotes. Here none is doubled, so that eight bytes can be put there for a number of any length.
    room: &'o mut [u8; MAX_ROW_BYTES],
    /// Bytes that it has so far.
    length: usize,
}

impl PlainRow<'_> {
    /// Whether `bet` is written as it is: its names are plain and not too long, and no number has more digits than are written at once.
    #[inline(always)]
    fn suits(bet: &Bet<'_>) -> bool {
        let is_name = |name: Name<'_>| name.is_plain() && name.as_bytes().len() <= MAX_NAME_BYTES;
        let are_numbers = bet.agency <= text::MAX_WRITTEN && bet.document <= MAX_DOCUMENT && bet.number <= MAX_NUMBER;
        are_numbers && is_name(bet.first_name) && is_name(bet.last_name)
    }

    /// Writes `bet`, if it [suits](PlainRow::suits).
    #[inline(always)]
    fn write(bet: &Bet<'_>, output: &mut Buffer) {
        let (year, month, day) = bet.birthdate.date();
        let in_fours = |number: u32| [number / 10_000, number % 10_000];
        let [document, date] = text::digits_of_two([in_fours(bet.document), [year, 100 * month + day]]);
        let [agency, number] = text::digits_of_two([in_fours(bet.agency), [0, bet.number]]);
        let room = output.room(MAX_ROW_BYTES).first_chunk_mut().expect("room gives what is asked for");
        let mut row = PlainRow { room, length: 0 };
        row.put_number(agency);
        row.put(b",");
        row.put(bet.first_name.as_bytes());
        row.put(b",");
        row.put(bet.last_name.as_bytes());
        row.put(b",");
        row.put_number(document);
        row.put_date(date);
        row.put_number(number);
        row.put(b"\r\n");
        let length = row.length;
        output.add(length);
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.room[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    #[inline(always)]
    fn put_number(&mut self, digits: [u8; text::MAX_DIGITS]) {
        let (digits, length) = text::without_leading_zeros(digits);
        // All of them are put there, which costs less, and what comes next goes over those that are no digits.
        self.room[self.length..self.length + digits.len()].copy_from_slice(&digits);
        self.length += length;
    }

    /// Puts a date there, and a comma on either side.
    #[inline(always)]
    fn put_date(&mut self, digits: [u8; text::MAX_DIGITS]) {
        let mut date = *b",YYYY-MM-DD,";
        date[1..5].copy_from_slice(&digits[..4]);
        date[6..8].copy_from_slice(&digits[4..6]);
        date[9..11].copy_from_slice(&digits[6..]);
        self.put(&date);
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
    let text = |field: usize, name| {
        let range = row.range(field).unwrap_or_default();
        Name::at_front_of(&row.as_slice()[range.start..], range.len()).map_err(|NotUtf8| RowFault::NotUtf8(name))
    };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The row that `csv` itself makes of these fields.
    fn csv_row(fields: &[&str]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(fields).expect("a Vec takes it");
        writer.into_inner().expect("a Vec takes it")
    }

    fn check_row(bet: &Bet<'_>) {
        let mut row = Vec::new();
        store_bets(&mut row, [*bet]).expect("a Vec takes it");
        let [agency, document, number] = [bet.agency, bet.document, bet.number].map(|number| number.to_string());
        let birthdate = bet.birthdate.to_string();
        let fields = [&agency, bet.first_name.as_str(), bet.last_name.as_str(), &document, &birthdate, &number];
        assert_eq!(row, csv_row(&fields), "{bet:?}");
    }

    #[test]
    fn numbers_of_every_length_are_written_as_they_are() {
        let lengths = (0..10).map(|zeros| 10_u32.pow(zeros));
        for number in lengths.flat_map(|first| [first - 1, first, first + 1]).chain([u32::MAX]) {
            let (first_name, last_name, birthdate) = ("A".into(), "B".into(), Day::OLDEST_BIRTHDATE);
            let bet = Bet { agency: 1, first_name, last_name, document: 1, birthdate, number: 1 };
            check_row(&Bet { agency: number, ..bet });
            check_row(&Bet { document: number, ..bet });
            check_row(&Bet { number, ..bet });
        }
    }

    #[test]
    fn a_row_as_long_as_any_with_names_that_are_valid_is_written() {
        let (name, longest) = ("\"".repeat(MAX_NAME_BYTES), u32::MAX);
        check_row(&Bet {
            agency: longest,
            first_name: name.as_str().into(),
            last_name: name.as_str().into(),
            document: longest,
            birthdate: Day::OLDEST_BIRTHDATE,
            number: longest,
        });
    }

    proptest! {
        #[test]
        fn rows_are_what_csv_makes_of_their_fields(
            agency in prop_oneof![1..=100_000_u32, any::<u32>()],
            document in prop_oneof![0..=MAX_DOCUMENT, any::<u32>()],
            number in prop_oneof![0..=MAX_NUMBER, any::<u32>()],
            first_name in ".*|[a-zñ ]{0,600}|[ -~]{0,300}|[\",\r\n é]{0,300}",
            last_name in ".*|[a-zñ ]{0,600}|[ -~]{0,300}|[\",\r\n é]{0,300}",
            days in -719_528_i64..=2_932_896,
        ) {
            let birthdate = Day::from_unix_seconds(days * 86_400).expect("years 0 to 9999");
            check_row(&Bet { agency, first_name: first_name.as_str().into(), last_name: last_name.as_str().into(), document, birthdate, number });
        }
    }
}
