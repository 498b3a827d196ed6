//! An agency: the source of its bets, its conversation with the server, and its recovery from broken connections.
//!
//! | module | contents |
//! |---|---|
//! | [`source`] | bets, one at a time, from a file or from the environment |
//! | [`conversation`] | the agency's side of the protocol, as bytes: it has no socket |
//! | [`agency`] | a conversation over one connection, and over the next one if that breaks |
//! | [`echo`] | the client of exercises 1 to 4, which sends lines and reads them back |
//! | [`servers`] | the active server and its standbys, tried in turn |
//! | [`link`] | a connection, plain or over TLS |
//! | [`interrupt`] | SIGTERM and SIGINT, at any point where the client blocks |
//! | [`pauses`] | the time between two attempts to connect |
//! | [`progress`] | a progress bar, or lines of the log |

pub mod agency;
pub mod conversation;
pub mod echo;
pub mod interrupt;
pub mod link;
pub mod pauses;
pub mod progress;
pub mod servers;
pub mod source;

use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::{ConfigError, show_duration};
use conversation::Failure;
use interrupt::Interrupted;
use pauses::Pauses;

/// Reason why a client ends with its work not done.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A signal arrived.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Another attempt would not help.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The connection broke after bets were sent without Hello.
    #[error(
        "{why}; without Hello the stored bets are unknown, so nothing is sent again: compare with the server's bets.csv, see handshake"
    )]
    Unsure {
        /// Error of the connection.
        why: String,
    },
    /// A file of TLS can't be used.
    #[error(transparent)]
    Tls(#[from] ConfigError),
    /// The server and the agency do not trust each other.
    #[error("{server_address}: {why}")]
    NotTrusted {
        /// Address of the server, as configured.
        server_address: String,
        /// Error of the connection.
        why: String,
    },
    /// Attempts failed for as long as `retry.timeout`.
    #[error("{server_address}: {why}; gave up after trying for {}, see retry.timeout", show_duration(*.tried))]
    GaveUp {
        /// Address of the server, as configured.
        server_address: String,
        /// Error of the last attempt.
        why: String,
        /// Time from the first failure to the last, in whole milliseconds.
        tried: Duration,
    },
}

impl ClientError {
    fn gave_up(server_address: &str, why: String, pauses: &Pauses) -> ClientError {
        let tried = pauses.failing_for(Instant::now());
        let tried = Duration::from_millis(tried.as_millis() as u64);
        ClientError::GaveUp { server_address: server_address.to_owned(), why, tried }
    }
}
