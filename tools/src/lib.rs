//! Fixtures that the tool, the tests and the benchmarks share: the programs as real processes on this machine.
//!
//! [`Process`] runs a program and collects its log, [`run_on_terminal`] runs one on a terminal, [`check`] compares the stored
//! bets with those that were sent, and [`http`] asks a server for what it shows.

pub mod certificates;
pub mod check;
pub mod http;
mod process;
mod stream;
mod terminal;
mod usage;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use process::{Ended, Process};
pub use stream::Stream;
pub use terminal::{run_on_terminal, terminal};
pub use usage::Usage;

/// Paths of the programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The server.
    pub server: PathBuf,
    /// An agency.
    pub client: PathBuf,
    /// The tool.
    pub loteria: PathBuf,
}

impl Programs {
    /// The programs that were built together with the running one: beside it, or one folder above `deps`.
    ///
    /// # Errors
    /// The path of the running program is unknown.
    pub fn beside_this() -> std::io::Result<Programs> {
        let this = std::env::current_exe()?;
        // Cargo puts tests and benchmarks into `deps`, one folder below the programs.
        let folder = this.parent().unwrap_or(Path::new("."));
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        let [server, client, loteria] = ["server", "client", "loteria"].map(|name| folder.join(name));
        Ok(Programs { server, client, loteria })
    }

    /// A server that works in `folder`, on any free port. Its environment is empty but for what is added.
    pub fn server(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.server);
        command.env_clear().env("SERVER_PORT", "0").current_dir(folder);
        command
    }

    /// An agency that works in `folder`, for the server on `port` of this machine.
    pub fn client(&self, folder: &Path, id: u32, port: u16) -> Command {
        let mut command = Command::new(&self.client);
        command.env_clear().env("CLI_ID", id.to_string()).current_dir(folder);
        command.env("CLI_SERVER_ADDRESS", format!("127.0.0.1:{port}"));
        command
    }
}

/// The port that a server listens on, once it has logged it.
pub fn port_of(server: &Process) -> Option<u16> {
    let line = server.wait_for("action: listen | result: success")?;
    field(&line, "port")?.parse().ok()
}

/// The value of `key` in a line of the log contract.
///
/// ```
/// let line = "2026-11-21 10:00:00 INFO  [server] action: listen | result: success | ip: 0.0.0.0 | port: 12345";
/// assert_eq!(loteria_tools::field(line, "port"), Some("12345"));
/// assert_eq!(loteria_tools::field(line, "action"), Some("listen"));
/// ```
pub fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, message) = line.split_once("] ")?;
    let pairs = message.split(" | ").filter_map(|pair| pair.split_once(": "));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The files `agency-1.csv`, `agency-2.csv`, ... of `folder`, up to the first that is missing.
pub fn agency_files(folder: &Path) -> Vec<PathBuf> {
    (1..).map(|agency| folder.join(format!("agency-{agency}.csv"))).take_while(|file| file.is_file()).collect()
}
