//! Lotería Nacional: agencies send bets to a server, which stores them, draws once when every agency has closed, and tells
//! each agency its own winners.
//!
//! # The way of a bet
//! At the agency:
//! 1. [`bet::Rows`] reads it from a row of the agency's file.
//! 2. [`client::source`] adds it to a [`protocol::Batch`], which writes its bytes.
//! 3. [`client::conversation`] decides when the batch is sent, and [`client::agency`] sends it.
//!
//! At the server:
//! 1. [`server::turn`] reads a slice of bytes from the connection whose turn it is ([`server::schedule`]).
//! 2. `central::requests` cuts the bytes into messages ([`protocol::Scanner`], [`protocol::Message`]).
//! 3. [`protocol::Bets`] decodes the bets of a batch one by one.
//! 4. `central::batch` checks each and stages all of them: their rows ([`bet`]) and their counts ([`lottery`]).
//! 5. [`central::Central::seal`] makes one [`ledger::Commit`] of everything that the turn has staged.
//! 6. [`ledger::file`] writes and syncs it; [`ledger::postgres`], in its place, stores it as one transaction.
//! 7. [`central::Central::settle`] makes the counts final.
//! 8. `central::replies` turns the reply to the batch into bytes. Only now it exists, and only now it leaves.
//!
//! The draw happens with the commit of the last closing, which also stores its certificate. Then each agency that asked is
//! told its own winners.
//!
//! # The way of a connection
//! [`server::reactor`] accepts it and registers it with the poll under its [`central::ConnectionId`]. Each turn gives
//! what arrived to [`central::Central::on`] and asks [`central::Central::wants`] what the connection needs next. Its
//! session is `Silent`, then `Echo` or `Anonymous`, then `Agency`, then `Closing` (`central::session`). After its last
//! reply it lingers until the peer has ended its side, for a second at most (`server::connection`).
//!
//! Its first byte decides the transport (`server::transport`): plain, or TLS, which [`tls::Channel`] decrypts before the
//! core sees a byte.
//!
//! # The way of SIGTERM
//! It is a token of the same poll. The turn in progress is completed with its commit and its replies; then every agency is
//! told code 12, everything is closed, and the program ends with code 0. A thread of its own ends it after
//! [a grace period](grace) if the loop is blocked in the disk.
//!
//! # The modules
//! Dependencies point downward only.
//!
//! | module | contents |
//! |---|---|
//! | [`server`] | the shell of the server: sockets, poll, turns, schedule |
//! | [`central`] | the server without I/O: sessions, requests, replies |
//! | [`client`] | an agency: its bets, its conversation, its retries |
//! | [`ledger`] | durability: the seam, the files of a round, and PostgreSQL |
//! | [`lottery`] | the rules of a round, pure |
//! | [`protocol`] | messages to bytes and back, pure |
//! | [`bet`] | the domain: a bet, its rows, and the fast room behind them |
//! | [`config`] | settings of both programs |
//! | [`tls`] | TLS of both programs, without I/O |
//! | [`logging`], [`grace`] | the log contract; the end of a blocked program |
//! | [`buffer`] | bytes put together where they leave from |
//! | `planted` | deliberate mistakes for the simulator (feature `planted-faults`) |
//!
//! `protocol.md` specifies the wire, README leads to the other pages, and `docs/mio-patterns.md` maps the patterns of a mio
//! server to the files that show them.

pub mod bet;
pub mod buffer;
pub mod central;
pub mod client;
pub mod config;
pub mod grace;
pub mod ledger;
pub mod logging;
pub mod lottery;
#[cfg(not(feature = "planted-faults"))]
mod planted;
#[cfg(feature = "planted-faults")]
pub mod planted;
pub mod protocol;
pub mod server;
pub mod tls;
