//! A database server: its log, its locks and its sessions. A session goes on when its server is gone, until it notices.

use std::collections::BTreeMap;

use fastrand::Rng;
use loteria::bet::WINNER_NUMBER;
use loteria::ledger::postgres::database::{Committed, Failure};
use loteria::ledger::postgres::transaction::{CopiedBet, Transaction, rows_of};
use loteria::ledger::{Standing, Terms, Total};

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::mistakes::{Mistake, makes};

/// A change that a committed transaction has made.
#[derive(Clone, Debug)]
enum Change {
    /// The next epoch.
    Epoch,
    Store {
        bets: Vec<CopiedBet>,
        totals: Vec<Total>,
    },
}

/// A commit record. Others see what it has changed once its wait for the standby is over.
#[derive(Clone, Debug)]
struct Record {
    change: Change,
    is_visible: bool,
}

/// A request of a session.
#[derive(Clone, Debug)]
pub enum Request {
    TryLock,
    BeginEpoch,
    Read,
    Store { epoch: u64, transaction: Transaction },
    Check,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    Lock(bool),
    Epoch(Committed<u64>),
    Standing(Standing),
    Stored(Committed<()>),
    Alive,
    Failed(Failure),
}

/// The standing of a request.
#[derive(Clone, Debug)]
enum Work {
    Idle,
    Requested(Request),
    /// It holds the epoch's row shared, and its bets are copied.
    Copied(Transaction),
    /// Its record is in the log, at this place.
    Waiting(usize),
    Done(Answer),
}

#[derive(Clone, Debug)]
struct Backend {
    work: Work,
    /// True once the other end of its connection is gone.
    is_orphan: bool,
    /// True once the connection is cut, which the other end learns.
    is_cut: bool,
}

/// The state that a log leaves behind.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub epoch: u64,
    pub bets: Vec<CopiedBet>,
    pub totals: BTreeMap<u32, Total>,
}

#[derive(Debug)]
pub struct Primary {
    agencies: u32,
    log: Vec<Record>,
    /// Records that the synchronous standby has.
    replicated: usize,
    /// Steps for which the standby is away.
    standby_away: usize,
    /// The session that holds the lock of the active server.
    lock: Option<usize>,
    backends: BTreeMap<usize, Backend>,
    /// True once another has taken its place: the standby takes nothing from it any more.
    pub is_isolated: bool,
    pub is_dead: bool,
    pub is_faulty: bool,
}

impl Primary {
    pub fn new(agencies: u32, is_faulty: bool) -> Primary {
        Primary {
            agencies,
            log: Vec::new(),
            replicated: 0,
            standby_away: 0,
            lock: None,
            backends: BTreeMap::new(),
            is_isolated: false,
            is_dead: false,
            is_faulty,
        }
    }

    /// The standby takes this one's place. What it does not have is lost.
    pub fn fail_over(&mut self) -> Primary {
        self.is_isolated = true;
        if self.log.len() > self.replicated {
            count(Happening::UnreplicatedLost);
        }
        let replicated = self.log[..self.replicated].iter().cloned();
        let log: Vec<Record> = replicated.map(|record| Record { is_visible: true, ..record }).collect();
        Primary { replicated: log.len(), log, ..Primary::new(self.agencies, self.is_faulty) }
    }

    pub fn open(&mut self, session: usize) {
        self.backends.insert(session, Backend { work: Work::Idle, is_orphan: false, is_cut: false });
    }

    pub fn request(&mut self, session: usize, request: Request) {
        if let Some(backend) = self.backends.get_mut(&session) {
            backend.work = Work::Requested(request);
        }
    }

    /// The answer to the request of `session`; `None` until there is one.
    pub fn answer(&mut self, session: usize) -> Option<Answer> {
        let lost = || Some(Answer::Failed(Failure::Lost("the connection is lost".to_owned())));
        let Some(backend) = self.backends.get_mut(&session).filter(|_| !self.is_dead) else { return lost() };
        if backend.is_cut {
            return lost();
        }
        if !matches!(backend.work, Work::Done(_)) {
            return None;
        }
        match std::mem::replace(&mut backend.work, Work::Idle) {
            Work::Done(answer) => Some(answer),
            _ => None,
        }
    }

    /// The other end of a session is gone.
    pub fn leave(&mut self, session: usize) {
        if let Some(backend) = self.backends.get_mut(&session) {
            backend.is_orphan = true;
        }
    }

    /// The sessions that there are.
    pub fn sessions(&self) -> Vec<usize> {
        self.backends.keys().copied().collect()
    }

    /// A connection is cut. What the session does, it does to its end.
    pub fn cut(&mut self, session: usize) {
        if let Some(backend) = self.backends.get_mut(&session) {
            (backend.is_cut, backend.is_orphan) = (true, true);
        }
    }

    /// A session is ended. If it waits for the standby, its transaction stays, here alone.
    pub fn end(&mut self, session: usize) {
        if let Some(Backend { work: Work::Waiting(place), .. }) = self.backends.remove(&session) {
            self.log[place].is_visible = true;
        }
        self.unlock(session);
    }

    /// The lock is free, and the session that had it does not learn it.
    pub fn lose_lock(&mut self) {
        self.lock = None;
    }

    /// Cuts a wait for the standby, which is away, short: the transaction is committed here alone, and its session is warned.
    pub fn cut_wait_short(&mut self) -> bool {
        self.standby_away = 100;
        let waits = |(&session, backend): (&usize, &Backend)| match backend.work {
            Work::Waiting(place) => Some((session, place)),
            _ => None,
        };
        let Some((session, place)) = self.backends.iter().find_map(waits) else { return false };
        self.finish(session, place, Some("canceling wait for synchronous replication".to_owned()));
        true
    }

    /// The standby takes a record, or a session goes a step on.
    pub fn step(&mut self, random: &mut Rng) {
        if self.is_dead {
            return;
        }
        self.standby_away = self.standby_away.saturating_sub(1);
        let has_standby = !self.is_isolated && self.standby_away == 0;
        if has_standby && self.replicated < self.log.len() && random.bool() {
            self.replicated += 1;
        }
        let sessions = self.sessions();
        if sessions.is_empty() {
            return;
        }
        let session = random.pick(&sessions);
        let backend = &self.backends[&session];
        let (work, is_orphan) = (backend.work.clone(), backend.is_orphan);
        match work {
            Work::Idle | Work::Done(_) if is_orphan => {
                self.backends.remove(&session);
                self.unlock(session);
            }
            Work::Idle | Work::Done(_) => {}
            // The request may not have arrived.
            Work::Requested(_) if is_orphan && random.bool() => self.set(session, Work::Idle),
            Work::Requested(request) => self.begin(session, request),
            Work::Copied(_) if is_orphan && random.bool() => self.set(session, Work::Idle),
            Work::Copied(_) if self.is_faulty && random.one_in(40) => {
                count(Happening::LedgerRefused);
                self.set(session, Work::Done(Answer::Failed(Failure::Refused("no space left".to_owned()))));
            }
            Work::Copied(transaction) => {
                if is_orphan && !transaction.totals.is_empty() {
                    count(Happening::OrphanStored);
                }
                let (bets, totals) = (rows_of(&transaction.copy), transaction.totals);
                self.commit(session, Change::Store { bets, totals });
            }
            Work::Waiting(place) if place < self.replicated => self.finish(session, place, None),
            Work::Waiting(_) => {}
        }
    }

    fn begin(&mut self, session: usize, request: Request) {
        let others = || self.backends.iter().filter(|(other, _)| **other != session).map(|(_, backend)| &backend.work);
        let is_shared = others().any(|work| matches!(work, Work::Copied(_) | Work::Waiting(_)));
        let is_advancing = others().any(|work| match work {
            Work::Waiting(place) => matches!(self.log[*place].change, Change::Epoch),
            _ => false,
        });
        match request {
            Request::TryLock => {
                let has_lock = *self.lock.get_or_insert(session) == session;
                self.set(session, Work::Done(Answer::Lock(has_lock)));
            }
            Request::Check => self.set(session, Work::Done(Answer::Alive)),
            Request::Read => {
                let standing = self.standing();
                self.set(session, Work::Done(Answer::Standing(standing)));
            }
            // The row of the epoch is locked by others.
            Request::BeginEpoch if is_shared => {}
            Request::Store { .. } if is_advancing => {}
            Request::BeginEpoch => {
                count(Happening::RoundTakenOver);
                self.commit(session, Change::Epoch);
            }
            Request::Store { epoch, .. } if epoch != self.visible().epoch && !makes(Mistake::EpochIgnored) => {
                count(Happening::EpochOver);
                self.set(session, Work::Done(Answer::Failed(Failure::Fenced)));
            }
            Request::Store { transaction, .. } => self.set(session, Work::Copied(transaction)),
        }
    }

    fn commit(&mut self, session: usize, change: Change) {
        tell(|| format!("database: session {session} commits {change:?}"));
        self.log.push(Record { change, is_visible: false });
        self.set(session, Work::Waiting(self.log.len() - 1));
    }

    fn finish(&mut self, session: usize, place: usize, warning: Option<String>) {
        self.log[place].is_visible = true;
        let answer = match self.log[place].change {
            Change::Epoch => Answer::Epoch(Committed { value: self.visible().epoch, warning }),
            Change::Store { .. } => Answer::Stored(Committed { value: (), warning }),
        };
        self.set(session, Work::Done(answer));
    }

    fn set(&mut self, session: usize, work: Work) {
        if let Some(backend) = self.backends.get_mut(&session) {
            backend.work = work;
        }
    }

    fn unlock(&mut self, session: usize) {
        self.lock = self.lock.filter(|&holder| holder != session);
    }

    fn visible(&self) -> State {
        state(self.log.iter().filter(|record| record.is_visible))
    }

    /// The state that would be left if the standby took its place now.
    pub fn surviving(&self) -> State {
        state(&self.log[..self.replicated])
    }

    fn standing(&self) -> Standing {
        let State { bets, mut totals, .. } = self.visible();
        if makes(Mistake::ClosingsUnread) {
            totals.values_mut().for_each(|total| total.is_closed = false);
        }
        let mut won: Vec<&CopiedBet> = bets.iter().filter(|bet| u32::from(bet.number) == WINNER_NUMBER).collect();
        won.sort_by_key(|bet| (bet.agency, bet.position));
        let winners = won.into_iter().map(|bet| (bet.agency, bet.document)).collect();
        let terms = Terms { agencies: self.agencies, winning_number: WINNER_NUMBER };
        let total = |agency| totals.get(&agency).copied().unwrap_or(Total { agency, ..Total::default() });
        Standing { terms, totals: (1..=self.agencies).map(total).collect(), winners }
    }
}

fn state<'l>(log: impl IntoIterator<Item = &'l Record>) -> State {
    let mut state = State::default();
    for record in log {
        match &record.change {
            Change::Epoch => state.epoch += 1,
            Change::Store { bets, totals } => {
                state.bets.extend_from_slice(bets);
                state.totals.extend(totals.iter().map(|total| (total.agency, *total)));
            }
        }
    }
    state
}
