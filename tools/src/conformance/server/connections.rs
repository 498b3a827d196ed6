//! S-35 to S-45: connections, their takeover and their end.

use super::{Server, refuses, stands, stores, welcomed};
use crate::conformance::report::{Unmet, Verdict, ensure, must};
use crate::conformance::wire::{ACK, ALL_BETS_SENT, Seen, batch, hello};

pub fn takeover(server: &Server, agency: u32) -> Verdict {
    let mut older = server.greet(agency)?;
    let mut newer = server.greet(agency)?;
    refuses("the older connection", 10, &older.read())?;
    must("the older connection behind code 10", &Seen::End, &older.read())?;
    stores(&mut newer, &[server.bet(agency, 1)])
}

pub fn ghost(server: &Server, agency: u32) -> Verdict {
    let (mut older, mut oldest) = (server.connect()?, server.connect()?);
    let mut newer = server.greet(agency)?;
    refuses("a late Hello of an older connection", 10, &older.send(&hello(1, agency, "")).read())?;
    refuses("a late batch of an older connection", 10, &oldest.send(&batch(&[server.bet(agency, 1)])).read())?;
    stores(&mut newer, &[server.bet(agency, 1)])
}

pub fn final_count(server: &Server, agency: u32) -> Verdict {
    let bytes = batch(&[server.bet(agency, 1)]);
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    let mut older = server.greet(agency)?;
    older.send(begin);
    let mut newer = server.greet(agency)?;
    older.send(end).send(&bytes).read_to_end();
    stands(&mut newer, agency, 0, 0)
}

pub fn code_survives_input(server: &Server, _: u32) -> Verdict {
    let mut bytes = vec![0; 60_000];
    bytes[1] = 12;
    let mut wire = server.connect()?;
    refuses("an unknown type before 60,000 bytes", 1, &wire.send(&bytes).read())?;
    must("behind a code that closes", &Seen::End, &wire.read())
}

pub fn stays_open(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.greet(agency)?;
    wire.send(&batch(&[server.invalid(agency)]));
    refuses("an invalid batch", 2, &wire.read())?;
    welcomed(&mut wire, agency)?;
    refuses("a Hello of another agency", 4, &wire.send(&hello(1, 1, "")).read())?;
    welcomed(&mut wire, agency)?;
    stores(&mut wire, &[server.bet(agency, 1)])?;
    wire.send(ALL_BETS_SENT);
    refuses("a batch of a closed agency", 6, &wire.send(&batch(&[server.bet(agency, 1)])).read())?;
    welcomed(&mut wire, agency).map(|_| ())
}

pub fn owed_replies(server: &Server, agency: u32) -> Verdict {
    let mut wire = server.connect()?;
    wire.send(&[hello(1, agency, ""), batch(&[server.bet(agency, 1)])].concat()).end();
    let welcome = wire.read();
    ensure(matches!(welcome, Seen::Welcome { .. }), "a Welcome behind the end of the input", &welcome)?;
    must("a batch behind which the input ends", &Seen::RegisterBetOk, &wire.read())?;
    must("behind the last reply", &Seen::End, &wire.read())
}

pub fn without_agency(server: &Server, _: u32) -> Verdict {
    let (mut silent, mut anonymous) = (server.connect()?, server.connect()?);
    anonymous.send(ACK);
    for (what, wire) in [("that says nothing", &mut silent), ("that says no Hello", &mut anonymous)] {
        let seen = wire.read_to_end().1;
        ensure(seen != Seen::Nothing, format_args!("the end of a connection {what}, see --patience"), seen)?;
    }
    Ok(())
}

pub fn half_a_message(server: &Server, agency: u32) -> Verdict {
    let bytes = batch(&[server.bet(agency, 1)]);
    let mut wire = server.greet(agency)?;
    let seen = wire.send(&bytes[..bytes.len() / 2]).read_to_end().1;
    ensure(seen != Seen::Nothing, "the end of a connection with half a message, see --patience", seen)
}

/// The line comes back, or nothing.
pub fn other_protocols(server: &Server, _: u32) -> Verdict {
    let line = b"GET / HTTP/1.1\n";
    let (bytes, end) = server.connect()?.send(line).read_to_end();
    if bytes != line && !bytes.is_empty() {
        return Err(Unmet::failed("the line back, or nothing", Seen::Undefined(bytes)));
    }
    ensure(end != Seen::Nothing, "the end of a connection that is not one of the lottery", end)
}
