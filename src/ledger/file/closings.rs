//! The rows of `bets.csv.closed`: agency, bets, agencies of the round, winning number.

use std::io::{Read, Write};

use crate::bet::{RowError, RowFault, WINNER_NUMBER, parse_decimal};
use crate::buffer::Buffer;
use crate::ledger::{Closing, Terms};

const FIELDS: [&str; 4] = ["agency", "bets", "agencies", "winning number"];
/// Fields of a row of an older server, for which the course's number wins.
const OLDER_FIELDS: usize = 3;

/// The rows of `closings`.
pub(super) fn rows(closings: &[Closing]) -> Buffer {
    let mut rows = Buffer::new();
    for Closing { agency, bets, terms: Terms { agencies, winning_number } } in closings {
        write!(rows, "{agency},{bets},{agencies},{winning_number}\r\n").expect("a Buffer grows");
    }
    rows
}

/// Reads closings in order, each with its line from 1.
pub(super) fn read(closings: impl Read) -> impl Iterator<Item = Result<(u64, Closing), RowError>> {
    let rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(closings).into_byte_records();
    (1..).zip(rows).map(|(line, row)| {
        let row = row.map_err(|error| RowFault::Unreadable(error.into()));
        let closing = row.and_then(|row| parse(&row)).map_err(|fault| RowError { line, fault })?;
        Ok((line, closing))
    })
}

fn parse(row: &csv::ByteRecord) -> Result<Closing, RowFault> {
    if ![OLDER_FIELDS, FIELDS.len()].contains(&row.len()) {
        return Err(RowFault::Fields { found: row.len(), expected: &FIELDS });
    }
    let fault = |field: usize| RowFault::NotANumber(FIELDS[field]);
    let agency = parse_decimal(&row[0]).ok_or(fault(0))?;
    let bets = parse_decimal(&row[1]).ok_or(fault(1))?;
    let agencies = parse_decimal(&row[2]).ok_or(fault(2))?;
    let winning_number = row.get(3).map_or(Some(WINNER_NUMBER), parse_decimal).ok_or(fault(3))?;
    Ok(Closing { agency, bets, terms: Terms { agencies, winning_number } })
}
