//! Who bets: a document, a birthdate that fits it, a name.
//!
//! Argentina numbers its people in the order in which they are registered, so a document tells the age within a year
//! or two. Documents are therefore dealt first, each once, and the birthdate follows from the document.

use time::Date;
use time::macros::date;

use super::names::{FEMALE_NAMES, MALE_NAMES, SURNAMES};
use super::random::{Shuffle, SplitMix64};

/// Documents and the day around which their holders were born, in round numbers; between two of them, in proportion.
/// The first is the lowest document dealt, the last the first one not dealt any more.
const REGISTER: [(u32, Date); 6] = [
    (4_000_000, date!(1931 - 01 - 01)),
    (10_000_000, date!(1952 - 07 - 01)),
    (20_000_000, date!(1968 - 07 - 01)),
    (30_000_000, date!(1983 - 07 - 01)),
    (40_000_000, date!(1997 - 01 - 01)),
    (48_000_000, date!(2006 - 01 - 01)),
];

/// How many people have a document of their own; beyond them documents come back in the same order.
pub const DOCUMENTS: u64 = (REGISTER[REGISTER.len() - 1].0 - REGISTER[0].0) as u64;

/// How far a birthdate may be from the register's day, in days either way: less than a year, so that with the
/// register's ends everybody was born from 1930 to 2006 and is of age.
const REGISTRATION_DELAY: i32 = 364;

/// Of a hundred people, how many have a second first name.
const WITH_TWO_NAMES: u64 = 65;
/// Of a hundred people, how many have the surnames of both parents.
const WITH_TWO_SURNAMES: u64 = 12;

/// Deals documents: all of [`DOCUMENTS`] once, shuffled, then again.
pub struct Documents {
    shuffle: Shuffle,
    dealt: u64,
}

impl Documents {
    pub fn shuffled(random: &mut SplitMix64) -> Self {
        Self { shuffle: Shuffle::new(DOCUMENTS, random), dealt: 0 }
    }

    pub fn deal(&mut self) -> u32 {
        let number = self.shuffle.at(self.dealt % DOCUMENTS);
        self.dealt += 1;
        REGISTER[0].0 + u32::try_from(number).expect("the register spans less than 2^32 documents")
    }
}

/// Every birthdate that anybody can have, written `YYYY-MM-DD` once: a bet then only looks its text up.
pub struct Calendar {
    first: i32,
    days: Vec<String>,
}

impl Calendar {
    pub fn of_the_register() -> Self {
        let first = REGISTER[0].1.to_julian_day() - REGISTRATION_DELAY;
        let last = REGISTER[REGISTER.len() - 1].1.to_julian_day() + REGISTRATION_DELAY;
        let days = (first..=last)
            .map(|day| Date::from_julian_day(day).expect("a day between two dates is a date"))
            .map(|date| date.to_string())
            .collect();
        Self { first, days }
    }

    /// A day on which the holder of `document` may have been born.
    pub fn birthdate(&self, document: u32, random: &mut SplitMix64) -> &str {
        let delays = u64::from(2 * REGISTRATION_DELAY.unsigned_abs() + 1);
        let day = registered_day(document) - self.first - REGISTRATION_DELAY
            + i32::try_from(random.below(delays)).expect("a delay is less than two years of days");
        let day = usize::try_from(day).expect("the calendar starts at the earliest birthdate");
        &self.days[day]
    }
}

/// The Julian day of the register for `document`, which is one of those dealt.
fn registered_day(document: u32) -> i32 {
    let after = REGISTER
        .iter()
        .position(|&(bound, _)| document < bound)
        .expect("the register's last document is above all that are dealt");
    let ((from, from_date), (to, to_date)) = (REGISTER[after - 1], REGISTER[after]);
    let days = i64::from(to_date.to_julian_day() - from_date.to_julian_day());
    let share = days * i64::from(document - from) / i64::from(to - from);
    from_date.to_julian_day() + i32::try_from(share).expect("a share of the days is no more days")
}

/// Writes one or two first names of the same gender over `name`.
pub fn write_first_name(name: &mut String, random: &mut SplitMix64) {
    let names: &[&str] = if random.chance(50) { &FEMALE_NAMES } else { &MALE_NAMES };
    write_one_or_two(name, random.pick(names), random.pick(names), random.chance(WITH_TWO_NAMES));
}

/// Writes one or two surnames over `name`, the common ones more often.
pub fn write_last_name(name: &mut String, random: &mut SplitMix64) {
    write_one_or_two(
        name,
        random.pick_early(&SURNAMES),
        random.pick_early(&SURNAMES),
        random.chance(WITH_TWO_SURNAMES),
    );
}

fn write_one_or_two(name: &mut String, one: &str, other: &str, two: bool) {
    name.clear();
    name.push_str(one);
    // Nobody is called Ana Ana.
    if two && one != other {
        name.push(' ');
        name.push_str(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_was_born_from_1930_to_2006_and_elder_people_have_lower_documents() {
        let calendar = Calendar::of_the_register();
        let mut random = SplitMix64::new(1);
        assert_eq!(calendar.days[0], "1930-01-02");
        assert_eq!(calendar.days[calendar.days.len() - 1], "2006-12-31");

        let highest = REGISTER[REGISTER.len() - 1].0 - 1;
        for (document, date) in REGISTER {
            let document = document.min(highest);
            let born = calendar.birthdate(document, &mut random);
            let year: i32 = born[..4].parse().expect("a date starts with its year");
            assert!((year - date.year()).abs() <= 1, "{document} was born on {born}");
        }
    }

    #[test]
    fn no_name_needs_quotes_and_none_is_listed_twice() {
        for names in [&FEMALE_NAMES[..], &MALE_NAMES[..], &SURNAMES[..]] {
            for (index, name) in names.iter().enumerate() {
                assert!(!names[..index].contains(name), "{name} is there twice");
                assert!((2..=30).contains(&name.len()), "{name} is too short or long");
                assert!(
                    name.chars().all(|c| c.is_alphabetic() || c == ' ' || c == '\''),
                    "{name} has a character that names do not have"
                );
            }
        }
    }
}
