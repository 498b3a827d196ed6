//! Rows as bets: the rows of an agency's file, and those of `bets.csv`, which begin with the agency.
//!
//! Nearly every row is plain (no quotes, whole in what was read last): it is read where it lies. Any other row is for `csv_core`,
//! which takes several times as long. A test compares the two with the `csv` crate.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use csv_core::ReadRecordResult;
use thiserror::Error;

use super::fast::rows::{self, PlainRow};
use super::{Bet, Day, InvalidBet, MAX_ROW_BYTES, parse_decimal};

/// The fields of a row of `bets.csv`. A row of an agency's file has all but the first.
const FIELDS: [&str; 6] = ["agency", "first name", "last name", "document", "birthdate", "number"];

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 16;
/// A file of UTF-8 may begin with it.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Reads the bets of `storage` one at a time, in order: the course's `load_bets`. Every birthdate is accepted that was once
/// stored, or a clock that went back would make yesterday's bets unreadable.
pub fn load_bets<R: Read>(storage: R) -> Rows<R> {
    Rows::new(storage, None, Day::LAST)
}

/// Reads rows from `R`, each ended by CR, LF or CRLF. Empty ones are skipped.
#[derive(Debug)]
pub struct Rows<R> {
    /// The first bytes, unless they are a byte order mark, then the rest.
    input: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    /// The agency whose file this is; `None` if each row says its agency.
    agency: Option<u32>,
    latest_birthdate: Day,
    csv: csv_core::Reader,
    front: Front,
    /// The line at which the next row begins, from 1.
    line: u64,
    /// The fields of a row that `csv_core` read, one behind the other. A row that does not fit is longer than any valid one.
    fields: Box<[u8; MAX_ROW_BYTES]>,
    /// The end of each.
    ends: Box<[usize; MAX_ROW_BYTES]>,
}

/// The next row.
#[derive(Debug)]
enum Front {
    /// Nothing has been read.
    Start,
    /// Not read yet.
    Unread,
    /// At the front of what has been read.
    Plain(PlainRow),
    /// Its fields, as many as this, have been read by `csv_core`, and the input is behind it.
    Parsed { fields: usize, next_line: u64 },
    /// There is none.
    End,
}

/// A row that is no valid bet.
#[derive(Debug, Error)]
#[error("line {line}: {fault}")]
pub struct RowError {
    /// The line at which it begins, from 1.
    pub line: u64,
    /// The reason.
    pub fault: RowFault,
}

/// Reason why a row is no valid bet.
#[derive(Debug, Error)]
pub enum RowFault {
    /// It could not be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is longer than the longest row of a valid bet.
    #[error("a row that is longer than any: is a quote missing?")]
    TooLong,
    /// It has more or fewer fields than it should.
    #[error("{found} fields instead of {}: {}", expected.len(), expected.join(", "))]
    Fields {
        /// The number of fields that it has.
        found: usize,
        /// The fields that it should have.
        expected: &'static [&'static str],
    },
    /// This field is no number in decimal digits, or too large.
    #[error("{0} is not a number")]
    NotANumber(&'static str),
    /// A field of the bet is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidBet),
}

impl<R: Read> Rows<R> {
    /// The rows of `input` from its beginning: those of the file of `agency`, or, if `None`, rows that begin with their agency.
    pub fn new(input: R, agency: Option<u32>, latest_birthdate: Day) -> Rows<R> {
        Rows {
            input: BufReader::with_capacity(READ_BYTES, Cursor::new(Vec::new()).chain(input)),
            agency,
            latest_birthdate,
            csv: reader_behind_mark(),
            front: Front::Start,
            line: 1,
            fields: Box::new([0; MAX_ROW_BYTES]),
            ends: Box::new([0; MAX_ROW_BYTES]),
        }
    }

    /// Goes on to the next row and gives its bet, which is valid; `None` after the last.
    ///
    /// # Errors
    /// If the row can't be read, or is no valid bet.
    pub fn next_bet(&mut self) -> Result<Option<Bet<'_>>, RowError> {
        self.take();
        self.peek()
    }

    /// The bet of the next row, the same until it is [taken](Rows::take); `None` after the last.
    ///
    /// # Errors
    /// See [`Rows::next_bet`].
    #[inline(always)]
    pub fn peek(&mut self) -> Result<Option<Bet<'_>>, RowError> {
        self.read_front()?;
        let at_row = |fault| RowError { line: self.line, fault };
        let bet = match self.front {
            Front::Plain(ref row) => row.bet(self.input.buffer()),
            Front::Parsed { fields, .. } => self.parse_fields(fields).map_err(at_row)?,
            Front::Start | Front::Unread | Front::End => return Ok(None),
        };
        bet.validate(self.latest_birthdate).map_err(|invalid| at_row(invalid.into()))?;
        Ok(Some(bet))
    }

    /// Goes on behind the row that was peeked at.
    #[inline(always)]
    pub fn take(&mut self) {
        match self.front {
            Front::Plain(PlainRow { bytes, .. }) => {
                self.input.consume(bytes);
                self.line += 1;
            }
            Front::Parsed { next_line, .. } => self.line = next_line,
            Front::Start | Front::Unread | Front::End => return,
        }
        self.front = Front::Unread;
    }

    /// The line at which the row begins that was given last, from 1. An LF ends a line.
    pub fn line(&self) -> u64 {
        self.line
    }

    #[inline(always)]
    fn read_front(&mut self) -> Result<(), RowError> {
        if let Front::Start | Front::Unread = self.front {
            self.front = match rows::read(self.agency, self.input.buffer()) {
                Some(row) => Front::Plain(row),
                None => self.parse().map_err(|fault| RowError { line: self.line, fault })?,
            };
        }
        Ok(())
    }

    /// Has `csv_core` read the next row.
    #[inline(never)]
    fn parse(&mut self) -> Result<Front, RowFault> {
        if let Front::Start = self.front {
            self.skip_mark()?;
            self.front = Front::Unread;
        }
        self.skip_empty_rows()?;
        let (mut bytes, mut fields) = (0, 0);
        self.csv.set_line(self.line);
        loop {
            let input = self.input.fill_buf()?;
            let (result, read, written, ended) =
                self.csv.read_record(input, &mut self.fields[bytes..], &mut self.ends[fields..]);
            let is_at_cr = read > 0 && input[read - 1] == b'\r';
            self.input.consume(read);
            (bytes, fields) = (bytes + written, fields + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return Err(RowFault::TooLong),
                ReadRecordResult::Record => {
                    let next_line = self.csv.line() + u64::from(is_at_cr && self.skip_line_feed()?);
                    return Ok(Front::Parsed { fields, next_line });
                }
                ReadRecordResult::End => return Ok(Front::End),
            }
        }
    }

    /// Skips a byte order mark, which may come in pieces.
    fn skip_mark(&mut self) -> io::Result<()> {
        let (first, rest) = self.input.get_mut().get_mut();
        let mut bytes = Vec::new();
        rest.take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut bytes)?;
        if bytes != BYTE_ORDER_MARK {
            *first = Cursor::new(bytes);
        }
        Ok(())
    }

    /// `csv_core` would skip them too, but not say how many lines they are.
    fn skip_empty_rows(&mut self) -> io::Result<()> {
        while let Some(&end @ (b'\r' | b'\n')) = self.input.fill_buf()?.first() {
            self.input.consume(1);
            self.line += u64::from(end == b'\n');
        }
        Ok(())
    }

    /// Skips the second half of a CRLF, which `csv_core` leaves to the next row. `true` if it was there.
    fn skip_line_feed(&mut self) -> io::Result<bool> {
        let is_there = self.input.fill_buf()?.first() == Some(&b'\n');
        self.input.consume(usize::from(is_there));
        Ok(is_there)
    }

    fn parse_fields(&self, found: usize) -> Result<Bet<'_>, RowFault> {
        let own_fields = usize::from(self.agency.is_none());
        let expected = &FIELDS[1 - own_fields..];
        if found != expected.len() {
            return Err(RowFault::Fields { found, expected });
        }
        let start = |field: usize| if field == 0 { 0 } else { self.ends[field - 1] };
        let field = |field: usize| &self.fields[start(field)..self.ends[field]];
        let agency = match self.agency {
            Some(agency) => agency,
            None => parse_decimal(field(0)).ok_or(RowFault::NotANumber(FIELDS[0]))?,
        };
        Ok(Bet::parse(agency, std::array::from_fn(|position| field(position + own_fields)))?)
    }
}

/// A reader that looks for no byte order mark, because it has read an empty row.
fn reader_behind_mark() -> csv_core::Reader {
    let mut csv = csv_core::Reader::new();
    let (result, ..) = csv.read_record(b"\n", &mut [0], &mut [0]);
    debug_assert_eq!(result, ReadRecordResult::InputEmpty);
    csv
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of this size, so that rows, and a byte order mark, are cut by the end of what was read.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
            let bytes = self.1.min(output.len());
            self.0.take(bytes as u64).read(output).inspect(|&read| self.0 = &self.0[read..])
        }
    }

    fn shown(bet: Result<Bet<'_>, RowFault>) -> String {
        bet.map_or_else(|fault| fault.to_string(), |bet| format!("{bet:?}"))
    }

    /// The bet or the fault of each row of `text`, and its line.
    fn rows_of(text: &[u8], piece: usize, agency: Option<u32>) -> Vec<(u64, String)> {
        let mut rows = Rows::new(Pieces(text, piece), agency, Day::LAST);
        let mut read = Vec::new();
        loop {
            let row = match rows.peek() {
                Ok(None) => return read,
                Ok(Some(bet)) => shown(Ok(bet)),
                Err(error) => shown(Err(error.fault)),
            };
            read.push((rows.line(), row));
            rows.take();
        }
    }

    fn bets_of(text: &[u8], piece: usize, agency: Option<u32>) -> Vec<String> {
        rows_of(text, piece, agency).into_iter().map(|(_, bet)| bet).collect()
    }

    fn bets_by_csv(text: &[u8], agency: Option<u32>) -> Vec<String> {
        let expected = if agency.is_some() { &FIELDS[1..] } else { &FIELDS };
        let bet_of = |row: &csv::ByteRecord| {
            if row.len() != expected.len() {
                return shown(Err(RowFault::Fields { found: row.len(), expected }));
            }
            let Some(agency) = agency.or_else(|| parse_decimal(&row[0])) else {
                return shown(Err(RowFault::NotANumber("agency")));
            };
            let bet = Bet::parse(agency, std::array::from_fn(|field| &row[row.len() - 5 + field]));
            shown(bet.and_then(|bet| bet.validate(Day::LAST).map(|()| bet)).map_err(RowFault::from))
        };
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        reader.into_byte_records().map(|row| bet_of(&row.expect("it reads from memory"))).collect()
    }

    #[test]
    fn a_plain_file_is_read_as_csv_reads_it() {
        let row = "Ana María,Paz,1,1990-01-01,7574\r\n";
        for text in [row.repeat(5000), format!("\u{feff}{row}{row}"), format!("{row}{row}").trim_end().to_owned()] {
            assert!(bets_of(text.as_bytes(), 1 << 20, Some(1)) == bets_by_csv(text.as_bytes(), Some(1)));
        }
        let text = "3,Ana María,Paz,1,1990-01-01,7574\r\n".repeat(5000);
        assert!(bets_of(text.as_bytes(), 1 << 20, None) == bets_by_csv(text.as_bytes(), None));
    }

    #[test]
    fn rows_are_read_where_they_lie_once_input_is_buffered() {
        for (name, end) in [("Ana", "\n"), ("María José", "\r\n"), ("María de los Ángeles", "\n"), ("O'Higgins", "\n")]
        {
            let text = format!("{name},Paz,1,1990-01-01,7574{end}").repeat(4);
            let mut rows = Rows::new(text.as_bytes(), Some(1), Day::LAST);
            rows.next_bet().expect("a bet");
            rows.next_bet().expect("a bet");
            assert!(matches!(&rows.front, Front::Plain(row) if row.bytes == text.len() / 4), "{name}");
        }
    }

    #[test]
    fn every_row_is_on_the_line_at_which_it_begins() {
        for end in ["\n", "\r\n"] {
            let plain = "Ana María,Paz,1,1990-01-01,7574";
            let text =
                ["", plain, "\"a\",b,c,d,e", "a,\"b\nb\",c,d,e", plain, "", "", "a,b", "", plain, plain, "", "a,b"]
                    .join(end);
            let lines: Vec<u64> =
                rows_of(text.as_bytes(), 1 << 20, Some(1)).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [2, 3, 4, 6, 9, 11, 12, 14]);
        }
    }

    #[test]
    fn a_row_without_an_end_is_not_read_to_the_end_of_the_file() {
        for (start, repeated) in [("1,\"Ana", "Paz,1,1990-01-01,7574\r\n"), ("1,Ana", ",")] {
            let text = format!("{start}{}", repeated.repeat(1 << 18));
            let mut input = text.as_bytes();
            let error = load_bets(&mut input).next_bet().expect_err("no bet");
            assert_eq!(error.to_string(), "line 1: a row that is longer than any: is a quote missing?");
            assert!(input.len() >= text.len() - 2 * READ_BYTES, "{} bytes are left", input.len());
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_as_csv_reads_it(
            text in prop_oneof![
                "[a,\"\r\n]{0,60}",
                "[a,\r\n\u{feff}]{0,9}",
                "(a,b,c,d,e(\r\n|\n|\r|,)){0,9}",
                "(a,(\"b\"|b),,\"?d,e(\r\n|\n)+){0,9}",
                "([1-9]{1,9},[A-Zñ \"]{0,19},[a-z]{1,9},[0-9]{1,9},19[0-9]{2}-01-01,[0-9]{1,4}(\r\n|\n|\r|,)){0,9}",
                "([A-Zñ ]{0,19},[a-zÑ\u{85}]{0,9},[0-9]{0,9},(2[0-9]{3}-[01]2-[0-3]7|1990),[0-9]{0,5}(\r\n|\n|\r|,)){0,9}",
            ],
            mark: bool,
            piece in 1_usize..100,
            agency: bool,
        ) {
            let text = if mark { format!("\u{feff}{text}") } else { text };
            let agency = agency.then_some(1);
            prop_assert_eq!(bets_of(text.as_bytes(), piece, agency), bets_by_csv(text.as_bytes(), agency));
        }
    }
}
