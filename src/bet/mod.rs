//! The domain: what a bet is, what makes one valid, and which one wins.
//!
//! Nothing here knows messages, files or sockets. A [`Bet`] borrows its names from wherever it was read (a message, a
//! row of a file), so that it can pass through the program without being copied.

mod day;
mod name;

use thiserror::Error;

pub use day::{Day, NotADay};
pub use name::{InvalidName, MAX_NAME_BYTES, Name, NotUtf8};

/// The number that wins the draw, from the course's skeleton (`LOTTERY_WINNER_NUMBER`).
pub const WINNER_NUMBER: u32 = 7574;

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
///     first_name: "Santiago Lionel".into(),
///     last_name: "Lorca".into(),
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
    pub first_name: Name<'a>,
    /// 1 to [`MAX_NAME_BYTES`] bytes, no control characters.
    pub last_name: Name<'a>,
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
    #[inline(always)]
    pub fn validate(&self, today: Day) -> Result<(), InvalidBet> {
        self.first_name.validate().map_err(InvalidBet::FirstName)?;
        self.last_name.validate().map_err(InvalidBet::LastName)?;
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

/// Why a bet is not valid. The text names the field and says what would be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u64)] // A Result is moved by the word if its error is made of words, and by the byte if not: 70 instructions a bet.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bet() -> Bet<'static> {
        Bet {
            agency: 1,
            first_name: "Ñandú".into(),
            last_name: "O'Higgins, \"el\"".into(),
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
        let after = |day: Day| Day::from_unix_seconds(day.unix_seconds() + 86_400).expect("a day");
        let before = |day: Day| Day::from_unix_seconds(day.unix_seconds() - 86_400).expect("a day");

        assert_eq!(fault(|_| ()), None);
        assert_eq!(fault(|bet| bet.first_name = long_255.into()), None);
        assert_eq!(fault(|bet| bet.first_name = long_256.into()), Some(InvalidBet::FirstName(InvalidName::TooLong)));
        assert_eq!(fault(|bet| bet.last_name = "".into()), Some(InvalidBet::LastName(InvalidName::Empty)));
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
}
