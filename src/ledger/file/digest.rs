//! The length and the BLAKE3 of what a file begins with. `b3sum bets.csv` prints the same digest.

use std::io::{self, Read};

use blake3::{Hash, Hasher};

/// The first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Their number.
    pub length: u64,
    /// Their BLAKE3.
    pub digest: Hash,
}

/// The extent of everything that `hasher` was given.
pub(super) fn extent(hasher: &Hasher) -> Extent {
    Extent { length: hasher.count(), digest: hasher.finalize() }
}

/// Hashes what is read from `input`, and keeps the digest of its first bytes.
pub(super) struct Hashing<R> {
    input: R,
    hasher: Hasher,
    /// The number of the first bytes.
    mark: u64,
    at_mark: Option<Hash>,
}

impl<R: Read> Hashing<R> {
    /// Keeps the digest of the first `mark` bytes of `input`.
    pub(super) fn new(input: R, mark: u64) -> Hashing<R> {
        let hasher = Hasher::new();
        let at_mark = (mark == 0).then(|| hasher.finalize());
        Hashing { input, hasher, mark, at_mark }
    }

    /// The digest of the first bytes, if they have been read, and the hasher of all of them.
    pub(super) fn finish(self) -> (Option<Hash>, Hasher) {
        (self.at_mark, self.hasher)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A read ends at the mark.
        let limit = match self.mark.saturating_sub(self.hasher.count()) {
            0 => buffer.len(),
            left => buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
        };
        let read = self.input.read(&mut buffer[..limit])?;
        self.hasher.update(&buffer[..read]);
        if self.hasher.count() == self.mark {
            self.at_mark.get_or_insert_with(|| self.hasher.finalize());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_the_first_bytes_is_kept_wherever_reads_end() {
        let bytes: Vec<u8> = (0..10_000u32).map(|number| number as u8).collect();
        for mark in [0, 1, 1023, 1024, 1025, 9_999, 10_000] {
            let mut hashing = Hashing::new(bytes.as_slice(), mark);
            let mut buffer = [0; 777];
            while hashing.read(&mut buffer).expect("memory") > 0 {}
            let (at_mark, hasher) = hashing.finish();
            assert_eq!(at_mark, Some(blake3::hash(&bytes[..mark as usize])));
            assert_eq!(extent(&hasher), Extent { length: 10_000, digest: blake3::hash(&bytes) });
        }
    }

    #[test]
    fn a_file_that_ends_before_the_mark_has_no_digest_of_it() {
        let mut hashing = Hashing::new(b"1,Ana".as_slice(), 6);
        hashing.read_to_end(&mut Vec::new()).expect("memory");
        assert_eq!(hashing.finish().0, None);
    }
}
