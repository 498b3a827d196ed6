//! `loteria conformance`: black-box tests of a server or an agency, one for each numbered requirement of `protocol.md`.
//!
//! It shares no protocol code with the two programs: [`wire`] is written from the page.

mod agency;
mod report;
mod requirements;
mod server;
mod wire;

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::value_parser;
use thiserror::Error;

use self::agency::Agency;
use self::report::Report;
use self::server::{Server, Unfit};

/// Test a server or an agency in any language against protocol.md
///
/// There is one test for each numbered requirement. The table tells what was expected and what was seen. The exit code is 0 if
/// no test failed.
#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    side: Side,
}

#[derive(clap::Subcommand)]
enum Side {
    Server(ServerOptions),
    Agency(AgencyOptions),
}

#[derive(clap::Args)]
struct Shared {
    /// Write the results to FILE as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The number that wins
    #[arg(long, value_name = "N", default_value_t = 7574, value_parser = value_parser!(u32).range(..10_000))]
    winning_number: u32,
}

/// Test the server at ADDRESS, which has an empty round
///
/// The tests leave bets, close every agency and cause the draw. They take as long as the server's time limits for a silent
/// connection and for half a message. With --credential, only the tests of credentials run: run it
/// without, on a server that asks for none, for the others.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria conformance server localhost:12345 --agencies 60")]
struct ServerOptions {
    /// Its address, host:port
    address: String,
    /// Number of agencies of its round
    #[arg(long, value_name = "N", default_value_t = 100)]
    agencies: u32,
    /// Program that starts the server, with its arguments as the shell reads them, so that it can be killed and started again
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Credential of each agency, with its number in place of {id}
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    credential: Option<String>,
    /// Seconds within which whatever must come has come, the server's time limits included
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    #[command(flatten)]
    shared: Shared,
}

/// Test the agency that COMMAND starts
///
/// In COMMAND, {file} is the agency's file of bets (first name, last name, document, birthdate as YYYY-MM-DD, number; no header),
/// {id} its number, and {address}, or {host} and {port}, where the server listens. The environment has them as CONFORMANCE_FILE,
/// CONFORMANCE_ID, CONFORMANCE_ADDRESS, CONFORMANCE_HOST and CONFORMANCE_PORT. The agency must end with exit code 0 when it was
/// told its winners, and otherwise with another and a line that says why.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria conformance agency -- ./my-agency --file {file} --id {id} --server {address}")]
struct AgencyOptions {
    /// Test only the requirements of a simple agency
    #[arg(long)]
    simple: bool,
    /// Seconds within which the agency wants a whole reply
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    reply_timeout: u64,
    /// Seconds within which whatever else must come has come
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    patience: u64,
    /// Number of tests at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..))]
    jobs: u16,
    #[command(flatten)]
    shared: Shared,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Reason why a run is not a success.
#[derive(Debug, Error)]
enum ConformanceError {
    #[error("{0}: no such address; it is host:port")]
    Address(String),
    #[error("--agencies {given}: each test needs an agency of its own, so the round must have at least {least}")]
    Agencies { given: u32, least: u32 },
    #[error("{address}: the server can't be tested: {error}; start it first, or give --command")]
    NotReached { address: String, error: io::Error },
    #[error("{address}: the server can't be tested: {unfit}")]
    Unfit { address: String, unfit: Unfit },
    #[error("{command}: the agency can't be started: {error}")]
    NotStarted { command: String, error: io::Error },
    #[error("{}: {error}", path.display())]
    Junit { path: PathBuf, error: io::Error },
    #[error("{0} requirements are not met")]
    Failed(usize),
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let (report, shared, suite) = match &options.side {
        Side::Server(options) => (test_server(options)?, &options.shared, &options.address),
        Side::Agency(options) => (test_agency(options)?, &options.shared, &options.command[0]),
    };
    // The exit code still tells if the table is not read.
    let _ = writeln!(io::stdout(), "{report}");
    if let Some(path) = &shared.junit {
        let written = std::fs::write(path, report.junit(suite));
        written.map_err(|error| ConformanceError::Junit { path: path.clone(), error })?;
    }
    match report.failed() {
        0 => Ok(()),
        failed => Err(ConformanceError::Failed(failed).into()),
    }
}

fn test_server(options: &ServerOptions) -> Result<Report, ConformanceError> {
    let (given, least) = (options.agencies, server::least_agencies());
    if given < least {
        return Err(ConformanceError::Agencies { given, least });
    }
    let unknown = || ConformanceError::Address(options.address.clone());
    let address: SocketAddr =
        options.address.to_socket_addrs().ok().and_then(|mut all| all.next()).ok_or_else(unknown)?;
    let server = Server {
        address,
        agencies: options.agencies,
        winning_number: options.shared.winning_number,
        credential: options.credential.clone(),
        patience: Duration::from_secs(options.patience),
        command: options.command.clone(),
        process: Mutex::new(None),
    };
    let address = || options.address.clone();
    server.start().map_err(|error| ConformanceError::NotReached { address: address(), error })?;
    server.check().map_err(|unfit| ConformanceError::Unfit { address: address(), unfit })?;
    Ok(server::run(&server))
}

fn test_agency(options: &AgencyOptions) -> Result<Report, ConformanceError> {
    let agency = Agency {
        command: options.command.clone(),
        is_exact: !options.simple,
        reply_timeout: Duration::from_secs(options.reply_timeout),
        patience: Duration::from_secs(options.patience),
        winning_number: options.shared.winning_number,
        jobs: options.jobs.into(),
    };
    let not_started = |error| ConformanceError::NotStarted { command: options.command[0].clone(), error };
    agency.check().map_err(not_started)?;
    Ok(agency::run(&agency))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::requirements::{PROTOCOL, malformed, requirements};
    use super::*;

    /// The mark of a requirement that can't be tested from outside. The reason follows it.
    const NOT_TESTED: &str = "*Not tested:*";

    #[test]
    fn every_requirement_has_a_test_and_every_test_a_requirement() {
        let all = requirements(PROTOCOL);
        assert!(all.len() > 60, "{all:?}");
        let ids: BTreeSet<&str> = all.iter().map(|requirement| requirement.id.as_str()).collect();
        assert_eq!(ids.len(), all.len(), "a number is given twice");
        let testable = all.iter().filter(|one| !one.text.contains(NOT_TESTED)).map(|one| one.id.as_str());
        let tested: Vec<&str> = server::tested().into_iter().chain(agency::tested()).collect();
        let once: BTreeSet<&str> = tested.iter().copied().collect();
        assert_eq!(once.len(), tested.len(), "a requirement is tested twice");
        assert_eq!(testable.collect::<BTreeSet<_>>(), once);
    }

    #[test]
    fn every_requirement_binds_and_untested_ones_have_a_reason() {
        for requirement in requirements(PROTOCOL) {
            let binds = ["MUST", "SHOULD"].iter().any(|word| requirement.text.contains(word));
            assert!(binds && requirement.text.ends_with('.'), "{requirement:?}");
        }
    }

    #[test]
    fn the_vectors_of_the_page_cover_every_code_of_a_malformed_message() {
        let vectors = malformed(PROTOCOL);
        let codes: BTreeSet<u16> = vectors.iter().map(|vector| vector.code).collect();
        assert_eq!(codes, BTreeSet::from([1, 2, 3, 5, 7, 11]), "{vectors:?}");
        let page_rows = PROTOCOL.lines().filter(|line| line.starts_with("| `00")).count();
        assert_eq!(vectors.len(), page_rows, "a row can't be read");
    }
}
