//! The replacement of a folder's agency files by a new set.
//!
//! The set is written into a hidden folder beside the files, and moved in only once it is whole. A failure before that, such
//! as a full disk, a damaged archive or a signal, leaves the old set as it was. Files of agencies that the new set does not
//! have are removed with the move, so that two sets are never mixed.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The most agencies of a set. Each is a process and a connection in a round.
pub const MAX_AGENCIES: u32 = 10_000;

/// An error of the system, and the file or folder that it happened with.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct FileError {
    path: PathBuf,
    error: io::Error,
}

/// Adds `path` to an error, for `map_err`.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |error| FileError { path: path.to_owned(), error }
}

/// A set of agency files that is being written.
pub struct NewSet {
    folder: PathBuf,
    incoming: TempDir,
    agencies: BTreeSet<u32>,
}

impl NewSet {
    /// An empty set for `folder`, which is made if it does not exist.
    pub fn in_folder(folder: &Path) -> Result<NewSet, FileError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let incoming = tempfile::Builder::new().prefix(".incoming-").tempdir_in(folder).map_err(at(folder))?;
        Ok(NewSet { folder: folder.to_owned(), incoming, agencies: BTreeSet::new() })
    }

    /// An empty file for the bets of `agency`.
    pub fn create(&mut self, agency: u32) -> Result<File, FileError> {
        self.agencies.insert(agency);
        let path = self.incoming.path().join(file_name(agency));
        File::create(&path).map_err(at(&path))
    }

    /// Moves the set into its folder, and removes the files of other agencies. Gives the paths of those.
    pub fn publish(self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        for name in self.agencies.iter().copied().map(file_name) {
            let target = self.folder.join(&name);
            fs::rename(self.incoming.path().join(name), &target).map_err(at(&target))?;
        }
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let entry = entry.map_err(at(&self.folder))?;
            let agency = entry.file_name().to_str().and_then(agency_of);
            if agency.is_some_and(|agency| !self.agencies.contains(&agency)) && !entry.path().is_dir() {
                fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
                others.push(entry.path());
            }
        }
        others.sort();
        Ok(others)
    }
}

/// The name of an agency's file: `agency-7.csv`.
pub fn file_name(agency: u32) -> String {
    format!("agency-{agency}.csv")
}

/// The agency whose file has exactly this name, if it is one from 1 to [`MAX_AGENCIES`]. `agency-07.csv`, `../agency-7.csv` and
/// `agency-0.csv` are no agency's.
pub fn agency_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix("agency-")?.strip_suffix(".csv")?;
    let agency = number.parse().ok()?;
    let is_one = (1..=MAX_AGENCIES).contains(&agency) && file_name(agency) == name;
    is_one.then_some(agency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_name_of_an_agencys_file_is_taken_for_one() {
        for agency in [1, 7, 10, MAX_AGENCIES] {
            assert_eq!(agency_of(&file_name(agency)), Some(agency));
        }
        let too_many = file_name(MAX_AGENCIES + 1);
        for name in [
            "agency-0.csv",
            "agency-07.csv",
            "agency-+7.csv",
            "agency-.csv",
            "agency-7.csv.bak",
            "Agency-7.csv",
            "../agency-7.csv",
            "/agency-7.csv",
            "data/agency-7.csv",
            "agency-99999999999.csv",
            &too_many,
        ] {
            assert_eq!(agency_of(name), None, "{name}");
        }
    }
}
