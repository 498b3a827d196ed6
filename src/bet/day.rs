//! A day, as birthdates are.

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;

use super::fast::dates;

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

impl Day {
    /// The first day with a year of four digits.
    const FIRST: Day = Day::from_days(dates::to_days(0, 1, 1));

    /// The first birthdate that is accepted.
    pub const OLDEST_BIRTHDATE: Day = Day::from_days(dates::to_days(1900, 1, 1));

    /// The last day with a year of four digits, for readers that accept any birthdate once stored.
    pub const LAST: Day = Day::from_days(dates::to_days(9999, 12, 31));

    pub(super) const fn from_days(days: i32) -> Day {
        Day { days }
    }

    pub(super) fn days(self) -> i32 {
        self.days
    }

    /// Today in UTC.
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

    /// The day that these bytes say as `YYYY-MM-DD`: four, two and two digits, nothing else.
    pub fn from_ascii(text: &[u8]) -> Option<Day> {
        dates::parse(text).map(Day::from_days)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = dates::from_days(self.days);
        write!(f, "{year:04}-{month:02}-{day:02}")
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

    proptest! {
        #[test]
        fn a_day_survives_its_text_and_its_seconds(days in -719_528_i64..=2_932_896) {
            let day = Day::from_unix_seconds(days * SECONDS_A_DAY).expect("years 0 to 9999");
            prop_assert_eq!(day.unix_seconds(), days * SECONDS_A_DAY);
            prop_assert_eq!(Day::from_ascii(day.to_string().as_bytes()), Some(day));
        }

        #[test]
        fn any_seconds_are_a_day_or_nothing(seconds: i64) {
            if let Some(day) = Day::from_unix_seconds(seconds) {
                prop_assert_eq!(day.unix_seconds(), seconds);
            }
        }
    }
}
