//! S-21 and S-22: the server is killed.

use super::{Server, stores, welcomed};
use crate::conformance::report::{Unmet, Verdict, ensure, must};
use crate::conformance::wire::{Seen, batch, checksum, hello};

pub fn acknowledged(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.greet(agency)?;
    stores(&mut wire, &[server.bet(agency, 1), server.bet(agency, 2)])?;
    server.restart()?;
    let (stored, _) = welcomed(&mut server.connect()?, agency)?;
    ensure(stored == 2, "2 acknowledged bets after the server was killed", stored)
}

/// Bets in a batch, and batches that are sent without waiting.
const BATCHES: (usize, usize) = (5, 200);

/// Kills the server among many batches, of which some are acknowledged.
pub fn prefix(server: &Server, agency: u32) -> Verdict {
    const ACKNOWLEDGED: usize = 3;
    let (of_a_batch, batches) = BATCHES;
    let bets: Vec<_> = (1..=(of_a_batch * batches) as u32).map(|document| server.bet(agency, document)).collect();
    let mut wire = server.greet(agency)?;
    wire.send(&bets.chunks(of_a_batch).flat_map(batch).collect::<Vec<u8>>());
    for _ in 0..ACKNOWLEDGED {
        must("a valid batch", &Seen::RegisterBetOk, &wire.read())?;
    }
    server.restart()?;
    match server.connect()?.send(&hello(2, agency, "")).read() {
        Seen::Welcome { stored, checksum: Some(seen), .. } => {
            let stored = stored as usize;
            let bounds = ACKNOWLEDGED * of_a_batch..=bets.len();
            ensure(bounds.contains(&stored), format_args!("{bounds:?} bets"), stored)?;
            let expected = checksum(&bets[..stored]);
            ensure(
                seen == expected,
                format_args!("the first {stored} bets, checksum {expected:08x}"),
                format_args!("checksum {seen:08x}"),
            )
        }
        seen => Err(Unmet::failed("a Welcome2", seen)),
    }
}
