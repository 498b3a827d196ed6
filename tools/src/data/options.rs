//! The command line.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use lexopt::prelude::*;

use super::bets::{COURSE_BETS, spread};
use super::folder::MAX_AGENCIES;

/// Makes the data that the project comes with, whose five files hold 3, 4, 2, 2 and 0 bets on the winning number 7574.
const DEFAULT_SEED: u64 = 2023;
const DEFAULT_AGENCIES: u32 = 5;

/// The most bets that are made in all: about 45 GB of them.
const MAX_BETS: u64 = 1_000_000_000;

const DEFAULT_FOLDER: &str = ".data";

/// What `--help` prints.
pub fn help() -> String {
    format!(
        "\
Writes the bets of a contest, one file per agency: agency-1.csv, agency-2.csv, ...
The same options give the same bytes on every machine.

Usage: data [OPTIONS]

  --agencies N         how many agencies, 1 to {MAX_AGENCIES} (default {DEFAULT_AGENCIES})
  --bets N             how many bets in all, 0 to {MAX_BETS}, spread unevenly (default {COURSE_BETS})
  --bets-per-agency N  how many bets for each agency instead
  --seed N             which bets, 0 to {} (default {DEFAULT_SEED})
  --into FOLDER        where to write (default {DEFAULT_FOLDER})
  -h, --help           print this and end
  -V, --version        print the version and end

If FOLDER has the course's dataset.zip, its agency files are unpacked instead.
Either way FOLDER ends with exactly the new set: other agency-N.csv in it are removed.",
        u64::MAX
    )
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}; see --help")]
    CommandLine(#[from] lexopt::Error),
    #[error(
        "--{option} takes a whole number from {} to {}, not {value:?}",
        range.start(),
        range.end()
    )]
    NotInRange { option: &'static str, value: OsString, range: RangeInclusive<u64> },
    #[error("--bets and --bets-per-agency cannot both be given; see --help")]
    BetsTwice,
    #[error("{agencies} agencies with {each} bets each have more than {MAX_BETS} bets in all")]
    TooManyBets { agencies: u32, each: u64 },
}

/// What the program is asked to do.
pub enum Request {
    Make(Order),
    Help,
    Version,
}

/// A set of files to make.
pub struct Order {
    /// How many bets each agency has, from agency 1 on.
    pub bets: Vec<u64>,
    pub seed: u64,
    pub folder: PathBuf,
}

/// Reads the arguments of this process.
pub fn parse(arguments: Vec<OsString>) -> Result<Request, Error> {
    parse_from(lexopt::Parser::from_args(arguments))
}

fn parse_from(mut arguments: lexopt::Parser) -> Result<Request, Error> {
    let mut agencies = DEFAULT_AGENCIES;
    let mut in_all = None;
    let mut for_each = None;
    let mut seed = DEFAULT_SEED;
    let mut folder = PathBuf::from(DEFAULT_FOLDER);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("agencies") => {
                let number = number(&mut arguments, "agencies", 1..=MAX_AGENCIES.into())?;
                agencies = u32::try_from(number).expect("the range is within u32");
            }
            Long("bets") => in_all = Some(number(&mut arguments, "bets", 0..=MAX_BETS)?),
            Long("bets-per-agency") => {
                for_each = Some(number(&mut arguments, "bets-per-agency", 0..=MAX_BETS)?);
            }
            Long("seed") => seed = number(&mut arguments, "seed", 0..=u64::MAX)?,
            Long("into") => folder = arguments.value()?.into(),
            Short('h') | Long("help") => return Ok(Request::Help),
            Short('V') | Long("version") => return Ok(Request::Version),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Request::Make(Order { bets: bets_of_each(agencies, in_all, for_each)?, seed, folder }))
}

fn bets_of_each(agencies: u32, in_all: Option<u64>, for_each: Option<u64>) -> Result<Vec<u64>, Error> {
    match (in_all, for_each) {
        (Some(_), Some(_)) => Err(Error::BetsTwice),
        (None, Some(each)) if each.saturating_mul(agencies.into()) > MAX_BETS => {
            Err(Error::TooManyBets { agencies, each })
        }
        (None, Some(each)) => Ok(vec![each; agencies as usize]),
        (in_all, None) => Ok(spread(in_all.unwrap_or(COURSE_BETS), agencies)),
    }
}

fn number(arguments: &mut lexopt::Parser, option: &'static str, range: RangeInclusive<u64>) -> Result<u64, Error> {
    let value = arguments.value()?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.filter(|number| range.contains(number)).ok_or(Error::NotInRange { option, value, range })
}
