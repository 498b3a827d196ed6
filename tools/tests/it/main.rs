//! The promises of the tool `loteria`, tested on the real program.

mod archive;
mod conformance;
mod data;
mod demo;
mod files;

use std::process::{Command, Output};

fn loteria(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loteria")).args(arguments).output().expect("loteria starts")
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (arguments, told) in [
        (&["--help"][..], "Usage: loteria <COMMAND>"),
        (&["demo", "--help"], "Usage: loteria demo [OPTIONS] [FOLDER]"),
        (&["status", "--help"], "Usage: loteria status [OPTIONS] [HOST:PORT]"),
        (&["--version"], concat!("loteria ", env!("CARGO_PKG_VERSION"))),
    ] {
        let output = loteria(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(told), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_usage_error_goes_to_standard_error_with_exit_code_2() {
    for arguments in [&[][..], &["dmeo"], &["demo", ".data", "more"], &["demo", "--log"], &["demo", "--fast", "--kill"]]
    {
        let output = loteria(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: loteria"), "{arguments:?}: {output:?}");
    }
}
