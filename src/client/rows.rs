//! The rows of an agency's file: CSV, read a row at a time.
//!
//! Nearly every row is plain: it has no quote, ends with LF or CRLF, and lies whole in what was read from the file last.
//! Such a row is read where it lies, names and numbers in one go. Any other row is for `csv_core`, which goes through it byte by
//! byte at several times the cost. Where one stops the other goes on, and a test holds them to saying the same.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use csv_core::ReadRecordResult;
use thiserror::Error;

use crate::bet::{Bet, Day, InvalidBet, Name, NotUtf8};
use crate::text;

/// Fields of a row of an agency's file.
pub const ROW_FIELDS: usize = 5;

/// What is read from the file at once.
const READ_BYTES: usize = 1 << 16;
/// What a file of UTF-8 may begin with, and no row has.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Reads rows from `R`, by any of CR, LF and CRLF as the end of one. Empty ones are skipped.
#[derive(Debug)]
pub struct Rows<R> {
    input: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    csv: csv_core::Reader,
    front: Front,
    /// See [`Rows::line`].
    line: u64,
    /// The fields of a row that `csv_core` read, one behind the other.
    fields: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

/// What is in front.
#[derive(Debug)]
enum Front {
    /// A row, or nothing.
    Row,
    /// What is behind a row that `csv_core` read, which has so many fields.
    Parsed { fields: usize, next_line: u64 },
    /// Nothing.
    End,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u64)] // see crate::bet::InvalidBet
pub enum Fault {
    /// It has more or fewer fields than it should.
    #[error("{found} fields instead of {ROW_FIELDS}: first name, last name, document, birthdate, number")]
    Fields {
        /// How many it has.
        found: usize,
    },
    /// A name is in another encoding.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    /// A field is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidBet),
}

impl<R: Read> Rows<R> {
    /// The rows of `input`, from its beginning.
    ///
    /// # Errors
    /// What `R` says.
    pub fn new(mut input: R) -> io::Result<Rows<R>> {
        let mut first = Vec::new();
        input.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first)?;
        if first == BYTE_ORDER_MARK {
            first.clear();
        }
        Ok(Rows {
            input: BufReader::with_capacity(READ_BYTES, Cursor::new(first).chain(input)),
            csv: reader_behind_mark(),
            front: Front::Row,
            line: 1,
            fields: vec![0; 256],
            ends: vec![0; ROW_FIELDS + 1],
        })
    }

    /// The bet of `agency` that the next row says, and how many bytes the row has, for [`Rows::take_plain`]. `None` if the next row is
    /// not plain, or says no bet: [`Rows::peek`] tells. The bet is not validated.
    #[inline(always)]
    pub fn peek_plain(&self, agency: u32) -> Option<(Bet<'_>, usize)> {
        match self.front {
            Front::Row => plain_bet(agency, self.input.buffer()),
            Front::Parsed { .. } | Front::End => None,
        }
    }

    /// Goes on behind the next row, which is plain and takes so many bytes.
    #[inline(always)]
    pub fn take_plain(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.line += 1;
    }

    /// Reads the next row, unless it has been read, and says whether there is one.
    ///
    /// # Errors
    /// What `R` says.
    pub fn peek(&mut self) -> io::Result<bool> {
        match self.front {
            Front::Row => self.parse(),
            Front::Parsed { .. } => Ok(true),
            Front::End => Ok(false),
        }
    }

    /// The bet of `agency` that the row says which was [peeked](Rows::peek) at. It is not validated, but for what can't be said in
    /// a [`Bet`].
    ///
    /// # Errors
    /// [`Fault`].
    pub fn bet(&self, agency: u32) -> Result<Bet<'_>, Fault> {
        match self.front {
            Front::Parsed { fields: ROW_FIELDS, .. } => {
                let start = |field: usize| if field == 0 { 0 } else { self.ends[field - 1] };
                parse_bet(agency, std::array::from_fn(|field| &self.fields[start(field)..self.ends[field]]))
            }
            Front::Parsed { fields, .. } => Err(Fault::Fields { found: fields }),
            Front::Row | Front::End => Err(Fault::Fields { found: 0 }),
        }
    }

    /// Goes on behind the row that was peeked at.
    pub fn take(&mut self) {
        if let Front::Parsed { next_line, .. } = self.front {
            (self.front, self.line) = (Front::Row, next_line);
        }
    }

    /// The line at which the row begins, from 1. An LF ends a line.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Has `csv_core` read the next row.
    fn parse(&mut self) -> io::Result<bool> {
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
                ReadRecordResult::OutputFull => self.fields.resize(2 * self.fields.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    let next_line = self.csv.line() + u64::from(is_at_cr && self.skip_line_feed()?);
                    self.front = Front::Parsed { fields, next_line };
                    return Ok(true);
                }
                ReadRecordResult::End => {
                    self.front = Front::End;
                    return Ok(false);
                }
            }
        }
    }

    /// `csv_core` would too, but not say how many lines they are.
    fn skip_empty_rows(&mut self) -> io::Result<()> {
        while let Some(&end @ (b'\r' | b'\n')) = self.input.fill_buf()?.first() {
            self.input.consume(1);
            self.line += u64::from(end == b'\n');
        }
        Ok(())
    }

    /// Skips the second half of a CRLF, which `csv_core` leaves to the next row, and says whether it was there.
    fn skip_line_feed(&mut self) -> io::Result<bool> {
        let is_there = self.input.fill_buf()?.first() == Some(&b'\n');
        self.input.consume(usize::from(is_there));
        Ok(is_there)
    }
}

/// A reader that looks for no byte order mark any more: it has read an empty row. It would look for one in the first piece that it is
/// given, and if that is all of the piece, take the nothing behind it for the end of the file.
fn reader_behind_mark() -> csv_core::Reader {
    let mut csv = csv_core::Reader::new();
    let (result, ..) = csv.read_record(b"\n", &mut [0], &mut [0]);
    debug_assert_eq!(result, ReadRecordResult::InputEmpty);
    csv
}

/// The bet of `agency` that the row at the front of `input` says, if it is a plain one and does not lie at its very end, and the
/// bytes of the row.
#[inline(always)]
fn plain_bet(agency: u32, input: &[u8]) -> Option<(Bet<'_>, usize)> {
    let (first_name, rest) = split_plain_name(input)?;
    let (last_name, rest) = split_plain_name(rest)?;
    let (document, digits) = text::leading_number(rest)?;
    let rest = rest[digits..].strip_prefix(b",").filter(|_| digits > 0)?;
    let (birthdate, rest) = rest.split_first_chunk::<DAY_BYTES>()?;
    let birthdate = Day::from_ascii(birthdate)?;
    let rest = rest.strip_prefix(b",")?;
    let (number, digits) = text::leading_number(rest)?;
    let rest = match rest[digits..] {
        [b'\n', ref rest @ ..] | [b'\r', b'\n', ref rest @ ..] if digits > 0 => rest,
        _ => return None,
    };
    Some((Bet { agency, first_name, last_name, document, birthdate, number }, input.len() - rest.len()))
}

#[inline(always)]
fn split_plain_name(input: &[u8]) -> Option<(Name<'_>, &[u8])> {
    let (length, look) = text::plain_front(input)?;
    let name = Name::looked_at(&input[..length], look).ok()?;
    Some((name, input[length..].strip_prefix(b",")?))
}

/// Bytes of `YYYY-MM-DD`.
const DAY_BYTES: usize = 10;

fn parse_bet(agency: u32, fields: [&[u8]; ROW_FIELDS]) -> Result<Bet<'_>, Fault> {
    let [first_name, last_name, document, birthdate, number] = fields;
    Ok(Bet {
        agency,
        first_name: Name::new(first_name).map_err(|NotUtf8| Fault::NotUtf8("first name"))?,
        last_name: Name::new(last_name).map_err(|NotUtf8| Fault::NotUtf8("last name"))?,
        document: parse_number(document).ok_or(InvalidBet::Document)?,
        birthdate: Day::from_ascii(birthdate).ok_or(InvalidBet::Birthdate)?,
        number: parse_number(number).ok_or(InvalidBet::Number)?,
    })
}

/// Up to nine decimal digits, nothing else: a bet has no longer number.
pub(super) fn parse_number(field: &[u8]) -> Option<u32> {
    let is_number = (1..=9).contains(&field.len()) && field.iter().all(u8::is_ascii_digit);
    is_number.then(|| field.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
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

    /// The bets of `text`, each as it is shown.
    fn bets_of(text: &[u8], piece: usize) -> Vec<Result<String, Fault>> {
        let mut rows = Rows::new(Pieces(text, piece)).expect("it reads from memory");
        let mut read = Vec::new();
        loop {
            if let Some((bet, bytes)) = rows.peek_plain(1) {
                read.push(Ok(format!("{bet:?}")));
                rows.take_plain(bytes);
            } else if rows.peek().expect("it reads from memory") {
                read.push(rows.bet(1).map(|bet| format!("{bet:?}")));
                rows.take();
            } else {
                return read;
            }
        }
    }

    fn bets_by_csv(text: &[u8]) -> Vec<Result<String, Fault>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        let rows = reader.byte_records().map(|row| row.expect("it reads from memory"));
        rows.map(|row| match row.len() {
            ROW_FIELDS => parse_bet(1, std::array::from_fn(|field| &row[field])).map(|bet| format!("{bet:?}")),
            found => Err(Fault::Fields { found }),
        })
        .collect()
    }

    #[test]
    fn a_plain_file_is_read_as_csv_reads_it() {
        let row = "Ana María,Paz,1,1990-01-01,7574\r\n";
        for text in [row.repeat(5000), format!("\u{feff}{row}{row}"), format!("{row}{row}").trim_end().to_owned()] {
            assert!(bets_of(text.as_bytes(), 1 << 20) == bets_by_csv(text.as_bytes()));
        }
    }

    #[test]
    fn rows_are_read_where_they_lie_once_something_is_read() {
        for (name, end) in [("Ana", "\n"), ("María José", "\r\n"), ("María de los Ángeles", "\n"), ("O'Higgins", "\n")]
        {
            let text = format!("{name},Paz,1,1990-01-01,7574{end}").repeat(3);
            let mut rows = Rows::new(text.as_bytes()).expect("it reads from memory");
            assert_eq!(rows.peek_plain(1), None);
            assert!(rows.peek().expect("it reads from memory"));
            rows.take();
            assert_eq!(rows.peek_plain(1).map(|(_, bytes)| bytes), Some(text.len() / 3), "{name}");
        }
    }

    #[test]
    fn every_row_is_said_to_be_on_the_line_where_it_begins() {
        for end in ["\n", "\r\n"] {
            let plain = "Ana María,Paz,1,1990-01-01,7574";
            let text =
                ["", plain, "\"a\",b,c,d,e", "a,\"b\nb\",c,d,e", plain, "", "", "a,b", "", plain, plain, "", "a,b"]
                    .join(end);
            let mut rows = Rows::new(text.as_bytes()).expect("it reads from memory");
            let mut lines = Vec::new();
            loop {
                let plain = rows.peek_plain(1).map(|(_, bytes)| bytes);
                if plain.is_none() && !rows.peek().expect("it reads from memory") {
                    break;
                }
                lines.push(rows.line());
                match plain {
                    Some(bytes) => rows.take_plain(bytes),
                    None => rows.take(),
                }
            }
            assert_eq!(lines, [2, 3, 4, 6, 9, 11, 12, 14]);
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
                "([A-Zñ ]{0,19},[a-zÑ\u{85}]{0,9},[0-9]{0,9},(2[0-9]{3}-[01]2-[0-3]7|1990),[0-9]{0,5}(\r\n|\n|\r|,)){0,9}",
            ],
            mark: bool,
            piece in 1_usize..100,
        ) {
            let text = if mark { format!("\u{feff}{text}") } else { text };
            prop_assert_eq!(bets_of(text.as_bytes(), piece), bets_by_csv(text.as_bytes()));
        }
    }
}
