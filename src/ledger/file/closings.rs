//! The rows of `bets.csv.closed`: agency, bets, agencies of the round, winning number.
//!
//! The row of an agency that the operator closed goes on with the time and the reason.

use std::io::{Read, Write};
use std::str::FromStr;

use thiserror::Error;

use crate::bet::{RowError, RowFault, WINNER_NUMBER, parse_decimal};
use crate::buffer::Buffer;
use crate::ledger::{Closing, Terms};

const FIELDS: [&str; 4] = ["agency", "bets", "agencies", "winning number"];
/// Fields of a row by hand: the time and the reason are its last two.
const FIELDS_BY_HAND: usize = FIELDS.len() + 2;
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

/// The row of an agency that the operator closes at this time, for `reason`.
pub(super) fn row_by_hand(closing: Closing, time: &str, Reason(reason): &Reason) -> Buffer {
    let mut row = rows(&[closing]);
    let end = row.len() - "\r\n".len();
    row.truncate(end);
    let quoted = reason.replace('"', "\"\"");
    write!(row, ",{time},\"{quoted}\"\r\n").expect("a Buffer grows");
    row
}

/// The reason for which the operator closes an agency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

/// Reason why a text is no [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it must be 1 to {MAX_REASON_BYTES} bytes, without control characters")]
pub struct InvalidReason;

/// With quotes, and every quote in it doubled, it stays below the longest row of a bet, which bounds what is read to find the
/// end of either file.
const MAX_REASON_BYTES: usize = 200;

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Reason, InvalidReason> {
        let text = text.trim();
        let is_valid = (1..=MAX_REASON_BYTES).contains(&text.len()) && !text.contains(char::is_control);
        if is_valid { Ok(Reason(text.to_owned())) } else { Err(InvalidReason) }
    }
}

/// The note about an agency that the operator closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The agency.
    pub agency: u32,
    /// The time at which it was closed, as RFC 3339 writes it.
    pub time: String,
    /// The reason.
    pub reason: String,
}

/// The notes in the file of closings that `closings` reads, up to the first row that can't be read.
pub fn notes(closings: impl Read) -> impl Iterator<Item = Note> {
    let rows = records(closings).map_while(Result::ok).filter(|row| row.len() == FIELDS_BY_HAND);
    rows.filter_map(|row| {
        let text = |field: usize| String::from_utf8_lossy(&row[field]).into_owned();
        Some(Note { agency: parse(&row).ok()?.agency, time: text(FIELDS.len()), reason: text(FIELDS.len() + 1) })
    })
}

fn records(closings: impl Read) -> impl Iterator<Item = csv::Result<csv::ByteRecord>> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(closings).into_byte_records()
}

/// Reads closings in order, each with its line from 1.
pub(super) fn read(closings: impl Read) -> impl Iterator<Item = Result<(u64, Closing), RowError>> {
    (1..).zip(records(closings)).map(|(line, row)| {
        let row = row.map_err(|error| RowFault::Unreadable(error.into()));
        let closing = row.and_then(|row| parse(&row)).map_err(|fault| RowError { line, fault })?;
        Ok((line, closing))
    })
}

fn parse(row: &csv::ByteRecord) -> Result<Closing, RowFault> {
    if ![OLDER_FIELDS, FIELDS.len(), FIELDS_BY_HAND].contains(&row.len()) {
        return Err(RowFault::Fields { found: row.len(), expected: &FIELDS });
    }
    let fault = |field: usize| RowFault::NotANumber(FIELDS[field]);
    let agency = parse_decimal(&row[0]).ok_or(fault(0))?;
    let bets = parse_decimal(&row[1]).ok_or(fault(1))?;
    let agencies = parse_decimal(&row[2]).ok_or(fault(2))?;
    let winning_number = row.get(3).map_or(Some(WINNER_NUMBER), parse_decimal).ok_or(fault(3))?;
    Ok(Closing { agency, bets, terms: Terms { agencies, winning_number } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSING: Closing = Closing { agency: 3, bets: 20, terms: Terms { agencies: 5, winning_number: 7574 } };

    #[test]
    fn a_row_by_hand_is_a_closing_with_a_note() {
        for text in ["flooded", "said \"never\", on Monday", "se inundó"] {
            let row = row_by_hand(CLOSING, "2026-11-25T10:00:00Z", &text.parse().expect("a reason"));
            let read: Vec<_> = read(&row[..]).map(|row| row.expect("a closing").1).collect();
            assert_eq!(read, [CLOSING]);
            let note = Note { agency: 3, time: "2026-11-25T10:00:00Z".to_owned(), reason: text.to_owned() };
            assert_eq!(notes(&row[..]).collect::<Vec<_>>(), [note]);
        }
        assert_eq!(notes(&rows(&[CLOSING])[..]).count(), 0);
    }

    #[test]
    fn a_reason_is_one_line_and_its_row_is_no_longer_than_that_of_a_bet() {
        let longest = "\"".repeat(MAX_REASON_BYTES);
        for text in ["", " ", "two\nlines", "\u{7}", &format!("{longest}x")] {
            assert_eq!(text.parse::<Reason>(), Err(InvalidReason), "{text:?}");
        }
        let terms = Terms { agencies: u32::MAX, winning_number: u32::MAX };
        let closing = Closing { agency: u32::MAX, bets: u64::MAX, terms };
        let row = row_by_hand(closing, "2026-11-25T10:00:00Z", &longest.parse().expect("a reason"));
        assert!(row.len() <= crate::bet::MAX_ROW_BYTES, "{} bytes", row.len());
    }
}
