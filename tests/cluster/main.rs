//! The promises of a round that several servers share, on the real programs over a real PostgreSQL. Servers, databases and
//! connections die in the middle of it, again and again, and every bet is stored once and in order.
//!
//! `make test-cluster` runs it. It needs Debian's package `postgresql`.

mod configuration;
mod database;
mod failures;
mod proxy;
mod round;
mod tools;
