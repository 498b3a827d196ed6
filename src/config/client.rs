//! An agency's settings: `config.yaml`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_yaml::Value;

use super::{ConfigError, Key, Settings, read_secret};
use crate::logging::Level;
use crate::protocol::Credential;

/// Where `config.yaml` is looked for, from the working directory.
pub const PATHS: [&str; 3] = ["config.yaml", "config/config.yaml", "config/client/config.yaml"];

/// What an agency can be told.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Which agency it is.
    pub id: u32,
    /// The central's `host:port`.
    pub server_address: String,
    /// What it does.
    pub mode: Mode,
    /// Echo: how many messages.
    pub loop_amount: u32,
    /// Echo: how long from one to the next.
    pub loop_period: Duration,
    /// What is logged.
    pub log_level: Level,
    /// The most bets of a batch.
    pub batch_max_amount: u32,
    /// The most batches that are sent and not answered.
    pub batch_window: usize,
    /// Whether it says Hello, and can go on where it stopped.
    pub handshake: bool,
    /// What proves that it is that agency; empty where nothing is asked.
    pub credential: Credential,
    /// How long it goes on trying to reach the central without getting any further.
    pub retry_timeout: Duration,
    /// How long it waits for a reply, but for the winners.
    pub reply_timeout: Duration,
    /// Where its bets come from.
    pub bets: BetsFrom,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Exercises 5 to 8: bets to the central.
    Lottery,
    /// Exercises 1 to 4: lines, and back.
    Echo,
}

impl Mode {
    fn from_name(name: &str) -> Option<Mode> {
        [Mode::Lottery, Mode::Echo].into_iter().find(|mode| mode.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Lottery => "lottery",
            Mode::Echo => "echo",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the bets of an agency come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BetsFrom {
    /// The environment: one bet, its fields as they were written.
    Environment(BetVariables),
    /// A file of the course's format.
    File(PathBuf),
}

/// The five environment variables of exercise 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetVariables {
    /// `NOMBRE`
    pub first_name: String,
    /// `APELLIDO`
    pub last_name: String,
    /// `DOCUMENTO`
    pub document: String,
    /// `NACIMIENTO`
    pub birthdate: String,
    /// `NUMERO`
    pub number: String,
}

const ID: Key = key("id", "CLI_ID", "", "number of the agency, from 1; needed");
const ADDRESS: Key = key("server.address", "CLI_SERVER_ADDRESS", "server:12345", "host:port of the central");
const MODE: Key =
    key("mode", "CLI_MODE", "lottery", "lottery: send bets (exercises 5 to 8); echo: send lines (exercises 1 to 4)");
const LOOP_AMOUNT: Key = key("loop.amount", "CLI_LOOP_AMOUNT", "5", "echo: how many messages, 0 to 4294967295");
const LOOP_PERIOD: Key = key("loop.period", "CLI_LOOP_PERIOD", "5s", "echo: how long from one message to the next");
const LEVEL: Key = key("log.level", "CLI_LOG_LEVEL", "INFO", "DEBUG, INFO, NOTICE, WARNING, ERROR or CRITICAL");
const MAX_AMOUNT: Key = key(
    "batch.maxAmount",
    "CLI_BATCH_MAXAMOUNT",
    "148",
    "bets of a batch at most, 1 to 65535; 8192 bytes are never exceeded",
);
const WINDOW: Key =
    key("batch.window", "CLI_BATCH_WINDOW", "32", "batches sent and not yet answered at most, 1 to 128");
const BETS_FILE: Key = key(
    "bets.file",
    "CLI_BETS_FILE",
    "",
    "file of bets; if not set, agency.csv or .data/agency-{CLI_ID}.csv, whichever exists",
);
const HANDSHAKE: Key = key(
    "handshake",
    "CLI_HANDSHAKE",
    "true",
    "true: say Hello and go on where the last run stopped; false: for centrals that do not know it",
);
const CREDENTIAL: Key = key(
    "agency.credential",
    "CLI_AGENCY_CREDENTIAL",
    "",
    "what proves that it is that agency, at most 255 bytes, where the central asks for it",
);
const CREDENTIAL_FILE: Key = key(
    "agency.credentialFile",
    "CLI_AGENCY_CREDENTIAL_FILE",
    "",
    "file that holds the credential instead, as Docker mounts secrets; a line break at its end does not count",
);
const RETRY: Key = key(
    "retry.timeout",
    "CLI_RETRY_TIMEOUT",
    "60s",
    "how long to go on trying to reach the central without getting any further",
);
const REPLY: Key = key(
    "reply.timeout",
    "CLI_REPLY_TIMEOUT",
    "30s",
    "how long to wait for a reply before connecting again; winners are waited for without end",
);

const VALID_HANDSHAKE: &str = "true or false";

/// Every key of the file.
pub const KEYS: [Key; 14] = [
    ID,
    ADDRESS,
    MODE,
    LOOP_AMOUNT,
    LOOP_PERIOD,
    LEVEL,
    MAX_AMOUNT,
    WINDOW,
    BETS_FILE,
    HANDSHAKE,
    CREDENTIAL,
    CREDENTIAL_FILE,
    RETRY,
    REPLY,
];

const FIRST_NAME: Key = key("", "NOMBRE", "", "first name of the one bet to send (exercise 5)");
const LAST_NAME: Key = key("", "APELLIDO", "", "its last name");
const DOCUMENT: Key = key("", "DOCUMENTO", "", "its document");
const BIRTHDATE: Key = key("", "NACIMIENTO", "", "its birthdate, as YYYY-MM-DD");
const NUMBER: Key = key("", "NUMERO", "", "its number");

/// The variables that make a client send one bet and end. All of them or none.
pub const BET_KEYS: [Key; 5] = [FIRST_NAME, LAST_NAME, DOCUMENT, BIRTHDATE, NUMBER];

const fn key(name: &'static str, variable: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, variable, default, meaning }
}

/// Reads what `environment` and the first of [`PATHS`] say.
///
/// # Errors
/// [`ConfigError::File`] if the file can't be read as YAML.
pub fn settings(environment: impl IntoIterator<Item = (String, String)>) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(environment);
    if let Some((path, text)) = super::read_first(&PATHS)? {
        let values = parse_yaml(&text).map_err(|reason| ConfigError::File { path: path.clone(), reason })?;
        settings.add_file(&path, values);
    }
    Ok(settings)
}

/// The scalars of a YAML mapping of mappings, by their paths: `server.address`.
///
/// # Errors
/// Where and why `text` is not such a mapping.
pub fn parse_yaml(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    match serde_yaml::from_str(text).map_err(|error| error.to_string())? {
        Value::Null => {}
        root @ Value::Mapping(_) => flatten("", &root, &mut values)?,
        _ => return Err("must be a mapping of keys to values".to_owned()),
    }
    Ok(values)
}

fn flatten(path: &str, value: &Value, values: &mut BTreeMap<String, String>) -> Result<(), String> {
    match value {
        Value::Mapping(mapping) => {
            for (name, value) in mapping {
                let name = scalar(name).ok_or_else(|| format!("a key under {path:?} is not a word"))?;
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, value, values)?;
            }
        }
        Value::Null => {}
        scalar_value => {
            let text = scalar(scalar_value).ok_or_else(|| format!("{path} must be one value"))?;
            values.insert(path.to_owned(), text);
        }
    }
    Ok(())
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

impl ClientConfig {
    /// What `settings` mean.
    ///
    /// # Errors
    /// The first value that is not valid, or what is missing.
    pub fn from_settings(settings: &Settings) -> Result<ClientConfig, ConfigError> {
        const VALID_ID: &str = "the number of the agency, from 1 to 4294967295";
        let id = settings.get(&ID, VALID_ID, |text| text.parse().ok().filter(|&id| id > 0))?;
        let id = id.ok_or(ConfigError::Missing { variable: ID.variable, valid: VALID_ID })?;
        Ok(ClientConfig {
            id,
            server_address: settings.require(&ADDRESS, "host:port", host_and_port)?,
            mode: settings.require(&MODE, "lottery or echo", Mode::from_name)?,
            loop_amount: settings.number(&LOOP_AMOUNT, 0..=u32::MAX)?,
            loop_period: settings.duration(&LOOP_PERIOD)?,
            log_level: settings.require(&LEVEL, Level::NAMES, Level::from_name)?,
            batch_max_amount: settings.number(&MAX_AMOUNT, 1..=65_535)?,
            batch_window: settings.number(&WINDOW, 1..=128)?,
            handshake: settings.require(&HANDSHAKE, VALID_HANDSHAKE, |text| text.parse().ok())?,
            credential: credential(settings)?,
            retry_timeout: settings.duration(&RETRY)?,
            reply_timeout: settings.duration(&REPLY)?,
            bets: bets_from(settings, id)?,
        })
    }
}

/// The credential, from whichever of its two keys is set.
fn credential(settings: &Settings) -> Result<Credential, ConfigError> {
    let from_environment = |key: &&Key| settings.is_in_environment(key);
    let set: Vec<&Key> =
        [&CREDENTIAL, &CREDENTIAL_FILE].into_iter().filter(|key| settings.secret(key).is_some()).collect();
    let key = match (set.as_slice(), set.iter().copied().find(from_environment)) {
        ([], _) => return Ok(Credential::default()),
        ([only], _) => *only,
        (both, Some(key)) if !both.iter().all(from_environment) => key,
        _ => return Err(secret_fault(&CREDENTIAL, format!("can't be set together with {}", CREDENTIAL_FILE.name))),
    };
    let value = settings.secret(key).unwrap_or_default();
    // Not even the path is shown: somebody may have taken it for the place of the credential itself.
    let unreadable = |error| secret_fault(key, error);
    let bytes = if key.name == CREDENTIAL_FILE.name { read_line(value).map_err(unreadable)? } else { value.into() };
    if !settings.require(&HANDSHAKE, VALID_HANDSHAKE, |text| text.parse::<bool>().ok())? {
        return Err(secret_fault(key, "is said with Hello, and handshake is false"));
    }
    Credential::new(bytes).map_err(|fault| secret_fault(key, fault))
}

fn secret_fault(key: &Key, reason: impl ToString) -> ConfigError {
    ConfigError::Secret { place: format!("{} ({})", key.name, key.variable), reason: reason.to_string() }
}

/// What a file holds, without the line break at its end.
fn read_line(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = read_secret(Path::new(path))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        bytes.pop_if(|last| *last == b'\r');
    }
    Ok(bytes)
}

fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let is_valid = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_valid.then(|| text.to_owned())
}

fn bets_from(settings: &Settings, id: u32) -> Result<BetsFrom, ConfigError> {
    let text = |key: &Key| settings.get(key, "", |text| Some(text.to_owned()));
    if BET_KEYS.iter().all(|key| text(key).is_ok_and(|value| value.is_none())) {
        let file =
            settings.get(&BETS_FILE, "the path of a file", |text| (!text.is_empty()).then(|| PathBuf::from(text)))?;
        return Ok(BetsFrom::File(file.unwrap_or_else(|| default_bets_file(id))));
    }
    let needed = |key: &Key| {
        text(key)?
            .ok_or(ConfigError::Missing { variable: key.variable, valid: "set too, when another of the bet's five is" })
    };
    Ok(BetsFrom::Environment(BetVariables {
        first_name: needed(&FIRST_NAME)?,
        last_name: needed(&LAST_NAME)?,
        document: needed(&DOCUMENT)?,
        birthdate: needed(&BIRTHDATE)?,
        number: needed(&NUMBER)?,
    }))
}

/// In a container the agency's own file is mounted as `agency.csv`; the repository has those of all agencies.
fn default_bets_file(id: u32) -> PathBuf {
    let own = PathBuf::from("agency.csv");
    if own.exists() { own } else { PathBuf::from(format!(".data/agency-{id}.csv")) }
}
