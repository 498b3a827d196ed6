//! The database as the [worker](super::worker) uses it: a few steps, each of which happens or does not.
//!
//! The worker holds the reasoning, and this is its seam: `client` (feature `postgres`) speaks to PostgreSQL behind it,
//! and the simulator has a database of its own.

use std::future::Future;
use std::time::Duration;

use super::transaction::Transaction;
use crate::ledger::{Standing, Terms};

/// A way to sessions of a database, and to the time.
pub trait Database {
    /// A session.
    type Session: Session;

    /// Opens a session on the host that takes writes.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Session, Failure>>;

    /// Waits for `time`.
    fn pause(&mut self, time: Duration) -> impl Future<Output = ()>;
}

/// A session. Dropping it closes the connection, without a request to cancel anything: a cancelled wait for a synchronous
/// standby commits locally.
pub trait Session {
    /// Tries to get the lock of the active server, which the session holds until it ends. False if another session has it.
    fn try_lock(&mut self) -> impl Future<Output = Result<bool, Failure>>;

    /// Creates or checks the tables, begins the next epoch and commits it. Returns its number.
    ///
    /// The commit waits for the last transaction of the epoch before, and no later transaction of that epoch commits.
    fn begin_epoch(&mut self, terms: Terms) -> impl Future<Output = Result<Committed<u64>, Failure>>;

    /// Reads what is stored.
    fn read(&mut self) -> impl Future<Output = Result<Standing, Failure>>;

    /// Stores `transaction` if the current epoch is `epoch`: all of it or nothing. An empty one only checks the epoch.
    fn store(&mut self, epoch: u64, transaction: &Transaction) -> impl Future<Output = Result<Committed<()>, Failure>>;

    /// Finds out if the session is still there.
    fn check(&mut self) -> impl Future<Output = Result<(), Failure>>;
}

/// The answer to a COMMIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// The value that the transaction gave.
    pub value: T,
    /// The warning that came with the answer. A wait for a synchronous standby that was cut short commits locally and only
    /// warns.
    pub warning: Option<String>,
}

/// Reason why a step has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The database has refused it, nothing of it is stored, and the session goes on.
    Refused(String),
    /// Another epoch has begun. Nothing of the transaction is stored.
    Fenced,
    /// The session has ended, or does not answer in time. What became of the step is not known.
    Lost(String),
    /// The database can't be used with these settings.
    Unusable(String),
}
