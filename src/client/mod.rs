//! An agency: where its bets come from, what it says to the central, and how it goes on after whatever breaks.
//!
//! | module | what it is |
//! |---|---|
//! | [`source`] | bets, one at a time: from a file, or the one of the environment |
//! | [`conversation`] | what is said and what is understood, as bytes: it never touches a socket |
//! | [`agency`] | a conversation over a connection, and over the next one if that breaks |
//! | [`echo`] | the other client of the course: lines, and back |
//! | [`interrupt`] | SIGTERM and SIGINT, wherever the client blocks |
//! | [`pauses`] | how long to wait before trying again |

pub mod agency;
pub mod conversation;
pub mod echo;
pub mod interrupt;
pub mod pauses;
mod rows;
pub mod source;

use thiserror::Error;

use conversation::Failure;
use interrupt::Interrupted;

/// Why a client ends without having done its work.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A signal came.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Trying again would not help.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Trying again has not helped for as long as it is configured to.
    #[error("{why}; gave up after trying for {tried}, see retry.timeout")]
    GaveUp {
        /// What went wrong last.
        why: String,
        /// How long it was tried.
        tried: String,
    },
}
