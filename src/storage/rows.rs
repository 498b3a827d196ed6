//! Bets as rows of CSV and back, in the format of the course's `store_bets`: as Python's `csv.writer` writes them,
//! fields quoted only where they must be, rows ended by CRLF.

use std::io::{self, Read, Write};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use csv_core::{WriteResult, WriterBuilder};
use thiserror::Error;

use crate::bet::{Bet, Day, InvalidBet, MAX_NAME_BYTES, Name};
use crate::text::two_digits;

/// Fields of a row of bets.
const BET_FIELDS: usize = 6;

/// The most bytes that a row of a valid bet takes: numbers of 10, 8 and 4 digits, a date, two names made of quotes that
/// are doubled and enclosed, 5 commas, CRLF.
pub(super) const MAX_ROW_BYTES: usize = 10 + 2 * (2 * MAX_NAME_BYTES + 2) + 8 + 10 + 4 + 5 + 2;

/// Appends `bets` to `storage`: the course's `store_bets`.
///
/// ```
/// use loteria::bet::{Bet, Day};
/// use loteria::storage::{load_bets, store_bets};
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
    let mut rows = Vec::new();
    let mut writer = RowWriter::new();
    bets.into_iter().for_each(|bet| writer.write_bet(&bet, &mut rows));
    storage.write_all(&rows)
}

/// Writes rows to the end of a buffer, without allocating for each.
///
/// A row is put together from its end to its beginning, as the digits of a number come. Numbers and dates have nothing in
/// them that CSV could mistake, nor have plain names: they are written as they are. Whether any other name has, and how it
/// is written then, is for `csv_core` to say.
#[derive(Debug)]
pub(super) struct RowWriter {
    csv: csv_core::Writer,
    /// A name as `csv_core` writes it.
    written: Vec<u8>,
    /// Where rows are put together.
    row: Vec<u8>,
}

/// The most bytes of a row whose names are valid. Its numbers need not be: each may have the ten digits of a `u32`.
const ROW_ROOM: usize = MAX_ROW_BYTES + (10 - 8) + (10 - 4);

impl RowWriter {
    pub(super) fn new() -> RowWriter {
        let csv = WriterBuilder::new().terminator(csv_core::Terminator::CRLF).build();
        RowWriter { csv, written: Vec::new(), row: vec![0; ROW_ROOM] }
    }

    pub(super) fn write_bet(&mut self, bet: &Bet<'_>, output: &mut Vec<u8>) {
        let names = bet.first_name.as_bytes().len() + bet.last_name.as_bytes().len();
        if names > 2 * MAX_NAME_BYTES && self.row.len() < ROW_ROOM + 2 * names {
            // The bet is not valid, and may be written all the same.
            self.row.resize(ROW_ROOM + 2 * names, 0);
        }
        let RowWriter { csv, written, row } = self;
        let mut backwards = Backwards { room: row };
        backwards.put(b"\r\n");
        backwards.put_number(bet.number);
        backwards.put(b",");
        backwards.put(&bet.birthdate.to_ascii());
        backwards.put(b",");
        backwards.put_number(bet.document);
        backwards.put(b",");
        backwards.put(as_written(bet.last_name, csv, written));
        backwards.put(b",");
        backwards.put(as_written(bet.first_name, csv, written));
        backwards.put(b",");
        backwards.put_number(bet.agency);
        let start = backwards.room.len();
        output.extend_from_slice(&row[start..]);
    }
}

/// `name` as it is in a row; `written` is where that is put if it is not the name itself.
#[inline(always)]
fn as_written<'n>(name: Name<'n>, csv: &mut csv_core::Writer, written: &'n mut Vec<u8>) -> &'n [u8] {
    if name.is_plain() { name.as_bytes() } else { as_csv_writes(name.as_bytes(), csv, written) }
}

fn as_csv_writes<'n>(name: &'n [u8], csv: &mut csv_core::Writer, written: &'n mut Vec<u8>) -> &'n [u8] {
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

/// What is put together from its end to its beginning.
struct Backwards<'r> {
    /// What is before it.
    room: &'r mut [u8],
}

impl Backwards<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        let room = std::mem::take(&mut self.room);
        let (room, place) = room.split_at_mut(room.len() - bytes.len());
        place.copy_from_slice(bytes);
        self.room = room;
    }

    /// Decimal digits, two at a time.
    #[inline(always)]
    fn put_number(&mut self, mut number: u32) {
        while number >= 100 {
            self.put(&two_digits(number % 100));
            number /= 100;
        }
        let [tens, units] = two_digits(number);
        self.put(&[units]);
        if number >= 10 {
            self.put(&[tens]);
        }
    }
}

/// Appends the closing of `agency`, with as many `bets`, of a contest of so many `agencies`.
pub(super) fn write_closing(agency: u32, bets: u64, agencies: u32, output: &mut Vec<u8>) {
    write!(output, "{agency},{bets},{agencies}\r\n").expect("a Vec takes it");
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
    let text = |field: usize, name| Name::new(&row[field]).map_err(|_| RowFault::NotUtf8(name));
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
            let birthdate = Day::OLDEST_BIRTHDATE;
            check_row(&Bet {
                agency: number,
                first_name: "A".into(),
                last_name: "B".into(),
                document: number,
                birthdate,
                number,
            });
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
            numbers: [u32; 3],
            first_name in ".*|[ -~]{0,300}|[\",\r\n é]{0,300}",
            last_name in ".*|[ -~]{0,300}|[\",\r\n é]{0,300}",
            days in -719_528_i64..=2_932_896,
        ) {
            let [agency, document, number] = numbers;
            let birthdate = Day::from_unix_seconds(days * 86_400).expect("years 0 to 9999");
            check_row(&Bet { agency, first_name: first_name.as_str().into(), last_name: last_name.as_str().into(), document, birthdate, number });
        }
    }
}
