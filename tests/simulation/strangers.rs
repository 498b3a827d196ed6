//! Connections without an agency: clients of the echo server, those that never say anything, and those that never end
//! their first message.

use fastrand::Rng;

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::network::{Network, Owner};
use crate::pipe::End;
use crate::security::PART_OF_HANDSHAKE;

/// A client that has no agency.
#[derive(Debug)]
pub struct Stranger {
    /// Its connection, by number.
    link: usize,
    owner: Owner,
    /// Everything that it says.
    line: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
}

/// The reply to a connection that there is no room for, or when the server goes.
const UNAVAILABLE: [u8; 4] = [0, 3, 0, 12];
const PART_OF_HELLO: [u8; 5] = [0, 8, 0, 1, 0];

impl Stranger {
    pub fn connect(network: &mut Network, is_secure: bool, random: &mut Rng) -> Stranger {
        let (owner, line) = match random.usize(0..4) {
            0 => (Owner::Silent, Vec::new()),
            1 if is_secure && random.bool() => (Owner::Stuck, PART_OF_HANDSHAKE.to_vec()),
            1 => (Owner::Stuck, PART_OF_HELLO.to_vec()),
            _ => {
                let line = line(random);
                (Owner::Echo { bytes: line.len(), ends_with_input: !line.ends_with(b"\n") }, line)
            }
        };
        let link = network.connect(owner);
        tell(|| format!("stranger: connection {link}, {owner:?}"));
        Stranger { link, owner, line, said: 0, heard: Vec::new() }
    }

    /// Says or hears something. Gives `false` once it has left.
    pub fn act(&mut self, network: &mut Network, random: &mut Rng) -> Result<bool, String> {
        if self.said < self.line.len() && random.bool() {
            let bytes = random.usize(1..=self.line.len() - self.said);
            network.send(self.link, &self.line[self.said..self.said + bytes]);
            self.said += bytes;
            let ends = matches!(self.owner, Owner::Echo { ends_with_input: true, .. });
            if ends && self.said == self.line.len() {
                network.finish(self.link, End::Closed);
            }
            return Ok(true);
        }
        self.heard.extend(network.hear(self.link));
        let is_echoed = matches!(self.owner, Owner::Echo { .. }) && self.line.starts_with(&self.heard);
        if !is_echoed && !UNAVAILABLE.starts_with(&self.heard) {
            return Err(format!("connection {} said {:02x?} and hears {:02x?}", self.link, self.line, self.heard));
        }
        let end = network.end(self.link);
        if end == Some(End::Silence) || end.is_none() {
            return Ok(true);
        }
        match self.owner {
            Owner::Silent => count(Happening::SilentClosed),
            Owner::Stuck => count(Happening::StuckClosed),
            _ if self.heard == self.line => count(Happening::Echoed),
            _ => {}
        }
        network.leave(self.link, End::Closed);
        Ok(false)
    }

    /// Leaves without waiting for anything.
    pub fn leave(&self, network: &mut Network, random: &mut Rng) {
        network.leave(self.link, random.pick(&[End::Closed, End::Reset, End::Silence]));
    }
}

fn line(random: &mut Rng) -> Vec<u8> {
    let mut line: Vec<u8> = (0..random.usize(1..60)).map(|_| random.u8(b' '..=b'~')).collect();
    if !random.one_in(4) {
        line.push(b'\n');
    }
    line
}
