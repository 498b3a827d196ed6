//! S-1 to S-7: bytes to messages.

use std::thread;

use super::{Server, refuses, welcomed};
use crate::conformance::report::{Unmet, Verdict, must};
use crate::conformance::wire::{ACK, BETWEEN_PIECES, Bet, Seen, batch, hello};

pub fn pieces(server: &Server, agency: u32) -> Verdict {
    let bytes = [hello(1, agency, ""), batch(&[server.bet(agency, 1), server.bet(agency, 2)])].concat();
    for piece in [1, 3, bytes.len()] {
        let mut wire = server.connect()?;
        for bytes in bytes.chunks(piece) {
            wire.send(bytes);
            thread::sleep(BETWEEN_PIECES);
        }
        let what = format!("Hello and a batch in pieces of {piece} bytes");
        if !matches!(wire.read(), Seen::Welcome { .. }) {
            return Err(Unmet::failed(what, "no Welcome"));
        }
        must(&what, &Seen::RegisterBetOk, &wire.read())?;
    }
    Ok(())
}

/// Of the longest bets, and of as many of the shortest as fit: 8192 bytes each.
pub fn large_messages(server: &Server, agency: u32) -> Verdict {
    let named = |first: usize, last: usize| {
        let (first_name, last_name) = (vec![b'a'; first], vec![b'b'; last]);
        Bet { first_name, last_name, ..server.bet(agency, 1) }
    };
    let mut longest = vec![named(255, 255); 14];
    longest.push(named(255, 251));
    let mut wire = server.greet(agency)?;
    for bets in [longest, vec![named(1, 1); 215]] {
        let bytes = batch(&bets);
        let what = format!("a batch of {} bets in {} bytes", bets.len(), bytes.len());
        must(&what, &Seen::RegisterBetOk, &wire.send(&bytes).read())?;
    }
    Ok(())
}

pub fn order(server: &Server, agency: u32) -> Verdict {
    let (good, bad) = (batch(&[server.bet(agency, 1)]), batch(&[server.invalid(agency)]));
    let greeting = hello(1, agency, "");
    let mut wire = server.connect()?;
    wire.send(&[greeting.clone(), good.clone(), bad, greeting.clone(), good, greeting].concat());
    for expected in ["Welcome", "RegisterBetOk", "a refusal", "Welcome", "RegisterBetOk", "Welcome"] {
        let seen = wire.read();
        let kind = match seen {
            Seen::Welcome { .. } => "Welcome",
            Seen::RegisterBetOk => "RegisterBetOk",
            Seen::Refused { .. } => "a refusal",
            _ => "",
        };
        if kind != expected {
            return Err(Unmet::failed(expected, seen));
        }
    }
    Ok(())
}

pub fn types(server: &Server, _: u32) -> Verdict {
    server.vectors(1, |_| true)
}

pub fn versions(server: &Server, agency: u32) -> Verdict {
    server.vectors(11, |_| true)?;
    for version in [1, 2] {
        let seen = server.connect()?.send(&hello(version, agency, "")).read();
        if !matches!(seen, Seen::Welcome { .. }) {
            return Err(Unmet::failed(format_args!("a Welcome for version {version}"), seen));
        }
    }
    Ok(())
}

pub fn malformed(server: &Server, _: u32) -> Verdict {
    server.vectors(3, |_| true)
}

pub fn ack(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.connect()?;
    wire.send(&[ACK, ACK].concat());
    welcomed(&mut wire, agency)?;
    wire.send(ACK);
    welcomed(&mut wire, agency)?;
    must("a batch behind Ack", &Seen::RegisterBetOk, &wire.send(ACK).send(&batch(&[server.bet(agency, 1)])).read())?;
    // A code that closes, so that no reply to an Ack can be still under way.
    wire.send(ACK);
    refuses("an unknown type behind Ack", 1, &wire.send(&[0, 12]).read())
}
