//! Recovery from any three files: it refuses and changes nothing, or it leaves files that recover to the same again.

use loteria::bet::load_bets;
use loteria::central::Restore;
use loteria::ledger::file::{FileLedger, Files, RecoveryError, State, Summary, SyncPolicy};
use loteria::lottery::{Contradiction, Lottery};

use super::memory::Memory;

const AGENCIES: u32 = 3;

/// The three files are divided by the first two bytes 0xFF, which UTF-8 never has.
pub fn recovery(bytes: &[u8]) {
    let mut contents = bytes.splitn(3, |&byte| byte == 0xff);
    let mut next = || Memory::holding(contents.next().unwrap_or_default());
    let files = Files { bets: next(), closings: next(), state: next() };
    let contents = || [&files.bets, &files.closings, &files.state].map(Memory::bytes);
    let before = contents();

    let Ok(recovered) = recover(&files) else {
        assert_eq!(contents(), before, "refused, and changed");
        return;
    };
    let [bets, closings, state] = contents();
    assert_eq!(recovered.truncated_bytes as usize, before[0].len() + before[1].len() - bets.len() - closings.len());
    assert!(before[0].starts_with(&bets) && before[1].starts_with(&closings));
    assert_eq!(count(&bets), recovered.bets);
    let verified = State::read(&state).expect("it is written at every start").bets;
    assert_eq!(verified.length, bets.len() as u64);

    let again = recover(&files).expect("what recovery left is whole, and as the state says");
    assert_eq!(again, Summary { truncated_bytes: 0, verified_bytes: verified.length, ..recovered });
}

fn recover(files: &Files<Memory>) -> Result<Summary, RecoveryError<Contradiction>> {
    let mut restore = Restore::new(Lottery::new(AGENCIES));
    let (_, summary) = FileLedger::recover(files.clone(), SyncPolicy::Always, |step| restore.step(step))?;
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
