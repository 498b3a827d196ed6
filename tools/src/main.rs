//! `loteria`: the programs around the lottery.
mod data;
mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let rest: Vec<_> = arguments.collect();
    match command.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("demo") => demo::main(rest),
        Some("data") => data::main(rest),
        _ => ExitCode::from(2),
    }
}
