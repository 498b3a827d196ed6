//! A day, as birthdates are.

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;
use time::{Date, Month};

use crate::text::{self, two_digits};

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
pub struct Day {
    /// Days since 1970-01-01.
    days: i32,
}

const SECONDS_A_DAY: i64 = 86_400;
const EPOCH: Date = time::macros::date!(1970 - 01 - 01);

impl Day {
    /// The first day that four digits of a year can say.
    const FIRST: Day = Day::of(time::macros::date!(0000 - 01 - 01));

    /// The first birthdate that is taken.
    pub const OLDEST_BIRTHDATE: Day = Day::of(time::macros::date!(1900 - 01 - 01));

    /// The last day that four digits of a year can say, for readers that accept any birthdate once written.
    pub const LAST: Day = Day::of(time::macros::date!(9999 - 12 - 31));

    const fn of(date: Date) -> Day {
        Day { days: date.to_julian_day() - EPOCH.to_julian_day() }
    }

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
        let day = Day { days: i32::try_from(seconds / SECONDS_A_DAY).ok()? };
        (day.unix_seconds() == seconds && (Day::FIRST..=Day::LAST).contains(&day)).then_some(day)
    }

    /// Seconds from 1970-01-01 00:00 UTC to this day's 00:00 UTC.
    pub fn unix_seconds(self) -> i64 {
        i64::from(self.days) * SECONDS_A_DAY
    }

    /// `YYYY-MM-DD`, as bytes of ASCII.
    #[inline(always)]
    pub fn to_ascii(self) -> [u8; 10] {
        // Every Day is a Date.
        let date = Date::from_julian_day(self.days + EPOCH.to_julian_day()).unwrap_or(EPOCH);
        let (year, month, day) = date.to_calendar_date();
        let year = year as u32;
        let [thousands, hundreds] = two_digits(year / 100);
        let [tens, units] = two_digits(year % 100);
        let [month_tens, month_units] = two_digits(u8::from(month).into());
        let [day_tens, day_units] = two_digits(day.into());
        [thousands, hundreds, tens, units, b'-', month_tens, month_units, b'-', day_tens, day_units]
    }

    /// The day that these bytes say as `YYYY-MM-DD`: four, two and two digits, nothing else.
    pub fn from_ascii(text: &[u8]) -> Option<Day> {
        const DASHES: u64 = u64::from_le_bytes([0, 0, 0, 0, b'-', 0, 0, b'-']);
        const WHERE_DASHES_ARE: u64 = u64::from_le_bytes([0, 0, 0, 0, !0, 0, 0, !0]);
        let (head, day) = text.split_first_chunk()?;
        let (head, day) = (u64::from_le_bytes(*head), u16::from_le_bytes(day.try_into().ok()?));
        if head & WHERE_DASHES_ARE != DASHES {
            return None;
        }
        let (year, month, day) = (head & 0xffff_ffff, head >> 40 & 0xffff, u64::from(day));
        let number = text::eight_digits(year | month << 32 | day << 48)?;
        let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
        let month = Month::try_from(month as u8).ok()?;
        Date::from_calendar_date(year as i32, month, day as u8).ok().map(Day::of)
    }
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
    }
}
