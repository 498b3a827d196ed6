//! Recovery from any two files: it refuses and changes nothing, or it leaves files that recover to the same again.

use loteria::bet::load_bets;
use loteria::central::restore;
use loteria::ledger::file::{FileLedger, RecoveryError, Summary, SyncPolicy};
use loteria::lottery::{Contradiction, Lottery};

use super::memory::Memory;

const AGENCIES: u32 = 3;

/// The two files are divided by the first byte 0xFF, which UTF-8 never has.
pub fn recovery(bytes: &[u8]) {
    let mut files = bytes.splitn(2, |&byte| byte == 0xff);
    let bets = Memory::holding(files.next().unwrap_or_default());
    let closings = Memory::holding(files.next().unwrap_or_default());
    let (bets_before, closings_before) = (bets.bytes(), closings.bytes());

    let Ok(recovered) = recover(&bets, &closings) else {
        assert_eq!((bets.bytes(), closings.bytes()), (bets_before, closings_before), "refused, and changed");
        return;
    };
    let cut = bets_before.len() + closings_before.len() - bets.bytes().len() - closings.bytes().len();
    assert_eq!(recovered.truncated_bytes, cut as u64);
    assert!(bets_before.starts_with(&bets.bytes()) && closings_before.starts_with(&closings.bytes()));
    assert_eq!(count(&bets.bytes()), recovered.bets);

    let again = recover(&bets, &closings).expect("what recovery left is whole");
    assert_eq!(again, Summary { truncated_bytes: 0, ..recovered });
}

fn recover(bets: &Memory, closings: &Memory) -> Result<Summary, RecoveryError<Contradiction>> {
    let mut lottery = Lottery::new(AGENCIES);
    let replay = |step: loteria::ledger::Recovered<'_>| restore(&mut lottery, step);
    let (_, summary) = FileLedger::recover(bets.clone(), closings.clone(), SyncPolicy::Always, replay)?;
    Ok(summary)
}

fn count(bets: &[u8]) -> u64 {
    let mut rows = load_bets(bets);
    let mut count = 0;
    while rows.next_bet().expect("recovered").is_some() {
        count += 1;
    }
    count
}
