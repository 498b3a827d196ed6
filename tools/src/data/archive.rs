//! The course's `dataset.zip`: its agency files, and nothing else that an archive may hold.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::folder::{self, MAX_AGENCIES, NewSet, agency_of};
use super::interrupt::{Interrupt, Interrupted};

/// The most entries that an archive may have: a file for each agency that may be, and as many again of no interest.
const MAX_ENTRIES: usize = 2 * MAX_AGENCIES as usize;

/// The most that the agency files may take together, unpacked: 1 GiB, about 22 million bets. The course's take 3.7 MB;
/// an archive can claim to be any size and unpack to a thousand times its own.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a zip archive that can be read: {0}")]
    Damaged(#[from] ZipError),
    #[error("agency-{agency}.csv in it cannot be unpacked: {source}")]
    DamagedEntry { agency: u32, source: io::Error },
    #[error("it has {0} entries, more than {MAX_ENTRIES}")]
    TooManyEntries(usize),
    #[error("its agency files take more than {MAX_UNPACKED_BYTES} bytes")]
    TooLarge,
    #[error("no agency-N.csv at its top level")]
    NoAgencies,
    #[error(transparent)]
    Folder(#[from] folder::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What an archive had.
#[derive(Default)]
pub struct Unpacked {
    /// Each agency unpacked and the bytes of its file.
    pub agencies: Vec<(u32, u64)>,
    /// The names of the entries that were left out because they are no agency's file.
    pub left_out: Vec<String>,
}

/// Opens the archive at `path`, if there is one.
pub fn find(path: &Path) -> Result<Option<File>, folder::Error> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(folder::Error::at(path)(error)),
    }
}

/// Unpacks every entry of `archive` named exactly as an agency's file into `set`. Each one's checksum is verified, and the
/// limits hold for what is read, not for what the archive says of itself.
pub fn unpack(archive: File, set: &mut NewSet, interrupt: &Interrupt) -> Result<Unpacked, Error> {
    let mut archive = ZipArchive::new(BufReader::new(archive))?;
    let entries = archive.len();
    if entries > MAX_ENTRIES {
        return Err(Error::TooManyEntries(entries));
    }
    let mut unpacked = Unpacked::default();
    let mut allowance = MAX_UNPACKED_BYTES;
    for index in 0..entries {
        interrupt.check()?;
        let entry = archive.by_index(index)?;
        let name = String::from_utf8_lossy(entry.name_raw());
        match agency_of(&name).filter(|_| entry.is_file()) {
            Some(agency) => {
                let bytes = unpack_entry(agency, entry, allowance, set)?;
                allowance -= bytes;
                unpacked.agencies.push((agency, bytes));
            }
            None => unpacked.left_out.push(name.into_owned()),
        }
    }
    if unpacked.agencies.is_empty() {
        return Err(Error::NoAgencies);
    }
    unpacked.agencies.sort_unstable();
    Ok(unpacked)
}

/// Unpacks the file of `agency`, of `allowance` bytes at most. Gives its bytes.
fn unpack_entry(agency: u32, entry: impl Read, allowance: u64, set: &mut NewSet) -> Result<u64, Error> {
    let mut file = set.create(agency)?;
    // One byte over the allowance is enough to know that there is more.
    let bytes =
        io::copy(&mut entry.take(allowance + 1), &mut file).map_err(|source| Error::DamagedEntry { agency, source })?;
    if bytes > allowance {
        return Err(Error::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_may_take_its_allowance_and_not_a_byte_more() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut set = NewSet::in_folder(folder.path()).expect("a set in it");
        let whole = unpack_entry(1, &b"0123456789"[..], 10, &mut set);
        assert!(matches!(whole, Ok(10)));
        let too_large = unpack_entry(1, &b"0123456789"[..], 9, &mut set);
        assert!(matches!(too_large, Err(Error::TooLarge)));
        // What unpacks for ever is cut off as well.
        let endless = unpack_entry(1, io::repeat(b'x'), 9, &mut set);
        assert!(matches!(endless, Err(Error::TooLarge)));
    }
}
