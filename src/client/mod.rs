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
//! | [`progress`] | how far it has come, for whoever looks |

pub mod agency;
pub mod conversation;
pub mod echo;
pub mod interrupt;
pub mod pauses;
pub mod progress;
pub mod source;

use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::show_duration;
use conversation::Failure;
use interrupt::Interrupted;
use pauses::Pauses;

/// Why a client ends without having done its work.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A signal came.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Trying again would not help.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The connection broke after bets were sent without Hello.
    #[error(
        "{why}; without Hello nobody can say which bets are stored, so nothing is sent again: compare with the central's bets.csv, see handshake"
    )]
    Unsure {
        /// What went wrong.
        why: String,
    },
    /// Trying again has not helped for as long as it is configured to.
    #[error("{server_address}: {why}; gave up after trying for {tried}, see retry.timeout")]
    GaveUp {
        /// The central's, as configured.
        server_address: String,
        /// What went wrong last.
        why: String,
        /// How long it was tried.
        tried: String,
    },
}

impl ClientError {
    fn gave_up(server_address: &str, why: String, pauses: &Pauses) -> ClientError {
        let tried = pauses.failing_for(Instant::now());
        let tried = show_duration(Duration::from_millis(tried.as_millis() as u64));
        ClientError::GaveUp { server_address: server_address.to_owned(), why, tried }
    }
}
