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
mod shell;
mod status;
mod verify;
mod winners;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser, Subcommand};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The exit code of a program that a signal interrupted, by the shells' convention.
const INTERRUPTED: u8 = 130;

/// The exit code of `status` for a server that answers and can't store bets.
const UNHEALTHY: u8 = 3;

/// The tool around the lottery: see a round, look after a server and its files, test another implementation
#[derive(Parser)]
#[command(
    name = "loteria",
    version,
    after_help = "\
New here? `loteria demo --slow` shows a whole round on this machine.
`loteria COMMAND --help` has the options and examples of a command."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Options),
    Data(data::Options),
    Status(status::Options),
    Verify(verify::Options),
    Winners(winners::Options),
    Backup(backup::Options),
    Close(close::Options),
    Export(export::Options),
    Certificates(certify::Options),
    Conformance(conformance::Options),
    Completions(shell::CompletionOptions),
    Man(shell::ManOptions),
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
        Command::Certificates(options) => certify::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Completions(options) => {
            shell::complete(&options, Arguments::command());
            Ok(())
        }
        Command::Man(options) => shell::manual(&options, Arguments::command()),
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The examples of `command` and its subcommands, as they are typed.
    fn examples(command: &clap::Command) -> Vec<String> {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let typed = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
        let own = text.lines().map(str::trim_start).filter(|line| line.starts_with("loteria ")).map(typed);
        own.chain(command.get_subcommands().flat_map(examples)).collect()
    }

    #[test]
    fn every_example_of_a_help_text_is_a_valid_command() {
        let examples = examples(&Arguments::command());
        assert!(examples.len() > 20, "{examples:#?}");
        for example in examples {
            // The shell takes the quotes away; what follows is its own.
            let command =
                [" > ", " | ", " && "].iter().fold(&example[..], |rest, end| rest.split(end).next().unwrap_or(rest));
            let words = Command::new("bash").args(["-c", &format!("printf '%s\\n' {command}")]).output().expect("bash");
            let words = String::from_utf8(words.stdout).expect("UTF-8");
            if let Err(error) = Arguments::try_parse_from(words.lines()) {
                panic!("{example}: {error}");
            }
        }
    }
}
