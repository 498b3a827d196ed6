//! Plain rows: no quotes, no control characters, numbers of at most eight digits. Nearly every row is one.

use std::ops::Range;

use super::{digits, text};
use crate::bet::{Bet, Day, MAX_DOCUMENT, MAX_NAME_BYTES, MAX_NUMBER, MAX_ROW_BYTES, Name};

/// A plain row in a buffer.
#[derive(Clone, Debug)]
pub struct PlainRow {
    agency: u32,
    first_name: Range<usize>,
    last_name: Range<usize>,
    document: u32,
    birthdate: Day,
    number: u32,
    /// Bytes of the row, its end included.
    pub bytes: usize,
}

impl PlainRow {
    /// The bet of the row, which is at the front of `input`.
    #[inline(always)]
    pub fn bet<'a>(&self, input: &'a [u8]) -> Bet<'a> {
        let name = |range: &Range<usize>| Name::from_valid(&input[range.start..], range.len());
        Bet {
            agency: self.agency,
            first_name: name(&self.first_name),
            last_name: name(&self.last_name),
            document: self.document,
            birthdate: self.birthdate,
            number: self.number,
        }
    }
}

/// Reads the row at the front of `input`, of a bet of `agency` or of the agency in its first field. `None` if it is not plain,
/// if fewer than [`text::WINDOW_BYTES`] of `input` are left, if its document does not end within those, or if it is no row of
/// a bet.
#[inline(always)]
pub fn read(agency: Option<u32>, input: &[u8]) -> Option<PlainRow> {
    let window = input.first_chunk()?;
    let (agency, start, [first_end, last_end, document_end]) = match agency {
        Some(agency) => (agency, 0, text::printable_fields(window)?),
        None => {
            let [agency_end, ends @ ..] = text::printable_fields::<4>(window)?;
            (number_at(input, 0..agency_end)?, agency_end + 1, ends)
        }
    };
    let (first_name, last_name) = (start..first_end, first_end + 1..last_end);
    if first_name.is_empty() || last_name.is_empty() {
        return None;
    }
    let document = number_at(input, last_end + 1..document_end)?;
    let (date, behind) = input[document_end + 1..].split_first_chunk::<{ b"YYYY-MM-DD".len() }>()?;
    let birthdate = Day::from_ascii(date)?;
    let rest = behind.strip_prefix(b",")?;
    let (number, count) = digits::leading_number(rest).filter(|&(_, count)| count > 0)?;
    let ([b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..]) = &rest[count..] else { return None };
    Some(PlainRow { agency, first_name, last_name, document, birthdate, number, bytes: input.len() - rest.len() })
}

const _: () = assert!(text::WINDOW_BYTES <= MAX_NAME_BYTES, "a name in the window is not too long");

/// The number that is the whole field.
#[inline(always)]
fn number_at(input: &[u8], field: Range<usize>) -> Option<u32> {
    let (number, count) = digits::leading_number(&input[field.start..])?;
    (count > 0 && count == field.len()).then_some(number)
}

/// Writes the row of `bet` to the front of `room`, agency first, and gives its length. `None` if it is not plain.
#[inline(always)]
pub fn write(bet: &Bet<'_>, room: &mut [u8; MAX_ROW_BYTES]) -> Option<usize> {
    if bet.agency >= digits::LIMIT || bet.document > MAX_DOCUMENT || bet.number > MAX_NUMBER {
        return None;
    }
    let mut row = Writer { room, length: 0 };
    row.put_number(bet.agency);
    row.put(b",");
    row.put_name(bet.first_name)?;
    row.put(b",");
    row.put_name(bet.last_name)?;
    row.put(b",");
    row.put_number(bet.document);
    row.put_date(bet.birthdate);
    row.put_number(bet.number);
    row.put(b"\r\n");
    Some(row.length)
}

struct Writer<'o> {
    room: &'o mut [u8; MAX_ROW_BYTES],
    length: usize,
}

impl Writer<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.room[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// Looks for separators in the name and not where it was written to: a load from what was just stored in pieces waits
    /// for all of them.
    #[inline(always)]
    fn put_name(&mut self, name: Name<'_>) -> Option<()> {
        name.copy_to(&mut self.room[self.length..]);
        self.length += name.as_bytes().len();
        (!name.has_separator()).then_some(())
    }

    /// Writes eight bytes for a number of any length, which costs less. The next field overwrites those that are no digits.
    #[inline(always)]
    fn put_number(&mut self, number: u32) {
        let (digits, count) = digits::to_decimal(number);
        self.put(&digits);
        self.length -= digits.len() - count;
    }

    /// Writes a date between two commas.
    #[inline(always)]
    fn put_date(&mut self, day: Day) {
        let (year, month, day) = day.date();
        let digits = digits::eight_digits(10_000 * year + 100 * month + day);
        let mut date = *b",YYYY-MM-DD,";
        date[1..5].copy_from_slice(&digits[..4]);
        date[6..8].copy_from_slice(&digits[4..6]);
        date[9..11].copy_from_slice(&digits[6..]);
        self.put(&date);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive_read(agency: Option<u32>, input: &[u8]) -> Option<(Bet<'_>, usize)> {
        let bytes = input.iter().position(|&byte| byte == b'\n')? + 1;
        let row = str::from_utf8(&input[..bytes - 1]).ok().filter(|row| !row.contains('"'))?;
        let mut fields = row.strip_suffix('\r').unwrap_or(row).split(',');
        let number =
            |field: &str| field.bytes().all(|byte| byte.is_ascii_digit()).then(|| field.parse().ok()).flatten();
        let agency = agency.or_else(|| number(fields.next()?))?;
        let bet = Bet {
            agency,
            first_name: Name::try_from(fields.next()?).ok()?,
            last_name: Name::try_from(fields.next()?).ok()?,
            document: number(fields.next()?)?,
            birthdate: fields.next()?.parse().ok()?,
            number: number(fields.next()?)?,
        };
        fields.next().is_none().then_some((bet, bytes))
    }

    fn naive_write(bet: &Bet<'_>) -> String {
        let Bet { agency, first_name, last_name, document, birthdate, number } = bet;
        format!("{agency},{first_name},{last_name},{document},{birthdate},{number}\r\n")
    }

    proptest! {
        #[test]
        fn a_row_that_is_read_is_what_its_twin_reads(
            row in "([0-9]{0,9},)?[A-Zñ \"]{0,19},[a-zÑ\u{85}]{0,18},[0-9]{0,9},([12][0-9]{3}-[01][12]-[0-3][127]|1990),[0-9a]{0,9}[\r\n,]{0,3}",
            has_agency: bool,
        ) {
            let agency = has_agency.then_some(7);
            let input = format!("{row}{}", "x".repeat(text::WINDOW_BYTES));
            if let Some(row) = read(agency, input.as_bytes()) {
                prop_assert_eq!(Some((row.bet(input.as_bytes()), row.bytes)), naive_read(agency, input.as_bytes()));
            }
        }

        #[test]
        fn a_plain_row_is_written_as_its_twin_does_and_read_again(
            names in ["[A-Za-zñé'. -]{1,60}", "[A-Zñ\u{100}李]{1,30}"],
            agency in 0..digits::LIMIT,
            document in 0..=MAX_DOCUMENT,
            days in -719_528_i64..=2_932_896,
            number in 0..=MAX_NUMBER,
        ) {
            let birthdate = Day::from_unix_seconds(days * 86_400).expect("years 0 to 9999");
            let [first_name, last_name] = names.each_ref().map(|name| Name::try_from(name.as_str()).expect("a name"));
            let bet = Bet { agency, first_name, last_name, document, birthdate, number };
            let mut room = [b'x'; MAX_ROW_BYTES];
            let written = write(&bet, &mut room).map(|length| room[..length].to_vec());
            prop_assert_eq!(written, Some(naive_write(&bet).into_bytes()));
            // A row whose document ends beyond the window is for the general reader.
            let document_end = room.iter().enumerate().filter(|&(_, &byte)| byte == b',').nth(3).map(|(place, _)| place);
            let is_read = document_end.is_some_and(|end| end < text::WINDOW_BYTES);
            prop_assert_eq!(read(None, &room).map(|row| row.bet(&room)), is_read.then_some(bet));
        }
    }
}
