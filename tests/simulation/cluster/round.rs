//! The world of a shared round and its steps, all decided by one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use loteria::buffer::Buffer;
use loteria::central::Limits;
use loteria::client::conversation::{Conclusion, Failure};
use loteria::protocol::ErrorCode;

use super::member::Member;
use super::primary::{Primary, State};
use super::session::Hosts;
use crate::agencies::{Agency, Client, Start};
use crate::chance::Chance;
use crate::chronicle::{take_draws, tell};
use crate::network::Owner;
use crate::pipe::End;
use crate::server::Clock;

/// Steps after which a healed world must have come to its end.
const PATIENCE: usize = 20_000;

/// A client and its connection.
pub struct Attached {
    client: Client,
    /// The server that it is connected to.
    server: usize,
    /// Bets of its agency that were acknowledged when it connected.
    acknowledged: u64,
    /// The first bytes that it has heard over this connection.
    heard: Vec<u8>,
}

/// Everything there is.
pub struct Round {
    pub random: Rng,
    pub clock: Rc<Clock>,
    pub hosts: Rc<RefCell<Hosts>>,
    pub members: Vec<Member>,
    agencies: Vec<Agency>,
    clients: Vec<Attached>,
    next_client: usize,
    limits: Limits,
    steps: usize,
    /// Misfortunes in a thousand steps.
    misfortunes: usize,
    draws: u32,
    /// True if the database fails over soon.
    pub is_to_fail_over: bool,
}

impl Round {
    pub fn new(seed: u64) -> Round {
        let mut random = Rng::with_seed(seed ^ 0x7574);
        let agencies: Vec<Agency> = (1..=random.u32(1..=3))
            .map(|number| {
                let bets = random.usize(0..=12);
                Agency::new(number, bets, &mut random)
            })
            .collect();
        let misfortunes = random.pick(&[0, 10, 40, 80]);
        let primary = Primary::new(agencies.len() as u32, misfortunes > 0 && random.bool());
        let limits = Limits {
            connections: 64,
            turn_bytes: random.pick(&[64, 512, 4096]),
            message_bytes: 8192,
            ..Limits::default()
        };
        let members = (0..random.usize(1..=3)).map(|name| Member::new(name, &limits, &mut random)).collect();
        tell(|| format!("a shared round of {} agencies, {misfortunes} misfortunes", agencies.len()));
        Round {
            clock: Rc::new(Clock::new()),
            hosts: Rc::new(RefCell::new(Hosts::new(primary, random.fork()))),
            members,
            agencies,
            clients: Vec::new(),
            next_client: 0,
            limits,
            steps: random.usize(100..=800),
            misfortunes,
            draws: 0,
            is_to_fail_over: false,
            random,
        }
    }

    /// Misfortunes, then healing, then the end of the round.
    pub fn run(&mut self) -> Result<(), String> {
        take_draws();
        for _ in 0..self.steps {
            if self.random.usize(0..1000) < self.misfortunes {
                self.misfortune();
            }
            self.step()?;
        }
        tell(|| "--- the world heals".to_owned());
        self.heal();
        for _ in 0..PATIENCE {
            if self.agencies.iter().all(|agency| agency.is_told) && self.clients.is_empty() {
                return self.check_end();
            }
            self.step()?;
        }
        Err(format!("after {PATIENCE} steps without misfortunes the round is not over"))
    }

    fn step(&mut self) -> Result<(), String> {
        let milliseconds =
            if self.misfortunes > 0 && self.random.one_in(400) { 40_000 } else { self.random.u64(0..60) };
        self.clock.pass(Duration::from_millis(milliseconds));
        if self.is_to_fail_over && self.random.one_in(30) {
            self.is_to_fail_over = false;
            self.fail_over();
        }
        if self.random.one_in(100) {
            // Keepalive, or a reply that is not in time.
            self.members.iter().for_each(|member| member.network.borrow_mut().find_out());
        }
        match self.random.usize(0..10) {
            0..=3 => self.serve()?,
            4..=6 => self.hosts.borrow_mut().step(),
            7 => self.call_operator(),
            _ if self.clients.is_empty() => {}
            _ => {
                let index = self.random.usize(0..self.clients.len());
                self.act(index)?;
            }
        }
        self.check()
    }

    fn serve(&mut self) -> Result<(), String> {
        let index = self.random.usize(0..self.members.len());
        let agencies = self.agencies.len() as u32;
        let member = &mut self.members[index];
        let ran = member.run(&self.hosts, &self.clock, agencies, &self.limits, &mut self.random);
        self.draws += take_draws();
        ran.map_err(|error| format!("server {index} ends: {error}"))
    }

    fn call_operator(&mut self) {
        let index = self.random.usize(0..self.agencies.len());
        let is_running = self.clients.iter().any(|attached| attached.client.agency as usize == index + 1);
        if is_running || self.agencies[index].is_told {
            return;
        }
        let name = self.next_client;
        self.next_client += 1;
        let client = Client::new(name, &self.agencies[index], Start::default(), &mut self.random);
        let server = self.random.usize(0..self.members.len());
        self.clients.push(Attached { client, server, acknowledged: 0, heard: Vec::new() });
    }

    /// A client connects to the next server that listens, or takes some of what has come.
    fn act(&mut self, index: usize) -> Result<(), String> {
        let attached = &mut self.clients[index];
        let Some(number) = attached.client.link else { return self.connect(index) };
        let network = &self.members[attached.server].network;
        let bytes = network.borrow_mut().hear(number);
        if bytes.is_empty() {
            let end = network.borrow().end(number);
            if matches!(end, Some(End::Closed | End::Reset)) {
                self.hang_up(index, End::Reset);
            }
            return Ok(());
        }
        attached.heard.extend_from_slice(&bytes);
        self.check_welcome(index)?;
        let client = &mut self.clients[index].client;
        tell(|| format!("client {}: hears {bytes:02x?}", client.name));
        let heard = client.conversation.hear(&bytes);
        let agency = &mut self.agencies[client.agency as usize - 1];
        agency.acknowledged = agency.acknowledged.max(client.conversation.stored());
        match heard {
            Ok(()) => self.talk(index),
            Err(Failure::Refused {
                code: ErrorCode::NotStored | ErrorCode::Unavailable | ErrorCode::TakenOver,
                ..
            }) => {
                self.hang_up(index, End::Reset);
                Ok(())
            }
            Err(failure) => Err(format!("client {}: {failure}", client.name)),
        }
    }

    fn connect(&mut self, index: usize) -> Result<(), String> {
        let servers = self.members.len();
        let attached = &mut self.clients[index];
        attached.server = (attached.server + 1) % servers;
        let member = &self.members[attached.server];
        if !member.listens() {
            return Ok(());
        }
        let number = member.network.borrow_mut().connect(Owner::Agency(attached.client.agency));
        tell(|| format!("client {}: connects to server {}, {number}", attached.client.name, attached.server));
        attached.client.link = Some(number);
        attached.acknowledged = self.agencies[attached.client.agency as usize - 1].acknowledged;
        attached.heard.clear();
        attached.client.conversation.begin();
        self.talk(index)
    }

    fn talk(&mut self, index: usize) -> Result<(), String> {
        let Attached { client, server, .. } = &mut self.clients[index];
        let mut output = Buffer::new();
        if let Err(failure) = client.conversation.speak(&mut output) {
            return Err(format!("client {}: {failure}", client.name));
        }
        if let Some(number) = client.link {
            self.members[*server].network.borrow_mut().send(number, &output);
        }
        let Some(Conclusion::Winners(told)) = client.conversation.conclusion() else { return Ok(()) };
        let (number, told) = (client.agency, told.clone());
        tell(|| format!("agency {number} is told {told:?}"));
        let agency = &mut self.agencies[number as usize - 1];
        agency.is_told = true;
        if told != agency.winners {
            return Err(format!("agency {number} is told {told:?} instead of {:?}", agency.winners));
        }
        let surviving = self.hosts.borrow().current.borrow().surviving();
        if let Some(open) = self.open_agency(&surviving) {
            return Err(format!("agency {number} is told winners, and {open} might still be open after a failover"));
        }
        self.hang_up(index, End::Closed);
        self.clients.swap_remove(index);
        Ok(())
    }

    pub fn hang_up(&mut self, index: usize, end: End) {
        let Attached { client, server, .. } = &mut self.clients[index];
        if let Some(number) = client.link.take() {
            self.members[*server].network.borrow_mut().leave(number, end);
        }
    }

    /// A client dies.
    pub fn kill_client(&mut self) {
        if !self.clients.is_empty() {
            let index = self.random.usize(0..self.clients.len());
            let end = self.random.pick(&[End::Closed, End::Reset, End::Silence]);
            self.hang_up(index, end);
            self.clients.swap_remove(index);
        }
    }

    /// The Welcome of a server counts every bet that was acknowledged before the connection was made.
    fn check_welcome(&self, index: usize) -> Result<(), String> {
        let Attached { client, server, acknowledged, heard } = &self.clients[index];
        if let [0, 9 | 10, stored @ ..] = heard.as_slice()
            && let Some(stored) = stored.first_chunk()
            && u64::from_be_bytes(*stored) < *acknowledged
        {
            let (agency, stored) = (client.agency, u64::from_be_bytes(*stored));
            return Err(format!("server {server} tells agency {agency} of {stored} bets, not {acknowledged}"));
        }
        Ok(())
    }

    /// Every bet once and in order, and nothing that was acknowledged would be missing after a failover.
    fn check(&mut self) -> Result<(), String> {
        for member in &self.members {
            member.network.borrow_mut().forget();
        }
        if self.draws > 1 {
            return Err(format!("the lottery is drawn {} times", self.draws));
        }
        let surviving = self.hosts.borrow().current.borrow().surviving();
        let mut stored = vec![0; self.agencies.len()];
        for bet in &surviving.bets {
            let index = bet.agency as usize - 1;
            let expected = self.agencies[index].bets.get(stored[index]).map(|bet| bet.document);
            stored[index] += 1;
            if bet.position != stored[index] as u64 || Some(bet.document) != expected {
                return Err(format!("{bet:?} is not bet {} of its agency", stored[index]));
            }
        }
        for (agency, &stored) in self.agencies.iter().zip(&stored) {
            let total = surviving.totals.get(&agency.number).copied().unwrap_or_default();
            if total.tally.bets != stored as u64 {
                return Err(format!("{stored} bets of agency {} are stored, not {}", agency.number, total.tally.bets));
            }
            if agency.acknowledged > stored as u64 {
                let (number, acknowledged) = (agency.number, agency.acknowledged);
                return Err(format!(
                    "{acknowledged} bets of agency {number} are acknowledged, and {stored} would survive"
                ));
            }
        }
        Ok(())
    }

    fn open_agency(&self, state: &State) -> Option<u32> {
        let is_open = |number: &u32| state.totals.get(number).is_none_or(|total| !total.is_closed);
        (1..=self.agencies.len() as u32).find(is_open)
    }

    fn check_end(&self) -> Result<(), String> {
        let surviving = self.hosts.borrow().current.borrow().surviving();
        let bets: usize = self.agencies.iter().map(|agency| agency.bets.len()).sum();
        if surviving.bets.len() != bets {
            return Err(format!("the round ends with {} of {bets} bets", surviving.bets.len()));
        }
        if self.misfortunes == 0 && self.draws != 1 {
            return Err(format!("the lottery is drawn {} times", self.draws));
        }
        self.open_agency(&surviving).map_or(Ok(()), |open| Err(format!("agency {open} never closed")))
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        self.is_to_fail_over = false;
        let mut hosts = self.hosts.borrow_mut();
        hosts.current.borrow_mut().is_faulty = false;
        if let Some(old) = &hosts.old {
            old.borrow_mut().is_dead = true;
        }
        hosts.old = None;
    }
}
