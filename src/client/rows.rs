//! The rows of an agency's file: CSV, read a row at a time.
//!
//! Nearly every row is plain: it has no quote, ends with LF or CRLF, and lies whole in what was read from the file last.
//! Such a row is cut at its commas where it lies. Any other row, and the first, which may begin with a byte order mark,
//! is for `csv_core`, which goes through it byte by byte at five times the cost. Where one stops the other goes on, and a
//! test holds them to saying the same.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use csv_core::ReadRecordResult;

/// Fields of a row of an agency's file.
pub const ROW_FIELDS: usize = 5;

/// What is read from the file at once.
const READ_BYTES: usize = 1 << 16;

/// Reads rows from `R`, by any of CR, LF and CRLF as the end of one. Empty ones are skipped.
#[derive(Debug)]
pub struct Rows<R> {
    input: BufReader<R>,
    csv: csv_core::Reader,
    row: Row,
    /// The line at which the row was looked for, from 1: empty ones before it count as its own.
    line: u64,
    /// The line at which the next one is.
    next_line: u64,
    /// The fields of a row that `csv_core` read, one behind the other,
    fields: Vec<u8>,
    /// and where each ends.
    ends: Vec<usize>,
}

/// The row that was read last.
#[derive(Debug)]
enum Row {
    /// None was read yet.
    Start,
    /// It lies at the front of the input, has these fields, and takes so many bytes.
    Plain { fields: [Range<usize>; ROW_FIELDS], bytes: usize },
    /// `csv_core` read it, and it has so many fields.
    Parsed { fields: usize },
    /// There is no more.
    End,
}

impl<R: Read> Rows<R> {
    /// The rows of `input`, from its beginning.
    pub fn new(input: R) -> Rows<R> {
        Rows {
            input: BufReader::with_capacity(READ_BYTES, input),
            csv: csv_core::Reader::new(),
            row: Row::Start,
            line: 1,
            next_line: 1,
            fields: vec![0; 256],
            ends: vec![0; ROW_FIELDS + 1],
        }
    }

    /// Goes to the next row, and says whether there is one.
    ///
    /// # Errors
    /// What `R` says.
    pub fn advance(&mut self) -> io::Result<bool> {
        match self.row {
            Row::Start => return self.parse(),
            Row::Plain { bytes, .. } => self.input.consume(bytes),
            Row::Parsed { .. } => {}
            Row::End => return Ok(false),
        }
        self.line = self.next_line;
        let Some(row) = plain_row(self.input.buffer()) else { return self.parse() };
        self.row = row;
        self.next_line += 1;
        Ok(true)
    }

    /// The line at which the row begins, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The fields of the row.
    ///
    /// # Errors
    /// How many it has, if those are not [`ROW_FIELDS`].
    pub fn fields(&self) -> Result<[&[u8]; ROW_FIELDS], usize> {
        match &self.row {
            Row::Plain { fields, .. } => Ok(fields.each_ref().map(|field| &self.input.buffer()[field.clone()])),
            Row::Parsed { fields: ROW_FIELDS } => {
                let start = |field: usize| if field == 0 { 0 } else { self.ends[field - 1] };
                Ok(std::array::from_fn(|field| &self.fields[start(field)..self.ends[field]]))
            }
            Row::Parsed { fields } => Err(*fields),
            Row::Start | Row::End => Err(0),
        }
    }

    /// The first two fields, which are text. In a plain row there is a comma between them, so that both are text if all
    /// of it is: they are looked at in one go.
    ///
    /// # Errors
    /// Which of them is not UTF-8, from 0.
    pub fn names<'a>(&'a self, [first, last]: [&'a [u8]; 2]) -> Result<[&'a str; 2], usize> {
        if let Row::Plain { fields: [first, last, ..], .. } = &self.row
            && let Ok(both) = str::from_utf8(&self.input.buffer()[first.start..last.end])
        {
            return Ok([&both[..first.len()], &both[first.len() + 1..]]);
        }
        Ok([str::from_utf8(first).map_err(|_| 0_usize)?, str::from_utf8(last).map_err(|_| 1_usize)?])
    }

    /// Has `csv_core` read the next row.
    fn parse(&mut self) -> io::Result<bool> {
        let (mut bytes, mut fields) = (0, 0);
        self.csv.set_line(self.next_line);
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
                    self.row = Row::Parsed { fields };
                    self.next_line = self.csv.line() + u64::from(is_at_cr && self.skip_line_feed()?);
                    return Ok(true);
                }
                ReadRecordResult::End => {
                    self.row = Row::End;
                    return Ok(false);
                }
            }
        }
    }

    /// Skips the second half of a CRLF, which `csv_core` leaves to the next row, and says whether it was there.
    fn skip_line_feed(&mut self) -> io::Result<bool> {
        let is_there = self.input.fill_buf()?.first() == Some(&b'\n');
        self.input.consume(usize::from(is_there));
        Ok(is_there)
    }
}

/// The row at the front of `input`, if it is a plain one.
fn plain_row(input: &[u8]) -> Option<Row> {
    let mut marks = Marks::new(input).filter(|&at| matches!(input[at], b',' | b'"' | b'\r' | b'\n'));
    let mut ends = [0; ROW_FIELDS];
    for end in &mut ends {
        *end = marks.next()?;
    }
    let [first, second, third, fourth, end] = ends;
    if [first, second, third, fourth].iter().any(|&end| input[end] != b',') {
        return None;
    }
    let bytes = match &input[end..] {
        [b'\n', ..] => end + 1,
        [b'\r', b'\n', ..] => end + 2,
        _ => return None,
    };
    let starts = [0, first + 1, second + 1, third + 1, fourth + 1];
    Some(Row::Plain { fields: std::array::from_fn(|field| starts[field]..ends[field]), bytes })
}

/// Where bytes from 0 to `,` are: whatever ends a field, a quote, and few others. Looks at eight bytes at a time; up to seven
/// bytes at the end of the input, which is no end of a row most of the time, are not looked at.
struct Marks<'a> {
    words: std::slice::Iter<'a, [u8; 8]>,
    /// Where the word of the moment begins.
    at: usize,
    /// Its marks that are still to come: the highest bit of each byte.
    word: u64,
}

impl Marks<'_> {
    fn new(input: &[u8]) -> Marks<'_> {
        Marks { words: input.as_chunks().0.iter(), at: 0_usize.wrapping_sub(8), word: 0 }
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.word = up_to_comma(u64::from_le_bytes(*self.words.next()?));
            self.at = self.at.wrapping_add(8);
        }
        let byte = self.word.trailing_zeros() as usize / 8;
        self.word &= self.word - 1;
        Some(self.at + byte)
    }
}

/// The highest bit of each byte that is from 0 to `,`: adding what is missing from there to 0x80 carries into that bit
/// for every other byte but those above 0x7F, which have it already. No sum reaches the next byte.
fn up_to_comma(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST_BITS: u64 = EACH << 7;
    let above = (word & !HIGHEST_BITS) + EACH * (0x80 - (b',' as u64 + 1));
    !(above | word) & HIGHEST_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of this size, so that rows are cut by the end of what was read.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
            let bytes = self.1.min(output.len());
            self.0.take(bytes as u64).read(output).inspect(|&read| self.0 = &self.0[read..])
        }
    }

    /// The fields of each row, or how many they are.
    type Fields = Vec<Result<Vec<Vec<u8>>, usize>>;

    fn rows_of(text: &[u8], piece: usize) -> Fields {
        let mut rows = Rows::new(Pieces(text, piece));
        let mut read = Vec::new();
        while rows.advance().expect("it reads from memory") {
            read.push(rows.fields().map(|fields| fields.map(<[u8]>::to_vec).to_vec()));
        }
        assert!(!rows.advance().expect("it reads from memory"), "the end is the end");
        read
    }

    fn rows_by_csv(text: &[u8], piece: usize) -> Fields {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Pieces(text, piece));
        let rows = reader.byte_records().map(|row| row.expect("it reads from memory"));
        rows.map(|row| match row.len() {
            ROW_FIELDS => Ok(row.iter().map(<[u8]>::to_vec).collect()),
            fields => Err(fields),
        })
        .collect()
    }

    #[test]
    fn a_plain_file_is_read_as_csv_reads_it() {
        let row = "Ana María,Paz,1,1990-01-01,7574\r\n";
        for text in [row.repeat(5000), format!("\u{feff}{row}{row}"), format!("{row}{row}").trim_end().to_owned()] {
            assert!(rows_of(text.as_bytes(), 1 << 20) == rows_by_csv(text.as_bytes(), 1 << 20));
        }
    }

    #[test]
    fn every_row_is_said_to_be_on_the_line_where_it_begins() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b,c,d,e", "\"a\",b,c,d,e", "a,\"b\nb\",c,d,e", "a,b,c,d,e", "a,b", "a,b,c,d,e", "a,b,c,d,e"]
                .join(end);
            let mut rows = Rows::new(text.as_bytes());
            let mut lines = Vec::new();
            while rows.advance().expect("it reads from memory") {
                lines.push(rows.line());
            }
            assert_eq!(lines, [1, 2, 3, 5, 6, 7, 8]);
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_as_csv_reads_it(
            text in prop_oneof!["[a,\"\r\n]{0,60}", "(a,b,c,d,e(\r\n|\n|\r|,)){0,9}", "(a,(\"b\"|b),,\"?d,e(\r\n|\n)+){0,9}"],
            mark: bool,
            piece in 3_usize..100,
        ) {
            let text = if mark { format!("\u{feff}{text}") } else { text };
            prop_assert_eq!(rows_of(text.as_bytes(), piece), rows_by_csv(text.as_bytes(), piece));
        }
    }
}
