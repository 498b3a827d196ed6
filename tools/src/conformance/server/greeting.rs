//! S-8 to S-14: Hello, its replies and credentials.

use super::{Server, refuses, stores, welcomed};
use crate::conformance::report::{Unmet, Verdict, ensure, must};
use crate::conformance::wire::{ACK, Bet, Seen, batch, checksum, hello, refused};

pub fn version_1(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.connect()?;
    let welcome = |stored| Seen::Welcome { stored, state: 0, checksum: None };
    must("Hello of version 1", &welcome(0), &wire.send(&hello(1, agency, "")).read())?;
    stores(&mut wire, &[server.bet(agency, 1), server.bet(agency, 2)])?;
    must("Hello of version 1", &welcome(2), &wire.send(&hello(1, agency, "")).read())
}

pub fn version_2(server: &Server, agency: u32) -> Verdict {
    let bets = [1, 2, 3].map(|document| server.bet(agency, document));
    let mut wire = server.connect()?;
    for (stored, next) in [(0, 0..2), (2, 2..3), (3, 0..0)] {
        let welcome = Seen::Welcome { stored: stored as u64, state: 0, checksum: Some(checksum(&bets[..stored])) };
        must("Hello of version 2", &welcome, &wire.send(&hello(2, agency, "")).read())?;
        if !next.is_empty() {
            stores(&mut wire, &bets[next])?;
        }
    }
    Ok(())
}

pub fn words_of_refusals(server: &Server, agency: u32) -> Verdict {
    let (good, bad, other) = (server.bet(agency, 1), server.invalid(agency), server.bet(1, 1));
    let mut wire = server.connect()?;
    must("before Hello", &refused(1, 2), &wire.send(&batch(std::slice::from_ref(&bad))).read())?;
    let third = batch(&[good.clone(), good.clone(), bad]);
    let second = batch(&[good, other]);
    for (what, bytes, code, position) in [
        ("the third bet is not valid", third.clone(), 2, 3),
        ("the second bet is of another agency", second, 4, 2),
        ("a Hello of another agency", hello(2, 1, ""), 4, 0),
    ] {
        let welcome = wire.send(&hello(2, agency, "")).read();
        if !matches!(welcome, Seen::Welcome { .. }) {
            return Err(Unmet::failed("a Welcome", welcome));
        }
        let expected = Seen::Refused { code, position: Some(position) };
        must(what, &expected, &wire.send(&bytes).read())?;
    }
    let no_such = server.connect()?.send(&hello(2, server.agencies + 1, "")).read();
    let is_refused = matches!(no_such, Seen::Refused { position: Some(0), .. });
    ensure(is_refused, "a Hello of no agency: Refused, position 0", no_such)?;
    welcomed(&mut wire, agency)?;
    must("after a Hello of version 1", &refused(1, 2), &wire.send(&third).read())?;
    let name = Bet { last_name: vec![0xff], ..server.bet(agency, 1) };
    let mut malformed = server.connect()?;
    let welcome = malformed.send(&hello(2, agency, "")).read();
    ensure(matches!(welcome, Seen::Welcome { .. }), "a Welcome", welcome)?;
    let expected = Seen::Refused { code: 3, position: Some(2) };
    let seen = malformed.send(&batch(&[server.bet(agency, 1), name])).read();
    must("a name of the second bet is not UTF-8", &expected, &seen)
}

pub fn repeated(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.greet(agency)?;
    welcomed(&mut wire, agency)?;
    refuses("a Hello of another agency", 4, &wire.send(&hello(1, 1, "")).read())?;
    stores(&mut wire, &[server.bet(agency, 1)])
}

pub fn no_such_agency(server: &Server, _: u32) -> Verdict {
    server.vectors(5, |_| true)?;
    let beyond = server.agencies + 1;
    for bytes in [hello(1, beyond, ""), batch(&[server.bet(beyond, 1)])] {
        refuses("agency N + 1", 5, &server.connect()?.send(&bytes).read())?;
    }
    Ok(())
}

fn credential_of(server: &Server, agency: u32) -> String {
    server.credential.clone().unwrap_or_default().replace("{id}", &agency.to_string())
}

pub fn nothing_before_hello(server: &Server, agency: u32) -> Verdict {
    for message_type in [1, 5, 6] {
        let seen = server.connect()?.send(&[0, message_type]).read();
        refuses(&format!("type {message_type} before Hello"), 8, &seen)?;
    }
    let mut wire = server.connect()?;
    let seen = wire.send(ACK).send(&hello(1, agency, &credential_of(server, agency))).read();
    if !matches!(seen, Seen::Welcome { .. }) {
        return Err(Unmet::failed("a Welcome behind Ack", seen));
    }
    stores(&mut wire, &[server.bet(agency, 1)])
}

pub fn credentials(server: &Server, agency: u32) -> Verdict {
    let (right, beyond) = (credential_of(server, agency), server.agencies + 1);
    let wrong = format!("{right}x");
    for (what, agency, credential) in [
        ("no credential", agency, ""),
        ("a wrong credential", agency, wrong.as_str()),
        ("a part of the credential", agency, &right[..right.len() - 1]),
        ("no such agency", beyond, right.as_str()),
    ] {
        refuses(what, 8, &server.connect()?.send(&hello(2, agency, credential)).read())?;
    }
    match server.connect()?.send(&hello(2, agency, &right)).read() {
        Seen::Welcome { .. } => Ok(()),
        seen => Err(Unmet::failed("a Welcome for the right credential", seen)),
    }
}
