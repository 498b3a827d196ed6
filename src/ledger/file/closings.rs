//! The rows of `bets.csv.closed`: agency, bets, agencies of the round.

use std::io::{Read, Write};

use crate::bet::{RowError, RowFault, parse_decimal};
use crate::buffer::Buffer;
use crate::ledger::Closing;

const FIELDS: [&str; 3] = ["agency", "bets", "agencies"];

/// The rows of `closings`.
pub(super) fn rows(closings: &[Closing]) -> Buffer {
    let mut rows = Buffer::new();
    for Closing { agency, bets, agencies } in closings {
        write!(rows, "{agency},{bets},{agencies}\r\n").expect("a Buffer grows");
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
    if row.len() != FIELDS.len() {
        return Err(RowFault::Fields { found: row.len(), expected: &FIELDS });
    }
    let fault = |field: usize| RowFault::NotANumber(FIELDS[field]);
    Ok(Closing {
        agency: parse_decimal(&row[0]).ok_or(fault(0))?,
        bets: parse_decimal(&row[1]).ok_or(fault(1))?,
        agencies: parse_decimal(&row[2]).ok_or(fault(2))?,
    })
}
