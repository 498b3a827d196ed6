//! Bets as rows, in the format of the course's `store_bets`: as Python's `csv.writer` writes them, with quotes only where
//! they are needed, ended by CRLF.

use std::io::{self, Write};

use super::fast::rows;
use super::{Bet, MAX_NAME_BYTES, Name};
use crate::buffer::Buffer;

/// The most bytes of a row of a valid bet: numbers of 10, 8 and 4 digits, a date, two names of quotes that are doubled and
/// enclosed, 5 commas, CRLF.
pub const MAX_ROW_BYTES: usize = 10 + 2 * (2 * MAX_NAME_BYTES + 2) + 8 + 10 + 4 + 5 + 2;

/// Appends `bets` to `storage`: the course's `store_bets`.
///
/// ```
/// use loteria::bet::{Bet, Day, load_bets, store_bets};
///
/// let bet = Bet {
///     agency: 1,
///     first_name: "María, \"la\" Ñata".try_into()?,
///     last_name: "Paz".try_into()?,
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
/// The error of `storage`.
pub fn store_bets<'a>(storage: &mut impl Write, bets: impl IntoIterator<Item = Bet<'a>>) -> io::Result<()> {
    let mut rows = Buffer::new();
    bets.into_iter().for_each(|bet| write_row(&bet, &mut rows));
    storage.write_all(&rows)
}

/// Appends the row of `bet` to `output`. The bet need not be valid.
#[inline(always)]
pub fn write_row(bet: &Bet<'_>, output: &mut Buffer) {
    let room = output.room(MAX_ROW_BYTES).first_chunk_mut().expect("as much room as was asked for");
    match rows::write(bet, room) {
        Some(length) => output.add(length),
        None => write_any(bet, output).expect("a Buffer takes everything"),
    }
}

#[inline(never)]
fn write_any(bet: &Bet<'_>, output: &mut Buffer) -> io::Result<()> {
    write!(output, "{},", bet.agency)?;
    write_name(bet.first_name, output);
    write_name(bet.last_name, output);
    write!(output, "{},{},{}\r\n", bet.document, bet.birthdate, bet.number)
}

/// Appends a name and a comma. A name has no line break, so only a comma or a quote in it needs quotes around it.
fn write_name(name: Name<'_>, output: &mut Buffer) {
    let bytes = name.as_bytes();
    if name.has_separator() {
        output.extend_from_slice(b"\"");
        for part in bytes.split_inclusive(|&byte| byte == b'"') {
            output.extend_from_slice(part);
            output.extend_from_slice(if part.ends_with(b"\"") { b"\"" } else { b"" });
        }
        output.extend_from_slice(b"\"");
    } else {
        output.extend_from_slice(bytes);
    }
    output.extend_from_slice(b",");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bet::{Day, MAX_DOCUMENT, MAX_NUMBER};

    fn name(text: &str) -> Name<'_> {
        text.try_into().expect("a name")
    }

    /// The row that `csv` itself makes of these fields.
    fn csv_row(fields: &[&str]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
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
            let (first_name, last_name, birthdate) = (name("A"), name("B"), Day::OLDEST_BIRTHDATE);
            let bet = Bet { agency: 1, first_name, last_name, document: 1, birthdate, number: 1 };
            check_row(&Bet { agency: number, ..bet });
            check_row(&Bet { document: number, ..bet });
            check_row(&Bet { number, ..bet });
        }
    }

    #[test]
    fn the_longest_row_of_a_valid_bet_has_as_many_bytes_as_are_stated() {
        let quotes = "\"".repeat(MAX_NAME_BYTES);
        let (first_name, last_name, birthdate) = (name(&quotes), name(&quotes), Day::OLDEST_BIRTHDATE);
        let bet =
            Bet { agency: u32::MAX, first_name, last_name, document: MAX_DOCUMENT, birthdate, number: MAX_NUMBER };
        check_row(&bet);
        let mut row = Buffer::new();
        write_row(&bet, &mut row);
        assert_eq!(row.len(), MAX_ROW_BYTES);
    }

    proptest! {
        #[test]
        fn rows_are_what_csv_makes_of_their_fields(
            agency in prop_oneof![1..=100_000_u32, any::<u32>()],
            document in prop_oneof![0..=MAX_DOCUMENT, any::<u32>()],
            number in prop_oneof![0..=MAX_NUMBER, any::<u32>()],
            first_name in "\\PC{1,60}|[a-zñ ]{1,120}|[ -~]{1,255}|[\", é]{1,120}",
            last_name in "\\PC{1,60}|[a-zñ ]{1,120}|[ -~]{1,255}|[\", é]{1,120}",
            days in -719_528_i64..=2_932_896,
        ) {
            let birthdate = Day::from_unix_seconds(days * 86_400).expect("years 0 to 9999");
            let (first_name, last_name) = (name(&first_name), name(&last_name));
            check_row(&Bet { agency, first_name, last_name, document, birthdate, number });
        }
    }
}
