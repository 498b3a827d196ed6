//! Lotería Nacional: agencies send bets to a central, which stores them, draws when all have finished, and tells each its
//! winners.
//!
//! # The way of a bet
//! 1. An agency reads it from a row of its file: [`client::source`].
//! 2. It becomes a part of a batch, and bytes: [`client::conversation`], [`protocol::Batch`].
//! 3. The central's loop reads those bytes, whichever pieces they come in: [`server::reactor`].
//! 4. They are cut into messages, and the message into bets: [`protocol::Scanner`], [`protocol::Message`], [`protocol::Bets`].
//! 5. It is checked, and staged as a row and a count: [`central`], [`bet::Bet::validate`], [`lottery`].
//! 6. With everything else of that turn of the loop it is written and synced, in one commit: [`ledger`].
//! 7. Only now the reply to its batch becomes bytes, and leaves.
//! 8. When every agency has closed, the lottery is drawn, and each agency that asked is told its own winners: [`lottery`].
//!
//! # The modules
//! Dependencies point downward only.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | an agency: its bets, its conversation, its patience |
//! | [`config`] | what both programs are told |
//! | [`server`] | the central: its loop, its sessions, its limits |
//! | [`logging`] | what both programs tell |
//! | [`grace`] | how both end when they can't end by themselves |
//! | [`ledger`] | the two files, their commits and their recovery |
//! | [`lottery`] | the rules, without any I/O |
//! | [`protocol`] | the wire, without any I/O |
//! | [`bet`] | the domain |
//! | [`buffer`] | what a row, a batch or a reply is put together in, where it leaves from |
//! | `planted` | mistakes on purpose, for the simulator to find (feature `planted-faults`) |
//!
//! `protocol.md` says what is on the wire; README says how to run it all.

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
