//! `loteria data` (`make data`): the bets of a round, one file for each agency, in the course's format.
//!
//! The bets are made up, see [`bets`], or unpacked from the course's archive, see [`archive`]. Either way the whole set is
//! written out of sight before it replaces the old one, see [`folder`].

mod archive;
mod bets;
mod folder;

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::value_parser;

use self::bets::{COURSE_BETS, Generator, PEOPLE, spread};
use self::folder::{FileError, MAX_AGENCIES, NewSet, at, file_name};
use crate::Interrupted;

/// The most bets that one option may ask for: about 45 GB.
const MAX_BETS: u64 = 1_000_000_000;

/// Makes the files of the project, with a few winners in each agency but the smallest.
const DEFAULT_SEED: u64 = 7574;

/// Names of the course's archive, which is looked for in the folder. The first that is there is taken.
const ARCHIVES: [&str; 2] = ["dataset.zip", "datasets.zip"];

/// Write the bets of a round, one file for each agency
///
/// The files are agency-1.csv, agency-2.csv, ... of FOLDER. The bets are made up: the same options give the same bytes on every
/// machine. If FOLDER holds the course's dataset.zip (or datasets.zip), its agency files are unpacked instead. Either way FOLDER
/// ends with exactly the new set: any other agency-N.csv is removed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria data                                   the five files of the project
  loteria data --agencies 10 --bets 200000       ten others
  loteria data --into /tmp/data --bets-per-agency 1000")]
pub struct Options {
    /// Number of agencies, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=MAX_AGENCIES.into()))]
    agencies: u32,
    /// Number of bets in all, spread unevenly
    #[arg(long, value_name = "N", default_value_t = COURSE_BETS, value_parser = value_parser!(u64).range(..=MAX_BETS))]
    bets: u64,
    /// Number of bets of each agency, instead of --bets
    #[arg(long, value_name = "N", conflicts_with = "bets", value_parser = value_parser!(u64).range(..=MAX_BETS))]
    bets_per_agency: Option<u64>,
    /// Seed of the random generator
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Make bets up even if FOLDER holds an archive, which stays there
    #[arg(long)]
    made_up: bool,
    /// Folder to write into
    #[arg(long, value_name = "FOLDER", default_value = ".data")]
    into: PathBuf,
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let interrupted = crate::interruption()?;
    let mut set = NewSet::in_folder(&options.into)?;
    match find_archive(options)? {
        Some((archive, path)) => archive::unpack(archive, &path, &mut set, &interrupted)?,
        None => generate(options, &mut set, &interrupted)?,
    }
    fail_if(&interrupted)?;
    for path in set.publish()? {
        say(format_args!("{}: removed, the new set has no such agency", path.display()));
    }
    Ok(())
}

fn find_archive(options: &Options) -> Result<Option<(File, PathBuf)>, FileError> {
    for name in ARCHIVES.iter().filter(|_| !options.made_up) {
        let path = options.into.join(name);
        match File::open(&path) {
            Ok(archive) => return Ok(Some((archive, path))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path)(error)),
        }
    }
    Ok(None)
}

fn generate(options: &Options, set: &mut NewSet, interrupted: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let bets_of_each = match options.bets_per_agency {
        Some(bets) => vec![bets; options.agencies as usize],
        None => spread(options.bets, options.agencies),
    };
    let mut generator = Generator::new(options.seed);
    for (agency, &bets) in (1..).zip(&bets_of_each) {
        let path = options.into.join(file_name(agency));
        let mut file = BufWriter::with_capacity(1 << 16, set.create(agency)?);
        for _ in 0..bets {
            fail_if(interrupted)?;
            generator.write_bet(&mut file).map_err(at(&path))?;
        }
        file.flush().map_err(at(&path))?;
        say(format_args!("{}: {bets} bets", path.display()));
    }
    let in_all: u64 = bets_of_each.iter().sum();
    say(format_args!("{in_all} bets of {} agencies, seed {}", options.agencies, options.seed));
    if in_all > PEOPLE {
        say(format_args!("documents repeat: there are only {PEOPLE}"));
    }
    Ok(())
}

fn fail_if(interrupted: &AtomicBool) -> Result<(), Interrupted> {
    let is_set = interrupted.load(Ordering::Relaxed);
    if is_set { Err(Interrupted("the agency files are as they were")) } else { Ok(()) }
}

/// Prints a line. A closed output (`loteria data | head -1`) is no reason to leave the files unmade.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
