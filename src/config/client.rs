//! Configuration of the client: `config.yaml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use serde_yaml::Value;

use super::Kind::{Addresses, Path, Secret, Text, Whole};
use super::credential::read_secret;
use super::key::{FromText, config, words};
use super::settings::FileSettings;
use super::tls::TlsClient;
use super::{ConfigError, Credential, Key, Kind, LogFormat, Program, Settings, tls};
use crate::logging::Excerpt;

/// The client, as its configuration has it.
pub static PROGRAM: Program = Program {
    name: "client",
    file: "config.yaml",
    prefix: Some("CLI_"),
    parse: parse_yaml,
    groups: &[("Settings", ClientConfig::KEYS), ("One bet instead of a file", BetVariables::KEYS)],
};

words! {
    /// The work of a client.
    Mode {
        /// Exercises 5 to 8: bets to the server.
        Lottery = "lottery",
        /// Exercises 1 to 4: lines to the server and back.
        Echo = "echo",
    }
}

config! {
    /// Configuration of the client.
    ClientConfig {
        /// number of the agency; required
        id: u32 = "CLI_ID" as "id", "", Whole(1, u32::MAX as u64);
        /// address of the server; where several share the round, all of theirs, which are tried in turn
        server_address: String = "CLI_SERVER_ADDRESS" as "server.address", "server:12345", Addresses;
        /// lottery: send bets (exercises 5 to 8); echo: send lines (exercises 1 to 4)
        mode: Mode = "CLI_MODE" as "mode", "lottery";
        /// echo: number of messages
        loop_amount: u32 = "CLI_LOOP_AMOUNT" as "loop.amount", "5";
        /// echo: pause between two messages
        loop_period: Duration = "CLI_LOOP_PERIOD" as "loop.period", "5s";
        /// echo: time after which no further message is sent; if not set, there is no limit
        loop_lapse: Option<Duration> = "CLI_LOOP_LAPSE" as "loop.lapse", "";
        /// least severe level that is logged
        log_level: LevelFilter = "CLI_LOG_LEVEL" as "log.level", "INFO";
        /// form of the log's lines; journal: for the systemd journal, with priorities and without a time
        log_format: LogFormat = "LOG_FORMAT" as "log.format", "text";
        /// most bets of a batch
        batch_max_amount: u32 = "CLI_BATCH_MAXAMOUNT" as "batch.maxAmount", "148", Whole(1, 65_535);
        /// most bytes of a batch
        batch_max_bytes: usize = "CLI_BATCH_MAXBYTES" as "batch.maxBytes", "8192", Whole(1024, 8192);
        /// most batches sent and not yet acknowledged
        batch_window: usize = "CLI_BATCH_WINDOW" as "batch.window", "32", Whole(1, 128);
        /// pause after each batch, so that a round can be followed; batch.window is then 1; if not set, there is none
        batch_period: Option<Duration> = "CLI_BATCH_PERIOD" as "batch.period", "";
        /// true: say Hello and resume where the last run stopped; false: for servers without Hello
        handshake: bool = "CLI_HANDSHAKE" as "handshake", "true";
        /// longest time to keep trying to reach the server without any answer
        retry_timeout: Duration = "CLI_RETRY_TIMEOUT" as "retry.timeout", "60s";
        /// longest wait for a whole reply before connecting again; the wait for the draw has no limit
        reply_timeout: Duration = "CLI_REPLY_TIMEOUT" as "reply.timeout", "30s";
    } and {
        /// Proof of the agency's identity, from one of two keys.
        credential: Credential = credential {
            /// proof of the agency's identity, where the server asks for it
            "CLI_AGENCY_CREDENTIAL" as "agency.credential", "", Secret;
            /// file that holds the credential instead, as Docker mounts secrets; a line break at its end is ignored
            "CLI_AGENCY_CREDENTIAL_FILE" as "agency.credentialFile", "", Path;
        }
        /// TLS; `None` if no authority is configured.
        tls: Option<TlsClient> = tls::client {
            /// file of the authority of the server's certificate in PEM; turns TLS on
            "CLI_TLS_CA_FILE" as "tls.caFile", "", Path;
            /// file of the agency's certificate in PEM, where the server asks for one
            "CLI_TLS_CERTIFICATE_FILE" as "tls.certificateFile", "", Path;
            /// file of its private key in PEM
            "CLI_TLS_KEY_FILE" as "tls.keyFile", "", Path;
            /// name in the server's certificate; if not set, the host of server.address
            "CLI_TLS_SERVER_NAME" as "tls.serverName", "", Text;
        }
        /// Origin of the bets.
        bets: BetsFrom = bets_from {
            /// file of bets; if not set, agency.csv or else .data/agency-{CLI_ID}.csv
            "CLI_BETS_FILE" as "bets.file", "", Path;
        }
    }
}

config! {
    /// The bet of exercise 5, as its environment variables have it.
    #[derive(PartialEq, Eq)]
    BetVariables {
        /// first name of the one bet to send (exercise 5)
        first_name: String = "NOMBRE" as "", "";
        /// its last name
        last_name: String = "APELLIDO" as "", "";
        /// its document
        document: String = "DOCUMENTO" as "", "";
        /// its birthdate, as YYYY-MM-DD
        birthdate: String = "NACIMIENTO" as "", "";
        /// its number
        number: String = "NUMERO" as "", "";
    }
}

/// Origin of an agency's bets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BetsFrom {
    /// The environment: one bet.
    Environment(BetVariables),
    /// A file of the course's format.
    File(PathBuf),
}

fn bets_from(settings: &Settings) -> Result<BetsFrom, ConfigError> {
    let (set, unset): (Vec<&Key>, Vec<&Key>) = BetVariables::KEYS.iter().partition(|key| settings.find(key).is_some());
    if set.is_empty() {
        return Ok(BetsFrom::File(match settings.value("CLI_BETS_FILE")? {
            Some(path) => path,
            None => default_bets_file(settings.value("CLI_ID")?),
        }));
    }
    match unset.first() {
        None => BetVariables::from_settings(settings).map(BetsFrom::Environment),
        Some(Key { variable, .. }) => {
            Err(ConfigError::Missing { variable, valid: "set too, when another of the bet's five is".to_owned() })
        }
    }
}

/// The agency's own file, which a container mounts as `agency.csv`, or else the repository's.
fn default_bets_file(id: u32) -> PathBuf {
    let own = PathBuf::from("agency.csv");
    if own.exists() { own } else { PathBuf::from(format!(".data/agency-{id}.csv")) }
}

/// The credential from the key that is set; of both, from the one in the environment.
fn credential(settings: &Settings) -> Result<Credential, ConfigError> {
    let [inline, file] = ["CLI_AGENCY_CREDENTIAL", "CLI_AGENCY_CREDENTIAL_FILE"].map(|variable| settings.key(variable));
    let fault = |key: &Key, reason: String| ConfigError::Secret { name: key.name, variable: key.variable, reason };
    let (key, found) = match (settings.find(inline), settings.find(file)) {
        (None, None) => return Ok(Credential::default()),
        (Some(text), None) => (inline, text),
        (None, Some(path)) => (file, path),
        (Some(text), Some(path)) => match (text.is_in_environment, path.is_in_environment) {
            (true, false) => (inline, text),
            (false, true) => (file, path),
            _ => return Err(fault(inline, format!("can't be set together with {}", file.name))),
        },
    };
    let mut bytes = found.text.as_bytes().to_vec();
    if key.name == file.name {
        let path = settings.value::<PathBuf>(key.variable)?;
        // The path is not shown either: it may be the credential itself, given to the wrong key.
        bytes = read_secret(&path).map_err(|error| fault(key, error.to_string()))?;
        if bytes.pop_if(|last| *last == b'\n').is_some() {
            bytes.pop_if(|last| *last == b'\r');
        }
    }
    if !settings.value::<bool>("CLI_HANDSHAKE")? {
        return Err(fault(key, "is said with Hello, and handshake is false".to_owned()));
    }
    Credential::new(bytes).map_err(|reason| fault(key, reason.to_string()))
}

/// Reads the scalars of a mapping of mappings by their paths: `server.address`.
fn parse_yaml(text: &str) -> Result<FileSettings, String> {
    let mut file = FileSettings::default();
    match serde_yaml::from_str(text).map_err(|error| error.to_string())? {
        Value::Null => {}
        root @ Value::Mapping(_) => flatten("", &root, &mut file.values)?,
        _ => return Err("must be a mapping of keys to values".to_owned()),
    }
    Ok(file)
}

fn flatten(path: &str, value: &Value, values: &mut BTreeMap<String, String>) -> Result<(), String> {
    match value {
        Value::Mapping(mapping) => {
            for (name, value) in mapping {
                let name = scalar(name).ok_or_else(|| format!("a key under {:?} is not a word", Excerpt(path)))?;
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, value, values)?;
            }
        }
        Value::Null => {}
        scalar_value => {
            let text = scalar(scalar_value).ok_or_else(|| format!("{:?} must be one value", Excerpt(path)))?;
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
