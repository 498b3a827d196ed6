//! A round in a database that several servers share: the real worker, ledger, turn, core and conversation, over a database
//! of this world.
//!
//! Transactions are atomic, and everything around them fails. Connections end before, in and behind a commit; a session
//! whose server is gone goes on for a while and may still commit; the lock of the active server is lost; a wait for the
//! synchronous standby is cut short; a failover takes back what was not replicated, and the old primary lives on, cut off.
//! Servers die and freeze, and wake up when another has taken over.
//!
//! | module | contents |
//! |---|---|
//! | `primary` | a database server: its log, its locks and its sessions |
//! | `session` | the worker's steps, as requests to a primary |
//! | `member` | a server: process, worker, network |
//! | `round` | the world and its steps |
//! | `trouble` | misfortunes |

mod member;
mod primary;
mod round;
mod session;
mod trouble;

pub use round::Round;
