//! `make bench`: the speed of the lottery, the highest speed that this machine allows, and the ratio of the two.
//!
//! Every role is a process of its own, and they talk over loopback. The roles other than server and agency are played by this
//! program, started again with the name of a [`role`] as its argument:
//!
//! | module | contents |
//! |---|---|
//! | [`suite`] | the order of the measurements, and their sizes |
//! | [`throughput`], [`latency`], [`agencies`], [`cost`], [`fairness`], [`crowd`], [`peers`], [`compare`] | the measurements |
//! | [`setup`] | files, TLS and PostgreSQL: what differs from row to row |
//! | [`stage`] | server and agencies as processes, and their cost |
//! | [`stream`], [`pace`] | agencies with pre-encoded batches, which leave most of the machine to the server |
//! | [`limit`] | a program that only moves the same bytes from as many connections into a file |
//! | [`figure`], [`report`], [`plot`] | medians and spreads, tables, pictures |
//! | [`quotes`] | the figures that documents quote from the report |
//!
//! The limit beside a throughput is measured in the same run, right after it, so that other load on the machine slows both.

mod agencies;
mod compare;
mod cost;
mod crowd;
#[path = "../../tests/cluster/database.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod database;
mod fairness;
mod figure;
mod latency;
mod limit;
#[path = "../common/median.rs"]
mod median;
mod pace;
mod peers;
mod plot;
#[path = "../common/quotes.rs"]
mod quotes;
mod report;
mod setup;
mod stage;
mod stream;
mod suite;
mod throughput;

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
        [stream::ROLE, order @ ..] => stream::play(order),
        [limit::ROLE, order @ ..] => limit::play(order),
        [part] => suite::run_one(part),
        _ => Err(format!("{arguments:?} is no role; use `make bench`").into()),
    }
}
