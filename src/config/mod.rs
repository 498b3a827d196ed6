//! Configuration of both programs: plain structs, filled from the environment, a file and defaults.
//!
//! Each key is one row of [`server`] or [`client`]. Its field, its parser, its line of `--help`, its row in docs/configuration.md and
//! its tests follow from that row.
//!
//! | module | content |
//! |---|---|
//! | [`server`], [`client`] | the keys and the files of each program |
//! | `key` | a key, its kind of values and the macro that declares it |
//! | `settings` | precedence: the environment, the file, the default |
//! | `program` | reading both, `--help`, `--version` |
//! | `ini_text` | INI, and what is said of text that is not |
//! | `log_format` | the form of the log's lines |
//! | `listen_ip` | the address to listen on |
//! | `agencies`, `credential` | secrets, which no error shows |
//! | `database` | the database that several servers share |
//! | [`tls`] | certificates |
//! | `duration` | durations in Go's notation |

mod agencies;
pub mod client;
mod credential;
mod database;
mod duration;
mod ini_text;
mod key;
mod listen_ip;
mod log_format;
mod program;
pub mod server;
mod settings;
pub mod tls;

use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;

use crate::logging::Excerpt;

#[cfg(feature = "tls")]
pub(crate) use credential::read_secret;
pub use credential::{Credential, InvalidCredential, MAX_CREDENTIAL_BYTES, WEAK_CREDENTIAL_BYTES};
pub use database::{DatabaseConfig, Password};
pub use duration::{parse_duration, show_duration};
pub use key::{Key, Kind};
pub use listen_ip::ListenIp;
pub use log_format::LogFormat;
pub use program::Program;
pub use settings::Settings;

/// Exit code of a program whose configuration has an error: EX_CONFIG of sysexits(3head).
pub const EX_CONFIG: u8 = 78;

/// An error of the configuration.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value is not valid.
    #[error("{place}: {:?} is not valid, it must be {valid}", Excerpt(value))]
    Invalid {
        /// The variable, or the key and its file.
        place: String,
        /// The value.
        value: String,
        /// Valid values.
        valid: String,
    },
    /// A value is needed and not set.
    #[error("{variable} is not set, it must be {valid}")]
    Missing {
        /// The environment variable.
        variable: &'static str,
        /// Valid values.
        valid: String,
    },
    /// A secret is not valid. Its value is not shown.
    #[error("{name} ({variable}): {reason}")]
    Secret {
        /// The key's name in the file.
        name: &'static str,
        /// Its environment variable.
        variable: &'static str,
        /// The reason.
        reason: String,
    },
    /// A variable is not text. Its value is not shown: it may be a secret.
    #[error("{variable} is not text in UTF-8")]
    NotText {
        /// The environment variable.
        variable: &'static str,
    },
    /// A file can't be read or parsed.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

impl ConfigError {
    /// The exit code of a program that it ends.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(EX_CONFIG)
    }
}
