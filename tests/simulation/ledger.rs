//! A ledger that settles at once, as the file does, or turns later, as a database does. It may refuse a commit or lose its
//! outcome. The commits that it stores go to the real [`FileLedger`] over the simulated disk.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use loteria::buffer::Buffer;
use loteria::ledger::file::FileLedger;
use loteria::ledger::{Commit, Ledger, Outcome};

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::file::SimulatedFile;
use crate::life::{Fate, Life, Operation};
use crate::mistakes::{Mistake, makes};
use crate::server::Clock;

/// The temper of a world's ledger.
#[derive(Clone, Copy, Debug)]
pub struct Temper {
    /// True if commits may be settled late.
    pub is_slow: bool,
    /// True if commits may fail for reasons of the ledger's own.
    pub is_faulty: bool,
}

/// The part of a ledger that the world sees while the server owns the rest.
#[derive(Debug)]
pub struct Desk {
    pub temper: Temper,
    commit: Option<InFlight>,
    /// Commits that have begun.
    pub begun: usize,
    /// True once an outcome was given after which the server must end.
    pub is_final: bool,
}

#[derive(Debug)]
struct InFlight {
    commit: Commit,
    answer: Answer,
    /// Rounds of the loop before it is settled.
    rounds: usize,
    is_late: bool,
    outcome: Option<Outcome>,
}

/// The source of the outcome.
#[derive(Clone, Copy, Debug)]
enum Answer {
    File,
    NotStored,
    /// Stored, and not known to be.
    UnknownStored,
    UnknownLost,
    Fenced,
}

impl Desk {
    pub fn new(temper: Temper) -> Desk {
        Desk { temper, commit: None, begun: 0, is_final: false }
    }

    /// A round of the loop has passed.
    pub fn pass_round(&mut self) {
        if let Some(in_flight) = &mut self.commit {
            in_flight.rounds = in_flight.rounds.saturating_sub(1);
        }
    }

    /// True if a poll would give an outcome.
    pub fn has_news(&self) -> bool {
        self.commit.as_ref().is_some_and(|in_flight| in_flight.rounds == 0)
    }
}

/// The ledger.
#[derive(Debug)]
pub struct SimulatedLedger {
    pub file: FileLedger<SimulatedFile>,
    pub desk: Rc<RefCell<Desk>>,
    pub random: Rng,
    pub life: Rc<Life>,
    pub clock: Rc<Clock>,
    /// A commit that [`Mistake::ReplyBeforeCommit`] has left to be stored.
    pub owed: Option<Commit>,
}

impl SimulatedLedger {
    fn choose_answer(&mut self) -> Answer {
        if !self.desk.borrow().temper.is_faulty || !self.random.one_in(40) {
            return Answer::File;
        }
        let (answer, happening) = self.random.pick(&[
            (Answer::NotStored, Happening::LedgerRefused),
            (Answer::UnknownStored, Happening::UnknownStored),
            (Answer::UnknownLost, Happening::UnknownLost),
            (Answer::Fenced, Happening::Fenced),
        ]);
        count(happening);
        answer
    }

    fn store(&mut self, commit: &Commit, answer: Answer) -> Outcome {
        match answer {
            Answer::NotStored => return Outcome::NotStored("the ledger refuses".to_owned()),
            Answer::UnknownLost => return Outcome::Unknown("no answer to a commit that is lost".to_owned()),
            Answer::Fenced => return Outcome::Fenced,
            Answer::File | Answer::UnknownStored => self.file.begin(commit),
        }
        let outcome = self.file.poll().expect("a file settles at once");
        match answer {
            Answer::UnknownStored => Outcome::Unknown("no answer to a commit that is stored".to_owned()),
            _ => outcome,
        }
    }
}

impl Ledger for SimulatedLedger {
    fn begin(&mut self, commit: &Commit) {
        if let Some(owed) = self.owed.take() {
            self.store(&owed, Answer::File);
        }
        let commit = copy(commit);
        let answer = if self.life.operate(Operation::BeginCommit) == Fate::Alive {
            self.choose_answer()
        } else {
            Answer::UnknownLost
        };
        let is_late = self.desk.borrow().temper.is_slow && self.random.bool();
        let rounds = if is_late { self.random.usize(1..=12) } else { 0 };
        tell(|| {
            format!(
                "ledger: {} bytes and {} closings, {answer:?}, {rounds} rounds",
                commit.rows.len(),
                commit.closings.len()
            )
        });
        let is_stored_now = is_late && self.random.bool();
        let outcome = is_stored_now.then(|| self.store(&commit, answer));
        // A file in a state that is not known is of a server that ends.
        let is_final = matches!(outcome, Some(Outcome::Unknown(_)));
        let rounds = if is_final { 0 } else { rounds };
        self.clock.pass(Duration::from_micros(self.random.u64(0..4000)));
        let mut desk = self.desk.borrow_mut();
        assert!(desk.commit.is_none(), "two commits in flight");
        desk.begun += 1;
        desk.commit = Some(InFlight { commit, answer, rounds, is_late, outcome });
    }

    fn poll(&mut self) -> Option<Outcome> {
        let in_flight = self.desk.borrow_mut().commit.take_if(|in_flight| in_flight.rounds == 0)?;
        let InFlight { commit, answer, is_late, outcome, .. } = in_flight;
        if is_late {
            count(if outcome.is_none() { Happening::StoredLate } else { Happening::SettledLate });
        }
        if makes(Mistake::ReplyBeforeCommit) && outcome.is_none() {
            self.owed = Some(commit);
            return Some(Outcome::Stored);
        }
        let outcome = outcome.unwrap_or_else(|| self.store(&commit, answer));
        self.desk.borrow_mut().is_final = matches!(outcome, Outcome::Unknown(_) | Outcome::Fenced);
        self.life.operate(Operation::EndCommit);
        tell(|| format!("ledger: {outcome:?}"));
        Some(outcome)
    }
}

fn copy(commit: &Commit) -> Commit {
    let mut rows = Buffer::new();
    rows.extend_from_slice(&commit.rows);
    let forgets_closings = makes(Mistake::DrawBeforeClosing);
    let closings = if forgets_closings { Vec::new() } else { commit.closings.clone() };
    Commit { rows, closings, draw: commit.draw.clone(), advances: Vec::new() }
}
