//! S-15 to S-20: batches.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Server, refuses, stands, stores, welcomed};
use crate::conformance::report::{Verdict, must};
use crate::conformance::wire::{ALL_BETS_SENT, Bet, Seen, batch};

const DAY: i64 = 86_400;

/// 1900-01-01.
const FIRST_DAY: i64 = -25_567 * DAY;

/// The date in UTC, as its 00:00.
fn today() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as i64);
    seconds - seconds % DAY
}

pub fn all_or_none(server: &Server, agency: u32) -> Verdict {
    let (good, bad) = (server.bet(agency, 1), server.invalid(agency));
    let mut wire = server.greet(agency)?;
    refuses("the last bet is not valid", 2, &wire.send(&batch(&[good.clone(), good.clone(), bad])).read())?;
    stands(&mut wire, agency, 0, 0)?;
    stores(&mut wire, &[good.clone(), good])?;
    stands(&mut wire, agency, 2, 0)
}

fn named(name: &str, bet: &Bet) -> Bet {
    Bet { first_name: name.as_bytes().to_vec(), ..bet.clone() }
}

pub fn validity(server: &Server, agency: u32) -> Verdict {
    server.vectors(2, |_| true)?;
    let good = server.bet(agency, 1);
    let long = |length| "n".repeat(length);
    let last_name = |name: &str| Bet { last_name: name.as_bytes().to_vec(), ..good.clone() };
    let mut wire = server.greet(agency)?;
    for (what, bet) in [
        ("a first name of 256 bytes", named(&long(256), &good)),
        ("a last name of 256 bytes", last_name(&long(256))),
        ("an empty first name", named("", &good)),
        ("a tab in a name", named("A\tB", &good)),
        ("U+0085 in a name", last_name("A\u{85}")),
        ("document 100,000,000", Bet { document: 100_000_000, ..good.clone() }),
        ("document 2^32 - 1", Bet { document: u32::MAX, ..good.clone() }),
        ("a birthdate before 1900", Bet { birthdate: FIRST_DAY - DAY, ..good.clone() }),
        // Not tomorrow: it may be today by the time that the server looks.
        ("a birthdate in the future", Bet { birthdate: today() + 2 * DAY, ..good.clone() }),
        ("a birthdate at noon", Bet { birthdate: DAY / 2, ..good.clone() }),
        ("number 10,000", Bet { number: 10_000, ..good.clone() }),
    ] {
        refuses(what, 2, &wire.send(&batch(&[bet])).read())?;
        welcomed(&mut wire, agency)?;
    }
    for (what, bet) in [
        ("names of 255 bytes", Bet { last_name: long(255).into_bytes(), ..named(&long(255), &good) }),
        ("names of one byte", Bet { last_name: vec![b'B'], ..named("A", &good) }),
        ("punctuation in a name", named("\"',;|\\ -", &good)),
        ("letters of four bytes", named("𝒜🎲", &good)),
        ("document 0", Bet { document: 0, ..good.clone() }),
        ("document 99,999,999", Bet { document: 99_999_999, ..good.clone() }),
        ("birthdate 1900-01-01", Bet { birthdate: FIRST_DAY, ..good.clone() }),
        ("birthdate today", Bet { birthdate: today(), ..good.clone() }),
        ("number 0", Bet { number: 0, ..good.clone() }),
        ("number 9999", Bet { number: 9999, ..good }),
    ] {
        must(what, &Seen::RegisterBetOk, &wire.send(&batch(&[bet])).read())?;
    }
    Ok(())
}

pub fn other_agency(server: &Server, agency: u32) -> Verdict {
    let mixed = batch(&[server.bet(agency, 1), server.bet(1, 1)]);
    refuses("two agencies in a batch, without Hello", 4, &server.connect()?.send(&mixed).read())?;
    let mut wire = server.greet(agency)?;
    refuses("two agencies in a batch", 4, &wire.send(&mixed).read())?;
    stands(&mut wire, agency, 0, 0)?;
    refuses("a batch of another agency", 4, &wire.send(&batch(&[server.bet(1, 1)])).read())?;
    stands(&mut wire, agency, 0, 0)
}

pub fn without_bets(server: &Server, agency: u32) -> Verdict {
    server.vectors(7, |bytes| bytes.starts_with(&[0, 1]))?;
    let mut wire = server.greet(agency)?;
    must("a batch without bets", &Seen::RegisterBetOk, &wire.send(&batch(&[])).read())
}

pub fn behind_a_refused_one(server: &Server, agency: u32) -> Verdict {
    let (good, bad) = (batch(&[server.bet(agency, 1)]), batch(&[server.invalid(agency)]));
    let other = batch(&[server.bet(1, 1)]);
    let mut wire = server.greet(agency)?;
    for (stored, code, refused) in [(0, 2, bad), (1, 4, other)] {
        wire.send(&[&refused, &good, ALL_BETS_SENT, &good].concat());
        for what in ["the batch", "a valid batch behind it", "AllBetsSent behind it", "another batch"] {
            refuses(what, code, &wire.read())?;
        }
        stands(&mut wire, agency, stored, 0)?;
        must("a batch behind Hello", &Seen::RegisterBetOk, &wire.send(&good).read())?;
    }
    wire.send(&[ALL_BETS_SENT, &good, ALL_BETS_SENT].concat());
    for what in ["a batch of a closed agency", "AllBetsSent behind it"] {
        refuses(what, 6, &wire.read())?;
    }
    Ok(())
}

pub fn without_hello(server: &Server, agency: u32) -> Verdict {
    let (good, bad) = (batch(&[server.bet(agency, 1)]), batch(&[server.invalid(agency)]));
    let mut wire = server.connect()?;
    for _ in 0..2 {
        refuses("an invalid batch", 2, &wire.send(&bad).read())?;
        must("a valid batch behind it", &Seen::RegisterBetOk, &wire.send(&good).read())?;
    }
    Ok(())
}
