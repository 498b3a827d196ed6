//! Recovery from any four files: it refuses and changes nothing, or it leaves files that recover to the same again.

use loteria::bet::load_bets;
use loteria::central::Restore;
use loteria::ledger::file::{FileLedger, Files, RecoveryError, State, Summary, SyncPolicy};
use loteria::lottery::{Contradiction, Lottery};

use super::memory::Memory;

const AGENCIES: u32 = 3;

/// The four files are divided by the first three bytes 0xFF, which UTF-8 never has. An empty certificate is none.
pub fn recovery(bytes: &[u8]) {
    let mut contents = bytes.splitn(4, |&byte| byte == 0xff);
    let mut next = || Memory::holding(contents.next().unwrap_or_default());
    let files = Files { bets: next(), closings: next(), state: next(), certificate: next() };
    let contents = || [&files.bets, &files.closings, &files.state, &files.certificate].map(Memory::bytes);
    let before = contents();

    let Ok((recovered, is_drawn)) = recover(&files) else {
        assert_eq!(contents(), before, "refused, and changed");
        return;
    };
    let [bets, closings, state, certificate] = contents();
    assert_eq!(recovered.truncated_bytes as usize, before[0].len() + before[1].len() - bets.len() - closings.len());
    assert!(before[0].starts_with(&bets) && before[1].starts_with(&closings));
    assert_eq!(count(&bets), recovered.bets);
    let verified = State::read(&state).expect("it is written at every start").bets;
    assert_eq!(verified.length, bets.len() as u64);

    assert_eq!(!certificate.is_empty(), is_drawn, "the certificate is written with the draw");

    let (again, _) = recover(&files).expect("what recovery left is whole, and as the state says");
    assert_eq!(
        again,
        Summary { truncated_bytes: 0, is_drawn_now: false, verified_bytes: verified.length, ..recovered }
    );
}

/// The summary, and true if the round is drawn.
fn recover(files: &Files<Memory>) -> Result<(Summary, bool), RecoveryError<Contradiction>> {
    let mut restore = Restore::new(Lottery::new(AGENCIES));
    let (_, summary) = FileLedger::recover(files.clone(), SyncPolicy::Always, &mut restore)?;
    Ok((summary, restore.finish().is_drawn()))
}

fn count(bets: &[u8]) -> u64 {
    let mut rows = load_bets(bets);
    let mut count = 0;
    while rows.next_bet().expect("recovered").is_some() {
        count += 1;
    }
    count
}
