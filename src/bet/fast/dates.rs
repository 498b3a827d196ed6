//! Dates to days and back, after Neri and Schneider, "Euclidean affine functions and their application to calendar
//! algorithms" (2022). Their years begin in March, so that a leap day is the last day of a year.

use super::digits;

/// Years and days after which the calendar repeats.
const CYCLE_YEARS: u32 = 400;
const CYCLE_DAYS: u32 = 146_097;
/// Days from the 1st of March of a cycle's length before the year 0.
const DAYS_BEFORE_1970: i32 = 719_468 + CYCLE_DAYS as i32;

/// Days from 1970-01-01 to this date, which must be in the calendar and at most 9999-12-31.
#[inline(always)]
pub const fn to_days(year: u32, month: u32, day: u32) -> i32 {
    let is_before_march = month <= 2;
    let (year, month) = (year + CYCLE_YEARS - is_before_march as u32, month + 12 * is_before_march as u32);
    let century = year / 100;
    let days_before_year = 1461 * year / 4 - century + century / 4;
    let days_before_month = (979 * month - 2919) / 32;
    (days_before_year + days_before_month + day - 1) as i32 - DAYS_BEFORE_1970
}

/// Year, month and day of the date this many days after 1970-01-01, from 0000-01-01 to 9999-12-31.
#[inline(always)]
pub fn from_days(days: i32) -> (u32, u32, u32) {
    let days = (days + DAYS_BEFORE_1970) as u32;
    let (century, days) = ((4 * days + 3) / CYCLE_DAYS, (4 * days + 3) % CYCLE_DAYS / 4);
    let years = u64::from(4 * days + 3) * 2_939_745;
    let (year, days) = ((years >> 32) as u32, years as u32 / 2_939_745 / 4);
    let months = 2141 * days + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2141);
    let is_after_december = month > 12;
    let (year, month) = (year + is_after_december as u32, month - 12 * is_after_december as u32);
    (100 * century + year - CYCLE_YEARS, month, day + 1)
}

/// Days from 1970-01-01 to the date that these bytes say as `YYYY-MM-DD`. `None` if they say no date of the calendar.
#[inline(always)]
pub fn parse(text: &[u8]) -> Option<i32> {
    let &[thousands, hundreds, tens, units, b'-', month_tens, month_units, b'-', day_tens, day_units] = text else {
        return None;
    };
    let digits = [thousands, hundreds, tens, units, month_tens, month_units, day_tens, day_units];
    let [century, year, month, day] = digits::number_pairs(digits)?;
    let year = 100 * century + year;
    let is_date = (1..=12).contains(&month) && day >= 1 && (day <= 28 || day <= days_of_month(year, month));
    if is_date { Some(to_days(year, month, day)) } else { None }
}

fn days_of_month(year: u32, month: u32) -> u32 {
    let is_leap_year = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap_year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{Date, Month};

    use super::*;

    /// Julian day of 1970-01-01.
    const JULIAN_1970: i32 = 2_440_588;

    fn naive_to_days(year: i32, month: u8, day: u8) -> Option<i32> {
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
        Some(date.to_julian_day() - JULIAN_1970)
    }

    fn naive_from_days(days: i32) -> (u32, u32, u32) {
        let date = Date::from_julian_day(days + JULIAN_1970).expect("a date");
        (date.year() as u32, u8::from(date.month()).into(), date.day().into())
    }

    #[test]
    fn every_date_of_a_cycle_and_more_is_that_of_the_calendar() {
        let dates = (0..=400).chain(1890..2110).chain(9990..=9999).flat_map(|year| {
            (0..=13).flat_map(move |month| [0, 1, 15, 28, 29, 30, 31, 32].map(|day| (year, month, day)))
        });
        for (year, month, day) in dates {
            let days = naive_to_days(year, month, day);
            assert_eq!(parse(format!("{year:04}-{month:02}-{day:02}").as_bytes()), days, "{year}-{month}-{day}");
            if let Some(days) = days {
                assert_eq!(from_days(days), (year as u32, month.into(), day.into()));
            }
        }
    }

    #[test]
    fn a_text_of_another_form_is_no_date() {
        for text in ["24-01-01", "2024-1-01", "2024-01-01 ", "+024-01-01", "2024/01/01", "2024-01-0a", ""] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_those_of_the_calendar(days in -719_528..=2_932_896) {
            let (year, month, day) = from_days(days);
            prop_assert_eq!((year, month, day), naive_from_days(days));
            prop_assert_eq!(to_days(year, month, day), days);
            prop_assert_eq!(parse(format!("{year:04}-{month:02}-{day:02}").as_bytes()), Some(days));
        }
    }
}
