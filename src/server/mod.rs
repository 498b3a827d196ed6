//! The server's shell: it carries bytes between sockets and the [core](crate::central), and commits to the
//! [ledger](crate::ledger).
//!
//! One thread runs all of it, so nothing is shared and nothing is locked.
//!
//! | module | contents |
//! |---|---|
//! | [`reactor`] | the loop: `Poll`, tokens, signals |
//! | [`turn`] | one turn: read, expire, commit, write. The simulator runs it, too |
//! | [`part`] | active, suspended, standby: a round that several servers share |
//! | [`schedule`] | the connection that is read next, how much, for how long |
//! | `connection` | a socket, its readiness, its end |
//! | `transport` | plain bytes or TLS |
//! | `listener` | accepting, also without room |
//! | `deadlines` | the connection that is due next |
//! | `commit_times` | durations of commits |
//! | [`admin`] | the round over HTTP: page, metrics, health |
//! | `notify` | the service manager |
//! | `report` | the status line, reminders of missing agencies |
//! | [`descriptors`] | the number of connections that the system allows |

pub mod admin;
mod commit_times;
mod connection;
mod deadlines;
pub mod descriptors;
mod listener;
mod notify;
pub mod part;
pub mod reactor;
mod report;
pub mod schedule;
mod transport;
pub mod turn;

pub use connection::Socket;
pub use listener::listen;
