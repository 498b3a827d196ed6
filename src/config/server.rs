//! Configuration of the server: `config.ini`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use thiserror::Error;

use super::Kind::{Path, Text, Whole};
use super::database::{self, DatabaseConfig};
use super::key::{FromText, config, words};
use super::settings::FileSettings;
use super::tls::TlsServer;
use super::{ConfigError, Credential, Key, Kind, ListenIp, LogFormat, Program, Settings, agencies, ini_text, tls};
use crate::logging::Excerpt;

/// The server, as its configuration has it.
pub static PROGRAM: Program = Program {
    name: "server",
    file: "config.ini",
    prefix: None,
    parse: parse_ini,
    groups: &[("Settings, section DEFAULT", ServerConfig::KEYS), ("Limits, section DEFAULT", Limits::KEYS)],
};

words! {
    /// The point at which a commit is durable.
    SyncPolicy {
        /// Before it is acknowledged: it survives a power loss.
        Always = "always",
        /// Once the system writes it: it survives the death of the process, and no more.
        Never = "never",
    }
}

words! {
    /// The state of a service.
    Switch {
        /// It is offered.
        On = "on",
        /// It is refused.
        Off = "off",
    }
}

config! {
    /// Configuration of the server.
    ServerConfig {
        /// TCP port to listen on; 0 takes any free one
        port: u16 = "SERVER_PORT", "12345";
        /// address to listen on; if not set, or if it is a host name as in the course's file, every address
        ip: ListenIp = "SERVER_IP", "";
        /// connections that wait to be accepted
        listen_backlog: i32 = "SERVER_LISTEN_BACKLOG", "5", Whole(1, 65_535);
        /// least severe level that is logged
        logging_level: LevelFilter = "LOGGING_LEVEL", "INFO";
        /// form of the log's lines; journal: for the systemd journal, with priorities and without a time
        log_format: LogFormat = "LOG_FORMAT", "text";
        /// agencies of the round; the draw waits for all of them
        num_agencies: u32 = "NUM_AGENCIES", "5", Whole(0, 100_000);
        /// number that wins the draw; the first closing fixes it for the round
        winning_number: u32 = "WINNING_NUMBER", "7574", Whole(0, 9_999);
        /// pause between two lines of the log that name the agencies the draw waits for
        reminder_interval: Duration = "REMINDER_INTERVAL", "1m";
        /// file of the bets; its companions .closed, .state and .draw are beside it
        storage_filepath: PathBuf = "STORAGE_FILEPATH", "./bets.csv";
        /// always: acknowledged bets survive a power loss; never: they survive only the death of the process
        storage_sync: SyncPolicy = "STORAGE_SYNC", "always";
        /// address of the admin port: a page, /status.json, /metrics and /healthz over HTTP, and over HTTPS with
        /// TLS_CERTIFICATE_FILE, for whoever reaches it; if not set, there is none
        admin_address: Option<SocketAddr> = "ADMIN_ADDRESS", "";
    } and {
        /// Credential of each agency; if there are none, any client may act as any agency.
        credentials: Option<BTreeMap<u32, Credential>> = agencies::credentials {
            /// file with a line N = credential for each agency, in place of section AGENCIES;
            /// if neither is set, any client may act as any agency
            "AGENCIES_FILE", "", Path;
        }
        /// The database of the round, where several servers share it.
        database: Option<DatabaseConfig> = database::database {
            /// database that several servers share, in place of STORAGE_FILEPATH:
            /// postgresql://user@host1:5432,host2:5432/loteria, without a password
            "STORAGE_URL", "", Text;
            /// file with the password of STORAGE_URL, in place of PGPASSWORD; a line break at its end is ignored
            "STORAGE_PASSWORD_FILE", "", Path;
            /// password of STORAGE_URL
            "PGPASSWORD", "", Text;
            /// file of the certificate authorities that the database is checked against; if not set, TLS is not used
            "STORAGE_CA_FILE", "", Path;
            /// longest time for a transaction of STORAGE_URL, after which the round is taken over again
            "STORAGE_TIMEOUT", "60s", Kind::Duration;
        }
        /// TLS; `None` if no certificate is configured.
        tls: Option<TlsServer> = tls::server {
            /// file of the server's certificate in PEM, with those between it and the authority behind it; turns TLS on
            "TLS_CERTIFICATE_FILE", "", Path;
            /// file of its private key in PEM
            "TLS_KEY_FILE", "", Path;
            /// file of the authority of agencies' certificates: one for agency-N speaks for agency N without a credential, and
            /// an agency needs one of the two
            "TLS_CLIENT_CA_FILE", "", Path;
            /// true: plain connections are refused
            "TLS_REQUIRED", "false", bool::KIND;
            /// longest time for a TLS handshake
            "TLS_HANDSHAKE_TIMEOUT", "10s", Kind::Duration;
        }
        /// Bounds on what clients can take.
        limits: Limits = Limits::from_settings {}
    }
}

config! {
    /// Bounds on the connections, memory and time that clients can take.
    Limits {
        /// connections at the same time; room for NUM_AGENCIES and 16 more is kept in any case
        connections: usize = "MAX_CONNECTIONS", "10000", Whole(1, 1_000_000);
        /// bytes of one message
        message_bytes: usize = "MAX_MESSAGE_BYTES", "65536", Whole(8192, 1 << 24);
        /// bets of one batch
        batch_bets: u32 = "MAX_BATCH_BETS", "1024", Whole(1, 1_000_000);
        /// bets of one agency
        agency_bets: u64 = "MAX_AGENCY_BETS", "20000000", Whole(1, u32::MAX as u64);
        /// echo of lines (exercises 1 to 4); if not set, on where no credentials are asked for
        echo: Option<Switch> = "ECHO", "";
        /// bytes of a line to echo
        echo_line_bytes: usize = "MAX_ECHO_LINE_BYTES", "8192", Whole(1, 1 << 20);
        /// bytes kept of unfinished messages, over all connections without an agency
        anonymous_bytes: usize = "MAX_ANONYMOUS_BYTES", "67108864", Whole(1 << 16, 1 << 30);
        /// bytes of unread replies above which a connection is not read
        unsent_bytes: usize = "MAX_UNSENT_BYTES", "65536", Whole(1024, 1 << 24);
        /// bytes read from one connection in a turn
        turn_bytes: usize = "MAX_TURN_BYTES", "131072", Whole(512, 1 << 24);
        /// replies to one connection in a turn
        turn_answers: usize = "MAX_TURN_ANSWERS", "64", Whole(1, 65_536);
        /// longest time until a connection identifies its agency
        silence: Duration = "SILENCE_TIMEOUT", "30s";
        /// longest time from the first byte of a message to its last
        message: Duration = "MESSAGE_TIMEOUT", "30s";
        /// longest time that replies may stay unread
        unread: Duration = "UNREAD_TIMEOUT", "30s";
    }
}

#[derive(Debug, Error)]
#[error("{:?} is set twice; keep one of the two", Excerpt(.0))]
struct SetTwice<'a>(&'a str);

/// Reads section `DEFAULT` and the lines before any section, in capitals as Python's `configparser` does not tell them apart,
/// and section `AGENCIES`.
fn parse_ini(text: &str) -> Result<FileSettings, String> {
    let ini = ini_text::parse(text).map_err(|error| error.to_string())?;
    // A misspelt AGENCIES would leave the door open.
    if let Some(name) = ini.sections().flatten().find(|name| *name != "DEFAULT" && !agencies::is_section(name)) {
        return Err(format!("section {:?} is not one that is read, they are DEFAULT and AGENCIES", Excerpt(name)));
    }
    let mut values = BTreeMap::new();
    for (_, section) in ini.iter().filter(|(name, _)| name.is_none_or(|name| !agencies::is_section(name))) {
        for (name, value) in section.iter() {
            // One of the two would be ignored, and it may be the one that was edited.
            if values.insert(name.to_ascii_uppercase(), value.to_owned()).is_some() {
                return Err(SetTwice(name).to_string());
            }
        }
    }
    Ok(FileSettings { values, agencies: agencies::entries_of(&ini) })
}

/// Connections beyond one for each agency. They are those of newcomers, which have not said whose they are yet.
const SPARE_CONNECTIONS: usize = 16;

impl Limits {
    /// Connections at the same time, in a round of so many agencies. With fewer, agencies that are connected would keep
    /// others out.
    pub fn connections_of(&self, agencies: u32) -> usize {
        self.connections.max(agencies as usize + SPARE_CONNECTIONS)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::from_settings(&Settings::new(&PROGRAM, [])).expect("every default is valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_set_twice_is_named_and_none_is_ignored() {
        for text in [
            "A = 1\nA = 2\n",
            "[DEFAULT]\nA = 1\na = 1\n",
            "A = 1\n[DEFAULT]\nA = 2\n",
            "[DEFAULT]\nA=1\n[DEFAULT]\nA=2\n",
        ] {
            let error = parse_ini(text).err();
            assert!(error.as_ref().is_some_and(|error| error.contains("is set twice")), "{text:?}: {error:?}");
        }
        let file = parse_ini("A = 1\n[DEFAULT]\nB = 2\n[AGENCIES]\nA = 1\n[DEFAULT]\nC = 3\n").expect("no key twice");
        assert_eq!(file.values.keys().collect::<Vec<_>>(), ["A", "B", "C"]);
    }
}
