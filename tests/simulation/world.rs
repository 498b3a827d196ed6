//! A round in a world where everything that can go wrong does, one step at a time, all of it decided by one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use loteria::central::Limits;
use loteria::ledger::file::SyncPolicy;
use loteria::tls::CHANNEL_BYTES;

use crate::agencies::{Agency, Client, Start};
use crate::chance::Chance;
use crate::chronicle::{Happening, count, take_draws, tell};
use crate::disk::{Disk, UNLIMITED};
use crate::invariants::Invariants;
use crate::ledger::Temper;
use crate::network::Network;
use crate::reads::Reads;
use crate::server::{Clock, Process, Settings};
use crate::strangers::Stranger;
use crate::watch::Watch;

/// Decisions of a seed before the first step.
#[derive(Debug)]
pub struct Climate {
    /// Steps before the world heals.
    steps: usize,
    /// Misfortunes in a thousand steps.
    misfortunes: usize,
    pub settings: Settings,
}

/// Everything there is.
pub struct World {
    pub random: Rng,
    pub climate: Climate,
    pub disk: Rc<RefCell<Disk>>,
    pub network: Rc<RefCell<Network>>,
    pub clock: Rc<Clock>,
    pub server: Option<Process>,
    pub agencies: Vec<Agency>,
    pub clients: Vec<Client>,
    pub next_client: usize,
    pub strangers: Vec<Stranger>,
    pub invariants: Invariants,
    pub watch: Watch,
    pub draws: u32,
    is_healed: bool,
}

/// Steps after which a healed world must have come to its end. The longest of 3,000 seeds took 1,400.
const PATIENCE: usize = 10_000;
/// Strangers at the same time.
const STRANGERS: usize = 3;

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Rng::with_seed(seed);
        // The pauses of clients are drawn from the generator of the thread.
        fastrand::seed(seed);
        let agencies: Vec<Agency> = (1..=random.u32(1..=4))
            .map(|number| {
                let bets = if random.one_in(8) { 0 } else { random.usize(1..=16) };
                Agency::new(number, bets, &mut random)
            })
            .collect();
        if agencies.iter().any(|agency| agency.bets.is_empty()) {
            count(Happening::EmptyAgency);
        }
        let climate = Climate::new(agencies.len(), &mut random);
        let limits = &climate.settings.limits;
        let is_faulty = climate.misfortunes > 0 && random.bool();
        let disk = Rc::new(RefCell::new(Disk::new(random.fork(), is_faulty)));
        // Handshakes wait for the next turn where there are many.
        let is_never_held = limits.unsent_bytes.min(limits.anonymous_bytes) >= ROOMY && !climate.settings.is_secure;
        let reads = Reads::new(limits.turn_bytes, is_never_held);
        let network = Rc::new(RefCell::new(Network::new(random.fork(), reads)));
        tell(|| format!("seed {seed}: {climate:?}"));
        let mut world = World {
            random,
            climate,
            disk,
            network,
            clock: Rc::new(Clock::new()),
            server: None,
            agencies,
            clients: Vec::new(),
            next_client: 0,
            strangers: Vec::new(),
            invariants: Invariants::default(),
            watch: Watch::default(),
            draws: 0,
            is_healed: false,
        };
        for index in 0..world.agencies.len() {
            // Without Hello it is the first bet that says whose a connection is.
            let is_legacy = world.random.one_in(6) && !world.agencies[index].bets.is_empty();
            world.start_client(index, Start { is_legacy, ..Start::default() });
        }
        world
    }

    /// Misfortunes, then healing, then the end of the round.
    pub fn run(&mut self) -> Result<(), String> {
        take_draws();
        for _ in 0..self.climate.steps {
            self.step()?;
            self.check()?;
        }
        self.heal();
        for _ in 0..PATIENCE {
            if self.is_over() {
                return self.check_end();
            }
            self.healed_step()?;
            self.check()?;
        }
        Err(format!("after {PATIENCE} steps without misfortunes the round is not over"))
    }

    /// True if things go wrong in this world, now.
    pub fn is_troubled(&self) -> bool {
        self.climate.misfortunes > 0 && !self.is_healed
    }

    fn step(&mut self) -> Result<(), String> {
        self.pass_time();
        if self.random.usize(0..1000) < self.climate.misfortunes {
            self.misfortune();
            return Ok(());
        }
        match self.random.usize(0..10) {
            0..=3 => self.serve(),
            4 => {
                if self.random.bool() {
                    self.call_operator();
                } else {
                    self.call_stranger();
                }
                Ok(())
            }
            5 => self.act_stranger(),
            _ => self.act_client(),
        }
    }

    fn healed_step(&mut self) -> Result<(), String> {
        self.pass_time();
        self.network.borrow_mut().find_out();
        match self.random.usize(0..8) {
            0..=3 => self.serve(),
            4 => {
                if !self.agencies.iter().all(|agency| agency.is_told) {
                    self.call_operator();
                }
                Ok(())
            }
            5 => self.act_stranger(),
            _ => self.act_client(),
        }
    }

    fn pass_time(&mut self) {
        let milliseconds = if self.random.one_in(300) { 40_000 } else { self.random.u64(0..50) };
        self.clock.pass(Duration::from_millis(milliseconds));
    }

    fn act_client(&mut self) -> Result<(), String> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let index = self.random.usize(0..self.clients.len());
        self.act(index)
    }

    fn call_stranger(&mut self) {
        let is_secure = self.climate.settings.is_secure;
        if self.server.is_some() && self.strangers.len() < STRANGERS {
            let stranger = Stranger::connect(&mut self.network.borrow_mut(), is_secure, &mut self.random);
            self.strangers.push(stranger);
        }
    }

    fn act_stranger(&mut self) -> Result<(), String> {
        if self.strangers.is_empty() {
            return Ok(());
        }
        let index = self.random.usize(0..self.strangers.len());
        if !self.strangers[index].act(&mut self.network.borrow_mut(), &mut self.random)? {
            self.strangers.swap_remove(index);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        let Climate { settings, .. } = &self.climate;
        self.invariants.check_files(&self.disk.borrow(), &self.agencies, settings.sync, self.server.is_some())?;
        self.network.borrow_mut().forget();
        if self.draws > 1 {
            return Err(format!("the lottery is drawn {} times", self.draws));
        }
        Ok(())
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        tell(|| "--- the world heals".to_owned());
        self.is_healed = true;
        let mut disk = self.disk.borrow_mut();
        (disk.is_faulty, disk.room) = (false, UNLIMITED);
        self.climate.settings.temper.is_faulty = false;
        if let Some(server) = &self.server {
            server.life.defuse();
            server.desk.borrow_mut().temper.is_faulty = false;
        }
    }

    fn is_over(&self) -> bool {
        self.agencies.iter().all(|agency| agency.is_told) && self.clients.is_empty() && self.strangers.is_empty()
    }

    /// Every bet of every agency is stored once, and every agency has closed.
    fn check_end(&self) -> Result<(), String> {
        let surviving = &self.invariants.surviving;
        for (agency, &stored) in self.agencies.iter().zip(&surviving.stored) {
            if stored != agency.bets.len() as u64 {
                return Err(format!("agency {} ends with {stored} of {} bets", agency.number, agency.bets.len()));
            }
        }
        if self.climate.misfortunes == 0 && self.draws != 1 {
            return Err(format!("the lottery is drawn {} times", self.draws));
        }
        if surviving.closed.contains(&false) { Err("an agency never closed".to_owned()) } else { Ok(()) }
    }
}

/// More bytes of replies than any connection of this world has unread.
const ROOMY: usize = 4096;

impl Climate {
    fn new(agencies: usize, random: &mut Rng) -> Climate {
        let misfortunes = random.pick(&[0, 10, 40, 120]);
        let mut limits = Limits {
            // Room for a connection of each agency, and not for many more.
            connections: agencies + random.usize(1..=5),
            anonymous_bytes: random.pick(&[0, 1000, 1 << 20]),
            unsent_bytes: random.pick(&[20, 60, ROOMY]),
            turn_bytes: random.pick(&[64, 512, 4096]),
            ..Limits::default()
        };
        limits.message_bytes = 8192;
        let is_secure = cfg!(feature = "tls") && random.one_in(12);
        if is_secure {
            // Room for two handshakes, or for all.
            limits.anonymous_bytes = random.pick(&[2 * CHANNEL_BYTES, 1 << 20]);
        }
        let settings = Settings {
            agencies: agencies as u32,
            sync: random.pick(&[SyncPolicy::Always, SyncPolicy::Always, SyncPolicy::Never]),
            limits,
            is_secure,
            temper: Temper { is_slow: !random.one_in(4), is_faulty: misfortunes > 0 && random.bool() },
        };
        Climate { steps: random.usize(60..=500), misfortunes, settings }
    }
}
