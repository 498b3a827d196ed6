//! The ledger makes bets durable: it takes one [`Commit`] at a time and says what became of it.
//!
//! A commit may take milliseconds, or seconds on a database that fails over. The server does not wait for it: it
//! [begins](Ledger::begin) a commit, goes on with what needs none, and [polls](Ledger::poll) for the [`Outcome`]. At most
//! one commit is in flight. The file ledger settles within `begin`, because it writes and syncs in the loop.
//!
//! A ledger may be [shared](Ledger::is_shared) by several servers, of which one is active. It says with a [`Change`] when
//! this server becomes the active one, and when it is no longer.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@file`] | `bets.csv` and its companions |
//! | [`postgres`] | a PostgreSQL cluster that several servers share |

pub mod file;
pub mod postgres;

use std::error::Error;

use serde::Deserialize;

use crate::bet::{Bet, Tally};
use crate::buffer::Buffer;

/// Everything that one turn of the server makes durable: all of it or none.
#[derive(Debug, Default)]
pub struct Commit {
    /// The bets, in order, as rows of `bets.csv`.
    pub rows: Buffer,
    /// The agencies that close. Every bet of theirs is stored before or in this commit.
    pub closings: Vec<Closing>,
    /// The agencies with bets or a closing in it, each once.
    pub advances: Vec<Advance>,
    /// The draw, if these closings are the last. It is stored before any agency is told its winners.
    pub draw: Option<Draw>,
}

impl Commit {
    /// True if there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.closings.is_empty()
    }
}

/// The end of an agency's bets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The agency, from 1.
    pub agency: u32,
    /// The number of bets that it closes with.
    pub bets: u64,
    /// The terms of the round, fixed by the first closing.
    pub terms: Terms,
}

/// The terms of a round. With others the draw could happen twice, or have other winners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The number of agencies.
    pub agencies: u32,
    /// The number that wins.
    pub winning_number: u32,
}

/// The draw of a round, in which every agency has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The terms of the round.
    pub terms: Terms,
    /// Every agency, in order.
    pub agencies: Vec<AgencyDraw>,
}

/// The part of an agency in the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgencyDraw {
    /// The agency, from 1.
    pub agency: u32,
    /// Its bets.
    pub bets: u64,
    /// The winners among them.
    pub winners: u64,
}

/// The part of a commit that is of one agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The number of its bets that are stored before.
    pub stored: u64,
    /// Everything that is stored of it then.
    pub total: Total,
}

/// The outcome of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is durable.
    Stored,
    /// Nothing of it is stored, and the ledger takes the next commit. The text says why.
    NotStored(String),
    /// It is not known what is stored. No reply may leave any more. The text says why.
    Unknown(String),
    /// Another server has taken over the round. No reply may leave any more.
    Fenced,
}

/// A change of the part that this server plays, where several servers share a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another server is the active one.
    Standby,
    /// This server is the active one, and the round stands so.
    Active(Standing),
    /// The ledger can't be reached, or another server has taken the round over. What became of a commit in flight is not
    /// known. The ledger tries to become active again. The text says why.
    Lost(String),
    /// The ledger can't be used with these settings. The text says what to change.
    Unusable(String),
}

/// A round as a ledger recovers it that keeps totals beside the bets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The terms of the round.
    pub terms: Terms,
    /// The totals of each agency, in order.
    pub totals: Vec<Total>,
    /// The winning bets: agency and document, in the order of agencies and their bets.
    pub winners: Vec<(u32, u32)>,
}

/// Everything that is stored of one agency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// The agency, from 1.
    pub agency: u32,
    /// Its bets.
    pub tally: Tally,
    /// True if it has closed.
    pub is_closed: bool,
}

/// A store of bets and closings.
pub trait Ledger {
    /// Starts to store `commit`. The caller has polled the outcome of the one before.
    fn begin(&mut self, commit: &Commit);

    /// The outcome of the commit in flight, once it is known. `None` until then, and where none is in flight.
    ///
    /// A ledger that learns it outside of `begin` [wakes](Ledger::wake_with) the loop's poll then: the loop sleeps
    /// meanwhile.
    fn poll(&mut self) -> Option<Outcome>;

    /// The next change of this server's part. It lies behind the outcomes that [`poll`](Ledger::poll) still gives.
    fn poll_change(&mut self) -> Option<Change> {
        None
    }

    /// True if several servers share the round. This one is then a standby until a [`Change`] makes it active, and no
    /// reply leaves without a commit: an empty one proves that this server is still active.
    fn is_shared(&self) -> bool {
        false
    }

    /// Takes the waker of the loop's poll.
    fn wake_with(&mut self, waker: mio::Waker) {
        drop(waker);
    }
}

/// The round that a recovered history adds up to.
pub trait Replay {
    /// Reason why a step can't be of this round.
    type Refusal: Error + 'static;

    /// Counts a step.
    ///
    /// # Errors
    /// The refusal of the step.
    fn replay(&mut self, step: Recovered<'_>) -> Result<(), Self::Refusal>;

    /// The draw, if every agency has closed.
    fn draw(&mut self) -> Option<Draw>;
}

/// One step of a recovered history, in the order in which it was stored.
#[derive(Clone, Copy, Debug)]
pub enum Recovered<'a> {
    /// The terms of the round. It is the first step, if any agency has closed.
    Terms(Terms),
    /// A bet.
    Bet(&'a Bet<'a>),
    /// A closing. It follows the bets of its agency.
    Closing(Closing),
}
