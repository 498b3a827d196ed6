//! the time and the size of a reply.

use std::time::Instant;

use super::play::{Host, bets};
use super::resumption::greeted;
use super::{Agency, Play};
use crate::conformance::report::{Verdict, ensure};
use crate::conformance::wire::{Seen, Wire};

/// Sends `bytes` so slowly that each comes in time, and all of them do not. Gives how the agency ended it.
fn drip(wire: &mut Wire, bytes: &[u8], agency: &Agency) -> Seen {
    let pause = agency.reply_timeout * 2 / bytes.len() as u32;
    for byte in bytes {
        let due = Instant::now() + pause;
        match wire.read_within(pause) {
            Seen::Nothing | Seen::Ack => std::thread::sleep(due.saturating_duration_since(Instant::now())),
            seen => return seen,
        }
        wire.send(&[*byte]);
    }
    Seen::Nothing
}

fn gives_up(what: &str, end: Seen) -> Verdict {
    ensure(matches!(end, Seen::End | Seen::Reset), format_args!("{what}: the agency gives up"), end)
}

pub fn replies(agency: &Agency) -> Verdict {
    let longest = agency.reply_timeout + agency.patience;
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    let mut wire = greeted(&mut play, &mut host)?;
    gives_up("no Welcome", wire.read_within(longest))?;

    let mut wire = greeted(&mut play, &mut host)?;
    let welcome = host.welcome().bytes();
    gives_up("a Welcome that takes too long", drip(&mut wire, &welcome, agency))?;

    let mut wire = play.accept()?;
    host.serve_to_request(&mut wire)?;
    wire.send(&Seen::InformWinners(host.winners()).bytes()[..11]);
    gives_up("half of InformWinners", wire.read_within(longest))?;
    let wire = play.accept()?;
    play.serve_to_success(host, wire)
}

pub fn resets(agency: &Agency) -> Verdict {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    let mut wire = greeted(&mut play, &mut host)?;
    let end = wire.read_within(agency.reply_timeout + agency.patience);
    ensure(end == Seen::Reset, "a reset of a connection that was given up", end)
}

pub fn winners(agency: &Agency) -> Verdict {
    let beyond = Seen::InformWinners(vec![1; 4]).bytes();
    let huge = [&[0, 7][..], &(1_u64 << 62).to_be_bytes()].concat();
    for (what, reply) in [("4 winners of 3 bets", beyond), ("2^62 winners of 3 bets", huge)] {
        let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
        let mut wire = play.accept()?;
        host.serve_to_request(&mut wire)?;
        wire.send(&reply);
        play.fails(what, wire, false)?;
    }
    Ok(())
}
