//! How many bets each agency has, and the writing of them.

use std::fmt::Write as _;
use std::io::Write;

use csv::{ByteRecord, Terminator, WriterBuilder};

use super::interrupt::{Interrupt, Interrupted};
use super::people::{Calendar, Documents, write_first_name, write_last_name};
use super::random::SplitMix64;

/// The bets in the course's five files, and how any other number of bets is spread over any other number of agencies.
const COURSE: [u64; 5] = [26_936, 25_518, 16_014, 9_238, 991];

/// The bets of the course's five files together: 78,697.
pub const COURSE_BETS: u64 = COURSE[0] + COURSE[1] + COURSE[2] + COURSE[3] + COURSE[4];

/// The numbers to bet on are those below this.
const NUMBERS: u64 = 10_000;

/// Bytes that are gathered before the file is written to. A bet takes about 45.
const WRITE_BUFFER_BYTES: usize = 1 << 16;

/// The bets of each of `agencies`, which come to exactly `bets`: in the proportions of the course's five files, again
/// and again for more than five. Five agencies with [`COURSE_BETS`] have the course's numbers.
///
/// Each agency ends at the whole number below its share of the line from 0 to `bets`, so that the shares add up.
pub fn spread(bets: u64, agencies: u32) -> Vec<u64> {
    let weights = || COURSE.iter().cycle().take(agencies as usize).copied();
    let total = u128::from(weights().sum::<u64>());
    let mut weight_so_far = 0;
    let mut ends_before = 0;
    weights()
        .map(|weight| {
            weight_so_far += u128::from(weight);
            let end = u64::try_from(u128::from(bets) * weight_so_far / total)
                .expect("a share of the bets is no more than the bets");
            end - std::mem::replace(&mut ends_before, end)
        })
        .collect()
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Makes up bets, one after the other. What it makes depends on the seed and on what it has made before, so the files
/// of a set are written in the order of their agencies. Its memory does not grow.
pub struct Generator {
    random: SplitMix64,
    documents: Documents,
    calendar: Calendar,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        Self { documents: Documents::shuffled(&mut random), calendar: Calendar::of_the_register(), random }
    }

    /// Writes the next `bets` to `output` in the course's format: rows of `first,last,document,birthdate,number`, no
    /// header, ended by CRLF. `output` needs no buffer of its own.
    pub fn write(&mut self, output: impl Write, bets: u64, interrupt: &Interrupt) -> Result<(), Error> {
        let mut writer = WriterBuilder::new()
            .has_headers(false)
            .terminator(Terminator::CRLF)
            .buffer_capacity(WRITE_BUFFER_BYTES)
            .from_writer(output);
        let mut record = ByteRecord::new();
        let mut field = String::new();
        for _ in 0..bets {
            interrupt.check()?;
            self.fill(&mut record, &mut field);
            writer.write_byte_record(&record)?;
        }
        writer.flush().map_err(csv::Error::from)?;
        Ok(())
    }

    /// Makes `record` the next bet; `field` is room to build its fields in.
    fn fill(&mut self, record: &mut ByteRecord, field: &mut String) {
        record.clear();
        write_first_name(field, &mut self.random);
        record.push_field(field.as_bytes());
        write_last_name(field, &mut self.random);
        record.push_field(field.as_bytes());

        let document = self.documents.deal();
        push_number(record, field, u64::from(document));
        let birthdate = self.calendar.birthdate(document, &mut self.random);
        record.push_field(birthdate.as_bytes());
        push_number(record, field, self.random.below(NUMBERS));
    }
}

fn push_number(record: &mut ByteRecord, field: &mut String, number: u64) {
    field.clear();
    write!(field, "{number}").expect("a String takes whatever is written to it");
    record.push_field(field.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_agencies_have_the_courses_numbers_of_bets() {
        assert_eq!(spread(COURSE_BETS, 5), COURSE);
    }

    #[test]
    fn the_shares_of_the_agencies_add_up() {
        for agencies in [1, 2, 3, 5, 6, 7, 10, 99, 10_000] {
            for bets in [0, 1, 2, 5, 99, 200_000, 78_697, 1_000_000_000, u64::MAX] {
                let shares = spread(bets, agencies);
                assert_eq!(shares.len(), agencies as usize);
                assert_eq!(shares.iter().sum::<u64>(), bets, "{agencies} agencies");
            }
        }
    }
}
