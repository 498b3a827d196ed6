//! The server: carries bytes between its sockets and the [`central`](crate::central).

mod commits;
mod deadlines;
pub mod descriptors;
mod pace;
pub mod reactor;
