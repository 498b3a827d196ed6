//! The round that the files or the database of a server hold, for the commands that read them.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use loteria::central::Restore;
use loteria::config::DatabaseConfig;
use loteria::config::server::{PROGRAM, ServerConfig};
use loteria::ledger::file::{Inspection, beside, inspect, notes};
use loteria::ledger::{Draw, Recovered, Replay, Terms};
use loteria::lottery::{Contradiction, Lottery};
use loteria_tools::check::Comparison;

/// The most agencies that NUM_AGENCIES can set.
const MAX_AGENCIES: u32 = 100_000;

/// The option for the path of the bets.
#[derive(Args)]
pub struct BetsFile {
    /// Bets of the round; its companions are beside it [default: STORAGE_FILEPATH, as the server here would read it]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The place of a round.
pub enum Place {
    /// The bets with their companions.
    Files(PathBuf),
    Database(DatabaseConfig),
}

impl BetsFile {
    /// The place of the round: a file that is named, or where a server that is started here has it.
    pub fn place(&self) -> Result<Place, Box<dyn Error>> {
        if let Some(file) = &self.file {
            return Ok(Place::Files(file.clone()));
        }
        let ServerConfig { database, storage_filepath, .. } = server_config()?;
        Ok(database.map_or(Place::Files(storage_filepath), Place::Database))
    }

    /// The path, for a command on files.
    pub fn path(&self) -> Result<PathBuf, Box<dyn Error>> {
        match self.place()? {
            Place::Files(path) => Ok(path),
            Place::Database(_) => {
                Err("the round is in the database of STORAGE_URL, and this command is for the files of \
                                       a round; set --file"
                    .into())
            }
        }
    }
}

#[cfg(feature = "postgres")]
pub use crate::database::read as read_database;

/// The configuration refuses a database where the tool was built without it.
#[cfg(not(feature = "postgres"))]
pub fn read_database(_: &DatabaseConfig, _: Comparison) -> Result<(Round, String), Box<dyn Error>> {
    Err("this program was built without the feature postgres".into())
}

/// The configuration of a server that would be started here.
pub fn server_config() -> Result<ServerConfig, Box<dyn Error>> {
    Ok(ServerConfig::from_settings(&PROGRAM.settings()?)?)
}

/// A bet that wins.
pub struct Winner {
    pub agency: u32,
    pub document: u32,
    pub first_name: String,
    pub last_name: String,
}

/// A round as its files or its tables tell it.
pub struct Round {
    pub lottery: Lottery,
    /// True if the terms are known: a database has them, and files once an agency has closed. They are those of the round,
    /// whatever the configuration here says.
    pub has_terms: bool,
    /// The bets with the winning number, in order. None is kept before the terms are known.
    pub winners: Vec<Winner>,
    /// All of its bets beside the files of agencies.
    pub comparison: Comparison,
}

impl Round {
    /// The round in the files of the bets at `path`, and what else they say.
    pub fn read(path: &Path, comparison: Comparison) -> Result<(Round, Inspection), Box<dyn Error>> {
        let mut reader = Reader::of_any_terms(comparison);
        let inspection = inspect(path, &mut reader)?;
        Ok((reader.finish(), inspection))
    }

    /// The agencies to show: all of them, or those with bets as long as their number is not known.
    pub fn agencies(&self) -> impl Iterator<Item = u32> {
        (1..=self.lottery.agencies()).filter(|&agency| self.has_terms || self.lottery.stored(agency).bets > 0)
    }
}

/// A round whose files are being read.
pub struct Reader {
    restore: Restore,
    /// The terms, once they are known.
    terms: Option<Terms>,
    winners: Vec<Winner>,
    comparison: Comparison,
}

impl Reader {
    /// Goes on from `lottery`, whose terms count as long as no agency has closed.
    pub fn new(lottery: Lottery) -> Reader {
        Reader { restore: Restore::new(lottery), terms: None, winners: Vec::new(), comparison: Comparison::default() }
    }

    /// Begins a round whose terms are not known yet, and compares its bets.
    pub fn of_any_terms(comparison: Comparison) -> Reader {
        Reader { comparison, ..Reader::new(Lottery::new(MAX_AGENCIES)) }
    }

    /// The round behind the last step.
    pub fn finish(self) -> Round {
        let Reader { restore, terms, winners, comparison } = self;
        Round { lottery: restore.finish(), has_terms: terms.is_some(), winners, comparison }
    }
}

impl Replay for Reader {
    type Refusal = Contradiction;

    fn replay(&mut self, step: Recovered<'_>) -> Result<(), Contradiction> {
        if let Recovered::Bet(bet) = step {
            self.comparison.add(bet);
        }
        match step {
            // With more the row is damaged, and the lottery refuses it.
            Recovered::Terms(terms) if terms.agencies <= MAX_AGENCIES => {
                let lottery = Lottery::new(terms.agencies).with_winning_number(terms.winning_number);
                (self.restore, self.terms) = (Restore::new(lottery), Some(terms));
            }
            Recovered::Bet(bet) if self.terms.is_some_and(|terms| bet.has_won(terms.winning_number)) => {
                self.winners.push(Winner {
                    agency: bet.agency,
                    document: bet.document,
                    first_name: bet.first_name.as_str().to_owned(),
                    last_name: bet.last_name.as_str().to_owned(),
                });
            }
            _ => {}
        }
        self.restore.step(step)
    }

    fn draw(&mut self) -> Option<Draw> {
        self.restore.draw()
    }
}

/// The agencies that were closed by hand, each with the time and the reason.
pub fn closed_by_hand(path: &Path) -> Result<Vec<loteria::ledger::file::Note>, Box<dyn Error>> {
    Ok(notes(std::fs::File::open(beside(path, "closed"))?).collect())
}
