//! The server's process: the program's own [`Server`], over the sockets, the disk, the ledger and the clock of this world.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use loteria::bet::Day;
use loteria::buffer::Buffer;
use loteria::central::{Central, ConnectionId, Limits, Now, Restore, Wants};
use loteria::ledger::file::{FileLedger, RecoveryError, Summary, SyncPolicy};
use loteria::ledger::{Draw, Recovered, Replay};
use loteria::lottery::{Contradiction, Lottery};
use loteria::protocol::{ErrorCode, Message};
use loteria::server::turn::{self, Ready, Server, TurnError};

use crate::chance::Chance;
use crate::chronicle::{Happening, count, take_expirations, tell};
use crate::disk::Disk;
use crate::ledger::{Desk, SimulatedLedger, Temper};
use crate::life::Life;
use crate::mistakes::{Mistake, makes};
use crate::network::{Edge, Network, Owner, Place};
use crate::pipe::End;
use crate::security;
use crate::socket::SimulatedSocket;

/// The time of the world. It passes between two steps and while a commit begins.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    elapsed: Cell<Duration>,
}

impl Clock {
    pub fn new() -> Clock {
        Clock { start: Instant::now(), elapsed: Cell::default() }
    }

    pub fn pass(&self, time: Duration) {
        self.elapsed.set(self.elapsed.get() + time);
    }

    pub fn now(&self) -> Now {
        Now { instant: self.start + self.elapsed.get(), today: Day::LAST }
    }
}

/// The part of the world that a turn sees.
pub struct Surroundings<'w> {
    pub network: &'w RefCell<Network>,
    pub clock: &'w Clock,
}

impl turn::World for Surroundings<'_> {
    fn now(&mut self) -> Now {
        self.clock.now()
    }

    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.network.borrow_mut().poll(ready);
        Ok(())
    }
}

/// The settings of a server and its ledger.
#[derive(Clone, Debug)]
pub struct Settings {
    pub agencies: u32,
    pub sync: SyncPolicy,
    pub limits: Limits,
    /// True if agencies connect over TLS.
    pub is_secure: bool,
    pub temper: Temper,
}

/// A running server.
pub struct Process {
    server: Server<SimulatedSocket, SimulatedLedger>,
    pub life: Rc<Life>,
    pub desk: Rc<RefCell<Desk>>,
    network: Rc<RefCell<Network>>,
    clock: Rc<Clock>,
    random: Rng,
    /// True if polling a new connection may fail.
    may_fail_to_register: bool,
    /// A rule that a turn has broken.
    pub fault: Option<String>,
}

/// A lottery whose history is recovered.
struct Restoring<'r>(&'r mut Restore);

impl Replay for Restoring<'_> {
    type Refusal = Contradiction;

    fn replay(&mut self, step: Recovered<'_>) -> Result<(), Contradiction> {
        match step {
            Recovered::Closing(_) if makes(Mistake::ClosedForgotten) => Ok(()),
            step => self.0.step(step),
        }
    }

    fn draw(&mut self) -> Option<Draw> {
        self.0.draw()
    }
}

/// Bytes echoed so far, seen while a commit is in flight.
struct EchoedInFlight {
    /// The number of the commit.
    commit: usize,
    bytes: usize,
}

impl Process {
    pub fn start(
        settings: &Settings,
        disk: &Rc<RefCell<Disk>>,
        network: &Rc<RefCell<Network>>,
        clock: &Rc<Clock>,
        life: Rc<Life>,
        random: &mut Rng,
    ) -> Result<(Process, Summary), RecoveryError<Contradiction>> {
        let files = Disk::open(disk, &life);
        let mut restore = Restore::new(Lottery::new(settings.agencies));
        let (file, summary) = FileLedger::recover(files, settings.sync, &mut Restoring(&mut restore))?;
        disk.borrow_mut().end_recovery();
        let desk = Rc::new(RefCell::new(Desk::new(settings.temper)));
        let ledger = SimulatedLedger {
            file,
            desk: Rc::clone(&desk),
            random: random.fork(),
            life: Rc::clone(&life),
            clock: Rc::clone(clock),
            owed: None,
        };
        let central = Central::new(settings.limits.clone(), None, restore.finish());
        let share = if makes(Mistake::ShareIgnored) { usize::MAX } else { settings.limits.turn_bytes };
        let process = Process {
            server: Server::new(central, ledger, share).with_tls(settings.is_secure.then(security::acceptor)),
            life,
            desk,
            network: Rc::clone(network),
            clock: Rc::clone(clock),
            random: random.fork(),
            may_fail_to_register: settings.temper.is_faulty,
            fault: None,
        };
        Ok((process, summary))
    }

    pub fn central(&self) -> &Central {
        self.server.central()
    }

    /// True if the next turn begins without a poll that reports anything.
    pub fn sleep_is_over(&self) -> bool {
        self.server.time_to_sleep(self.now()) == Some(Duration::ZERO)
    }

    /// True if only a poll would wake the server within `time`.
    pub fn sleeps_longer_than(&self, time: Duration) -> bool {
        self.server.time_to_sleep(self.now()).is_none_or(|sleep| sleep > time)
    }

    pub fn now(&self) -> Instant {
        self.clock.now().instant
    }

    /// One round of the loop, as the reactor's: a turn, if anything wakes it, then new connections.
    pub fn round(&mut self) -> Result<(), TurnError> {
        let (network, clock) = (Rc::clone(&self.network), Rc::clone(&self.clock));
        let mut surroundings = Surroundings { network: &network, clock: &clock };
        self.desk.borrow_mut().pass_round();
        let mut ready = Vec::new();
        network.borrow_mut().poll(&mut ready);
        let is_due = self.sleep_is_over();
        let is_woken = self.desk.borrow().has_news() || network.borrow().backlog().is_some();
        if ready.is_empty() && !is_due && !is_woken {
            return Ok(());
        }
        network.borrow_mut().reads.begin_turn();
        let due = self.count_due();
        take_expirations();
        let before = self.echoed_in_flight();
        self.server.turn(&mut ready, &mut surroundings)?;
        if self.desk.borrow().is_final {
            self.fault = Some("the server goes on, and what is stored is not known to it".to_owned());
        }
        if take_expirations() > due {
            self.fault = Some("a connection is closed before its deadline".to_owned());
        }
        let after = self.echoed_in_flight();
        if before.zip(after).is_some_and(|(before, after)| before.commit == after.commit && before.bytes < after.bytes)
        {
            count(Happening::EchoedInFlight);
        }
        self.count_held();
        self.accept();
        Ok(())
    }

    /// Tells every agency that it goes, and goes.
    pub fn stop(&mut self) {
        if self.central().is_in_flight() {
            count(Happening::StoppedInFlight);
        }
        self.server.shut_down(self.clock.now());
    }

    fn accept(&mut self) {
        while !self.life.is_over() && !self.random.one_in(5) {
            let Some(number) = self.network.borrow().backlog() else { return };
            let was_full = self.server.central().is_full();
            if !self.server.make_room(self.clock.now()) {
                self.turn_away(number);
                continue;
            }
            if was_full {
                count(Happening::MadeRoom);
            }
            let socket = SimulatedSocket {
                network: Rc::clone(&self.network),
                number,
                life: Rc::clone(&self.life),
                is_reset: false,
            };
            let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number as u16);
            let fails = self.may_fail_to_register && self.random.one_in(100);
            let added = self.server.add(socket, peer, self.clock.now(), |socket, id| {
                if fails {
                    return Err(io::Error::other("no room to poll it"));
                }
                socket.network.borrow_mut().register(number, id);
                Ok(())
            });
            match added {
                Ok(id) => tell(|| format!("server: accepts connection {number} as {id:?}")),
                Err(_) => count(Happening::NotRegistered),
            }
        }
    }

    fn turn_away(&mut self, number: usize) {
        count(Happening::TurnedAway);
        let mut reply = Buffer::new();
        Message::RegisterBetFailed(ErrorCode::Unavailable).encode(&mut reply);
        let network = &mut *self.network.borrow_mut();
        if let Some(link) = network.links.get_mut(&number) {
            link.to_client.send(&reply);
        }
        network.close(number, End::Closed);
    }

    fn echoed_in_flight(&self) -> Option<EchoedInFlight> {
        let network = self.network.borrow();
        let echo = network.links.values().filter(|link| matches!(link.owner, Owner::Echo { .. }));
        let commit = self.central().is_in_flight().then(|| self.desk.borrow().begun)?;
        Some(EchoedInFlight { commit, bytes: echo.map(|link| link.written).sum() })
    }

    /// The connections that are due. The deadlines of those that wait for a commit stand still.
    fn count_due(&self) -> u32 {
        let is_due = |id| self.central().deadline(id).is_some_and(|deadline| deadline <= self.now());
        let due = self.connections().into_iter().filter(|&(_, id)| is_due(id)).count();
        let is_in_flight = self.central().is_in_flight();
        (0..due).for_each(|_| count(if is_in_flight { Happening::ExpiredInFlight } else { Happening::Expired }));
        due as u32
    }

    fn count_held(&self) {
        for link in self.network.borrow().links.values().filter(|link| link.readable == Edge::Reported) {
            let Place::Accepted(id) = link.place else { continue };
            match self.central().wants(id) {
                Wants::Room if !link.is_ended() => count(Happening::HeldInput),
                Wants::Settlement => count(Happening::HeldInFlight),
                _ => {}
            }
        }
    }

    /// The connections of the core, by number.
    pub fn connections(&self) -> Vec<(usize, ConnectionId)> {
        let network = self.network.borrow();
        let accepted = network.links.iter().filter_map(|(&number, link)| match link.place {
            Place::Accepted(id) => Some((number, id)),
            Place::Backlog | Place::Gone => None,
        });
        accepted.collect()
    }
}
