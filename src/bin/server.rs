//! The central. Configured by the environment and `config.ini`; `--help` lists what it can be told.

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use loteria::central::{self, Central, Limits};
use loteria::config::server::{self as config, ServerConfig};
use loteria::config::{ConfigError, Settings};
use loteria::grace::end_after_grace;
use loteria::ledger::Recovered;
use loteria::ledger::file::{self, FileLedger, OpenError, RecoveryError};
use loteria::lottery::{Contradiction, Lottery};
use loteria::server::reactor::{self, Reactor};
use loteria::server::turn::TurnError;
use loteria::server::{self, descriptors};
use loteria::{event, logging};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use thiserror::Error;

/// Why the central does not start, or does not go on.
#[derive(Debug, Error)]
enum ServerError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Recovery(#[from] RecoveryError<Contradiction>),
    #[error("port {port} can't be listened on: {error}; stop what uses it, or set SERVER_PORT to another")]
    Listen { port: u16, error: std::io::Error },
    #[error("the loop can't be set up: {0}")]
    SetUp(std::io::Error),
    #[error("{0}")]
    Turn(#[from] TurnError),
}

fn main() -> ExitCode {
    logging::start("server");
    if let Some(answer) = loteria::config::answer_arguments("server", &[("config.ini, section DEFAULT", &config::KEYS)])
    {
        return answer;
    }
    match run() {
        Ok(stop) => {
            event!(Info, "exit", success, "signal": stop.name());
            ExitCode::SUCCESS
        }
        Err(error) => {
            event!(Error, "exit", fail, "error": error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<reactor::Stop, ServerError> {
    let signals = reactor::catch_signals().map_err(ServerError::SetUp)?;
    end_in_any_case().map_err(ServerError::SetUp)?;
    let config = configure()?;
    outlive_file_size_limit().map_err(ServerError::SetUp)?;
    let (central, ledger) = recover(&config)?;
    let listen_failed = |error| ServerError::Listen { port: config.port, error };
    let listener = server::listen(config.port, config.listen_backlog).map_err(listen_failed)?;
    let address = listener.local_addr().map_err(listen_failed)?;
    let turn_bytes = config.limits.turn_bytes;
    let reactor = Reactor::new(listener, signals, central, ledger, turn_bytes, read_level_again);
    let reactor = reactor.map_err(ServerError::SetUp)?;
    event!(Info, "listen", success, "ip": address.ip(), "port": address.port());
    let stop = reactor.run()?;
    event!(Info, "close_storage", success, "file": config.storage_filepath.display());
    Ok(stop)
}

/// A thread that waits for the signals too, for when the loop does not come to hear of them.
fn end_in_any_case() -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_after_grace(if signal == SIGINT { "SIGINT" } else { "SIGTERM" });
        }
    })?;
    Ok(())
}

/// A limit on the size of files is to be an error of the write that runs into it, as a full disk is, and not the end of the process.
fn outlive_file_size_limit() -> std::io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
}

fn read_config() -> Result<(Settings, ServerConfig), ConfigError> {
    let settings = config::settings(loteria::config::environment(&config::KEYS)?)?;
    let config = ServerConfig::from_settings(&settings)?;
    Ok((settings, config))
}

fn configure() -> Result<ServerConfig, ServerError> {
    let (settings, config) = read_config()?;
    logging::set_level(config.logging_level.clone());
    event!(Debug, "config", success, "port": config.port, "listen_backlog": config.listen_backlog,
        "logging_level": config.logging_level, "num_agencies": config.num_agencies,
        "storage_filepath": config.storage_filepath.display(), "storage_sync": format_args!("{:?}", config.storage_sync));
    loteria::config::warn_about_unknown(&settings, &config::KEYS);
    say_who_may_speak(&config);
    Ok(config)
}

/// Without credentials that is everybody, which nobody should find out by accident.
fn say_who_may_speak(config: &ServerConfig) {
    match &config.credentials {
        None => event!(Warn, "agencies", success, "num_agencies": config.num_agencies, "credentials": "none",
            "access": "open, whoever says to be an agency is one; section AGENCIES or AGENCIES_FILE closes it"),
        Some(credentials) => {
            let with = credentials.agencies().len();
            let without = config.num_agencies as usize - with;
            event!(Info, "agencies", success, "num_agencies": config.num_agencies, "credentials": with);
            if without > 0 {
                event!(Warn, "agencies", success, "without_credential": without,
                    "access": "they can't speak, and the draw waits for them");
            }
        }
    }
}

/// What SIGHUP asks for: the level of the log as the configuration has it now.
fn read_level_again() {
    match read_config() {
        Ok((_, config)) => {
            logging::set_level(config.logging_level.clone());
            event!(Info, "config", success, "logging_level": config.logging_level);
        }
        Err(error) => event!(Error, "config", fail, "error": error, "logging_level": "unchanged"),
    }
}

/// The core and the ledger as the last run left them.
fn recover(config: &ServerConfig) -> Result<(Central, FileLedger<File>), ServerError> {
    let (bets, closings) = file::open(&config.storage_filepath)?;
    let mut lottery = Lottery::new(config.num_agencies);
    let replay = |step: Recovered<'_>| central::restore(&mut lottery, step);
    let (ledger, summary) = FileLedger::recover(bets, closings, config.storage_sync, replay)?;
    event!(Info, "recover", success, "bets": summary.bets, "agencies_closed": summary.agencies_closed,
        "truncated_bytes": summary.truncated_bytes);
    let connections = descriptors::allow_connections(config.limits.connections);
    let limits = Limits { connections, ..config.limits.clone() };
    Ok((Central::new(limits, config.credentials.clone(), lottery), ledger))
}
