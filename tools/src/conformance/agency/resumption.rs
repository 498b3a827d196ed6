//! the Welcome, and where the agency goes on.

use super::play::{Host, bets};
use super::{AGENCY, Agency, Play};
use crate::conformance::report::{Unmet, Verdict, must};
use crate::conformance::wire::{QUIET, Seen, Wire};

/// Accepts a connection and reads the Hello of the agency.
pub fn greeted(play: &mut Play, host: &mut Host) -> Result<Wire, Unmet> {
    let mut wire = play.accept()?;
    let message = host.read(&mut wire);
    hears_hello(host, message)?;
    Ok(wire)
}

fn hears_hello(host: &mut Host, message: Seen) -> Verdict {
    match message {
        Seen::Hello { version: version @ 1..=2, agency: AGENCY, .. } => host.version = version,
        seen => return Err(Unmet::failed(format_args!("Hello of agency {AGENCY}"), seen)),
    }
    Ok(())
}

pub fn hello_first(agency: &Agency) -> Verdict {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    // The first connection breaks. The second begins in the same way.
    for _ in 0..2 {
        let mut wire = play.accept()?;
        hears_hello(&mut host, wire.read())?;
        must("before the Welcome", &Seen::Nothing, &wire.read_within(QUIET))?;
    }
    let wire = play.accept()?;
    play.serve_to_success(host, wire)
}

pub fn skips(agency: &Agency) -> Verdict {
    let all = bets(agency, 400);
    for stored in [1, 150, 399, 400] {
        let mut play = Play::start(agency, all.clone())?;
        let mut host = Host::new(agency, &all[..stored]);
        let mut wire = greeted(&mut play, &mut host)?;
        wire.send(&host.welcome().bytes());
        play.serve_to_success(host, wire)?;
    }
    Ok(())
}

pub fn shorter_file(agency: &Agency) -> Verdict {
    let mut play = Play::start(agency, bets(agency, 3))?;
    let mut host = Host::new(agency, &bets(agency, 4));
    let mut wire = greeted(&mut play, &mut host)?;
    wire.send(&host.welcome().bytes());
    play.fails("4 bets are stored and the file holds 3", wire, false)
}

pub fn other_file(agency: &Agency) -> Verdict {
    for stored in [1, 2, 3] {
        let mut other = bets(agency, 3);
        other[0].document = 99;
        let mut play = Play::start(agency, bets(agency, 3))?;
        let mut host = Host::new(agency, &other[..stored]);
        let mut wire = greeted(&mut play, &mut host)?;
        if host.version != 2 {
            return Err(Unmet::failed("Hello of version 2", format_args!("version {}", host.version)));
        }
        wire.send(&host.welcome().bytes());
        play.fails(&format!("{stored} other bets are stored"), wire, false)?;
    }
    Ok(())
}

pub fn count_goes_back(agency: &Agency) -> Verdict {
    let all = bets(agency, 3);
    let mut play = Play::start(agency, all.clone())?;
    let mut host = Host::new(agency, &all[..2]);
    drop({
        let mut wire = greeted(&mut play, &mut host)?;
        wire.send(&host.welcome().bytes());
        host.read(&mut wire);
        wire
    });
    host.stored.pop();
    let mut wire = greeted(&mut play, &mut host)?;
    wire.send(&host.welcome().bytes());
    play.fails("the count goes back from 2 to 1", wire, false)
}

pub fn closed_before(agency: &Agency) -> Verdict {
    let all = bets(agency, 3);
    for state in [1, 2] {
        let mut play = Play::start(agency, all.clone())?;
        let mut host = Host { state, ..Host::new(agency, &all) };
        let mut wire = greeted(&mut play, &mut host)?;
        wire.send(&host.welcome().bytes());
        play.serve_to_success(host, wire)?;

        let mut play = Play::start(agency, all.clone())?;
        let mut host = Host { state, ..Host::new(agency, &all[..2]) };
        let mut wire = greeted(&mut play, &mut host)?;
        wire.send(&host.welcome().bytes());
        play.fails(&format!("state {state}, and a bet is left"), wire, false)?;
    }
    Ok(())
}

/// The server dies behind AllBetsSent, which was not stored.
pub fn closes_again(agency: &Agency) -> Verdict {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    drop({
        let mut wire = play.accept()?;
        host.serve_to_request(&mut wire)?;
        wire
    });
    host.state = 0;
    let mut wire = greeted(&mut play, &mut host)?;
    wire.send(&host.welcome().bytes());
    match host.read(&mut wire) {
        Seen::AllBetsSent => host.state = 1,
        seen => return Err(Unmet::failed("AllBetsSent again", seen)),
    }
    play.serve_to_success(host, wire)
}
