//! A server of the cluster: its process, its worker and its network.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Instant;

use fastrand::Rng;
use loteria::central::{Central, Limits};
use loteria::ledger::Terms;
use loteria::ledger::postgres::{Desk, PostgresLedger, worker};
use loteria::lottery::Lottery;
use loteria::server::part::Part;
use loteria::server::turn::{Server, TurnError};

use super::session::{Hosts, SimulatedDatabase};
use crate::chance::Chance;
use crate::chronicle::tell;
use crate::life::Life;
use crate::network::{Network, Place};
use crate::pipe::End;
use crate::reads::Reads;
use crate::server::{Clock, Surroundings};
use crate::socket::SimulatedSocket;

/// A machine for a server.
pub struct Member {
    pub name: usize,
    pub network: Rc<RefCell<Network>>,
    pub process: Option<Process>,
    /// Its processes stand still until then.
    pub frozen_until: Option<Instant>,
}

/// A running server.
pub struct Process {
    server: Server<SimulatedSocket, PostgresLedger>,
    worker: Pin<Box<dyn Future<Output = ()>>>,
    life: Rc<Life>,
}

impl Member {
    pub fn new(name: usize, limits: &Limits, random: &mut Rng) -> Member {
        let reads = Reads::new(limits.turn_bytes, false);
        let network = Rc::new(RefCell::new(Network::new(random.fork(), reads)));
        Member { name, network, process: None, frozen_until: None }
    }

    /// True if it takes connections.
    pub fn listens(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.server.part() != Part::Standby)
    }

    /// Lets it run for a while. It is started if it is not.
    pub fn run(
        &mut self,
        hosts: &Rc<RefCell<Hosts>>,
        clock: &Rc<Clock>,
        agencies: u32,
        limits: &Limits,
        random: &mut Rng,
    ) -> Result<(), TurnError> {
        if self.frozen_until.is_some_and(|until| clock.now().instant < until) {
            return Ok(());
        }
        self.frozen_until = None;
        let network = Rc::clone(&self.network);
        let process = self.process.get_or_insert_with(|| {
            tell(|| format!("server {}: starts", self.name));
            start(hosts, clock, agencies, limits)
        });
        for _ in 0..random.usize(0..4) {
            let over = process.worker.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(over.is_pending(), "a worker goes on as long as its loop");
        }
        let mut ready = Vec::new();
        network.borrow_mut().poll(&mut ready);
        network.borrow_mut().reads.begin_turn();
        let part = process.server.part();
        process.server.turn(&mut ready, &mut Surroundings { network: &network, clock })?;
        if part != process.server.part() {
            tell(|| format!("server {}: {part:?} becomes {:?}", self.name, process.server.part()));
        }
        if process.server.part() == Part::Standby {
            self.turn_all_away();
        } else {
            process.accept(&network, clock, random);
        }
        Ok(())
    }

    /// Closes the door: who waits before it is reset.
    fn turn_all_away(&self) {
        let network = &mut *self.network.borrow_mut();
        while let Some(number) = network.backlog() {
            network.close(number, End::Reset);
        }
    }

    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            tell(|| format!("server {}: killed", self.name));
            process.life.end();
            self.network.borrow_mut().lose_server();
        }
    }
}

impl Process {
    fn accept(&mut self, network: &Rc<RefCell<Network>>, clock: &Clock, random: &mut Rng) {
        while !random.one_in(5) {
            let Some(number) = network.borrow().backlog() else { return };
            assert!(self.server.make_room(clock.now()), "there is room for every agency");
            let life = Rc::clone(&self.life);
            let socket = SimulatedSocket { network: Rc::clone(network), number, life, is_reset: false };
            let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number as u16);
            let added = self.server.add(socket, peer, clock.now(), |socket, id| {
                socket.network.borrow_mut().register(number, id);
                debug_assert!(matches!(socket.network.borrow().links[&number].place, Place::Accepted(_)));
                Ok(())
            });
            added.expect("it was registered");
        }
    }
}

fn start(hosts: &Rc<RefCell<Hosts>>, clock: &Rc<Clock>, agencies: u32, limits: &Limits) -> Process {
    let desk = Desk::default();
    let central = Central::new(limits.clone(), None, Lottery::new(agencies));
    let server = Server::new(central, PostgresLedger::new(desk.clone()), limits.turn_bytes);
    let mut database = SimulatedDatabase { hosts: Rc::clone(hosts), clock: Rc::clone(clock) };
    let terms = Terms { agencies, winning_number: loteria::bet::WINNER_NUMBER };
    let worker = Box::pin(async move { worker::work(&mut database, &desk, terms).await });
    Process { server, worker, life: Rc::new(Life::default()) }
}
