//! `bets.csv.state`: the length and the digest of both files after the last commit.
//!
//! It has two lines of one length, the slots, which are written in turn: a crash that tears one leaves the other. It is
//! written once a commit is synced, and is not synced itself. So it may lag behind the files after a power loss, and never
//! runs ahead of them. A missing or torn state says nothing: it is of a round that an older server began, or of a power
//! loss before it first reached the disk.

use std::io::{self, Read, SeekFrom};

use super::digest::Extent;
use super::medium::Medium;

/// The beginning of both files that the server has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Of `bets.csv`.
    pub bets: Extent,
    /// Of `bets.csv.closed`.
    pub closings: Extent,
}

/// Serial number, lengths, digests and checksum, divided by spaces, and a line break.
const SLOT_BYTES: usize = 3 * 20 + 2 * 64 + CHECKSUM_DIGITS + 6;
const CHECKSUM_DIGITS: usize = 16;

impl State {
    /// The newest state in the `contents` of a state file, if any is whole.
    pub fn read(contents: &[u8]) -> Option<State> {
        newest(contents).map(|(_, state)| state)
    }

    fn slot(&self, serial: u64) -> String {
        let State { bets, closings } = self;
        let fields = format!(
            "{serial:020} {:020} {} {:020} {} ",
            bets.length,
            bets.digest.to_hex(),
            closings.length,
            closings.digest.to_hex()
        );
        let checksum = blake3::hash(fields.as_bytes()).to_hex();
        fields + &checksum[..CHECKSUM_DIGITS] + "\n"
    }

    /// The serial number and the state of a slot. It must be exactly what [`State::slot`] writes, checksum included.
    fn parse(slot: &[u8]) -> Option<(u64, State)> {
        let slot = std::str::from_utf8(slot).ok()?;
        let mut fields = slot.split(' ');
        let serial = fields.next()?.parse().ok()?;
        let mut extent = || {
            Some(Extent { length: fields.next()?.parse().ok()?, digest: blake3::Hash::from_hex(fields.next()?).ok()? })
        };
        let state = State { bets: extent()?, closings: extent()? };
        (state.slot(serial) == slot).then_some((serial, state))
    }
}

fn newest(contents: &[u8]) -> Option<(u64, State)> {
    contents.chunks(SLOT_BYTES).take(2).filter_map(State::parse).max_by_key(|&(serial, _)| serial)
}

/// The open state file.
#[derive(Debug)]
pub(super) struct StateFile<M> {
    medium: M,
    /// The serial number of the next state. Its slot is not that of the newest one.
    serial: u64,
}

impl<M: Medium> StateFile<M> {
    /// The state file in `medium`, and the newest state in it.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn open(mut medium: M) -> io::Result<(StateFile<M>, Option<State>)> {
        let mut contents = Vec::new();
        medium.seek(SeekFrom::Start(0))?;
        (&mut medium).take(2 * SLOT_BYTES as u64).read_to_end(&mut contents)?;
        let newest = newest(&contents);
        let serial = newest.map_or(0, |(serial, _)| serial.wrapping_add(1));
        Ok((StateFile { medium, serial }, newest.map(|(_, state)| state)))
    }

    /// Writes `state`, which is durable. A failure leaves the former state, which only says less: no commit fails by it.
    pub(super) fn write(&mut self, state: &State) {
        let offset = self.serial % 2 * SLOT_BYTES as u64;
        if self.medium.overwrite(offset, state.slot(self.serial).as_bytes()).is_ok() {
            self.serial = self.serial.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(length: u64) -> State {
        let extent = |length| Extent { length, digest: blake3::hash(&vec![b'1'; length as usize]) };
        State { bets: extent(length), closings: extent(length / 2) }
    }

    #[test]
    fn the_newest_whole_slot_counts_wherever_a_write_is_torn() {
        let (older, newer) = (state(10).slot(4), state(20).slot(5));
        assert_eq!(older.len(), SLOT_BYTES);
        let contents = [older.as_bytes(), newer.as_bytes()].concat();
        assert_eq!(State::read(&contents), Some(state(20)));
        // The line break, its last byte, is there already.
        for torn in 0..SLOT_BYTES - 1 {
            // The write of serial 6 stops after `torn` bytes.
            let mut contents = contents.clone();
            contents[..torn].copy_from_slice(&state(30).slot(6).as_bytes()[..torn]);
            assert_eq!(State::read(&contents), Some(state(20)), "torn at {torn}");
        }
    }

    #[test]
    fn a_slot_with_any_byte_changed_counts_for_nothing() {
        let slot = state(10).slot(7).into_bytes();
        assert_eq!(State::read(&slot), Some(state(10)));
        for at in 0..SLOT_BYTES {
            for other in [0, b'0', b'1', b' ', b'a', 0xff] {
                let mut changed = slot.clone();
                if std::mem::replace(&mut changed[at], other) != other {
                    assert_eq!(State::read(&changed), None, "byte {at} is {other}");
                }
            }
        }
        for contents in [&b""[..], &slot[1..], &[0; 2 * SLOT_BYTES]] {
            assert_eq!(State::read(contents), None);
        }
    }
}
