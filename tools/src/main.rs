//! `loteria`: the tool around the lottery. Each subcommand has a file of its own.

mod backup;
mod certify;
mod close;
mod conformance;
mod data;
#[cfg(feature = "postgres")]
mod database;
mod demo;
mod export;
mod round;
mod status;
mod verify;
mod winners;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Parser, Subcommand};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The exit code of a program that a signal interrupted, by the shells' convention.
const INTERRUPTED: u8 = 130;

/// The exit code of `status` for a server that answers and can't store bets.
const UNHEALTHY: u8 = 3;

/// Lotería Nacional: a demonstration of a whole round, bets to try the programs with, certificates, the state of a running
/// server, the care of a round, and tests of other implementations.
#[derive(Parser)]
#[command(name = "loteria", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Options),
    Data(data::Options),
    Export(export::Options),
    Status(status::Options),
    Verify(verify::Options),
    Winners(winners::Options),
    Backup(backup::Options),
    Close(close::Options),
    Conformance(conformance::Options),
    Certificates(certify::Options),
}

/// The end of a subcommand that a signal stopped.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {0}")]
struct Interrupted(&'static str);

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Data(options) => data::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Status(options) => status::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Winners(options) => winners::run(&options),
        Command::Backup(options) => backup::run(&options),
        Command::Close(options) => close::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Certificates(options) => certify::run(&options),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // The exit code still tells if this line is not read.
    let _ = writeln!(io::stderr(), "loteria: {error}");
    match error {
        error if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        error if error.is::<status::Unhealthy>() => ExitCode::from(UNHEALTHY),
        _ => ExitCode::FAILURE,
    }
}

/// Prints what a command has to say. A closed output (`loteria verify | head -1`) changes nothing of its exit code.
fn print(text: &[u8]) {
    let _ = io::stdout().write_all(text);
}

/// A flag that is set by SIGINT, SIGTERM and SIGHUP, so that a subcommand can clean up before it ends.
fn interruption() -> Result<Arc<AtomicBool>, Box<dyn Error>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}
