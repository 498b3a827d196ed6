//! Days of the calendar as numbers, and back, by a few multiplications.
//!
//! After Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022). Their years
//! begin in March, so that a leap day is the last day of its year.

/// Years and days after which the calendar begins again.
const CYCLE_YEARS: u32 = 400;
const CYCLE_DAYS: u32 = 146_097;
/// Days from the 1st of March one cycle before the year 0 to 1970-01-01.
const DAYS_BEFORE_1970: i32 = 719_468 + CYCLE_DAYS as i32;

/// The number of days from 1970-01-01 to a date of the calendar, of the years 0 to 9999. Negative before.
pub const fn days_of(year: u32, month: u32, day: u32) -> i32 {
    let is_before_march = month <= 2;
    let (year, month) = (year + CYCLE_YEARS - is_before_march as u32, month + 12 * is_before_march as u32);
    let century = year / 100;
    let days_before_year = 1461 * year / 4 - century + century / 4;
    let days_before_month = (979 * month - 2919) / 32;
    (days_before_year + days_before_month + day - 1) as i32 - DAYS_BEFORE_1970
}

/// Year, month and day of a day of the years 0 to 9999, given as [`days_of`] gives it.
#[inline(always)]
pub fn date_of(days: i32) -> (u32, u32, u32) {
    let days = (days + DAYS_BEFORE_1970) as u32;
    let (century, days) = ((4 * days + 3) / CYCLE_DAYS, (4 * days + 3) % CYCLE_DAYS / 4);
    let years = u64::from(4 * days + 3) * 2_939_745;
    let (year, days) = ((years >> 32) as u32, years as u32 / 2_939_745 / 4);
    let months = 2141 * days + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2141);
    let is_after_december = month > 12;
    let (year, month) = (year + u32::from(is_after_december), month - 12 * u32::from(is_after_december));
    (100 * century + year - CYCLE_YEARS, month, day + 1)
}

/// True if a year of four digits has this date.
#[inline(always)]
pub fn is_date(year: u32, month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && day >= 1 && (day <= 28 || day <= days_of_month(year, month))
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
    use time::{Date, Month};

    use super::*;

    /// The naive twin: the calendar of the crate `time`.
    fn naive(year: u32, month: u32, day: u32) -> Option<Date> {
        Date::from_calendar_date(year as i32, Month::try_from(month as u8).ok()?, day as u8).ok()
    }

    #[test]
    fn every_day_of_a_cycle_is_the_one_of_the_calendar() {
        let unix_epoch = naive(1970, 1, 1).expect("a date");
        let mut date = naive(1899, 12, 31).expect("a date");
        for _ in 0..=CYCLE_DAYS {
            let (year, month, day) = (date.year() as u32, u8::from(date.month()).into(), date.day().into());
            let days = (date - unix_epoch).whole_days() as i32;
            assert_eq!((days_of(year, month, day), date_of(days)), (days, (year, month, day)), "{date}");
            date = date.next_day().expect("not the last");
        }
        for (year, days) in [(0, -719_528), (9999, 2_932_532)] {
            assert_eq!((days_of(year, 1, 1), date_of(days)), (days, (year, 1, 1)));
        }
    }

    #[test]
    fn a_date_is_one_that_the_calendar_has() {
        for year in (0..=400).chain(1890..2110) {
            for (month, day) in (0..=13).flat_map(|month| [0, 1, 28, 29, 30, 31, 32].map(|day| (month, day))) {
                assert_eq!(is_date(year, month, day), naive(year, month, day).is_some(), "{year}-{month}-{day}");
            }
        }
    }
}
