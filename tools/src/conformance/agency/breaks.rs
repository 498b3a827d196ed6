//! connections that break, and codes that are not the end.

use std::time::{Duration, Instant};

use super::play::{Host, bets};
use super::resumption::greeted;
use super::simple::first_batch;
use super::{Agency, Play};
use crate::conformance::report::{Unmet, Verdict, ensure};
use crate::conformance::wire::{Seen, refused};

/// Each byte of the replies, and some of the requests.
pub fn at_every_byte(agency: &Agency) -> Verdict {
    let whole = {
        let mut host = Host { version: 2, ..Host::new(agency, &bets(agency, 3)) };
        host.state = 2;
        host.welcome().bytes().len()
            + Seen::RegisterBetOk.bytes().len()
            + Seen::InformWinners(host.winners()).bytes().len()
    };
    for sent in 0..whole {
        let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
        let mut wire = play.accept()?;
        if host.serve_bytes(&mut wire, sent)? {
            play.succeeds()?;
            continue;
        }
        // The stored bets stay, and so does the closing.
        host.state = host.state.min(1);
        if sent % 2 == 1 {
            wire.reset();
        }
        drop(wire);
        let wire = play.accept()?;
        play.serve_to_success(host, wire).map_err(|unmet| match unmet {
            Unmet::Failed { expected, seen } => {
                Unmet::failed(format_args!("{expected}, after {sent} bytes of replies"), seen)
            }
            skipped => skipped,
        })?;
    }
    for received in [0, 1, 11] {
        let mut play = Play::start(agency, bets(agency, 3))?;
        let mut wire = play.accept()?;
        wire.read_bytes(received);
        drop(wire);
        let wire = play.accept()?;
        play.serve_to_success(Host::new(agency, &[]), wire)?;
    }
    Ok(())
}

pub fn pauses(agency: &Agency) -> Verdict {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    drop(greeted(&mut play, &mut host)?);
    let mut least = Duration::from_millis(50);
    for attempt in 1..=4 {
        let closed = Instant::now();
        let wire = greeted(&mut play, &mut host)?;
        let paused = closed.elapsed();
        ensure(
            paused >= least,
            format_args!("a pause of {least:?} before attempt {}", attempt + 1),
            format_args!("{paused:?}"),
        )?;
        drop(wire);
        least *= 2;
    }
    let wire = play.accept()?;
    play.serve_to_success(host, wire)
}

pub fn comes_back(agency: &Agency) -> Verdict {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    for code in [9, 12] {
        let mut wire = greeted(&mut play, &mut host)?;
        wire.send(&host.refusal(code).bytes());
    }
    for code in [9, 12] {
        let (mut wire, _) = first_batch(&mut play, &mut host)?;
        wire.send(&host.refusal(code).bytes());
    }
    let wire = play.accept()?;
    play.serve_to_success(host, wire)
}

pub fn takeover(agency: &Agency) -> Verdict {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    let mut wire = greeted(&mut play, &mut host)?;
    wire.send(&host.refusal(10).bytes());
    let refused = Instant::now();
    drop(wire);
    let mut wire = greeted(&mut play, &mut host)?;
    let (paused, least) = (refused.elapsed(), Duration::from_secs(2));
    ensure(paused >= least, format_args!("a pause of {least:?} after code 10"), format_args!("{paused:?}"))?;
    wire.send(&host.refusal(10).bytes());
    play.fails("code 10 again", wire, false)
}

pub fn refused_before_hello(agency: &Agency) -> Verdict {
    let (mut play, host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    drop({
        let mut wire = play.accept()?;
        wire.send(&refused(1, 12).bytes());
        // A reset would destroy the code.
        host.read(&mut wire);
        wire
    });
    let wire = play.accept()?;
    play.serve_to_success(host, wire)
}
