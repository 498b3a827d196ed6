//! The other side of an agency under test: its file, its process, and the server that a test plays.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use loteria_tools::Process;
use tempfile::TempDir;

use super::{AGENCY, Agency};
use crate::conformance::report::{Unmet, Verdict, ensure};
use crate::conformance::wire::{Bet, Seen, Wire, checksum, refused};

/// A running agency and the server that it connects to.
pub struct Play {
    /// The bets of its file.
    pub bets: Vec<Bet>,
    listener: TcpListener,
    process: Process,
    patience: Duration,
    // Removed when the agency is gone.
    _folder: TempDir,
}

/// Bets with the documents 1, 2, ..., of which only the second wins.
pub fn bets(agency: &Agency, count: u32) -> Vec<Bet> {
    let number = |document| (agency.winning_number + document + 9_998) % 10_000;
    (1..=count).map(|document| Bet::of(AGENCY, document, number(document))).collect()
}

impl Play {
    /// Starts the agency with a file of `bets`, all of them born on 2000-01-01.
    pub fn start(agency: &Agency, bets: Vec<Bet>) -> Result<Play, Unmet> {
        Play::launch(agency, bets).map_err(|error| Unmet::failed("the agency starts", error))
    }

    pub(super) fn launch(agency: &Agency, bets: Vec<Bet>) -> std::io::Result<Play> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("agency.csv");
        let row = |bet: &Bet| {
            let [first, last] =
                [&bet.first_name, &bet.last_name].map(|name| String::from_utf8_lossy(name).into_owned());
            format!("{first},{last},{},2000-01-01,{}\r\n", bet.document, bet.number)
        };
        std::fs::write(&file, bets.iter().map(row).collect::<String>())?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let values = [
            ("{file}", "CONFORMANCE_FILE", file.display().to_string()),
            ("{id}", "CONFORMANCE_ID", AGENCY.to_string()),
            ("{address}", "CONFORMANCE_ADDRESS", address.to_string()),
            ("{host}", "CONFORMANCE_HOST", address.ip().to_string()),
            ("{port}", "CONFORMANCE_PORT", address.port().to_string()),
        ];
        let with_values = |part: &String| {
            values.iter().fold(part.clone(), |part, (placeholder, _, value)| part.replace(placeholder, value))
        };
        let words: Vec<String> = agency.command.iter().map(with_values).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(values.iter().map(|(_, name, value)| (name, value)));
        let process = Process::start(&mut command, |_| ())?;
        Ok(Play { bets, listener, process, patience: agency.patience, _folder: folder })
    }

    /// The next connection of the agency.
    pub fn accept(&mut self) -> Result<Wire, Unmet> {
        self.accept_within(self.patience)?.ok_or_else(|| self.unmet("a connection"))
    }

    /// The next connection, if there is one in `time`.
    pub fn accept_within(&mut self, time: Duration) -> Result<Option<Wire>, Unmet> {
        let until = Instant::now() + time;
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(false).map_err(|error| Unmet::failed("a connection", error))?;
                    return Ok(Some(Wire::new(socket, self.patience)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Unmet::failed("a connection", error)),
            }
            let has_ended = self.process.status().is_ok_and(|status| status.is_some());
            if has_ended || Instant::now() > until {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The last line that the agency printed, in place of what must come.
    pub fn unmet(&self, expected: &str) -> Unmet {
        let lines = self.process.lines();
        Unmet::failed(expected, format_args!("nothing; its last line: {:?}", lines.last().map_or("", String::as_str)))
    }

    /// Serves `wire` to the end, and the connections after it, and passes if then all bets are stored, each once and in order,
    /// and the agency reports success.
    pub fn serve_to_success(mut self, mut host: Host, mut wire: Wire) -> Verdict {
        while !host.serve(&mut wire)? {
            wire = self.accept()?;
        }
        drop(wire);
        ensure(host.stored == self.bets, "the bets of the file, each once, in order", host.summary(&self.bets))?;
        self.succeeds()
    }

    /// Passes if the agency ends and reports success.
    pub fn succeeds(mut self) -> Verdict {
        let code = self.exit_code()?;
        let lines = self.process.lines();
        let last = lines.last().map_or("", String::as_str);
        ensure(code == Some(0), "exit code 0", format_args!("exit code {code:?}; its last line: {last:?}"))
    }

    /// Passes if the agency ends and reports a failure, without a further connection. `wire` is its last one: it must not send
    /// bets or AllBetsSent on it any more.
    pub fn fails(mut self, what: &str, mut wire: Wire, may_send_bets: bool) -> Verdict {
        loop {
            match wire.read() {
                Seen::End | Seen::Reset | Seen::Undefined(_) => break,
                Seen::Ack | Seen::Hello { .. } => {}
                Seen::RegisterBets(_) if may_send_bets => {}
                seen => return Err(Unmet::failed(format_args!("{what}: the agency stops"), seen)),
            }
        }
        drop(wire);
        let expected = format!("{what}: the agency fails and does not connect again");
        if let Some(mut again) = self.accept_within(self.patience)? {
            return Err(Unmet::failed(expected, format_args!("a connection with {}", again.read())));
        }
        let code = self.exit_code()?;
        let ended = self.process.wait().map_err(|error| Unmet::failed("the end of the agency", error))?;
        ensure(code.is_some_and(|code| code != 0), &expected, format_args!("exit code {code:?}"))?;
        ensure(!ended.lines.is_empty(), format_args!("{what}: a line that says why"), "no output")
    }

    /// The exit code of the agency, once it has ended.
    pub fn exit_code(&mut self) -> Result<Option<i32>, Unmet> {
        let until = Instant::now() + self.patience;
        loop {
            match self.process.status() {
                Ok(Some(status)) => return Ok(status.code()),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                _ => return Err(self.unmet("the end of the agency")),
            }
        }
    }
}

/// A server for one agency that does all as it should.
#[derive(Clone, Debug)]
pub struct Host {
    pub stored: Vec<Bet>,
    pub state: u8,
    /// The version of the last Hello; 1 without one.
    pub version: u16,
    pub winning_number: u32,
}

impl Host {
    /// A server that has stored `stored`.
    pub fn new(agency: &Agency, stored: &[Bet]) -> Host {
        Host { stored: stored.to_vec(), state: 0, version: 1, winning_number: agency.winning_number }
    }

    pub fn welcome(&self) -> Seen {
        let checksum = (self.version == 2).then(|| checksum(&self.stored));
        Seen::Welcome { stored: self.stored.len() as u64, state: self.state, checksum }
    }

    pub fn winners(&self) -> Vec<u32> {
        let winners = self.stored.iter().filter(|bet| bet.number == self.winning_number);
        winners.map(|bet| bet.document).collect()
    }

    /// The refusal with this code in the words of the agency's version.
    pub fn refusal(&self, code: u16) -> Seen {
        refused(self.version, code)
    }

    /// Applies a message, and gives the reply to it.
    pub fn answer(&mut self, message: &Seen) -> Result<Option<Seen>, Unmet> {
        Ok(match message {
            Seen::Hello { version, agency: AGENCY, .. } if (1..=2).contains(version) => {
                self.version = *version;
                Some(self.welcome())
            }
            Seen::RegisterBets(bets) if self.state == 0 => {
                self.stored.extend_from_slice(bets);
                Some(Seen::RegisterBetOk)
            }
            Seen::AllBetsSent => {
                self.state = self.state.max(1);
                None
            }
            Seen::RequestWinners if self.state > 0 => {
                self.state = 2;
                Some(Seen::InformWinners(self.winners()))
            }
            Seen::Ack => None,
            unexpected => return Err(Unmet::failed("a message of the protocol", unexpected)),
        })
    }

    /// Reads the next message but Ack.
    pub fn read(&self, wire: &mut Wire) -> Seen {
        loop {
            match wire.read() {
                Seen::Ack => {}
                seen => return seen,
            }
        }
    }

    /// Reads and answers up to RequestWinners, which is not answered.
    pub fn serve_to_request(&mut self, wire: &mut Wire) -> Verdict {
        loop {
            match self.read(wire) {
                Seen::RequestWinners => return Ok(()),
                message => {
                    if let Some(reply) = self.answer(&message)? {
                        wire.send(&reply.bytes());
                    }
                }
            }
        }
    }

    /// Serves a connection to its end. True if InformWinners was sent on it.
    pub fn serve(&mut self, wire: &mut Wire) -> Result<bool, Unmet> {
        loop {
            match self.read(wire) {
                Seen::End | Seen::Reset => return Ok(false),
                message => {
                    if let Some(reply) = self.answer(&message)? {
                        wire.send(&reply.bytes());
                        if matches!(reply, Seen::InformWinners(_)) {
                            return Ok(true);
                        }
                    }
                }
            }
        }
    }

    /// Serves a connection up to `limit` bytes of replies, and breaks it there. True if InformWinners was sent whole.
    pub fn serve_bytes(&mut self, wire: &mut Wire, mut limit: usize) -> Result<bool, Unmet> {
        loop {
            let message = self.read(wire);
            if matches!(message, Seen::End | Seen::Reset) {
                return Ok(false);
            }
            let Some(reply) = self.answer(&message)? else { continue };
            let bytes = reply.bytes();
            if bytes.len() > limit {
                wire.send(&bytes[..limit]);
                return Ok(false);
            }
            wire.send(&bytes);
            limit -= bytes.len();
            if matches!(reply, Seen::InformWinners(_)) {
                return Ok(true);
            }
        }
    }

    fn summary(&self, bets: &[Bet]) -> String {
        let same = self.stored.iter().zip(bets).take_while(|(stored, bet)| stored == bet).count();
        format!("{} bets, of which the first {same} are those of the file", self.stored.len())
    }
}
