//! `make bench`: how fast the lottery is, how fast anything could be here, and the ratio of the two.
//!
//! Every role is a process of its own, and they speak over loopback. The roles that are not the central or an agency are
//! played by this program, started again with the name of a [`role`] as its argument:
//!
//! | module | what it is |
//! |---|---|
//! | [`stage`] | the central and the agencies as processes, and what they cost |
//! | [`stream`] | agencies whose batches are bytes already: they load the central and leave it the machine |
//! | [`limit`] | the program that does nothing but move the same bytes from as many connections into a file |
//! | [`suite`] | what is measured, and how often |
//! | [`peers`] | the same bytes into Redis and PostgreSQL, where they are installed (`make bench-peers`) |
//! | [`report`], [`plot`] | the tables and the pictures |
//!
//! Throughputs and times are medians. The limit beside a throughput is measured in the same run, right after it, so
//! that a busy machine is busy for both.

mod limit;
mod peers;
mod plot;
mod report;
mod stage;
mod stream;
mod suite;

use std::error::Error;
use std::process::ExitCode;

/// What went wrong, in words.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match role(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn role(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        [] => suite::run(),
        ["peers"] => peers::run(),
        [stream::ROLE, order @ ..] => stream::play(order),
        [limit::ROLE, order @ ..] => limit::play(order),
        _ => {
            Err(format!("{arguments:?} is no role; `make bench` and `make bench-peers` say what can be measured")
                .into())
        }
    }
}
