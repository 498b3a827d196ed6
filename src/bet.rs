//! The domain: what a bet is, what makes one valid, and which one wins.
//!
//! Nothing here knows bytes, files or sockets. A [`Bet`] borrows its names from wherever it was read (a message, a
//! row of a file), so that it can pass through the program without being copied.

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;
use time::{Date, Month};

/// The number that wins the draw, from the course's skeleton (`LOTTERY_WINNER_NUMBER`).
pub const WINNER_NUMBER: u32 = 7574;

/// The most bytes of UTF-8 that a first or a last name may take. At least one is needed.
pub const MAX_NAME_BYTES: usize = 255;

/// The highest document (DNI). The lowest is 1.
pub const MAX_DOCUMENT: u32 = 99_999_999;

/// The highest number that can be bet on. The lowest is 0.
pub const MAX_NUMBER: u32 = 9_999;

/// One bet of one person, placed at one agency.
///
/// The fields hold what was read; [`Bet::validate`] says whether that is a bet.
///
/// ```
/// use loteria::bet::{Bet, Day};
///
/// let bet = Bet {
///     agency: 1,
///     first_name: "Santiago Lionel",
///     last_name: "Lorca",
///     document: 30_904_465,
///     birthdate: "1999-03-17".parse()?,
///     number: 7574,
/// };
/// assert!(bet.validate(Day::today()).is_ok());
/// assert!(bet.has_won());
/// # Ok::<(), loteria::bet::NotADay>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bet<'a> {
    /// The agency that took it, from 1.
    pub agency: u32,
    /// 1 to [`MAX_NAME_BYTES`] bytes, no control characters.
    pub first_name: &'a str,
    /// 1 to [`MAX_NAME_BYTES`] bytes, no control characters.
    pub last_name: &'a str,
    /// DNI, 1 to [`MAX_DOCUMENT`].
    pub document: u32,
    /// [`Day::OLDEST_BIRTHDATE`] to today.
    pub birthdate: Day,
    /// 0 to [`MAX_NUMBER`].
    pub number: u32,
}

impl Bet<'_> {
    /// Whether this bet wins: the course's `has_won`.
    pub fn has_won(&self) -> bool {
        self.number == WINNER_NUMBER
    }

    /// Checks every field but the agency, whose range only the central knows; `today` is the last birthdate taken.
    ///
    /// # Errors
    /// The first field that is not valid, with what would be.
    pub fn validate(&self, today: Day) -> Result<(), InvalidBet> {
        validate_name(self.first_name).map_err(InvalidBet::FirstName)?;
        validate_name(self.last_name).map_err(InvalidBet::LastName)?;
        if !(1..=MAX_DOCUMENT).contains(&self.document) {
            return Err(InvalidBet::Document);
        }
        if !(Day::OLDEST_BIRTHDATE..=today).contains(&self.birthdate) {
            return Err(InvalidBet::Birthdate);
        }
        if self.number > MAX_NUMBER {
            return Err(InvalidBet::Number);
        }
        Ok(())
    }
}

/// Whether `bet` wins: [`Bet::has_won`] under the name that the course gives it.
pub fn has_won(bet: &Bet<'_>) -> bool {
    bet.has_won()
}

fn validate_name(name: &str) -> Result<(), InvalidName> {
    match name.len() {
        0 => Err(InvalidName::Empty),
        1..=MAX_NAME_BYTES if has_control_character(name) => Err(InvalidName::ControlCharacter),
        1..=MAX_NAME_BYTES => Ok(()),
        _ => Err(InvalidName::TooLong),
    }
}

/// The same answer as `name.chars().any(char::is_control)`. Names in which no byte could be one, nearly all, are known
/// by looking at each byte once, without a branch.
fn has_control_character(name: &str) -> bool {
    let could_be = name.bytes().fold(false, |found, byte| found | COULD_BE_CONTROL[usize::from(byte)]);
    could_be && name.chars().any(char::is_control)
}

/// The bytes that control characters have in UTF-8, and few others: C0 and DEL are one byte, C1 (U+0080 to U+009F) begins
/// with 0xC2.
const COULD_BE_CONTROL: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        bytes[byte] = true;
        byte += 1;
    }
    bytes[0x7f] = true;
    bytes[0xc2] = true;
    bytes
};

/// Why a bet is not valid. The text names the field and says what would be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidBet {
    /// The first name.
    #[error("first name {0}")]
    FirstName(InvalidName),
    /// The last name.
    #[error("last name {0}")]
    LastName(InvalidName),
    /// The document.
    #[error("document is not between 1 and {MAX_DOCUMENT}")]
    Document,
    /// The birthdate.
    #[error("birthdate is not a day from 1900-01-01 to today, as YYYY-MM-DD")]
    Birthdate,
    /// The number.
    #[error("number is not between 0 and {MAX_NUMBER}")]
    Number,
}

/// Why a name is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// It takes more than [`MAX_NAME_BYTES`].
    #[error("is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// It has a character that is not text (Unicode category Cc): a line break, a tab, a NUL.
    #[error("has a control character")]
    ControlCharacter,
}

/// A day of the calendar, without a time zone.
///
/// ```
/// use loteria::bet::Day;
///
/// let day: Day = "1970-01-02".parse()?;
/// assert_eq!(day.unix_seconds(), 86_400);
/// assert_eq!(Day::from_unix_seconds(86_400), Some(day));
/// assert_eq!(Day::from_unix_seconds(86_401), None);
/// assert_eq!(day.to_string(), "1970-01-02");
/// # Ok::<(), loteria::bet::NotADay>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

const SECONDS_A_DAY: i64 = 86_400;
/// The Julian day of 1970-01-01.
const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;

impl Day {
    /// The first birthdate that is taken.
    pub const OLDEST_BIRTHDATE: Day = Day(time::macros::date!(1900 - 01 - 01));

    /// The last day that four digits of a year can say, for readers that accept any birthdate once written.
    pub const LAST: Day = Day(time::macros::date!(9999 - 12 - 31));

    /// The day it is now, in UTC.
    pub fn today() -> Day {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let days = since_epoch.as_secs() as i64 / SECONDS_A_DAY;
        Day::from_unix_seconds(days * SECONDS_A_DAY).unwrap_or(Day::LAST)
    }

    /// The day that begins at this many seconds after 1970-01-01 00:00 UTC (before, if negative).
    ///
    /// `None` if no day from the year 0 to 9999 begins there.
    pub fn from_unix_seconds(seconds: i64) -> Option<Day> {
        if seconds % SECONDS_A_DAY != 0 {
            return None;
        }
        let julian_day = i32::try_from(seconds / SECONDS_A_DAY + UNIX_EPOCH_JULIAN_DAY).ok()?;
        let date = Date::from_julian_day(julian_day).ok()?;
        (0..=9999).contains(&date.year()).then_some(Day(date))
    }

    /// Seconds from 1970-01-01 00:00 UTC to this day's 00:00 UTC.
    pub fn unix_seconds(self) -> i64 {
        (i64::from(self.0.to_julian_day()) - UNIX_EPOCH_JULIAN_DAY) * SECONDS_A_DAY
    }

    /// `YYYY-MM-DD`, as bytes of ASCII.
    pub fn to_ascii(self) -> [u8; 10] {
        let (year, month, day) = self.0.to_calendar_date();
        // A Day is within the years 0 to 9999, by each of its constructors.
        let (year, month) = (year as u32, u8::from(month));
        let [thousands, hundreds] = two_digits((year / 100) as u8);
        let [tens, units] = two_digits((year % 100) as u8);
        let [month_tens, month_units] = two_digits(month);
        let [day_tens, day_units] = two_digits(day);
        [thousands, hundreds, tens, units, b'-', month_tens, month_units, b'-', day_tens, day_units]
    }

    /// The day that these bytes say as `YYYY-MM-DD`: four, two and two digits, nothing else.
    pub fn from_ascii(text: &[u8]) -> Option<Day> {
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
        let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let pair = |tens: u8, units: u8| (tens - b'0') * 10 + (units - b'0');
        let year = i32::from(pair(y1, y2)) * 100 + i32::from(pair(y3, y4));
        let month = Month::try_from(pair(m1, m2)).ok()?;
        Date::from_calendar_date(year, month, pair(d1, d2)).ok().map(Day)
    }
}

/// `value` is below 100.
fn two_digits(value: u8) -> [u8; 2] {
    [b'0' + value / 10, b'0' + value % 10]
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii().iter().try_for_each(|&byte| fmt::Write::write_char(f, byte.into()))
    }
}

impl std::str::FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Day, NotADay> {
        Day::from_ascii(text.as_bytes()).ok_or(NotADay)
    }
}

/// A text that is no day of the calendar written as `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a day as YYYY-MM-DD")]
pub struct NotADay;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bet() -> Bet<'static> {
        Bet {
            agency: 1,
            first_name: "Ñandú",
            last_name: "O'Higgins, \"el\"",
            document: 1,
            birthdate: Day::OLDEST_BIRTHDATE,
            number: 0,
        }
    }

    fn today() -> Day {
        Day::from_ascii(b"2026-02-28").expect("a day")
    }

    fn fault(change: impl FnOnce(&mut Bet<'static>)) -> Option<InvalidBet> {
        let mut changed = bet();
        change(&mut changed);
        changed.validate(today()).err()
    }

    #[test]
    fn every_field_is_taken_at_its_limits_and_refused_beyond_them() {
        let longest: &str = "é".repeat(127).leak();
        let long_255: &str = format!("{longest}x").leak();
        let long_256: &str = format!("{longest}xx").leak();
        let after = |day: Day| Day::from_unix_seconds(day.unix_seconds() + SECONDS_A_DAY).expect("a day");
        let before = |day: Day| Day::from_unix_seconds(day.unix_seconds() - SECONDS_A_DAY).expect("a day");

        assert_eq!(fault(|_| ()), None);
        assert_eq!(fault(|bet| bet.first_name = long_255), None);
        assert_eq!(fault(|bet| bet.first_name = long_256), Some(InvalidBet::FirstName(InvalidName::TooLong)));
        assert_eq!(fault(|bet| bet.last_name = ""), Some(InvalidBet::LastName(InvalidName::Empty)));
        assert_eq!(fault(|bet| bet.document = 0), Some(InvalidBet::Document));
        assert_eq!(fault(|bet| bet.document = MAX_DOCUMENT), None);
        assert_eq!(fault(|bet| bet.document = MAX_DOCUMENT + 1), Some(InvalidBet::Document));
        assert_eq!(fault(|bet| bet.birthdate = today()), None);
        assert_eq!(fault(|bet| bet.birthdate = after(today())), Some(InvalidBet::Birthdate));
        assert_eq!(fault(|bet| bet.birthdate = before(Day::OLDEST_BIRTHDATE)), Some(InvalidBet::Birthdate));
        assert_eq!(fault(|bet| bet.number = MAX_NUMBER), None);
        assert_eq!(fault(|bet| bet.number = MAX_NUMBER + 1), Some(InvalidBet::Number));
    }

    #[test]
    fn only_7574_wins() {
        let winners: Vec<u32> = (0..=MAX_NUMBER).filter(|&number| has_won(&Bet { number, ..bet() })).collect();
        assert_eq!(winners, [7574]);
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_not_days() {
        for text in ["2023-02-29", "2024-13-01", "2024-00-10", "24-01-01", "2024-1-01", "2024-01-01 ", "+024-01-01", ""]
        {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text:?}");
        }
        assert!("2024-02-29".parse::<Day>().is_ok());
    }

    proptest! {
        #[test]
        fn a_day_survives_its_text_and_its_seconds(days in -719_528_i64..=2_932_896) {
            let day = Day::from_unix_seconds(days * SECONDS_A_DAY).expect("years 0 to 9999");
            prop_assert_eq!(day.unix_seconds(), days * SECONDS_A_DAY);
            prop_assert_eq!(Day::from_ascii(&day.to_ascii()), Some(day));
        }

        #[test]
        fn any_seconds_are_a_day_or_nothing(seconds: i64) {
            if let Some(day) = Day::from_unix_seconds(seconds) {
                prop_assert_eq!(day.unix_seconds(), seconds);
            }
        }

        #[test]
        fn the_byte_scan_finds_just_the_control_characters(name in any::<String>()) {
            prop_assert_eq!(has_control_character(&name), name.chars().any(char::is_control));
        }

        #[test]
        fn no_control_character_escapes_the_byte_scan(before in "\\PC*", control in "\\p{Cc}", after in "\\PC*") {
            let name = format!("{before}{control}{after}");
            prop_assert!(has_control_character(&name));
        }
    }
}
