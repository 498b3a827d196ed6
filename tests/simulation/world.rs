//! A contest in a world where everything that can go wrong does, one step at a time, all of it decided by one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use loteria::bet::Day;
use loteria::buffer::Buffer;
use loteria::central::Limits;
use loteria::central::Now;
use loteria::client::conversation::{Conclusion, Failure};
use loteria::ledger::file::{RecoveryError, Sync};
use loteria::protocol::{self, ErrorCode, Message, Scanner};

use crate::agencies::{Agency, Breakdown, Process, Start};
use crate::chronicle::{Happening, count, take_draws, tell};
use crate::disk::{Disk, UNLIMITED};
use crate::invariants::{Invariants, check_buffers};
use crate::network::{End, Link};
use crate::random::Random;
use crate::server::{Death, Ended, Links, Server};

/// What a seed decides before the first step.
#[derive(Debug)]
struct Climate {
    /// Steps before the world heals.
    steps: usize,
    /// Misfortunes in a thousand steps.
    misfortunes: usize,
    sync: Sync,
    limits: Limits,
}

/// Everything there is.
pub struct World {
    random: Random,
    climate: Climate,
    disk: Rc<RefCell<Disk>>,
    server: Option<Server>,
    links: Links,
    next_link: usize,
    agencies: Vec<Agency>,
    processes: Vec<Process>,
    next_process: usize,
    /// How the central will die in its next turn.
    death: Option<Death>,
    start: Instant,
    elapsed: Duration,
    invariants: Invariants,
    draws: u32,
}

/// Steps after which a healed world must have come to its end. The longest that was seen took a twentieth.
const PATIENCE: usize = 4000;

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let mut climate = Climate::new(&mut random);
        let agencies: Vec<Agency> = (1..=random.between(1, 4) as u32)
            .map(|number| {
                let bets = if random.one_in(8) { 0 } else { random.between(1, 16) };
                Agency::new(number, bets, &mut random)
            })
            .collect();
        if agencies.iter().any(|agency| agency.bets.is_empty()) {
            count(Happening::EmptyAgency);
        }
        // Room for a connection of each, and not for many more.
        climate.limits.connections = agencies.len() + random.between(1, 5);
        let is_faulty = climate.misfortunes > 0 && random.one_in(2);
        let disk = Rc::new(RefCell::new(Disk::new(random.fork(), is_faulty)));
        tell(|| format!("seed {seed}: {climate:?}"));
        let mut world = World {
            random,
            climate,
            disk,
            server: None,
            links: Links::new(),
            next_link: 0,
            agencies,
            processes: Vec::new(),
            next_process: 0,
            death: None,
            start: Instant::now(),
            elapsed: Duration::ZERO,
            invariants: Invariants::default(),
            draws: 0,
        };
        for index in 0..world.agencies.len() {
            // Without Hello it is the first bet that says whose a connection is.
            let is_legacy = world.random.one_in(6) && !world.agencies[index].bets.is_empty();
            world.start_process(index, Start { is_legacy, has_bad_row: false });
        }
        world
    }

    /// Misfortunes, then healing, then the end of the contest.
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
        Err(format!("after {PATIENCE} steps without misfortunes the contest is not over"))
    }

    fn step(&mut self) -> Result<(), String> {
        self.pass_time();
        if self.random.below(1000) < self.climate.misfortunes {
            self.misfortune();
            return Ok(());
        }
        match self.random.below(8) {
            0..=2 if self.server.is_some() => self.turn(),
            0..=2 => self.start_server(),
            3 => {
                self.call_operator();
                Ok(())
            }
            _ if self.processes.is_empty() => Ok(()),
            _ => {
                let index = self.random.below(self.processes.len());
                self.act(index)
            }
        }
    }

    fn pass_time(&mut self) {
        let milliseconds = if self.random.one_in(300) { 40_000 } else { self.random.below(50) };
        self.elapsed += Duration::from_millis(milliseconds as u64);
    }

    fn now(&self) -> Now {
        Now { instant: self.start + self.elapsed, today: Day::LAST }
    }

    fn misfortune(&mut self) {
        match self.random.below(16) {
            0..=3 => self.doom_server(),
            4 => self.stop_server(),
            5 => self.lose_power(),
            6 => {
                count(Happening::KilledEverything);
                self.kill_server();
                while !self.processes.is_empty() {
                    self.kill_process(0);
                }
            }
            7 | 8 => self.break_link(End::Reset),
            9 => self.break_link(End::Silence),
            10 | 11 if !self.processes.is_empty() => {
                count(Happening::ClientKilled);
                let index = self.random.below(self.processes.len());
                self.kill_process(index);
            }
            12 => self.find_out(),
            13 | 14 => self.duplicate(),
            _ => self.change_room(),
        }
    }

    // --- the central -------------------------------------------------------------------------------------------------

    fn doom_server(&mut self) {
        let operations = self.random.below(6);
        let deaths = [Death::BeforeCommit, Death::AtDisk(operations), Death::BeforeWriting, Death::WhileWriting];
        self.death = Some(self.random.pick(&deaths));
    }

    fn start_server(&mut self) -> Result<(), String> {
        if self.disk.borrow().is_faulty && self.climate.sync == Sync::Always && self.random.one_in(4) {
            self.lose_power();
        }
        self.disk.borrow().count_findings();
        let agencies = self.agencies.len() as u32;
        let started = Server::start(&self.disk, agencies, self.climate.sync, &self.climate.limits);
        match started {
            Ok((server, recovered)) => {
                tell(|| format!("central: starts with {recovered:?}"));
                if server.central.lottery().is_drawn() {
                    count(Happening::DrawnBeforeRestart);
                } else if recovered.agencies_closed > 0 {
                    count(Happening::ClosedBeforeRestart);
                }
                self.server = Some(server);
                Ok(())
            }
            Err(RecoveryError::Io(error)) => {
                count(Happening::RecoveryInterrupted);
                tell(|| format!("central: does not start: {error}"));
                self.disk.borrow_mut().orphan();
                if self.disk.borrow().has_failed_sync() {
                    // Nobody can tell from the files any more what the disk holds, but by starting the machine again.
                    self.lose_power();
                }
                Ok(())
            }
            Err(damaged) => Err(format!("a crash is taken for damage: {damaged}")),
        }
    }

    fn turn(&mut self) -> Result<(), String> {
        let now = self.now();
        let death = self.death.take();
        let Some(server) = &mut self.server else { return Ok(()) };
        tell(|| format!("central: a turn, {death:?}"));
        let ended = server.turn(&mut self.links, now, death, &self.disk, &mut self.random);
        self.note_heard();
        self.draws += take_draws();
        if let Err(ended) = ended {
            if ended == Ended::Killed {
                count(match death {
                    Some(Death::BeforeCommit) => Happening::KilledBeforeCommit,
                    Some(Death::BeforeWriting) => Happening::KilledBeforeWriting,
                    Some(Death::WhileWriting) => Happening::KilledWhileWriting,
                    Some(Death::AtDisk(_)) | None => Happening::KilledAtDisk,
                });
            }
            self.kill_server();
            if self.random.one_in(4) {
                self.lose_power();
            }
        }
        Ok(())
    }

    fn note_heard(&mut self) {
        let Some(server) = &self.server else { return };
        for number in &server.heard {
            let Some(link) = self.links.get(number) else { continue };
            let newest = &mut self.agencies[link.agency as usize - 1].newest_heard;
            if newest.is_some_and(|newest| newest > *number) {
                count(Happening::LateConnection);
            }
            *newest = (*newest).max(Some(*number));
        }
    }

    /// The central is dead, and its connections with it.
    fn kill_server(&mut self) {
        let Some(server) = self.server.take() else { return };
        tell(|| "central: dead".to_owned());
        let is_drawn = server.central.lottery().is_drawn();
        if !is_drawn && self.invariants.surviving.closed.iter().any(|&is_closed| is_closed) {
            count(Happening::KilledParked);
        }
        self.disk.borrow_mut().orphan();
        for link in self.links.values_mut() {
            let end = self.random.pick(&[End::Closed, End::Reset, End::Reset, End::Silence]);
            link.lose_central(end, &mut self.random);
        }
    }

    fn stop_server(&mut self) {
        let now = self.now();
        let Some(server) = &mut self.server else { return };
        count(Happening::Stopped);
        tell(|| "central: stopped by a signal".to_owned());
        // A stop that fails is a death.
        let _ = server.stop(&mut self.links, now, &mut self.random);
        self.draws += take_draws();
        self.kill_server();
    }

    fn lose_power(&mut self) {
        if self.climate.sync == Sync::Always {
            self.kill_server();
            self.disk.borrow_mut().lose_power();
        }
    }

    fn change_room(&mut self) {
        let mut disk = self.disk.borrow_mut();
        disk.room = if disk.room < UNLIMITED { UNLIMITED } else { self.random.below(120) };
        tell(|| format!("disk: room for {} bytes", disk.room));
    }

    // --- connections -------------------------------------------------------------------------------------------------

    fn break_link(&mut self, end: End) {
        let held: Vec<usize> = self.links.iter().filter(|(_, link)| link.is_held).map(|(&number, _)| number).collect();
        if held.is_empty() {
            return;
        }
        let number = self.random.pick(&held);
        count(if end == End::Silence { Happening::LinkSilent } else { Happening::LinkReset });
        tell(|| format!("network: connection {number} ends: {end:?}"));
        if let Some(link) = self.links.get_mut(&number) {
            link.break_off(end, &mut self.random);
        }
    }

    /// Keepalive finds out about whoever is silent.
    fn find_out(&mut self) {
        for link in self.links.values_mut() {
            link.to_central.find_out();
            link.to_agency.find_out();
        }
    }

    fn connect(&mut self, index: usize) -> Result<(), String> {
        if self.server.is_none() {
            return Ok(());
        }
        let process = &mut self.processes[index];
        let number = self.next_link;
        self.next_link += 1;
        tell(|| format!("client {}: agency {} connects, connection {number}", process.name, process.agency));
        self.links.insert(number, Link::new(process.agency));
        self.agencies[process.agency as usize - 1].newest_link = Some(number);
        process.link = Some(number);
        process.conversation.begin();
        self.talk(index)
    }

    fn hang_up(&mut self, index: usize, end: End) {
        if let Some(link) = self.processes[index].link.take().and_then(|number| self.links.get_mut(&number)) {
            link.leave(end, &mut self.random);
        }
    }

    // --- the agencies ------------------------------------------------------------------------------------------------

    fn start_process(&mut self, index: usize, start: Start) {
        let name = self.next_process;
        self.next_process += 1;
        tell(|| format!("client {name}: starts for agency {}, {start:?}", index + 1));
        self.processes.push(Process::new(name, &self.agencies[index], start, &mut self.random));
    }

    /// Somebody starts a client of an agency that may have one. One without Hello sends all of its bets over its only
    /// connection, so it must be the first.
    fn duplicate(&mut self) {
        let index = self.random.below(self.agencies.len());
        let mut running = self.processes.iter().filter(|process| process.agency as usize == index + 1).peekable();
        let is_running = running.peek().is_some();
        if running.any(|process| process.is_legacy && process.link.is_none()) {
            return;
        }
        if is_running {
            count(Happening::Duplicated);
        }
        let has_bad_row = self.random.one_in(3);
        self.start_process(index, Start { is_legacy: false, has_bad_row });
    }

    fn kill_process(&mut self, index: usize) {
        tell(|| format!("client {}: killed", self.processes[index].name));
        let end = self.random.pick(&[End::Closed, End::Closed, End::Reset, End::Silence]);
        self.hang_up(index, end);
        self.processes.swap_remove(index);
    }

    /// The operator starts a client where none is left, also where the winners have been told: they may be asked for again.
    fn call_operator(&mut self) {
        let index = self.random.below(self.agencies.len());
        let is_running = self.processes.iter().any(|process| process.agency as usize == index + 1);
        if !is_running {
            if self.agencies[index].is_told {
                count(Happening::AskedAgain);
            }
            self.start_process(index, Start::default());
        }
    }

    /// A client connects, or takes some of what has come.
    fn act(&mut self, index: usize) -> Result<(), String> {
        let Some(number) = self.processes[index].link else { return self.connect(index) };
        let Some(link) = self.links.get_mut(&number) else { return Ok(()) };
        if link.to_agency.len() == 0 {
            return match link.to_agency.end() {
                Some(End::Closed | End::Reset) => self.break_down(index, Breakdown::Lost),
                Some(End::Silence) | None => Ok(()),
            };
        }
        let bytes = link.to_agency.take(self.random.between(1, link.to_agency.len()));
        let process = &mut self.processes[index];
        tell(|| format!("client {}: hears {bytes:02x?}", process.name));
        let heard = process.conversation.hear(&bytes);
        let agency = &mut self.agencies[process.agency as usize - 1];
        agency.acknowledged = agency.acknowledged.max(process.conversation.stored());
        match heard {
            Ok(()) => self.talk(index),
            Err(failure) => self.break_down(index, Breakdown::Failed(failure)),
        }
    }

    fn talk(&mut self, index: usize) -> Result<(), String> {
        let process = &mut self.processes[index];
        let mut output = Buffer::new();
        if let Err(failure) = process.conversation.speak(&mut output) {
            return self.break_down(index, Breakdown::Failed(failure));
        }
        if let Some(link) = process.link.and_then(|number| self.links.get_mut(&number)) {
            link.to_central.send(&output);
        }
        if batches_in(&output) > 1 {
            count(Happening::Pipelined);
        }
        match process.conversation.conclusion() {
            Some(Conclusion::Winners(told)) => {
                let told = told.clone();
                self.finish(index, &told)
            }
            Some(Conclusion::Stored) => Err("an agency ends without its winners".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&mut self, index: usize, told: &[u32]) -> Result<(), String> {
        let process = &self.processes[index];
        tell(|| format!("client {}: agency {} is told {told:?}", process.name, process.agency));
        let agency = &mut self.agencies[process.agency as usize - 1];
        if process.is_legacy {
            count(Happening::LegacyFinished);
        }
        agency.is_told = true;
        self.invariants.check_winners(agency, told)?;
        self.hang_up(index, End::Closed);
        self.processes.swap_remove(index);
        Ok(())
    }

    /// A client connects again, or ends, as the real one decides.
    fn break_down(&mut self, index: usize, breakdown: Breakdown) -> Result<(), String> {
        tell(|| format!("client {}: {breakdown:?}", self.processes[index].name));
        let goes_on = match breakdown {
            Breakdown::Lost => true,
            Breakdown::Failed(failure) => {
                self.judge(index, &failure)?;
                failure.is_transient()
            }
        };
        self.hang_up(index, End::Closed);
        let process = &self.processes[index];
        if !goes_on || !process.conversation.can_begin_again() {
            if process.is_legacy {
                count(Happening::LegacyContinued);
            }
            self.processes.swap_remove(index);
        }
        Ok(())
    }

    /// Whether the client had it coming.
    fn judge(&self, index: usize, failure: &Failure) -> Result<(), String> {
        let process = &self.processes[index];
        let Failure::Refused { code } = failure else { return Err(format!("client {}: {failure}", process.name)) };
        let is_newest = self.agencies[process.agency as usize - 1].newest_link == process.link;
        let (happening, is_just) = match code {
            ErrorCode::NotStored => (Happening::NotStored, true),
            ErrorCode::Unavailable => (Happening::Unavailable, true),
            ErrorCode::InvalidBet => (Happening::RefusedBet, process.has_bad_row),
            ErrorCode::TakenOver => (Happening::TakenOver, !is_newest),
            // Somebody else has closed its agency meanwhile, and it did not ask.
            ErrorCode::Closed if process.is_legacy => return Ok(()),
            _ => return Err(format!("client {}: {failure}", process.name)),
        };
        count(happening);
        if !is_just {
            return Err(format!("client {} is refused without a reason: {failure}", process.name));
        }
        let (heard, stored) =
            (process.conversation.stored(), self.invariants.surviving.stored[process.agency as usize - 1]);
        let is_about_bets = matches!(code, ErrorCode::NotStored | ErrorCode::InvalidBet);
        if is_about_bets && is_newest && heard != stored {
            return Err(format!("{stored} bets of agency {} are stored, and it was told of {heard}", process.agency));
        }
        Ok(())
    }

    // --- the end -----------------------------------------------------------------------------------------------------

    fn check(&mut self) -> Result<(), String> {
        let disk = self.disk.borrow();
        self.invariants.check_files(&disk, &self.agencies, self.climate.sync, self.server.is_some())?;
        if let Some(server) = &self.server {
            check_buffers(server, &self.links, &self.climate.limits)?;
        }
        self.links.retain(|_, link| !link.is_forgotten());
        if self.draws > 1 {
            return Err(format!("the lottery is drawn {} times", self.draws));
        }
        Ok(())
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        tell(|| "--- the world heals".to_owned());
        let mut disk = self.disk.borrow_mut();
        (disk.is_faulty, disk.room) = (false, UNLIMITED);
        disk.defuse();
        drop(disk);
        self.death = None;
    }

    fn healed_step(&mut self) -> Result<(), String> {
        self.pass_time();
        self.find_out();
        match self.random.below(4) {
            0 | 1 if self.server.is_some() => self.turn(),
            0 | 1 => self.start_server(),
            2 => {
                let told = |agency: &Agency| agency.is_told;
                if !self.agencies.iter().all(told) {
                    self.call_operator();
                }
                Ok(())
            }
            _ if self.processes.is_empty() => Ok(()),
            _ => {
                let index = self.random.below(self.processes.len());
                self.act(index)
            }
        }
    }

    fn is_over(&self) -> bool {
        self.agencies.iter().all(|agency| agency.is_told) && self.processes.is_empty()
    }

    /// Every bet of every agency is stored once, and everybody has closed.
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
        if surviving.closed.contains(&false) { Err("somebody never closed".to_owned()) } else { Ok(()) }
    }
}

/// How many batches were sent at once.
fn batches_in(mut output: &[u8]) -> usize {
    let mut scanner = Scanner::new(protocol::MessageLimits::default());
    let mut batches = 0;
    while let Ok(Some(length)) = scanner.scan(output) {
        batches += usize::from(matches!(Message::decode(output), Ok(Message::RegisterBets(_))));
        output = &output[length..];
    }
    batches
}

impl Climate {
    fn new(random: &mut Random) -> Climate {
        let sync = random.pick(&[Sync::Always, Sync::Always, Sync::Never]);
        let mut limits = Limits {
            anonymous_bytes: random.pick(&[0, 1000, 1 << 20]),
            unsent_bytes: random.pick(&[20, 60, 4096]),
            turn_bytes: random.pick(&[64, 512, 4096]),
            ..Limits::default()
        };
        limits.protocol.message_bytes = 8192;
        Climate { steps: random.between(60, 400), misfortunes: random.pick(&[0, 10, 40, 120]), sync, limits }
    }
}
