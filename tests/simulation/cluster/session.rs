//! The worker's steps, as requests to a primary. A poll asks for the answer; the world decides when there is one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use loteria::ledger::postgres::database::{Committed, Database, Failure, Session};
use loteria::ledger::postgres::transaction::Transaction;
use loteria::ledger::{Standing, Terms};

use super::primary::{Answer, Primary, Request};
use crate::chance::Chance;
use crate::server::Clock;

/// The longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Every database server of the world.
#[derive(Debug)]
pub struct Hosts {
    pub current: Rc<RefCell<Primary>>,
    /// The one whose place it took.
    pub old: Option<Rc<RefCell<Primary>>>,
    next_session: usize,
    pub random: Rng,
}

impl Hosts {
    pub fn new(primary: Primary, random: Rng) -> Hosts {
        Hosts { current: Rc::new(RefCell::new(primary)), old: None, next_session: 0, random }
    }

    pub fn step(&mut self) {
        self.current.borrow_mut().step(&mut self.random);
        if let Some(old) = &self.old {
            old.borrow_mut().step(&mut self.random);
        }
    }
}

/// A server's way to the database.
pub struct SimulatedDatabase {
    pub hosts: Rc<RefCell<Hosts>>,
    pub clock: Rc<Clock>,
}

/// A session.
pub struct SimulatedSession {
    primary: Rc<RefCell<Primary>>,
    number: usize,
    clock: Rc<Clock>,
}

impl Drop for SimulatedSession {
    fn drop(&mut self) {
        self.primary.borrow_mut().leave(self.number);
    }
}

impl Database for SimulatedDatabase {
    type Session = SimulatedSession;

    async fn connect(&mut self) -> Result<SimulatedSession, Failure> {
        let hosts = &mut *self.hosts.borrow_mut();
        let old = hosts.old.as_ref().filter(|old| !old.borrow().is_dead && hosts.random.one_in(3));
        let primary = Rc::clone(old.unwrap_or(&hosts.current));
        let number = hosts.next_session;
        hosts.next_session += 1;
        primary.borrow_mut().open(number);
        Ok(SimulatedSession { primary, number, clock: Rc::clone(&self.clock) })
    }

    async fn pause(&mut self, time: Duration) {
        let (clock, until) = (Rc::clone(&self.clock), self.clock.now().instant + time);
        poll_fn(|_| if clock.now().instant >= until { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl SimulatedSession {
    async fn ask(&mut self, request: Request) -> Result<Answer, Failure> {
        self.primary.borrow_mut().request(self.number, request);
        let until = self.clock.now().instant + TIMEOUT;
        poll_fn(|_| match self.primary.borrow_mut().answer(self.number) {
            Some(Answer::Failed(failure)) => Poll::Ready(Err(failure)),
            Some(answer) => Poll::Ready(Ok(answer)),
            None if self.clock.now().instant > until => Poll::Ready(Err(Failure::Lost("no answer".to_owned()))),
            None => Poll::Pending,
        })
        .await
    }
}

impl Session for SimulatedSession {
    async fn try_lock(&mut self) -> Result<bool, Failure> {
        let Answer::Lock(has_lock) = self.ask(Request::TryLock).await? else { unreachable!("its own answer") };
        Ok(has_lock)
    }

    async fn begin_epoch(&mut self, _: Terms) -> Result<Committed<u64>, Failure> {
        let Answer::Epoch(epoch) = self.ask(Request::BeginEpoch).await? else { unreachable!("its own answer") };
        Ok(epoch)
    }

    async fn read(&mut self) -> Result<Standing, Failure> {
        let Answer::Standing(standing) = self.ask(Request::Read).await? else { unreachable!("its own answer") };
        Ok(standing)
    }

    async fn store(&mut self, epoch: u64, transaction: &Transaction) -> Result<Committed<()>, Failure> {
        let request = Request::Store { epoch, transaction: transaction.clone() };
        let Answer::Stored(stored) = self.ask(request).await? else { unreachable!("its own answer") };
        Ok(stored)
    }

    async fn check(&mut self) -> Result<(), Failure> {
        self.ask(Request::Check).await.map(drop)
    }
}
