//! The domain: what a bet is, what makes one valid, and which one wins.
//!
//! Nothing here knows messages or sockets. A [`Bet`] borrows its names from where it was read (a message, a row of a file),
//! so that it passes through the program without being copied.

mod day;
mod fast;
mod name;
mod reader;
mod tally;
mod writer;

use thiserror::Error;

pub use day::{Day, NotADay};
pub(crate) use fast::digits::parse_decimal;
pub use name::{InvalidName, MAX_NAME_BYTES, Name};
pub use reader::{RowError, RowFault, Rows, load_bets};
pub use tally::Tally;
pub use writer::store_bets;
pub(crate) use writer::{MAX_ROW_BYTES, write_row};

/// The number that wins the draw unless WINNING_NUMBER sets another, from the course's skeleton (`LOTTERY_WINNER_NUMBER`).
pub const WINNER_NUMBER: u32 = 7574;

/// The highest document (DNI). The lowest is 0, which the course's own tests send.
pub const MAX_DOCUMENT: u32 = 99_999_999;

/// The highest number that can be bet on. The lowest is 0.
pub const MAX_NUMBER: u32 = 9_999;

/// One bet of one person, placed at one agency.
///
/// The numbers and the birthdate are as they were read: see [`Bet::validate`].
///
/// ```
/// use loteria::bet::{Bet, Day, WINNER_NUMBER};
///
/// let bet = Bet {
///     agency: 1,
///     first_name: "Santiago Lionel".try_into()?,
///     last_name: "Lorca".try_into()?,
///     document: 30_904_465,
///     birthdate: "1999-03-17".parse()?,
///     number: 7574,
/// };
/// assert!(bet.validate(Day::today()).is_ok());
/// assert!(bet.has_won(WINNER_NUMBER));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bet<'a> {
    /// The agency that took it, from 1.
    pub agency: u32,
    /// First name.
    pub first_name: Name<'a>,
    /// Last name.
    pub last_name: Name<'a>,
    /// DNI, 0 to [`MAX_DOCUMENT`].
    pub document: u32,
    /// [`Day::OLDEST_BIRTHDATE`] to today.
    pub birthdate: Day,
    /// 0 to [`MAX_NUMBER`].
    pub number: u32,
}

impl<'a> Bet<'a> {
    /// The bet of `agency` with these fields, as text: first name, last name, document, birthdate, number.
    ///
    /// # Errors
    /// The first field that says nothing of its kind, with what would be valid. Ranges are left to [`Bet::validate`].
    pub fn parse(agency: u32, fields: [&'a [u8]; 5]) -> Result<Bet<'a>, InvalidBet> {
        let [first_name, last_name, document, birthdate, number] = fields;
        Ok(Bet {
            agency,
            first_name: Name::new(first_name).map_err(InvalidBet::FirstName)?,
            last_name: Name::new(last_name).map_err(InvalidBet::LastName)?,
            document: parse_decimal(document).ok_or(InvalidBet::Document)?,
            birthdate: Day::from_ascii(birthdate).ok_or(InvalidBet::Birthdate)?,
            number: parse_decimal(number).ok_or(InvalidBet::Number)?,
        })
    }

    /// Checks document, birthdate and number. The range of the agency is known to the server only. `latest_birthdate` is
    /// today where bets are taken.
    ///
    /// # Errors
    /// The first field that is not valid, with what would be.
    #[inline(always)]
    pub fn validate(&self, latest_birthdate: Day) -> Result<(), InvalidBet> {
        if self.document > MAX_DOCUMENT {
            return Err(InvalidBet::Document);
        }
        if !(Day::OLDEST_BIRTHDATE..=latest_birthdate).contains(&self.birthdate) {
            return Err(InvalidBet::Birthdate);
        }
        if self.number > MAX_NUMBER {
            return Err(InvalidBet::Number);
        }
        Ok(())
    }

    /// True if this bet wins in a round with this `winning_number`.
    pub fn has_won(&self, winning_number: u32) -> bool {
        self.number == winning_number
    }
}

/// True if `bet` wins in a round of the course: [`Bet::has_won`] under the course's name.
pub fn has_won(bet: &Bet<'_>) -> bool {
    bet.has_won(WINNER_NUMBER)
}

/// Reason why a bet is not valid. The text names the field and says what would be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidBet {
    /// The first name.
    #[error("first name {0}")]
    FirstName(InvalidName),
    /// The last name.
    #[error("last name {0}")]
    LastName(InvalidName),
    /// The document.
    #[error("document is not between 0 and {MAX_DOCUMENT}")]
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
            first_name: "Ñandú".try_into().expect("a name"),
            last_name: "O'Higgins, \"el\"".try_into().expect("a name"),
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
    fn every_number_and_date_is_taken_at_its_limits_and_refused_beyond_them() {
        let after = |day: Day| Day::from_unix_seconds(day.unix_seconds() + 86_400).expect("a day");
        let before = |day: Day| Day::from_unix_seconds(day.unix_seconds() - 86_400).expect("a day");

        assert_eq!(fault(|_| ()), None);
        assert_eq!(fault(|bet| bet.document = 0), None);
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
