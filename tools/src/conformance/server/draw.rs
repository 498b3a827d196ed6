//! S-27 to S-34: the draw. Each test prepares an agency before it, and looks at the same connection after it.

use super::{NEEDS_COMMAND, Server, refuses, stands, stores, welcomed};
use crate::conformance::report::{Unmet, Verdict, must};
use crate::conformance::wire::{ALL_BETS_SENT, QUIET, REQUEST_WINNERS, Seen, Wire, batch};

/// A test of the draw.
pub struct Test {
    pub id: &'static str,
    before: fn(&Server, u32, &mut Wire) -> Verdict,
    after: fn(&Server, u32, &mut Wire) -> Verdict,
}

pub const TESTS: &[Test] = &[
    Test { id: "S-27", before: park, after: told },
    Test { id: "S-28", before: ask_thrice, after: told_once },
    Test { id: "S-29", before: greet_parked, after: told },
    Test { id: "S-30", before: close, after: told_at_once },
    Test { id: "S-31", before: bet_on_several, after: own_winners },
    Test { id: "S-32", before: close, after: drawn },
    Test { id: "S-33", before: half_close, after: told_and_closed },
    Test { id: "S-34", before: survive_closed, after: survive_drawn },
];

/// Runs the tests on the agencies from `first` on.
pub fn run(server: &Server, first: u32) -> Vec<(&'static str, Verdict)> {
    let last = first + TESTS.len() as u32;
    let agencies = (first..last).collect::<Vec<u32>>().into_iter();
    // The last one kills the server, so it is prepared before the others and looks behind them.
    let mut prepared: Vec<Prepared> =
        agencies.zip(TESTS).rev().map(|(agency, test)| prepare(server, agency, test)).collect();
    prepared.reverse();
    let wait_on_theirs: Vec<u32> = prepared.iter().filter(|one| one.wire.is_ok()).map(|one| one.agency).collect();
    let mut others = (1..=server.agencies).filter(|agency| *agency != last && !wait_on_theirs.contains(agency));
    let closed = others.try_for_each(|agency| close_elsewhere(server, agency));
    if let Some(parked) = prepared.first_mut()
        && let Ok(wire) = &mut parked.wire
    {
        let early = wire.read_within(QUIET);
        if early != Seen::Nothing {
            parked.wire = Err(Unmet::failed("nothing while an agency is open", early));
        }
    }
    let closed = closed.and_then(|()| close_elsewhere(server, last));
    let look = |one: Prepared| {
        let mut wire = one.wire?;
        closed.clone()?;
        (one.test.after)(server, one.agency, &mut wire)
    };
    prepared.into_iter().map(|one| (one.test.id, look(one))).collect()
}

/// An agency on its connection before the draw, or the verdict of its test.
struct Prepared {
    agency: u32,
    test: &'static Test,
    wire: Result<Wire, Unmet>,
}

fn prepare(server: &Server, agency: u32, test: &'static Test) -> Prepared {
    let prepared = server.greet(agency).and_then(|mut wire| (test.before)(server, agency, &mut wire).map(|()| wire));
    Prepared { agency, test, wire: prepared }
}

/// Closes an agency, unless it has closed, on a connection of its own.
fn close_elsewhere(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.connect()?;
    let (stored, state) = welcomed(&mut wire, agency)?;
    if state == 0 {
        // Of a server that lets no agency close without bets, the draw is tested all the same.
        if stored == 0 {
            stores(&mut wire, &[server.bet(agency, 1)])?;
        }
        wire.send(ALL_BETS_SENT);
        welcomed(&mut wire, agency)?;
    }
    Ok(())
}

fn winners(documents: &[u32]) -> Seen {
    Seen::InformWinners(documents.to_vec())
}

fn close(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    stores(wire, &[server.bet(agency, 1), server.winner(agency, agency)])?;
    wire.send(ALL_BETS_SENT);
    welcomed(wire, agency).map(|_| ())
}

fn park(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    close(server, agency, wire)?;
    wire.send(REQUEST_WINNERS);
    Ok(())
}

fn told(_: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    must("a parked request", &winners(&[agency]), &wire.read())
}

fn ask_thrice(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    close(server, agency, wire)?;
    wire.send(&REQUEST_WINNERS.repeat(3));
    Ok(())
}

fn told_once(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    told(server, agency, wire)?;
    // The reply to a later request: a second InformWinners would come before it.
    welcomed(wire, agency).map(|_| ())
}

fn greet_parked(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    park(server, agency, wire)?;
    stands(wire, agency, 2, 1)
}

fn told_at_once(_: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    for _ in 0..2 {
        must("RequestWinners after the draw", &winners(&[agency]), &wire.send(REQUEST_WINNERS).read())?;
    }
    Ok(())
}

fn bet_on_several(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    let bets = [server.winner(agency, 5), server.bet(agency, 6), server.winner(agency, 4), server.winner(agency, 5)];
    stores(wire, &bets[..2])?;
    stores(wire, &bets[2..])?;
    wire.send(ALL_BETS_SENT);
    Ok(())
}

fn own_winners(_: &Server, _: u32, wire: &mut Wire) -> Verdict {
    must("the winners, in their order", &winners(&[5, 4, 5]), &wire.send(REQUEST_WINNERS).read())
}

fn drawn(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    stands(wire, agency, 2, 2)?;
    refuses("a batch after the draw", 6, &wire.send(&batch(&[server.bet(agency, 3)])).read())
}

fn half_close(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    park(server, agency, wire)?;
    wire.end();
    Ok(())
}

fn told_and_closed(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    told(server, agency, wire)?;
    must("behind InformWinners to a half-closed connection", &Seen::End, &wire.read())
}

fn survive_closed(server: &Server, agency: u32, wire: &mut Wire) -> Verdict {
    close(server, agency, wire)?;
    stands(wire, agency, 2, 1)?;
    if server.command.is_none() {
        return Err(NEEDS_COMMAND);
    }
    server.restart()?;
    *wire = server.connect()?;
    stands(wire, agency, 2, 1)
}

fn survive_drawn(server: &Server, agency: u32, _: &mut Wire) -> Verdict {
    server.restart()?;
    let mut wire = server.connect()?;
    stands(&mut wire, agency, 2, 2)?;
    must("RequestWinners after a restart", &winners(&[agency]), &wire.send(REQUEST_WINNERS).read())
}
