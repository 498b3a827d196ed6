//! S-23 to S-26: AllBetsSent before the draw.

use super::{Server, refuses, stands, stores};
use crate::conformance::report::Verdict;
use crate::conformance::wire::{ALL_BETS_SENT, batch};

pub fn closes(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.greet(agency)?;
    stores(&mut wire, &[server.bet(agency, 1)])?;
    wire.send(ALL_BETS_SENT);
    stands(&mut wire, agency, 1, 1)?;
    refuses("a batch of a closed agency", 6, &wire.send(&batch(&[server.bet(agency, 2)])).read())
}

pub fn repeated(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.greet(agency)?;
    stores(&mut wire, &[server.bet(agency, 1)])?;
    wire.send(ALL_BETS_SENT);
    stands(&mut wire, agency, 1, 1)?;
    wire.send(ALL_BETS_SENT).send(ALL_BETS_SENT);
    stands(&mut wire, agency, 1, 1)
}

pub fn without_bets(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.greet(agency)?;
    wire.send(ALL_BETS_SENT);
    stands(&mut wire, agency, 0, 1)
}

pub fn without_agency(server: &Server, _: u32) -> Verdict {
    server.vectors(7, |bytes| bytes.len() == 2)
}
