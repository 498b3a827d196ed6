//! `loteria status`: where the round of a running server stands, from its admin port.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use loteria::central::Stage;
use loteria::config::ConfigError;
use loteria::config::server::{PROGRAM, ServerConfig};
use loteria::config::tls::{TlsClient, host_of};
use loteria::server::admin::Snapshot;
use loteria::server::admin::snapshot::AgencyPart;
use loteria::tls::{self, Connector};
use loteria_tools::http::{self, Response};

/// Show where the round of a running server stands, and who is missing
///
/// It asks the server's admin port, which ADMIN_ADDRESS opens. Agencies that are missing come first.
///
/// Exit codes: 0 the server can store bets, 3 it cannot, 1 it does not answer.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria status
  loteria status 127.0.0.1:8080
  watch loteria status
  loteria status --json | jq .round.waiting_for")]
pub struct Options {
    /// Address of the admin port, https://HOST:PORT to ask over HTTPS [default: ADMIN_ADDRESS in the environment or in
    /// config.ini, as the server reads it, over HTTPS if TLS_REQUIRED is set there]
    #[arg(value_name = "HOST:PORT")]
    address: Option<String>,
    /// File of the authority of the server's certificate, for HTTPS
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print the server's /status.json instead
    #[arg(long)]
    json: bool,
}

/// The beginning of an address that is asked over HTTPS.
const HTTPS: &str = "https://";

/// The server answers, and can't store bets.
#[derive(Debug, thiserror::Error)]
#[error("the server can't store bets: {0}")]
pub struct Unhealthy(String);

/// Reason why the server was not asked.
#[derive(Debug, thiserror::Error)]
enum NotAsked {
    #[error("ADMIN_ADDRESS is not set in the environment or in config.ini here; name it: loteria status HOST:PORT")]
    NoAddress,
    #[error("{address} does not answer: {error}; is the server running, with ADMIN_ADDRESS set?")]
    NoAnswer { address: String, error: io::Error },
    #[error("{0} is asked over HTTPS, which needs --ca with the file of the authority of the server's certificate")]
    NoAuthority(String),
    #[error("{address} is not trusted: {error}")]
    NotTrusted { address: String, error: io::Error },
    #[error("{address} is no admin port of a server of this version: {why}")]
    NotOurs { address: String, why: String },
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let address = options.address.clone().map_or_else(configured_address, Ok)?;
    let not_ours = |why| NotAsked::NotOurs { address: address.clone(), why };
    let response = ask(&address, options.ca.as_deref())?;
    if response.status != 200 {
        return Err(not_ours(format!("it answers {}", response.status)).into());
    }
    let snapshot: Snapshot = serde_json::from_str(&response.body).map_err(|error| not_ours(error.to_string()))?;
    let text = if options.json { response.body + "\n" } else { table(&address, &snapshot) };
    // A reader such as `head` may close its end early.
    let _ = io::stdout().write_all(text.as_bytes());
    match snapshot.health.reason {
        Some(reason) => Err(Unhealthy(reason).into()),
        None => Ok(()),
    }
}

/// The response of the admin port at `address`, over HTTPS if that says so.
fn ask(address: &str, ca: Option<&Path>) -> Result<Response, Box<dyn Error>> {
    const PATH: &str = "/status.json";
    let answer = match address.strip_prefix(HTTPS) {
        None => http::get(address.strip_prefix("http://").unwrap_or(address), PATH),
        Some(host) => {
            let ca = ca.ok_or_else(|| NotAsked::NoAuthority(address.to_owned()))?;
            http::get_secure(host, PATH, &connector(host, ca)?)
        }
    };
    answer.map_err(|error| {
        let address = address.to_owned();
        match tls::is_rejection(&error) {
            true => NotAsked::NotTrusted { address, error }.into(),
            false => NotAsked::NoAnswer { address, error }.into(),
        }
    })
}

/// TLS to a server at `address` with a certificate of the authority in the file `ca`.
fn connector(address: &str, ca: &Path) -> Result<Connector, ConfigError> {
    Connector::new(&TlsClient { ca: ca.to_owned(), identity: None, server_names: vec![host_of(address)] })
}

/// The address that a server started here would have. One that listens on every address is asked on this machine.
fn configured_address() -> Result<String, Box<dyn Error>> {
    let config = ServerConfig::from_settings(&PROGRAM.settings()?)?;
    let mut address: SocketAddr = config.admin_address.ok_or(NotAsked::NoAddress)?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if config.tls.is_some_and(|tls| tls.required) { HTTPS } else { "" };
    Ok(format!("{scheme}{address}"))
}

fn table(address: &str, snapshot: &Snapshot) -> String {
    let Snapshot { server, health, round, commits, storage, agencies, .. } = snapshot;
    let health = health.reason.as_ref().map_or_else(|| "healthy".to_owned(), |reason| format!("NOT healthy, {reason}"));
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        text,
        "{address}: {health}; {}, version {}, up {}, {} of memory\n{}\n\
         {} bets, {}/s; {} commits, {} failed, p99 {} us; bets.csv {}, {} free\n",
        server.role,
        server.version,
        duration(server.uptime_seconds),
        bytes(server.memory_bytes),
        snapshot.summary(),
        round.bets,
        round.bets_per_second,
        commits.count,
        commits.failed,
        commits.p99_micros,
        bytes(storage.bets_bytes),
        bytes(storage.free_bytes),
    );
    let _ = writeln!(
        text,
        "{:>8}  {:<9}  {:>12}  {:>10}  {:>10}  {:>8}",
        "agency", "state", "bets", "rate", "heard", "winners"
    );
    let mut agencies: Vec<&AgencyPart> = agencies.iter().collect();
    agencies.sort_by_key(|agency| agency.stage as u8);
    for AgencyPart { agency, stage, bets, bets_per_second, silent_seconds, winners } in agencies {
        let heard = silent_seconds.map_or_else(|| "never".to_owned(), |silent| format!("{} ago", duration(silent)));
        let winners = winners.map_or_else(|| "-".to_owned(), |winners| winners.to_string());
        let rate = format!("{bets_per_second}/s");
        let _ = writeln!(text, "{agency:>8}  {:<9}  {bets:>12}  {rate:>10}  {heard:>10}  {winners:>8}", state(*stage));
    }
    text
}

fn state(stage: Stage) -> &'static str {
    match stage {
        Stage::Missing => "missing",
        Stage::Connected => "connected",
        Stage::Waiting => "waiting",
        Stage::Closed => "closed",
    }
}

/// A duration in the largest unit of which it has one.
fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number of bytes in the largest unit of which it has one.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64 / 1000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while let Some(next) = units.next().filter(|_| value >= 1000.0) {
        value /= 1000.0;
        unit = Some(next);
    }
    format!("{value:.1} {}", unit.unwrap_or(&"kB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!([0.2, 59.9, 60.0, 7200.0, 1e6].map(duration), ["0 s", "59 s", "1 min", "2 h", "11 d"]);
        assert_eq!([0, 999_499, 1_500_000, 67_000_000_000].map(bytes), ["0.0 kB", "999.5 kB", "1.5 MB", "67.0 GB"]);
    }
}
