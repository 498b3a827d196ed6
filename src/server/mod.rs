//! The central: [`central`] is what it does, [`reactor`] carries bytes to it and from it.
//!
//! The server never acts in the middle of an event. A turn of its loop is: poll; read what is ready, a bounded amount
//! from each connection; apply every complete message; commit once; release the replies; write what can be written.
//! One thread runs it, so nothing is shared and nothing is locked, and one commit serves every batch of a turn.

pub mod central;
mod commits;
pub mod credentials;
mod deadlines;
pub mod descriptors;
mod limits;
mod pace;
pub mod reactor;
mod session;

pub use limits::Limits;
