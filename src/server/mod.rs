//! The central: [`central`] is what it does, [`reactor`] carries bytes to it and from it.
//!
//! The server never acts in the middle of an event. A turn of its loop is: poll; read what is ready, a bounded amount
//! from each connection; apply every complete message; commit once; release the replies; write what can be written.
//! One thread runs it, so nothing is shared and nothing is locked, and one commit serves every batch of a turn.
//!
//! | module | what it is |
//! |---|---|
//! | [`reactor`] | the loop, the sockets, the signals |
//! | `pace` | how long a turn may go on reading |
//! | `deadlines` | which session is due next |
//! | `commits` | how long commits take |
//! | [`central`] | sessions, lottery and storage together, without a socket |
//! | `session` | one connection as the central sees it |
//! | `limits`, [`credentials`], [`descriptors`] | what a peer may cost, which agencies may speak, how many connections the system allows |

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
