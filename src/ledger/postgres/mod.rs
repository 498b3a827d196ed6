//! The PostgreSQL ledger: one round in a database that several servers share, of which one is active.
//!
//! The loop never waits for the database. A [`PostgresLedger`] puts each commit on a desk, and a helper thread, the
//! [`worker`], stores it as one transaction and puts the outcome back. `docs/cluster.md` has the proof of what holds and
//! what it relies on.
//!
//! | module | contents |
//! |---|---|
//! | [`worker`] | the reasoning: the lock, the epoch, takeover, doubt |
//! | [`database`] | the steps that the worker is made of, as traits; the simulator has a database of its own |
//! | [`transaction`] | a commit as rows for a binary COPY and totals |
//! | `desk` | orders and news between the loop and the worker |
//! | `client` | the steps in SQL (feature `postgres`) |
//! | `schema` | the tables (feature `postgres`) |
//! | `address` | `STORAGE_URL`, the password, TLS (feature `postgres`) |
//! | `rows` | the bets in one snapshot, for the tools (feature `postgres`) |
//! | `export` | `bets.csv` from the database (feature `postgres`) |
//! | `inspect` | the whole round from the database (feature `postgres`) |

#[cfg(feature = "postgres")]
mod address;
#[cfg(feature = "postgres")]
mod client;
pub mod database;
mod desk;
#[cfg(feature = "postgres")]
mod export;
#[cfg(feature = "postgres")]
mod inspect;
#[cfg(feature = "postgres")]
mod rows;
#[cfg(feature = "postgres")]
mod schema;
pub mod transaction;
pub mod worker;

#[cfg(feature = "postgres")]
pub use address::{Address, AddressError};
#[cfg(feature = "postgres")]
pub use client::start;
pub use desk::Desk;
#[cfg(feature = "postgres")]
pub use export::{ExportError, export};
#[cfg(feature = "postgres")]
pub use inspect::{InspectError, Inspection, inspect};
#[cfg(feature = "postgres")]
pub use rows::RowsError;

use super::{Change, Commit, Ledger, Outcome};
use desk::Order;

/// The loop's side of the desk.
#[derive(Debug, Default)]
pub struct PostgresLedger {
    desk: Desk,
    /// The number of times that this server has become active.
    term: u64,
}

impl PostgresLedger {
    /// A ledger whose orders a [worker](worker::work) at `desk` stores.
    pub fn new(desk: Desk) -> PostgresLedger {
        PostgresLedger { desk, term: 0 }
    }
}

impl Ledger for PostgresLedger {
    fn begin(&mut self, commit: &Commit) {
        self.desk.submit(Order { term: self.term, rows: commit.rows.to_vec(), advances: commit.advances.clone() });
    }

    fn poll(&mut self) -> Option<Outcome> {
        self.desk.take_outcome()
    }

    fn poll_change(&mut self) -> Option<Change> {
        let change = self.desk.take_change()?;
        if let Change::Active(_) = change {
            self.term += 1;
        }
        Some(change)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn wake_with(&mut self, waker: mio::Waker) {
        self.desk.wake_with(waker);
    }
}

impl Drop for PostgresLedger {
    fn drop(&mut self) {
        self.desk.close();
    }
}
