//! A day, as birthdates are.

use std::fmt;

use thiserror::Error;
use time::OffsetDateTime;

use super::fast::{dates, digits};

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
    /// Days since 1970-01-01, negative before.
    days: i32,
}

const SECONDS_A_DAY: i64 = 86_400;

impl Day {
    /// The first day with a year of four digits.
    const FIRST: Day = Day::of(0, 1, 1);

    /// The first birthdate that is accepted.
    pub const OLDEST_BIRTHDATE: Day = Day::of(1900, 1, 1);

    /// The last day with a year of four digits, for readers that accept any birthdate once stored.
    pub const LAST: Day = Day::of(9999, 12, 31);

    /// The day with this date, which is in the calendar.
    const fn of(year: u32, month: u32, day: u32) -> Day {
        Day { days: dates::days_of(year, month, day) }
    }

    /// Today in UTC.
    pub fn today() -> Day {
        let days = OffsetDateTime::now_utc().unix_timestamp() / SECONDS_A_DAY;
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
    #[inline(always)]
    pub fn from_ascii(text: &[u8]) -> Option<Day> {
        let &[thousands, hundreds, tens, units, b'-', month_tens, month_units, b'-', day_tens, day_units] = text else {
            return None;
        };
        let digits = [thousands, hundreds, tens, units, month_tens, month_units, day_tens, day_units];
        let [century, year, month, day] = digits::number_pairs(digits)?;
        let year = 100 * century + year;
        dates::is_date(year, month, day).then_some(Day::of(year, month, day))
    }

    /// Year, month and day of the month.
    #[inline(always)]
    pub fn date(self) -> (u32, u32, u32) {
        dates::date_of(self.days)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
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

    #[test]
    fn a_text_that_is_no_date_of_the_calendar_is_no_day() {
        for text in [
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "24-01-01",
            "2024-1-01",
            "2024-01-01 ",
            "+024-01-01",
            "2024/01/01",
            "2024-01-0a",
            "",
        ] {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text:?}");
        }
    }

    #[test]
    fn days_at_their_limits_survive_their_text() {
        for text in ["0000-01-01", "2000-02-29", "2024-02-29", "9999-12-31"] {
            assert_eq!(text.parse::<Day>().map(|day| day.to_string()), Ok(text.to_owned()));
        }
        let last = Day::LAST.unix_seconds();
        assert_eq!(Day::from_unix_seconds(last), Some(Day::LAST));
        assert_eq!(Day::from_unix_seconds(last + SECONDS_A_DAY), None);
        let first = "0000-01-01".parse::<Day>().expect("a day").unix_seconds();
        assert_eq!(Day::from_unix_seconds(first - SECONDS_A_DAY), None);
    }

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
