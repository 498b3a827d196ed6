//! The central's settings: `config.ini`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ini::Ini;

use super::{ConfigError, Key, Settings, agencies};
use crate::central::Limits;
use crate::central::credentials::Credentials;
use crate::ledger::file::SyncPolicy;
use crate::logging::Level;
use crate::protocol;

/// Where `config.ini` is looked for, from the working directory.
pub const PATHS: [&str; 3] = ["config.ini", "config/config.ini", "config/server/config.ini"];

/// What the central can be told.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Port to listen on; 0 for any free one.
    pub port: u16,
    /// Connections that the system queues for us.
    pub listen_backlog: i32,
    /// What is logged.
    pub logging_level: Level,
    /// How many agencies take part.
    pub num_agencies: u32,
    /// Where the bets are stored.
    pub storage_filepath: PathBuf,
    /// Whether a bet is acknowledged only once it would survive a power loss.
    pub storage_sync: SyncPolicy,
    /// What a peer may cost.
    pub limits: Limits,
    /// Which agencies may speak, if that is asked.
    pub credentials: Option<Credentials>,
}

const PORT: Key = key("SERVER_PORT", "12345", "TCP port to listen on, 0 to 65535; 0 takes any free one");
const IP: Key = key("SERVER_IP", "", "accepted and unused, as in the course's skeleton");
const BACKLOG: Key = key("SERVER_LISTEN_BACKLOG", "5", "connections that wait to be accepted, 1 to 65535");
const LEVEL: Key = key("LOGGING_LEVEL", "INFO", "DEBUG, INFO, NOTICE, WARNING, ERROR or CRITICAL");
const AGENCIES: Key = key("NUM_AGENCIES", "5", "agencies that take part, 0 to 100000; the draw waits for all of them");
const FILEPATH: Key =
    key("STORAGE_FILEPATH", "./bets.csv", "file of the bets; closings go beside it, into the same name with .closed");
const SYNC: Key = key(
    "STORAGE_SYNC",
    "always",
    "always: acknowledged bets survive a power loss; never: only the death of the process",
);
const AGENCIES_FILE: Key = key(
    "AGENCIES_FILE",
    "",
    "file with the credential of each agency, as lines of N = credential; takes the place of section AGENCIES; without either, whoever says to be an agency is one",
);
const CONNECTIONS: Key = key("MAX_CONNECTIONS", "10000", "connections at the same time, 1 to 1000000");
const MESSAGE_BYTES: Key = key("MAX_MESSAGE_BYTES", "65536", "bytes of one message, 8192 to 16777216");
const BATCH_BETS: Key = key("MAX_BATCH_BETS", "1024", "bets of one batch, 1 to 1000000");
const AGENCY_BETS: Key = key("MAX_AGENCY_BETS", "20000000", "bets of one agency, 1 to 4294967295");
const ECHO_LINE_BYTES: Key = key("MAX_ECHO_LINE_BYTES", "8192", "bytes of a line to echo, 1 to 1048576");
const ANONYMOUS_BYTES: Key = key(
    "MAX_ANONYMOUS_BYTES",
    "67108864",
    "bytes kept of unfinished messages of connections without an agency, together, 65536 to 1073741824",
);
const UNSENT_BYTES: Key =
    key("MAX_UNSENT_BYTES", "65536", "bytes of unread replies above which a connection is not read, 1024 to 16777216");
const TURN_BYTES: Key = key("MAX_TURN_BYTES", "131072", "bytes taken from one connection in a turn, 512 to 16777216");
const TURN_ANSWERS: Key = key("MAX_TURN_ANSWERS", "64", "replies to one connection in a turn, 1 to 65536");
const SILENCE: Key = key("SILENCE_TIMEOUT", "30s", "how long a connection may stay without saying whose it is");
const MESSAGE: Key = key("MESSAGE_TIMEOUT", "30s", "how long a message may take from its first byte to its last");
const UNREAD: Key = key("UNREAD_TIMEOUT", "30s", "how long replies may stay unread");

/// Every key of section `DEFAULT`.
pub const KEYS: [Key; 20] = [
    PORT,
    IP,
    BACKLOG,
    LEVEL,
    AGENCIES,
    FILEPATH,
    SYNC,
    AGENCIES_FILE,
    CONNECTIONS,
    MESSAGE_BYTES,
    BATCH_BETS,
    AGENCY_BETS,
    ECHO_LINE_BYTES,
    ANONYMOUS_BYTES,
    UNSENT_BYTES,
    TURN_BYTES,
    TURN_ANSWERS,
    SILENCE,
    MESSAGE,
    UNREAD,
];

const fn key(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, variable: name, default, meaning }
}

/// Reads what `environment` and the first of [`PATHS`] say.
///
/// # Errors
/// [`ConfigError::File`] if the file can't be read as INI.
pub fn settings(environment: impl IntoIterator<Item = (String, String)>) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(environment);
    if let Some((path, text)) = super::read_first(&PATHS)? {
        add_ini(&mut settings, &path, &text)?;
    }
    Ok(settings)
}

/// Adds what `text`, the `config.ini` at `path`, says.
///
/// # Errors
/// [`ConfigError::File`] if it is not INI.
pub fn add_ini(settings: &mut Settings, path: &Path, text: &str) -> Result<(), ConfigError> {
    let failed = |error: ini::ParseError| ConfigError::File { path: path.to_owned(), reason: error.to_string() };
    let ini = Ini::load_from_str_noescape(text).map_err(failed)?;
    // A misspelt AGENCIES would leave the door open.
    if let Some(name) = ini.sections().flatten().find(|name| *name != "DEFAULT" && !agencies::is_section(name)) {
        let reason = format!("section {name:?} is not one that is read, they are DEFAULT and AGENCIES");
        return Err(ConfigError::File { path: path.to_owned(), reason });
    }
    settings.add_file(path, default_section(&ini));
    settings.agencies = agencies::entries_of(&ini);
    Ok(())
}

/// The keys of section `DEFAULT` (in capitals, as Python's `configparser` does not tell them apart) and those before any section.
fn default_section(ini: &Ini) -> BTreeMap<String, String> {
    let sections = [ini.section(None::<String>), ini.section(Some("DEFAULT"))];
    let pairs = sections.into_iter().flatten().flat_map(|section| section.iter());
    let pairs = pairs.map(|(name, value)| (name.to_ascii_uppercase(), value.to_owned()));
    pairs.collect()
}

impl ServerConfig {
    /// What `settings` mean.
    ///
    /// # Errors
    /// The first value that is not valid.
    pub fn from_settings(settings: &Settings) -> Result<ServerConfig, ConfigError> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let num_agencies = settings.number(&AGENCIES, 0..=100_000)?;
        Ok(ServerConfig {
            port: settings.number(&PORT, 0..=65_535)?,
            listen_backlog: settings.number(&BACKLOG, 1..=65_535)?,
            logging_level: settings.require(&LEVEL, Level::NAMES, Level::from_name)?,
            num_agencies,
            storage_filepath: settings.require(&FILEPATH, "the path of a file", path)?,
            storage_sync: settings.require(&SYNC, "always or never", sync_from_name)?,
            limits: limits(settings)?,
            credentials: credentials(settings, num_agencies)?,
        })
    }
}

fn credentials(settings: &Settings, num_agencies: u32) -> Result<Option<Credentials>, ConfigError> {
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    if let Some(path) = settings.get(&AGENCIES_FILE, "the path of a file", path)? {
        return agencies::read_file(&path, num_agencies).map(Some);
    }
    let understand = |entries| agencies::understand_section(&settings.path, entries, num_agencies);
    settings.agencies.as_ref().map(understand).transpose()
}

fn limits(settings: &Settings) -> Result<Limits, ConfigError> {
    let duration = |key| -> Result<Duration, ConfigError> { settings.duration(key) };
    Ok(Limits {
        connections: settings.number(&CONNECTIONS, 1..=1_000_000)?,
        protocol: protocol::MessageLimits {
            message_bytes: settings.number(&MESSAGE_BYTES, protocol::MAX_PACKET_BYTES..=1 << 24)?,
            batch_bets: settings.number(&BATCH_BETS, 1..=1_000_000)?,
        },
        agency_bets: settings.number(&AGENCY_BETS, 1..=u64::from(u32::MAX))?,
        echo_line_bytes: settings.number(&ECHO_LINE_BYTES, 1..=1 << 20)?,
        anonymous_bytes: settings.number(&ANONYMOUS_BYTES, 1 << 16..=1 << 30)?,
        unsent_bytes: settings.number(&UNSENT_BYTES, 1024..=1 << 24)?,
        turn_bytes: settings.number(&TURN_BYTES, 512..=1 << 24)?,
        turn_answers: settings.number(&TURN_ANSWERS, 1..=65_536)?,
        silence: duration(&SILENCE)?,
        message: duration(&MESSAGE)?,
        unread: duration(&UNREAD)?,
    })
}
fn sync_from_name(name: &str) -> Option<SyncPolicy> {
    match name {
        "always" => Some(SyncPolicy::Always),
        "never" => Some(SyncPolicy::Never),
        _ => None,
    }
}
