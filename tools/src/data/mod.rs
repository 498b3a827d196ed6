//! `data`: makes the bets of a contest, one file per agency, in the course's format.
//!
//! The way of a set of files: [`options`] says how many bets each agency has; [`bets`] makes them up, one at a time, of
//! the [`people`] and [`names`] that there are, by a [`random`] sequence that the seed fixes for ever; and [`folder`]
//! puts the whole set in place at once. If the folder has the course's own `dataset.zip`, [`archive`] takes the files
//! from there instead. An [`interrupt`] at any time leaves what was there before.

mod archive;
mod bets;
mod folder;
mod interrupt;
mod names;
mod options;
mod people;
mod random;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bets::Generator;
use folder::NewSet;
use interrupt::Interrupt;
use options::{Order, Request};

/// The course's archive, where it is looked for in the folder.
const ARCHIVE: &str = "dataset.zip";

/// Everything that can end this program early. Each is one line on standard error.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Options(#[from] options::Error),
    #[error("signals cannot be caught: {0}")]
    Signals(io::Error),
    #[error("{}: {source}", path.display())]
    Bets { path: PathBuf, source: bets::Error },
    #[error(transparent)]
    Folder(#[from] folder::Error),
    #[error("{}: {source}", path.display())]
    Archive { path: PathBuf, source: archive::Error },
}

pub fn main(arguments: Vec<std::ffi::OsString>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // As in `say`: with nobody to read it, the exit code still tells.
            let _ = writeln!(io::stderr(), "data: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<std::ffi::OsString>) -> Result<(), Error> {
    match options::parse(arguments)? {
        Request::Help => say(format_args!("{}", options::help())),
        Request::Version => say(format_args!("data {}", env!("CARGO_PKG_VERSION"))),
        Request::Make(order) => make(&order)?,
    }
    Ok(())
}

fn make(order: &Order) -> Result<(), Error> {
    let interrupt = Interrupt::catch().map_err(Error::Signals)?;
    let mut set = NewSet::in_folder(&order.folder)?;
    let path = order.folder.join(ARCHIVE);
    match archive::find(&path)? {
        Some(archive) => unpack(archive, &path, order, &mut set, &interrupt)?,
        None => generate(order, &mut set, &interrupt)?,
    }
    for path in set.publish()? {
        say(format_args!("{}: removed, the new set has no such agency", path.display()));
    }
    Ok(())
}

fn generate(order: &Order, set: &mut NewSet, interrupt: &Interrupt) -> Result<(), Error> {
    let mut generator = Generator::new(order.seed);
    for (agency, &bets) in (1..).zip(&order.bets) {
        let file = set.create(agency)?;
        let path = order.folder.join(folder::file_name(agency));
        if let Err(source) = generator.write(file, bets, interrupt) {
            return Err(Error::Bets { path, source });
        }
        say(format_args!("{}: {bets} bets", path.display()));
    }
    let in_all: u64 = order.bets.iter().sum();
    say(format_args!("{in_all} bets of {} agencies, seed {}", order.bets.len(), order.seed));
    if in_all > people::DOCUMENTS {
        say(format_args!("documents repeat: there are only {} to deal", people::DOCUMENTS));
    }
    Ok(())
}

fn unpack(archive: File, path: &Path, order: &Order, set: &mut NewSet, interrupt: &Interrupt) -> Result<(), Error> {
    say(format_args!("{}: unpacked as it is; no bets are made up, whatever their number and seed", path.display()));
    let unpacked =
        archive::unpack(archive, set, interrupt).map_err(|source| Error::Archive { path: path.to_owned(), source })?;
    for name in unpacked.left_out {
        say(format_args!("{}: \"{}\" left out, it is not named agency-N.csv", path.display(), name.escape_debug()));
    }
    for (agency, bytes) in unpacked.agencies {
        let path = order.folder.join(folder::file_name(agency));
        say(format_args!("{}: {bytes} bytes", path.display()));
    }
    Ok(())
}

/// Prints a line. That nobody reads it (`data | head -1`) is no reason to leave the files unmade.
fn say(line: fmt::Arguments) {
    let _ = writeln!(io::stdout(), "{line}");
}
