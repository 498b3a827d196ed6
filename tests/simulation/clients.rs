//! The clients of agencies: they are started, connect, hear, speak, give up, and are killed.

use loteria::buffer::Buffer;
use loteria::client::conversation::{Conclusion, Failure};
use loteria::client::source::SourceError;
use loteria::protocol::{self, ErrorCode, Message, Scanner};

use crate::agencies::{Breakdown, Client, Start};
use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::mistakes::{Mistake, makes};
use crate::network::Owner;
use crate::pipe::End;
use crate::security::Secure;
use crate::world::World;

impl World {
    fn connect(&mut self, index: usize) -> Result<(), String> {
        let client = &mut self.clients[index];
        if self.server.is_none() || client.paused_until.is_some_and(|until| self.clock.now().instant < until) {
            return Ok(());
        }
        let number = self.network.borrow_mut().connect(Owner::Agency(client.agency));
        tell(|| format!("client {}: agency {} connects, connection {number}", client.name, client.agency));
        self.agencies[client.agency as usize - 1].newest_link = Some(number);
        client.link = Some(number);
        // Some still connect in plain.
        let is_secure = self.climate.settings.is_secure && !self.random.one_in(8);
        if is_secure {
            self.network.borrow_mut().secure(number);
        }
        client.secure = is_secure.then(Secure::begin);
        client.conversation.begin();
        self.talk(index)
    }

    fn hang_up(&mut self, index: usize, end: End) {
        if let Some(number) = self.clients[index].link.take() {
            self.network.borrow_mut().leave(number, end);
        }
    }

    pub fn start_client(&mut self, index: usize, start: Start) {
        let name = self.next_client;
        self.next_client += 1;
        tell(|| format!("client {name}: starts for agency {}, {start:?}", index + 1));
        self.agencies[index].started += 1;
        self.clients.push(Client::new(name, &self.agencies[index], start, &mut self.random));
    }

    /// Starts a client of an agency that may have one. One without Hello sends all of its bets over its only
    /// connection, so it must be the first.
    pub fn duplicate(&mut self) {
        let index = self.random.usize(0..self.agencies.len());
        let mut running = self.clients.iter().filter(|client| client.agency as usize == index + 1).peekable();
        let is_running = running.peek().is_some();
        if running.any(|client| client.start.is_legacy && client.link.is_none()) {
            return;
        }
        if is_running {
            count(Happening::Duplicated);
        }
        let start = match self.random.usize(0..3) {
            0 => Start { has_bad_row: true, ..Start::default() },
            1 => Start { other_bet: self.stored_bet(index), ..Start::default() },
            _ => Start::default(),
        };
        self.start_client(index, start);
    }

    /// The position of a bet that is stored whatever happens.
    fn stored_bet(&mut self, index: usize) -> Option<usize> {
        let stored = self.invariants.surviving.stored.get(index).copied().unwrap_or_default() as usize;
        (stored > 0).then(|| self.random.usize(0..stored))
    }

    pub fn kill_client(&mut self, index: usize) {
        tell(|| format!("client {}: killed", self.clients[index].name));
        let end = self.random.pick(&[End::Closed, End::Closed, End::Reset, End::Silence]);
        self.hang_up(index, end);
        self.clients.swap_remove(index);
    }

    /// Starts a client of an agency without one, also if its winners have been told: they may be asked for again.
    pub fn call_operator(&mut self) {
        let index = self.random.usize(0..self.agencies.len());
        let is_running = self.clients.iter().any(|client| client.agency as usize == index + 1);
        if !is_running {
            if self.agencies[index].is_told {
                count(Happening::AskedAgain);
            }
            self.start_client(index, Start::default());
        }
    }

    /// A client connects, or takes some of what has come.
    pub fn act(&mut self, index: usize) -> Result<(), String> {
        let Some(number) = self.clients[index].link else { return self.connect(index) };
        let bytes = self.network.borrow_mut().hear(number);
        if bytes.is_empty() {
            let end = self.network.borrow().end(number);
            let is_cut = self.clients[index].secure.as_mut().is_some_and(|secure| !secure.is_ended());
            if is_cut && end == Some(End::Closed) {
                count(Happening::CutOff);
            }
            return match end {
                Some(End::Closed | End::Reset) => self.break_down(index, Breakdown::Lost),
                Some(End::Silence) | None => Ok(()),
            };
        }
        let client = &mut self.clients[index];
        tell(|| format!("client {}: hears {bytes:02x?}", client.name));
        let bytes = match &mut client.secure {
            None => bytes,
            Some(secure) => {
                let was_handshaking = secure.is_handshaking();
                // The reply to a connection that there is no room for is plain.
                let Ok(plain) = secure.decrypt(&bytes) else { return self.break_down(index, Breakdown::Lost) };
                if was_handshaking && !secure.is_handshaking() {
                    count(Happening::Handshake);
                }
                plain
            }
        };
        let heard = if bytes.is_empty() { Ok(()) } else { client.conversation.hear(&bytes) };
        let agency = &mut self.agencies[client.agency as usize - 1];
        agency.acknowledged = agency.acknowledged.max(client.conversation.stored());
        match heard {
            Ok(()) => self.talk(index),
            Err(failure) => self.break_down(index, Breakdown::Failed(failure)),
        }
    }

    fn talk(&mut self, index: usize) -> Result<(), String> {
        let client = &mut self.clients[index];
        let mut output = Buffer::new();
        if let Err(failure) = client.conversation.speak(&mut output) {
            return self.break_down(index, Breakdown::Failed(failure));
        }
        if let Some(number) = client.link {
            let sent = client.secure.as_mut().map(|secure| secure.encrypt(&output));
            self.network.borrow_mut().send(number, sent.as_deref().unwrap_or(&output));
        }
        if batches_in(&output) > 1 {
            count(Happening::Pipelined);
        }
        match client.conversation.conclusion() {
            Some(Conclusion::Winners(told)) => {
                let told = told.clone();
                self.finish(index, &told)
            }
            Some(Conclusion::Stored) => Err("an agency ends without its winners".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&mut self, index: usize, told: &[u32]) -> Result<(), String> {
        let client = &self.clients[index];
        tell(|| format!("client {}: agency {} is told {told:?}", client.name, client.agency));
        if client.start.other_bet.is_some() {
            return Err(format!("client {} is told winners, and its file is not the one that was sent", client.name));
        }
        let agency = &mut self.agencies[client.agency as usize - 1];
        if client.start.is_legacy {
            count(Happening::LegacyFinished);
        }
        agency.is_told = true;
        self.invariants.check_winners(&self.disk.borrow(), self.climate.settings.sync, agency, told)?;
        if let (Some(number), Some(secure)) = (self.clients[index].link, &mut self.clients[index].secure) {
            self.network.borrow_mut().send(number, &secure.end());
        }
        self.hang_up(index, End::Closed);
        self.clients.swap_remove(index);
        Ok(())
    }

    /// A client connects again, or ends, as the real one decides.
    fn break_down(&mut self, index: usize, breakdown: Breakdown) -> Result<(), String> {
        tell(|| format!("client {}: {breakdown:?}", self.clients[index].name));
        let goes_on = match breakdown {
            Breakdown::Lost => true,
            Breakdown::Failed(failure) => {
                self.judge(index, &failure)?;
                failure.is_transient() || (failure.is_takeover() && self.comes_back(index)?)
            }
        };
        self.hang_up(index, End::Reset);
        let client = &self.clients[index];
        if !goes_on || !client.conversation.can_begin_again() {
            if client.start.is_legacy {
                count(Happening::LegacyContinued);
            }
            self.clients.swap_remove(index);
        }
        Ok(())
    }

    /// True if a client whose agency was taken over tries once more.
    fn comes_back(&mut self, index: usize) -> Result<bool, String> {
        let client = &mut self.clients[index];
        if client.start.is_legacy {
            return Ok(false);
        }
        let now = self.clock.now().instant;
        let came_back = client.paused_until.is_some();
        let pause = client.takeovers.next(now).filter(|_| !makes(Mistake::TakeoverFinal));
        client.paused_until = pause.map(|pause| now + pause);
        let is_alone = client.is_alone(&self.agencies[client.agency as usize - 1]);
        if is_alone {
            count(Happening::Ghost);
        }
        if pause.is_some() {
            count(Happening::CameBack);
        } else if is_alone && !came_back {
            return Err(format!("client {} ends at a late connection of its own", client.name));
        }
        Ok(pause.is_some())
    }

    /// Checks that the client gave a reason for its refusal.
    fn judge(&self, index: usize, failure: &Failure) -> Result<(), String> {
        let client = &self.clients[index];
        let code = match failure {
            Failure::Source(SourceError::StoredOthers { .. }) if client.start.other_bet.is_some() => {
                count(Happening::OtherFile);
                return Ok(());
            }
            Failure::Refused { code, .. } => code,
            _ => return Err(format!("client {}: {failure}", client.name)),
        };
        let is_newest = self.agencies[client.agency as usize - 1].newest_link == client.link;
        let (happening, is_just) = match code {
            ErrorCode::NotStored => (Happening::NotStored, true),
            ErrorCode::Unavailable => (Happening::Unavailable, true),
            ErrorCode::InvalidBet => (Happening::RefusedBet, client.start.has_bad_row),
            ErrorCode::TakenOver => (Happening::TakenOver, !is_newest),
            // Another client has closed the agency meanwhile, and this one did not ask.
            ErrorCode::Closed if client.start.is_legacy => return Ok(()),
            _ => return Err(format!("client {}: {failure}", client.name)),
        };
        count(happening);
        if !is_just {
            return Err(format!("client {} is refused without a reason: {failure}", client.name));
        }
        let (heard, stored) =
            (client.conversation.stored(), self.invariants.surviving.stored[client.agency as usize - 1]);
        let is_about_bets = matches!(code, ErrorCode::NotStored | ErrorCode::InvalidBet);
        if is_about_bets && is_newest && heard != stored {
            return Err(format!("{stored} bets of agency {} are stored, and it was told of {heard}", client.agency));
        }
        Ok(())
    }
}

/// The number of batches in `output`.
fn batches_in(mut output: &[u8]) -> usize {
    let mut scanner = Scanner::new(protocol::MessageLimits::default());
    let mut batches = 0;
    while let Ok(Some(length)) = scanner.scan(output) {
        batches += usize::from(matches!(Message::decode(output), Ok(Message::RegisterBets(_))));
        output = &output[length..];
    }
    batches
}
