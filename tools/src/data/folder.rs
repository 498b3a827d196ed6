//! The folder of agency files, and how a new set of them takes the place of an old one.
//!
//! A set is written out of sight, into a hidden folder beside the files, and moved in only once it is whole. Whatever
//! goes wrong before that (a full disk, a damaged archive, Ctrl-C) leaves the old set as it was. Files of agencies that
//! the new set does not have are removed with the move: whoever runs one agency per file must not find
//! two sets mixed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The most agencies that a set may have. Each is a process and a connection when the contest runs.
pub const MAX_AGENCIES: u32 = 10_000;

/// The file or folder that could not be read or written, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Error {
    pub path: PathBuf,
    pub source: io::Error,
}

impl Error {
    /// For `map_err`: what went wrong went wrong with `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), source }
    }
}

/// A set of agency files that is being written.
pub struct NewSet {
    folder: PathBuf,
    incoming: TempDir,
    agencies: BTreeSet<u32>,
}

impl NewSet {
    /// Starts an empty set for `folder`, which is made if it is not there.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::at(folder))?;
        let incoming = tempfile::Builder::new().prefix(".incoming-").tempdir_in(folder).map_err(Error::at(folder))?;
        Ok(Self { folder: folder.to_owned(), incoming, agencies: BTreeSet::new() })
    }

    /// An empty file for the bets of `agency`.
    pub fn create(&mut self, agency: u32) -> Result<File, Error> {
        let path = self.incoming.path().join(file_name(agency));
        let file = File::create(&path).map_err(Error::at(&path))?;
        self.agencies.insert(agency);
        Ok(file)
    }

    /// Moves the set into its folder, over the files of the same agencies, and removes those of all others. Gives the
    /// paths that it removed, by agency.
    pub fn publish(self) -> Result<Vec<PathBuf>, Error> {
        for &agency in &self.agencies {
            let target = self.folder.join(file_name(agency));
            fs::rename(self.incoming.path().join(file_name(agency)), &target).map_err(Error::at(&target))?;
        }
        self.remove_others().map_err(Error::at(&self.folder))
    }

    fn remove_others(&self) -> io::Result<Vec<PathBuf>> {
        let mut others = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let agency = entry.file_name().to_str().and_then(agency_of);
            if let Some(agency) = agency
                && !self.agencies.contains(&agency)
                && !entry.file_type()?.is_dir()
            {
                others.insert(agency);
            }
        }
        let paths = others.into_iter().map(|n| self.folder.join(file_name(n)));
        paths.map(|path| fs::remove_file(&path).map(|()| path)).collect()
    }
}

/// The name of an agency's file: `agency-7.csv`.
pub fn file_name(agency: u32) -> String {
    format!("agency-{agency}.csv")
}

/// The agency whose file has this name: none unless it is exactly what [`file_name`] gives for an agency from 1 to
/// [`MAX_AGENCIES`]. So `agency-07.csv`, `../agency-7.csv` and `agency-0.csv` are nobody's.
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
