//! Invariants of the files and of what agencies are told. They hold after every step.

use loteria::bet::WINNER_NUMBER;
use loteria::ledger::file::{Certificate, SyncPolicy};

use crate::agencies::Agency;
use crate::disk::{Disk, Name};

/// The standing of each agency in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Bets of each agency, from agency 1.
    pub stored: Vec<u64>,
    /// True for each agency that has closed, from agency 1.
    pub closed: Vec<bool>,
}

/// Reads the files again only if they have changed.
#[derive(Debug, Default)]
pub struct Invariants {
    version: Option<u64>,
    /// The standing that would be left after the worst crash that can happen now.
    pub surviving: Standing,
}

impl Invariants {
    /// No bet twice, an agency's order kept, and nothing that was acknowledged would be missing after a crash.
    pub fn check_files(
        &mut self,
        disk: &Disk,
        agencies: &[Agency],
        sync: SyncPolicy,
        is_up: bool,
    ) -> Result<(), String> {
        if self.version == Some(disk.version) {
            return check_acknowledged(agencies, &self.surviving);
        }
        self.version = Some(disk.version);
        let (bets, closings) = (disk.genuine(Name::Bets), disk.genuine(Name::Closings));
        let shown = standing(&bets.cache, &closings.cache, agencies)?;
        if is_up && [&bets.cache, &closings.cache].iter().any(|file| file.last().is_some_and(|&byte| byte != b'\n')) {
            return Err("a running server leaves an unfinished row in a file".to_owned());
        }
        self.surviving = match sync {
            SyncPolicy::Never => shown,
            SyncPolicy::Always => standing(&bets.durable, &closings.durable, agencies)
                .map_err(|fault| format!("were the power lost now: {fault}"))?,
        };
        check_acknowledged(agencies, &self.surviving)
    }

    /// An agency was told these winners: they are its own, no agency can still send a bet or change the draw, and the
    /// certificate of the draw would survive.
    pub fn check_winners(&self, disk: &Disk, sync: SyncPolicy, agency: &Agency, told: &[u32]) -> Result<(), String> {
        check_certificate(disk, sync)?;
        if let Some(open) = self.surviving.closed.iter().position(|&is_closed| !is_closed) {
            let (number, open) = (agency.number, open + 1);
            return Err(format!(
                "agency {number} is told winners, and agency {open} might still be open after a crash"
            ));
        }
        if told != agency.winners {
            return Err(format!("agency {} is told {told:?} instead of {:?}", agency.number, agency.winners));
        }
        Ok(())
    }
}

/// There is a certificate, and it is of the bets that the server has stored.
fn check_certificate(disk: &Disk, sync: SyncPolicy) -> Result<(), String> {
    let certificate = match sync {
        SyncPolicy::Never => disk.certificate().shown(),
        SyncPolicy::Always => disk.certificate().durable(),
    };
    let certificate = certificate.ok_or("winners are told, and the certificate of the draw would not survive")?;
    let certificate = Certificate::parse(certificate).map_err(|error| error.to_string())?;
    let bets = &disk.genuine(Name::Bets).cache;
    if certificate.blake3 != blake3::hash(bets).to_string() {
        return Err("the certificate of the draw is of other bets than those that are stored".to_owned());
    }
    Ok(())
}

fn check_acknowledged(agencies: &[Agency], surviving: &Standing) -> Result<(), String> {
    for (agency, &stored) in agencies.iter().zip(&surviving.stored) {
        if stored < agency.acknowledged {
            let (number, acknowledged) = (agency.number, agency.acknowledged);
            return Err(format!("{acknowledged} bets of agency {number} are acknowledged, and {stored} would survive"));
        }
    }
    Ok(())
}

/// Reads both files up to their last line breaks. Each agency's rows must be the first of its own, in order.
fn standing(bets: &[u8], closings: &[u8], agencies: &[Agency]) -> Result<Standing, String> {
    let mut standing = Standing { stored: vec![0; agencies.len()], closed: vec![false; agencies.len()] };
    for row in bets.split_inclusive(|&byte| byte == b'\n').filter(|row| row.ends_with(b"\n")) {
        let shown = || String::from_utf8_lossy(row).into_owned();
        let index = agency_of(row).ok_or_else(|| format!("the row {:?} is no bet", shown()))?;
        let (Some(agency), Some(stored)) = (agencies.get(index), standing.stored.get_mut(index)) else {
            return Err(format!("the row {:?} is of no agency", shown()));
        };
        if agency.rows.get(*stored as usize).map(Vec::as_slice) != Some(row) {
            return Err(format!("the row {:?} is not bet {} of its agency", shown(), *stored + 1));
        }
        *stored += 1;
    }
    for row in closings.split_inclusive(|&byte| byte == b'\n').filter(|row| row.ends_with(b"\n")) {
        let shown = String::from_utf8_lossy(row).into_owned();
        let index = agency_of(row).filter(|&index| index < agencies.len()).ok_or("a closing of no agency")?;
        let expected = format!("{},{},{},{WINNER_NUMBER}\r\n", index + 1, agencies[index].bets.len(), agencies.len());
        if shown != expected || std::mem::replace(&mut standing.closed[index], true) {
            return Err(format!("the closing {shown:?} is not {expected:?}, or stands there twice"));
        }
    }
    Ok(standing)
}

fn agency_of(row: &[u8]) -> Option<usize> {
    let digits = row.iter().position(|&byte| byte == b',')?;
    let number: usize = std::str::from_utf8(&row[..digits]).ok()?.parse().ok()?;
    number.checked_sub(1)
}
