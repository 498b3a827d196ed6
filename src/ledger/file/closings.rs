//! The rows of `bets.csv.closed`: an agency, its bets, and the agencies that take part.

use std::io::{Read, Write};

use crate::bet::{RowError, RowFault, parse_decimal};
use crate::buffer::Buffer;

const FIELDS: [&str; 3] = ["agency", "bets", "agencies"];

/// A row of closings.
pub(super) struct Closing {
    /// Its line, from 1.
    pub line: u64,
    pub agency: u64,
    /// The bets that the agency had.
    pub bets: u64,
    /// The number of agencies that took part.
    pub agencies: u64,
}

/// Appends a closing to `output`.
pub(super) fn write_closing(agency: u32, bets: u64, agencies: u32, output: &mut Buffer) {
    write!(output, "{agency},{bets},{agencies}\r\n").expect("a Buffer takes everything");
}

/// Reads closings, in order.
pub(super) fn read_closings(closings: impl Read) -> impl Iterator<Item = Result<Closing, RowError>> {
    let rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(closings).into_byte_records();
    (1..).zip(rows).map(|(line, row)| {
        let row = row.map_err(|error| RowFault::Unreadable(error.into()));
        row.and_then(|row| parse(line, &row)).map_err(|fault| RowError { line, fault })
    })
}

fn parse(line: u64, row: &csv::ByteRecord) -> Result<Closing, RowFault> {
    if row.len() != FIELDS.len() {
        return Err(RowFault::Fields { found: row.len(), expected: &FIELDS });
    }
    let number = |field: usize| parse_decimal(&row[field]).ok_or(RowFault::NotANumber(FIELDS[field]));
    Ok(Closing { line, agency: number(0)?, bets: number(1)?, agencies: number(2)? })
}
