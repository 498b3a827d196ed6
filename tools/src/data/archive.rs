//! The course's `dataset.zip`: its agency files, and nothing else that an archive may hold.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use zip::ZipArchive;
use zip::result::ZipError;

use super::folder::{MAX_AGENCIES, NewSet, agency_of};
use super::{fail_if, say};

/// The most entries of an archive: one for each possible agency, and as many again that are left out.
const MAX_ENTRIES: usize = 2 * MAX_AGENCIES as usize;

/// The most bytes that all agency files may unpack to: 1 GiB, about 22 million bets. The course's take 3.7 MB.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// An archive that was not unpacked.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
struct UnusableArchive {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("not a zip archive that can be read: {0}")]
    Damaged(#[from] ZipError),
    #[error("{name} in it cannot be unpacked: {error}")]
    Entry { name: String, error: io::Error },
    #[error("it has {0} entries, more than {MAX_ENTRIES}")]
    TooManyEntries(usize),
    #[error("its agency files take more than {MAX_UNPACKED_BYTES} bytes")]
    TooLarge,
    #[error("no agency-N.csv at its top level")]
    NoAgencies,
}

/// Unpacks each entry of `archive` that is named exactly as an agency's file into `set`. The limits hold for the bytes that
/// come out, not for the sizes that the archive declares.
pub fn unpack(archive: File, path: &Path, set: &mut NewSet, interrupted: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let unusable = |fault| UnusableArchive { path: path.to_owned(), fault };
    say(format_args!("{}: unpacked as it is; no bets are made up, whatever their number and seed", path.display()));
    let mut archive = ZipArchive::new(BufReader::new(archive)).map_err(|error| unusable(error.into()))?;
    if archive.len() > MAX_ENTRIES {
        return Err(unusable(Fault::TooManyEntries(archive.len())).into());
    }
    let (mut allowance, mut is_empty) = (MAX_UNPACKED_BYTES, true);
    for index in 0..archive.len() {
        fail_if(interrupted)?;
        let entry = archive.by_index(index).map_err(|error| unusable(error.into()))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let Some(agency) = agency_of(&name).filter(|_| entry.is_file()) else {
            let name = name.escape_debug();
            say(format_args!("{}: \"{name}\" left out, it is not named agency-N.csv", path.display()));
            continue;
        };
        let unpacked = copy_at_most(allowance, entry, &mut set.create(agency)?);
        let bytes = unpacked.map_err(|error| unusable(Fault::Entry { name: name.clone(), error }))?;
        let bytes = bytes.ok_or_else(|| unusable(Fault::TooLarge))?;
        (allowance, is_empty) = (allowance - bytes, false);
        say(format_args!("{}: {name}, {bytes} bytes", path.display()));
    }
    if is_empty { Err(unusable(Fault::NoAgencies).into()) } else { Ok(()) }
}

/// Copies all of `entry`, and gives its bytes; `None` if they are more than `limit`. The last read verifies the checksum.
fn copy_at_most(limit: u64, entry: impl Read, file: &mut impl Write) -> io::Result<Option<u64>> {
    let bytes = io::copy(&mut entry.take(limit + 1), file)?;
    Ok(Some(bytes).filter(|&bytes| bytes <= limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_may_take_its_allowance_and_not_a_byte_more() {
        let copied = |limit, entry: &[u8]| copy_at_most(limit, entry, &mut io::sink()).expect("read");
        assert_eq!(copied(10, b"0123456789"), Some(10));
        assert_eq!(copied(9, b"0123456789"), None);
        let endless = copy_at_most(9, io::repeat(b'x'), &mut io::sink()).expect("read");
        assert_eq!(endless, None);
    }
}
