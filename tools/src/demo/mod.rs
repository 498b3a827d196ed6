//! `loteria demo` (`make run`): a whole round of real processes, on a free port.

mod round;
mod screen;
mod standing;
mod table;

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use loteria::ledger::file::{Certificate, Discrepancy, beside};
use loteria_tools::agency_files;
use loteria_tools::check::{self, Sent};
use tempfile::TempDir;
use thiserror::Error;

use self::round::{Manner, Pace};
use self::screen::{Screen, terminal_size};
use self::standing::{Standing, grouped};

/// Run a whole round on this machine and show the winners
///
/// Starts a server and one agency for each file agency-N.csv of FOLDER, on a free port. A round takes a fraction of a second;
/// on a terminal, the agencies pause after each batch, so that it takes five seconds and can be watched. At the end the
/// stored bets are compared with the files, and a table tells what each agency was told. WINNING_NUMBER is passed on to the
/// server.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria demo --slow               for a class
  loteria demo --kill               the server is killed, and nothing is lost
  loteria demo --fast --keep round  then look at round/bets.csv")]
pub struct Options {
    /// Folder with agency-1.csv, agency-2.csv, ...
    #[arg(value_name = "FOLDER", default_value = ".data")]
    folder: PathBuf,
    /// Send as fast as this machine can, also on a terminal
    #[arg(long, conflicts_with_all = ["slow", "kill"])]
    fast: bool,
    /// Take forty seconds, so that a class can follow
    #[arg(long)]
    slow: bool,
    /// Kill the server in mid-round and start it again two seconds later
    #[arg(long)]
    kill: bool,
    /// Keep bets.csv, its companions and the log of each program in this folder, which must be new or empty
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Print every log line, also on a terminal
    #[arg(long)]
    logs: bool,
}

/// A round that did not go as it should.
#[derive(Debug, Error)]
enum DemoError {
    #[error("{}: no agency-1.csv there; `make data` makes it", .0.display())]
    NoData(PathBuf),
    #[error("{}: no such program; `make build` builds it", .0.display())]
    NotBuilt(PathBuf),
    #[error("{}: {error}; --keep needs a folder that is new or empty", path.display())]
    Keep { path: PathBuf, error: io::Error },
    #[error("{name} ended with {status}")]
    Failed { name: String, status: ExitStatus },
    #[error("the server did not start")]
    NotStarted,
    #[error("the certificate of the draw: {0}")]
    Certificate(#[from] Discrepancy),
    #[error("agency {agency} was told the winners {told:?}, and its file has {winners:?}")]
    Winners { agency: usize, told: Vec<u32>, winners: Vec<u32> },
}

/// The folder of a round.
enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Place {
    fn open(kept: Option<&Path>) -> Result<Place, Box<dyn Error>> {
        let Some(path) = kept else { return Ok(Place::Temporary(tempfile::tempdir()?)) };
        let failed = |error| DemoError::Keep { path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(failed)?;
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()).into());
        }
        Ok(Place::Kept(path.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Place::Temporary(folder) => folder.path(),
            Place::Kept(path) => path,
        }
    }
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let files = agency_files(&options.folder).iter().map(std::path::absolute).collect::<io::Result<Vec<PathBuf>>>()?;
    if files.is_empty() {
        return Err(DemoError::NoData(options.folder.clone()).into());
    }
    let place = Place::open(options.keep.as_deref())?;
    let interrupted = crate::interruption()?;
    let bets = files.iter().map(|file| count_rows(file)).collect::<io::Result<Vec<u64>>>()?;
    let pace = options.duration().map(|duration| Pace::of(bets.iter().copied().max().unwrap_or(0), duration));
    let standing = Standing::new(&bets);
    let screen = Screen::new(options.logs, &standing);
    let manner = Manner {
        files: &files,
        folder: place.path(),
        keeps_logs: matches!(place, Place::Kept(_)),
        pace,
        kills: options.kill,
    };
    let (standing, took) = round::play(&manner, standing, screen, &interrupted)?;
    let stored = place.path().join("bets.csv");
    let certificate = fs::read(beside(&stored, "draw"))?;
    let Certificate { winning_number, .. } = Certificate::parse(&certificate).map_err(DemoError::from)?;
    let sent = check::compare(&stored, &files, winning_number)?;
    check_winners(&standing, &sent)?;
    let mut report = report(&standing, winning_number, took, pace);
    if let Place::Kept(path) = &place {
        report += &format!("Kept in {}: bets.csv, its companions, and the log of each program.\n", path.display());
    }
    match io::stdout().write_all(report.as_bytes()) {
        // Its reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

impl Options {
    /// Time that the largest agency takes to send its bets; `None` if none is to be taken.
    fn duration(&self) -> Option<Duration> {
        const WATCHED: Duration = Duration::from_secs(5);
        const SLOW: Duration = Duration::from_secs(40);
        match self {
            Options { fast: true, .. } => None,
            Options { slow: true, .. } => Some(SLOW),
            _ if self.kill || terminal_size().is_some() => Some(WATCHED),
            _ => None,
        }
    }
}

fn count_rows(file: &Path) -> io::Result<u64> {
    let mut rows = 0;
    for row in BufReader::new(File::open(file)?).split(b'\n') {
        row?;
        rows += 1;
    }
    Ok(rows)
}

/// Checks that each agency was told the winners of its file.
fn check_winners(standing: &Standing, sent: &[Sent]) -> Result<(), DemoError> {
    for (agency, (told, sent)) in (1..).zip(standing.agencies.iter().zip(sent)) {
        if told.winners != sent.winners {
            return Err(DemoError::Winners { agency, told: told.winners.clone(), winners: sent.winners.clone() });
        }
    }
    Ok(())
}

/// The table of the round, and its figures.
fn report(standing: &Standing, winning_number: u32, took: Duration, pace: Option<Pace>) -> String {
    let width = terminal_size().map_or(usize::MAX, |(_, columns)| columns);
    let rows: Vec<table::Row<'_>> =
        standing.agencies.iter().map(|agency| (agency.bets, agency.winners.as_slice())).collect();
    format!(
        "\n{}\nThe winning number is {winning_number}.\nEach of the {} bets is stored once, in the order of its agency's file.\nIt took {:.2} s {}.\n",
        table::table(&rows, width),
        grouped(standing.bets()),
        took.as_secs_f64(),
        round::words(pace)
    )
}
