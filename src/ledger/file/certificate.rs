//! `bets.csv.draw`: the certificate of the draw, in JSON.
//!
//! It says when the round was drawn, which number won, the bets and winners of each agency, and the length and the BLAKE3
//! of `bets.csv`, which `b3sum bets.csv` prints too. It is written with the commit of the last closing, before any agency is
//! told its winners. A crash between the two leaves a round without it, which the next start writes. From then on a start
//! compares it with the files.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use serde::Deserialize;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::digest::Extent;
use super::whole::WholeFile;
use crate::ledger::{AgencyDraw, Draw, Terms};

/// The certificate of a draw.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The time of the draw, in UTC, as RFC 3339 writes it.
    pub drawn_at: String,
    /// The number that won.
    pub winning_number: u32,
    /// The length of `bets.csv`.
    pub bytes: u64,
    /// Its BLAKE3 in hexadecimal.
    pub blake3: String,
    /// The agencies, from 1.
    pub agencies: Vec<AgencyDraw>,
}

/// A difference between a certificate and the files of its round.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Discrepancy {
    /// It is no certificate.
    #[error("it is no certificate: {0}")]
    Unreadable(String),
    /// An agency is open.
    #[error("the round was drawn, and not every agency has closed")]
    NotDrawn,
    /// The round has other terms.
    #[error("the round of {} agencies was drawn with the number {}, and the files are of {} agencies and the number {}",
        certified.agencies, certified.winning_number, stored.agencies, stored.winning_number)]
    Terms {
        /// Those of the certificate.
        certified: Terms,
        /// Those of the files.
        stored: Terms,
    },
    /// An agency has other bets or winners.
    #[error(
        "agency {} had {} bets with {} winners, and {} with {} are stored",
        stored.agency, certified.bets, certified.winners, stored.bets, stored.winners
    )]
    Agency {
        /// Those of the certificate.
        certified: AgencyDraw,
        /// Those of the files.
        stored: AgencyDraw,
    },
    /// The bets are other bytes.
    #[error(
        "the bets had {certified_bytes} bytes and the BLAKE3 {certified}, and have {stored_bytes} bytes and {stored}"
    )]
    Bets {
        /// Bytes in the certificate.
        certified_bytes: u64,
        /// BLAKE3 in the certificate.
        certified: String,
        /// Bytes that are stored.
        stored_bytes: u64,
        /// Their BLAKE3.
        stored: String,
    },
}

/// The time in UTC, to the second.
pub(super) fn timestamp() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).expect("0 is a nanosecond");
    now.format(&Rfc3339).expect("the year has four digits")
}

impl Certificate {
    /// The certificate of `draw`, which happens now, of the `bets`.
    pub(super) fn new(draw: &Draw, bets: Extent) -> Certificate {
        Certificate {
            drawn_at: timestamp(),
            winning_number: draw.terms.winning_number,
            bytes: bets.length,
            blake3: bets.digest.to_string(),
            agencies: draw.agencies.clone(),
        }
    }

    /// The certificate in the `contents` of a file.
    ///
    /// # Errors
    /// [`Discrepancy::Unreadable`].
    pub fn parse(contents: &[u8]) -> Result<Certificate, Discrepancy> {
        serde_json::from_slice(contents).map_err(|error| Discrepancy::Unreadable(error.to_string()))
    }

    /// The time of the draw. `None` if a person wrote something else there.
    pub fn time(&self) -> Option<SystemTime> {
        OffsetDateTime::parse(&self.drawn_at, &Rfc3339).ok().map(SystemTime::from)
    }

    /// Checks that it is of `draw`, which the files give if every agency has closed, and of the `bets`.
    ///
    /// # Errors
    /// The first [`Discrepancy`].
    pub(super) fn check(&self, draw: Option<&Draw>, bets: Extent) -> Result<(), Discrepancy> {
        let draw = draw.ok_or(Discrepancy::NotDrawn)?;
        let certified = Terms { agencies: self.agencies.len() as u32, winning_number: self.winning_number };
        if certified != draw.terms {
            return Err(Discrepancy::Terms { certified, stored: draw.terms });
        }
        let mut agencies = self.agencies.iter().zip(&draw.agencies);
        if let Some((&certified, &stored)) = agencies.find(|(certified, stored)| certified != stored) {
            return Err(Discrepancy::Agency { certified, stored });
        }
        let stored = bets.digest.to_string();
        if (self.bytes, &self.blake3) != (bets.length, &stored) {
            let (certified_bytes, certified) = (self.bytes, self.blake3.clone());
            return Err(Discrepancy::Bets { certified_bytes, certified, stored_bytes: bets.length, stored });
        }
        Ok(())
    }

    /// The contents of its file: JSON with a line for each agency.
    fn to_json(&self) -> String {
        let Certificate { drawn_at, winning_number, bytes, blake3, agencies } = self;
        let mut json = format!(
            "{{\n  \"drawn_at\": \"{drawn_at}\",\n  \"winning_number\": {winning_number},\n  \"bytes\": {bytes},\n  \
             \"blake3\": \"{blake3}\",\n  \"agencies\": ["
        );
        for (position, AgencyDraw { agency, bets, winners }) in agencies.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            // Writing to a String can't fail.
            let _ = write!(json, "{comma}\n    {{\"agency\": {agency}, \"bets\": {bets}, \"winners\": {winners}}}");
        }
        json + "\n  ]\n}\n"
    }

    /// Writes it, durably, to a file that is not there.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(super) fn write(&self, file: &mut impl WholeFile) -> Result<(), WriteError> {
        file.write_beside(self.to_json().as_bytes()).map_err(WriteError::NotWritten)?;
        file.sync_beside().and_then(|()| file.rename()).and_then(|()| file.sync_folder()).map_err(WriteError::Unknown)
    }
}

/// Reason why a certificate could not be written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// It is not at its path.
    NotWritten(io::Error),
    /// It may be.
    Unknown(io::Error),
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> io::Error {
        match error {
            WriteError::NotWritten(error) | WriteError::Unknown(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn draw() -> Draw {
        let agencies = [(1, 20, 3), (2, 0, 0)].map(|(agency, bets, winners)| AgencyDraw { agency, bets, winners });
        Draw { terms: Terms { agencies: 2, winning_number: 7574 }, agencies: agencies.to_vec() }
    }

    fn bets() -> Extent {
        Extent { length: 3, digest: blake3::hash(b"abc") }
    }

    #[test]
    fn a_certificate_is_read_as_it_was_written() {
        for agencies in [0, 1, 2] {
            let mut draw = draw();
            draw.agencies.truncate(agencies);
            let certificate = Certificate::new(&draw, bets());
            assert_eq!(Certificate::parse(certificate.to_json().as_bytes()), Ok(certificate));
        }
        let at = |drawn_at: &str| Certificate { drawn_at: drawn_at.to_owned(), ..Certificate::new(&draw(), bets()) };
        let minute = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        assert_eq!(at("1970-01-01T00:01:00Z").time(), Some(minute));
        assert_eq!(at("yesterday").time(), None);
        let json = Certificate::new(&draw(), bets()).to_json();
        for end in 0..json.len() - 2 {
            assert!(Certificate::parse(&json.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn each_difference_from_the_files_is_named() {
        let certificate = Certificate::new(&draw(), bets());
        assert_eq!(certificate.check(Some(&draw()), bets()), Ok(()));
        let differs = |change: fn(&mut Draw), words: &str| {
            let mut changed = draw();
            change(&mut changed);
            let found = certificate.check(Some(&changed), bets()).expect_err("it differs").to_string();
            assert!(found.contains(words), "{found}");
        };
        differs(
            |draw| draw.terms.winning_number = 8,
            "with the number 7574, and the files are of 2 agencies and the number 8",
        );
        differs(|draw| draw.terms.agencies = 3, "of 2 agencies was drawn");
        differs(|draw| draw.agencies[0].bets = 19, "agency 1 had 20 bets with 3 winners, and 19 with 3 are stored");
        differs(|draw| draw.agencies[1].winners = 1, "agency 2 had 0 bets with 0 winners, and 0 with 1 are stored");
        assert_eq!(certificate.check(None, bets()), Err(Discrepancy::NotDrawn));
        let other = Extent { length: 3, digest: blake3::hash(b"abd") };
        let found = certificate.check(Some(&draw()), other).expect_err("it differs").to_string();
        assert!(found.starts_with("the bets had 3 bytes and the BLAKE3 6437b3ac"), "{found}");
    }
}
