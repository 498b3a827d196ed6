//! what any agency does.

use std::thread;
use std::time::Duration;

use super::play::{Host, bets};
use super::{Agency, Play};
use crate::conformance::report::{Unmet, Verdict, ensure, must};
use crate::conformance::wire::{BETWEEN_PIECES, Bet, QUIET, Seen, Wire, encoded};

pub fn round(agency: &Agency) -> Verdict {
    let mut play = Play::start(agency, bets(agency, 700))?;
    let wire = play.accept()?;
    play.serve_to_success(Host::new(agency, &[]), wire)
}

pub fn short_messages(agency: &Agency) -> Verdict {
    let named = |count, name: String| {
        let name = name.into_bytes();
        let bet = |bet: Bet| Bet { first_name: name.clone(), last_name: name.clone(), ..bet };
        bets(agency, count).into_iter().map(bet).collect::<Vec<Bet>>()
    };
    for file in [named(40, "ñ".repeat(127)), named(440, "A".to_owned())] {
        let (mut play, mut host) = (Play::start(agency, file)?, Host::new(agency, &[]));
        let mut wire = play.accept()?;
        loop {
            let message = host.read(&mut wire);
            if let Seen::RegisterBets(bets) = &message {
                let bytes = 6 + encoded(bets).len();
                ensure(bytes <= 8192, "at most 8192 bytes", format_args!("{bytes} bytes"))?;
            }
            let reply = host.answer(&message)?;
            wire.send(&reply.as_ref().map(Seen::bytes).unwrap_or_default());
            if matches!(reply, Some(Seen::InformWinners(_))) {
                break;
            }
        }
        play.succeeds()?;
    }
    Ok(())
}

/// Replies byte by byte, and replies to batches all at once.
pub fn pieces(agency: &Agency) -> Verdict {
    let mut play = Play::start(agency, bets(agency, 700))?;
    let (mut host, mut wire) = (Host::new(agency, &[]), play.accept()?);
    let mut acknowledgements = Vec::new();
    loop {
        let message = wire.read_within(if acknowledgements.is_empty() { agency.patience } else { QUIET / 3 });
        if message == Seen::Nothing {
            wire.send(&std::mem::take(&mut acknowledgements));
            continue;
        }
        match host.answer(&message)? {
            Some(Seen::RegisterBetOk) => acknowledgements.extend(Seen::RegisterBetOk.bytes()),
            Some(reply) => {
                for byte in reply.bytes() {
                    wire.send(&[byte]);
                    thread::sleep(BETWEEN_PIECES);
                }
                if matches!(reply, Seen::InformWinners(_)) {
                    break;
                }
            }
            None => {}
        }
    }
    play.succeeds()
}

/// Accepts a connection, and welcomes it if it says Hello. Gives the first batch.
pub fn first_batch(play: &mut Play, host: &mut Host) -> Result<(Wire, Seen), Unmet> {
    let mut wire = play.accept()?;
    loop {
        match host.read(&mut wire) {
            batch @ Seen::RegisterBets(_) => return Ok((wire, batch)),
            hello @ Seen::Hello { .. } => {
                let welcome = host.answer(&hello)?;
                wire.send(&welcome.map(|welcome| welcome.bytes()).unwrap_or_default());
            }
            seen => return Err(Unmet::failed("Hello or a batch", seen)),
        }
    }
}

pub fn closes_last(agency: &Agency) -> Verdict {
    let mut play = Play::start(agency, bets(agency, 2))?;
    let mut host = Host::new(agency, &[]);
    let (mut wire, mut batch) = first_batch(&mut play, &mut host)?;
    // It may send one bet in a batch, and both batches without waiting.
    loop {
        host.answer(&batch)?;
        if host.stored.len() == play.bets.len() {
            break;
        }
        wire.send(&Seen::RegisterBetOk.bytes());
        batch = host.read(&mut wire);
    }
    match wire.read_within(QUIET) {
        Seen::Nothing | Seen::Ack => {}
        seen => return Err(Unmet::failed("nothing before the last batch is acknowledged", seen)),
    }
    wire.send(&Seen::RegisterBetOk.bytes());
    must("when every batch is acknowledged", &Seen::AllBetsSent, &host.read(&mut wire))?;
    must("behind AllBetsSent", &Seen::RequestWinners, &host.read(&mut wire))
}

/// An agency that has asked for its winners.
fn asked(agency: &Agency) -> Result<(Play, Host, Wire), Unmet> {
    let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    let mut wire = play.accept()?;
    host.serve_to_request(&mut wire)?;
    Ok((play, host, wire))
}

pub fn waits_for_the_draw(agency: &Agency) -> Verdict {
    let (mut play, host, mut wire) = asked(agency)?;
    let longer = agency.reply_timeout + Duration::from_secs(1);
    if play.accept_within(longer)?.is_some() {
        return Err(Unmet::failed(format_args!("an agency that waits for {longer:?}"), "another connection"));
    }
    wire.send(&Seen::InformWinners(host.winners()).bytes());
    play.succeeds()
}

pub fn keeps_its_side_open(agency: &Agency) -> Verdict {
    let (play, host, mut wire) = asked(agency)?;
    let bytes = Seen::InformWinners(host.winners()).bytes();
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    for (what, part) in [("before InformWinners", begin), ("within InformWinners", end)] {
        let seen = wire.read_within(QUIET);
        ensure(matches!(seen, Seen::Nothing | Seen::Ack), format_args!("nothing {what}"), seen)?;
        wire.send(part);
    }
    play.succeeds()
}

pub fn ends_well(agency: &Agency) -> Verdict {
    let (play, host, mut wire) = asked(agency)?;
    wire.send(&Seen::InformWinners(host.winners()).bytes());
    must("behind InformWinners", &Seen::End, &host.read(&mut wire))?;
    play.succeeds()
}

pub fn stops_at_a_code(agency: &Agency) -> Verdict {
    for code in [1, 2, 3, 4, 5, 6, 7, 8] {
        let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
        let (mut wire, _) = first_batch(&mut play, &mut host)?;
        wire.send(&host.refusal(code).bytes());
        play.fails(&format!("code {code} to a batch"), wire, true)?;
    }
    if agency.is_exact {
        for code in [3, 4, 5, 8] {
            let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
            let mut wire = play.accept()?;
            let hello = host.read(&mut wire);
            host.answer(&hello)?;
            wire.send(&host.refusal(code).bytes());
            play.fails(&format!("code {code} to Hello"), wire, false)?;
        }
        return no_version(agency);
    }
    Ok(())
}

/// An agency may try each of its versions.
fn no_version(agency: &Agency) -> Verdict {
    let (mut play, host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
    let mut versions = Vec::new();
    while let Some(mut wire) = play.accept_within(agency.patience)? {
        match host.read(&mut wire) {
            Seen::Hello { version, .. } if !versions.contains(&version) => versions.push(version),
            seen => return Err(Unmet::failed("code 11: no Hello of that version again", seen)),
        }
        wire.send(&host.refusal(11).bytes());
    }
    let code = play.exit_code()?;
    ensure(code != Some(0), "a failure when no version is spoken", "exit code 0")
}

pub fn stops_at_the_undefined(agency: &Agency) -> Verdict {
    let undefined = |bytes: &[u8]| Seen::Undefined(bytes.to_vec());
    for (what, reply) in [
        ("type 255", undefined(&[0, 255])),
        ("another protocol", undefined(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("code 99", Seen::Refused { code: 99, position: None }),
        ("InformWinners before it was asked for", Seen::InformWinners(vec![])),
        ("a Welcome in place of RegisterBetOk", Seen::Welcome { stored: 0, state: 0, checksum: None }),
    ] {
        let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
        let (mut wire, _) = first_batch(&mut play, &mut host)?;
        wire.send(&reply.bytes());
        play.fails(what, wire, true)?;
    }
    if !agency.is_exact {
        return Ok(());
    }
    for what in ["RegisterBetOk in place of a Welcome", "state 7"] {
        let (mut play, mut host) = (Play::start(agency, bets(agency, 3))?, Host::new(agency, &[]));
        let mut wire = play.accept()?;
        let hello = host.read(&mut wire);
        host.answer(&hello)?;
        host.state = 7;
        let reply = if what == "state 7" { host.welcome() } else { Seen::RegisterBetOk };
        wire.send(&reply.bytes());
        play.fails(what, wire, false)?;
    }
    Ok(())
}
