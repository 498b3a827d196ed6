//! `make bench`: the speed of the lottery, the highest speed that this machine allows, and the ratio of the two.
//!
//! Every role is a process of its own, and they talk over loopback. The roles other than server and agency are played by this
//! program, started again with the name of a [`role`] as its argument:
//!
//! | module | contents |
//! |---|---|
//! | [`suite`], [`scale`] | the measurements, in the order of the report |
//! | [`stage`] | server and agencies as processes, and their cost |
//! | [`stream`] | agencies with pre-encoded batches, which leave most of the machine to the server |
//! | [`limit`] | a program that only moves the same bytes from as many connections into a file |
//! | [`peers`] | the same bets into Redis and PostgreSQL, where they are installed (`make bench-peers`) |
//! | [`report`], [`plot`] | tables and pictures |
//!
//! Throughputs and times are medians. The limit beside a throughput is measured in the same run, right after it, so that other
//! load on the machine slows both.

mod limit;
#[path = "../common/median.rs"]
mod median;
mod peers;
mod plot;
mod report;
mod scale;
mod stage;
mod stream;
mod suite;

use std::error::Error;
use std::process::ExitCode;

/// An error, in words.
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
        _ => Err(format!("{arguments:?} is no role; use `make bench` or `make bench-peers`").into()),
    }
}
