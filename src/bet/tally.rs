//! The tally of an agency: the number of its stored bets, and a checksum over them.

use std::fmt;

/// The beginning of an agency's bets: their number, and a checksum over them in their order.
///
/// An agency goes on behind the bets that are stored. The number says how many those are; the checksum says that they are
/// the ones which its file begins with, and not those of another file.
///
/// The checksum is CRC-32 (ISO-HDLC, the `crc32` of zlib) over the bets as a RegisterBets carries them. It finds mistakes of
/// people, it is no protection from forgery.
///
/// ```
/// use loteria::bet::Tally;
///
/// let mut tally = Tally::default();
/// tally.extend(0, b"");
/// assert_eq!(tally, Tally { bets: 0, checksum: 0 });
/// // The check value of CRC-32/ISO-HDLC.
/// tally.extend(1, b"12345");
/// tally.extend(1, b"6789");
/// assert_eq!(tally, Tally { bets: 2, checksum: 0xcbf4_3926 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of bets.
    pub bets: u64,
    /// The checksum over them; 0 if there is none.
    pub checksum: u32,
}

impl Tally {
    /// Adds `bets` that follow, which `encoded` holds as a RegisterBets does: each behind its length.
    pub fn extend(&mut self, bets: u32, encoded: &[u8]) {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.checksum);
        hasher.update(encoded);
        *self = Tally { bets: self.bets + u64::from(bets), checksum: hasher.finalize() };
    }
}

impl fmt::Display for Tally {
    /// `20 bets with checksum 5fd1c2a0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bets with checksum {:08x}", self.bets, self.checksum)
    }
}
