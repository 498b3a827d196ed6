//! `loteria verify`: the files of a round, as a start of the server would judge them, or its database, and against the
//! agencies' files.

use std::error::Error;
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};

use loteria::ledger::file::{Inspection, Note, beside};
use loteria::lottery::Standing;
use loteria_tools::agency_files;
use loteria_tools::check::{Comparison, Stored};
use thiserror::Error;

use crate::round::{BetsFile, Place, Round, closed_by_hand, read_database};

/// Verify that the files of a round, or its database, are whole
///
/// Reads them as a start of the server does, and changes nothing; the server may be running. Every row must be valid, the files
/// must begin with what the state says was stored, and after the draw they must be those of the certificate. With STORAGE_URL, and
/// without --file, the tables of the database are read in one snapshot: every position of every agency must be there once, the
/// totals and checksums must be those of the bets, and the time of the draw must be there if all agencies have closed, and only
/// then. With the files of agencies, the stored bets of each must be the first rows of its file in order, and all of them once it
/// has closed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria verify
  loteria verify --data .data                    compared with the agencies' files
  loteria verify --file backups/monday/bets.csv
  STORAGE_URL=postgresql://loteria@db1/loteria loteria verify")]
pub struct Options {
    #[command(flatten)]
    bets: BetsFile,
    /// File of an agency to compare with; may be given again for others
    #[arg(long, value_name = "N=FILE", value_parser = agency_file)]
    agency: Vec<(u32, PathBuf)>,
    /// Folder with agency-1.csv, agency-2.csv, ... to compare with
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

#[derive(Debug, Error)]
enum VerifyError {
    #[error("{}: no agency-1.csv there", .0.display())]
    NoData(PathBuf),
    #[error("agency {agency} has closed with {stored} bets, and {} has more", path.display())]
    Incomplete { agency: u32, stored: u64, path: PathBuf },
}

fn agency_file(text: &str) -> Result<(u32, PathBuf), String> {
    let parsed = text.split_once('=').and_then(|(agency, path)| Some((agency.parse().ok()?, path.into())));
    parsed.ok_or_else(|| "it must be the number of an agency, =, and its file, as 3=agency-3.csv".to_owned())
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let comparison = Comparison::open(&options.files()?)?;
    let mut out = Vec::new();
    let (mut round, by_hand, whole) = match options.bets.place()? {
        Place::Files(path) => {
            let (round, inspection) = Round::read(&path, comparison)?;
            write_files(&mut out, &path, &round, &inspection)?;
            (round, closed_by_hand(&path)?, "The files are whole.")
        }
        Place::Database(config) => {
            let (round, description) = read_database(&config, comparison)?;
            write!(out, "{description}")?;
            (round, Vec::new(), "The database is whole.")
        }
    };
    let compared = mem::take(&mut round.comparison).finish()?;
    write_agencies(&mut out, &round, &compared, &by_hand)?;
    crate::print(&out);
    let is_closed = |agency| round.lottery.find(agency).is_ok() && round.lottery.standing(agency) != Standing::Open;
    if let Some(Stored { agency, bets, path, .. }) =
        compared.into_iter().find(|stored| !stored.is_whole && is_closed(stored.agency))
    {
        return Err(VerifyError::Incomplete { agency, stored: bets, path }.into());
    }
    crate::print(format!("\n{whole}\n").as_bytes());
    Ok(())
}

impl Options {
    /// The files to compare with, each of an agency.
    fn files(&self) -> Result<Vec<(u32, PathBuf)>, VerifyError> {
        let mut files = self.agency.clone();
        if let Some(folder) = &self.data {
            let found = agency_files(folder);
            if found.is_empty() {
                return Err(VerifyError::NoData(folder.clone()));
            }
            files.extend((1..).zip(found));
        }
        Ok(files)
    }
}

fn write_files(out: &mut impl Write, path: &Path, round: &Round, inspection: &Inspection) -> io::Result<()> {
    let Inspection { summary, bets, closings, state, certificate } = inspection;
    let closed = match round.has_terms {
        true => format!("{} of {} agencies have closed", summary.agencies_closed, round.lottery.agencies()),
        false => "no agency has closed".to_owned(),
    };
    let state = match state {
        Some(state) => format!("the first {} bytes of the bets are those that were stored", state.bets.length),
        None => "missing or torn: nothing is compared with it".to_owned(),
    };
    let drawn = match certificate {
        Some(drawn) => {
            format!("drawn at {}, number {}; the files are those of the draw", drawn.drawn_at, drawn.winning_number)
        }
        None if round.lottery.is_drawn() => "missing: the next start of the server draws and writes it".to_owned(),
        None => "none before the draw".to_owned(),
    };
    writeln!(out, "{}: {} bytes, {} bets, BLAKE3 {}", path.display(), bets.length, summary.bets, bets.digest)?;
    writeln!(out, "{}: {} bytes, {closed}", beside(path, "closed").display(), closings.length)?;
    writeln!(out, "{}: {state}", beside(path, "state").display())?;
    writeln!(out, "{}: {drawn}", beside(path, "draw").display())?;
    if summary.truncated_bytes > 0 {
        writeln!(out, "{} bytes behind the rows are being written, or a crash left them", summary.truncated_bytes)?;
    }
    Ok(())
}

fn write_agencies(out: &mut impl Write, round: &Round, compared: &[Stored], by_hand: &[Note]) -> io::Result<()> {
    writeln!(out, "\nagency        bets  winners  standing")?;
    for agency in round.agencies() {
        let winners = round.lottery.winners(agency).map_or("-".to_owned(), |winners| winners.len().to_string());
        let standing = match round.lottery.standing(agency) {
            Standing::Open => "open",
            Standing::Closed | Standing::Drawn => "closed",
        };
        write!(out, "{agency:>6}  {:>10}  {winners:>7}  {standing}", round.lottery.stored(agency).bets)?;
        for Note { time, reason, .. } in by_hand.iter().filter(|note| note.agency == agency) {
            write!(out, " by hand at {time}: {reason}")?;
        }
        for Stored { path, is_whole, .. } in compared.iter().filter(|stored| stored.agency == agency) {
            let part = if *is_whole { "all rows" } else { "the first rows" };
            write!(out, "; {part} of {}, in order", path.display())?;
        }
        writeln!(out)?;
    }
    Ok(())
}
