//! A day, as birthdates are.

use std::fmt;
use std::time::SystemTime;

use thiserror::Error;

use crate::text;

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
    /// The first day that four digits of a year can say.
    const FIRST: Day = Day::of(0, 1, 1);

    /// The first birthdate that is taken.
    pub const OLDEST_BIRTHDATE: Day = Day::of(1900, 1, 1);

    /// The last day that four digits of a year can say, for readers that accept any birthdate once written.
    pub const LAST: Day = Day::of(9999, 12, 31);

    /// The day with this date, which is in the calendar: up to the year 9999. After Neri and Schneider, "Euclidean affine
    /// functions and their application to calendar algorithms" (2022), as is [`Day::date`]: years begin in March there, so that
    /// the day that only some have is their last.
    const fn of(year: u32, month: u32, day: u32) -> Day {
        let is_before_march = month <= 2;
        let (year, month) = (year + CYCLE_YEARS - is_before_march as u32, month + 12 * is_before_march as u32);
        let century = year / 100;
        let days_before_year = 1461 * year / 4 - century + century / 4;
        let days_before_month = (979 * month - 2919) / 32;
        Day { days: (days_before_year + days_before_month + day - 1) as i32 - DAYS_BEFORE_1970 }
    }

    /// Year (0 to 9999), month (1 to 12) and day (1 to 31).
    #[inline(always)]
    pub fn date(self) -> (u32, u32, u32) {
        let days = (self.days + DAYS_BEFORE_1970) as u32;
        let (century, days) = ((4 * days + 3) / CYCLE_DAYS, (4 * days + 3) % CYCLE_DAYS / 4);
        let years = u64::from(4 * days + 3) * 2_939_745;
        let (year, days) = ((years >> 32) as u32, years as u32 / 2_939_745 / 4);
        let months = 2141 * days + 197_913;
        let (month, day) = (months >> 16, (months & 0xffff) / 2141);
        let is_after_december = month > 12;
        let (year, month) = (year + is_after_december as u32, month - 12 * is_after_december as u32);
        (100 * century + year - CYCLE_YEARS, month, day + 1)
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

    /// The day that these bytes say as `YYYY-MM-DD`: four, two and two digits, nothing else.
    #[inline(always)]
    pub fn from_ascii(text: &[u8]) -> Option<Day> {
        let &[thousands, hundreds, tens, units, b'-', month_tens, month_units, b'-', day_tens, day_units] = text else {
            return None;
        };
        let digits = [thousands, hundreds, tens, units, month_tens, month_units, day_tens, day_units];
        let [century, year, month, day] = text::number_pairs(digits)?;
        let year = 100 * century + year;
        let is_date = (1..=12).contains(&month) && day >= 1 && (day <= 28 || day <= days_of_month(year, month));
        is_date.then(|| Day::of(year, month, day))
    }
}

/// Years and days after which the calendar begins again.
const CYCLE_YEARS: u32 = 400;
const CYCLE_DAYS: u32 = 146_097;
/// From the 1st of March of a cycle's length before the year 0.
const DAYS_BEFORE_1970: i32 = 719_468 + CYCLE_DAYS as i32;

fn days_of_month(year: u32, month: u32) -> u32 {
    let is_leap_year = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap_year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
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
    fn days_that_are_not_in_the_calendar_are_not_days() {
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "24-01-01",
            "2024-1-01",
            "2024-01-01 ",
            "+024-01-01",
            "",
        ] {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text:?}");
        }
        assert!("2024-02-29".parse::<Day>().is_ok());
    }

    /// What the days of a calendar are, whatever ours says.
    #[test]
    fn every_day_has_the_date_that_the_calendar_gives_it() {
        let mut date = time::Date::from_calendar_date(0, time::Month::January, 1).expect("a date");
        let mut days = Day::FIRST.days;
        loop {
            let text = format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
            assert_eq!(Day { days }.to_string(), text);
            assert_eq!(text.parse(), Ok(Day { days }));
            let Some(next) = date.next_day().filter(|next| next.year() <= 400) else { break };
            (date, days) = (next, days + 1);
        }
        assert_eq!(days - Day::FIRST.days, date.to_julian_day() - 1_721_060, "0000-01-01 is Julian day 1721060");
    }

    #[test]
    fn months_have_as_many_days_as_they_have() {
        for (year, month, day) in (0..=400)
            .chain(1890..2110)
            .flat_map(|year| (0..=13).flat_map(move |month| [0, 1, 28, 29, 30, 31, 32].map(|day| (year, month, day))))
        {
            let date = time::Month::try_from(month)
                .ok()
                .and_then(|month| time::Date::from_calendar_date(year, month, day).ok());
            let ours = Day::from_ascii(format!("{year:04}-{month:02}-{day:02}").as_bytes());
            assert_eq!(
                ours.map(Day::unix_seconds),
                date.map(|date| date.midnight().assume_utc().unix_timestamp()),
                "{year}-{month}-{day}"
            );
        }
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
