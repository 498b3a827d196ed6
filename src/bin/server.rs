//! The server. Configured by the environment and `config.ini`; `--help` lists the keys.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::SystemTime;

use loteria::central::credentials::Credentials;
use loteria::central::{Central, Limits, Restore};
use loteria::config::server::{PROGRAM, ServerConfig};
use loteria::config::tls::TlsServer;
use loteria::config::{ConfigError, DatabaseConfig, Settings, WEAK_CREDENTIAL_BYTES};
use loteria::grace::end_after_grace;
use loteria::ledger::Ledger;
use loteria::ledger::file::{self, DiskFile, FileLedger, OpenError, RecoveryError};
#[cfg(feature = "postgres")]
use loteria::ledger::{Terms, postgres};
use loteria::lottery::{Contradiction, Lottery};
use loteria::server::reactor::{self, Door, Reactor, RunError};
use loteria::server::turn::Server;
use loteria::server::{self, admin, descriptors};
use loteria::tls::Acceptor;
use loteria::{event, logging};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use thiserror::Error;

/// Connections to the admin port that wait to be accepted.
const ADMIN_BACKLOG: i32 = 64;

/// An error that ends the server.
#[derive(Debug, Error)]
enum ServerError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Recovery(#[from] RecoveryError<Contradiction>),
    #[error("the admin port can't be opened at {address}: {error}; stop what uses it, or set ADMIN_ADDRESS to another")]
    Admin { address: SocketAddr, error: std::io::Error },
    #[error("the loop can't be set up: {0}")]
    SetUp(std::io::Error),
    #[error("{0}")]
    Run(#[from] RunError),
    #[cfg(feature = "postgres")]
    #[error("{0}")]
    Address(#[from] postgres::AddressError),
}

fn main() -> ExitCode {
    if let Some(answer) = PROGRAM.answer_arguments() {
        return answer;
    }
    if let Err(error) = logging::start(PROGRAM.name) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let code = log_end(run());
    logging::flush();
    code
}

fn log_end(ended: Result<reactor::Stop, ServerError>) -> ExitCode {
    match ended {
        Ok(stop) => {
            event!(Info, "exit", success, "signal": stop.name());
            ExitCode::SUCCESS
        }
        Err(error) => {
            event!(Error, "exit", fail, "error": error);
            if let ServerError::Config(error) = error { error.exit_code() } else { ExitCode::FAILURE }
        }
    }
}

fn run() -> Result<reactor::Stop, ServerError> {
    let signals = reactor::catch_signals().map_err(ServerError::SetUp)?;
    end_in_any_case().map_err(ServerError::SetUp)?;
    let config = configure()?;
    let tls = config.tls.clone().map(Acceptor::new).transpose()?;
    if let Some(database) = &config.database {
        return share(&config, database, tls, signals);
    }
    let (lottery, ledger, drawn_at) = recover(&config)?;
    let stop = serve(&config, lottery, drawn_at, ledger, tls, signals)?;
    event!(Info, "close_storage", success, "file": config.storage_filepath.display());
    Ok(stop)
}

/// Serves a round that is in a database, which other servers share.
#[cfg(feature = "postgres")]
fn share(
    config: &ServerConfig,
    database: &DatabaseConfig,
    tls: Option<Acceptor>,
    signals: Signals,
) -> Result<reactor::Stop, ServerError> {
    let address = postgres::Address::new(database)?;
    let terms = Terms { agencies: config.num_agencies, winning_number: config.winning_number };
    let ledger = postgres::start(address, terms).map_err(ServerError::SetUp)?;
    let stop = serve(config, new_lottery(config), None, ledger, tls, signals)?;
    event!(Info, "close_storage", success, "url": database.url);
    Ok(stop)
}

/// The configuration refuses a database where the server was built without it.
#[cfg(not(feature = "postgres"))]
fn share(_: &ServerConfig, _: &DatabaseConfig, _: Option<Acceptor>, _: Signals) -> Result<reactor::Stop, ServerError> {
    Err(ServerError::SetUp(std::io::ErrorKind::Unsupported.into()))
}

fn serve(
    config: &ServerConfig,
    lottery: Lottery,
    drawn_at: Option<SystemTime>,
    ledger: impl Ledger,
    tls: Option<Acceptor>,
    signals: Signals,
) -> Result<reactor::Stop, ServerError> {
    let admin = config.admin_address.map_or(0, |_| admin::MAX_CLIENTS + 1);
    let connections = config.limits.connections_of(config.num_agencies);
    let connections = descriptors::allow_connections(connections, admin);
    let limits = Limits { connections, ..config.limits.clone() };
    let mut credentials = config.credentials.clone().map(Credentials::new);
    if takes_certificates(config) {
        // Without one, no credential admits either.
        credentials.get_or_insert_default();
    }
    let central = Central::new(limits, credentials, lottery);
    let door = Door { address: SocketAddr::new(config.ip.address(), config.port), backlog: config.listen_backlog };
    let server = Server::new(central, ledger, config.limits.turn_bytes).with_tls(tls);
    let reactor = Reactor::new(door, signals, server, config.reminder_interval, read_level_again);
    let mut reactor = reactor.map_err(ServerError::SetUp)?;
    if let Some(address) = config.admin_address {
        let served = serve_admin(&mut reactor, address, config, drawn_at);
        served.map_err(|error| ServerError::Admin { address, error })?;
    }
    Ok(reactor.run()?)
}

fn serve_admin<L: Ledger>(
    reactor: &mut Reactor<L>,
    address: SocketAddr,
    config: &ServerConfig,
    drawn_at: Option<SystemTime>,
) -> std::io::Result<()> {
    let listener = server::listen(address, ADMIN_BACKLOG)?;
    let address = listener.local_addr()?;
    reactor.serve_admin(listener, config.storage_filepath.clone(), drawn_at)?;
    event!(Info, "listen_admin", success, "ip": address.ip(), "port": address.port());
    Ok(())
}

/// Starts a thread that waits for the signals too, in case the loop is blocked when one comes.
fn end_in_any_case() -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_after_grace(if signal == SIGINT { "SIGINT" } else { "SIGTERM" });
        }
    })?;
    Ok(())
}

fn read_config() -> Result<(Settings, ServerConfig), ConfigError> {
    let settings = PROGRAM.settings()?;
    logging::set_format(settings.log_format()?);
    let config = ServerConfig::from_settings(&settings)?;
    Ok((settings, config))
}

fn configure() -> Result<ServerConfig, ConfigError> {
    let (settings, config) = read_config()?;
    logging::set_level(config.logging_level);
    event!(Debug, "config", success, "port": config.port, "listen_backlog": config.listen_backlog,
        "logging_level": config.logging_level, "ip": config.ip, "num_agencies": config.num_agencies,
        "winning_number": config.winning_number, "storage_filepath": config.storage_filepath.display(), "storage_sync": config.storage_sync);
    settings.warn_about_unknown();
    log_access(&config);
    Ok(config)
}

/// Logs which agencies are admitted. Access is open by default, which no operator should learn by accident.
fn log_access(config: &ServerConfig) {
    if let Some(TlsServer { certificate, required, client_ca, .. }) = &config.tls {
        let client_ca = client_ca.as_ref().map_or("none".into(), |path| path.to_string_lossy());
        event!(Info, "tls", success, "certificate": certificate.display(), "client_ca": client_ca, "required": required);
    }
    match &config.credentials {
        None if takes_certificates(config) => event!(Info, "agencies", success, "num_agencies": config.num_agencies,
            "credentials": "none", "access": "an agency needs a certificate for agency-N, see TLS_CLIENT_CA_FILE"),
        None => event!(Warn, "agencies", success, "num_agencies": config.num_agencies, "credentials": "none",
            "access": "open, any client may act as any agency; section AGENCIES or AGENCIES_FILE closes it"),
        Some(credentials) => {
            let without = config.num_agencies as usize - credentials.len();
            event!(Info, "agencies", success, "num_agencies": config.num_agencies, "credentials": credentials.len());
            if without > 0 && !takes_certificates(config) {
                event!(Warn, "agencies", success, "without_credential": without,
                    "access": "they are refused, and the draw waits for them");
            }
            let weak = credentials.values().filter(|credential| credential.as_bytes().len() < WEAK_CREDENTIAL_BYTES);
            if let weak @ 1.. = weak.count() {
                event!(Warn, "agencies", success, "weak_credentials": weak,
                    "access": format_args!("a credential below {WEAK_CREDENTIAL_BYTES} bytes can be guessed"));
            }
        }
    }
}

/// True if a certificate is an agency's proof of who it is.
fn takes_certificates(config: &ServerConfig) -> bool {
    config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
}

/// Reads the level of the log again, as SIGHUP asks for.
fn read_level_again() {
    match read_config() {
        Ok((_, config)) => {
            logging::set_level(config.logging_level);
            event!(Info, "config", success, "logging_level": config.logging_level);
        }
        Err(error) => event!(Error, "config", fail, "error": error, "logging_level": "unchanged"),
    }
}

/// The round before its first bet.
fn new_lottery(config: &ServerConfig) -> Lottery {
    Lottery::new(config.num_agencies).with_winning_number(config.winning_number)
}

/// The round and its ledger as the last run left them, and the time of its draw.
fn recover(config: &ServerConfig) -> Result<(Lottery, FileLedger<DiskFile>, Option<SystemTime>), ServerError> {
    let files = file::open(&config.storage_filepath)?;
    let mut restore = Restore::new(new_lottery(config));
    let (ledger, summary) = FileLedger::recover(files, config.storage_sync, &mut restore)?;
    event!(Info, "recover", success, "bets": summary.bets, "agencies_closed": summary.agencies_closed,
        "truncated_bytes": summary.truncated_bytes, "verified_bytes": summary.verified_bytes);
    if summary.is_drawn_now {
        event!(Info, "sorteo", success);
    }
    Ok((restore.finish(), ledger, summary.drawn_at))
}
