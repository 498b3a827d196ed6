//! The promises of the tool `loteria`, tested on the real program.

mod archive;
mod conformance;
mod data;
mod demo;
mod files;
mod operating;

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

/// The subcommands that `--help` lists.
fn subcommands() -> Vec<String> {
    let help = String::from_utf8(loteria(&["--help"]).stdout).expect("UTF-8");
    let (_, list) = help.split_once("Commands:\n").expect("a list");
    let names =
        list.lines().take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = loteria(&["completions", shell]);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        for name in subcommands() {
            assert!(script.contains(&name), "{shell}: {name}");
        }
    }
    let bash = r#"source <("$0" completions bash)
        COMP_WORDS=(loteria ver) COMP_CWORD=1 COMP_LINE="loteria ver" COMP_POINT=11
        _loteria loteria ver loteria; echo "${COMPREPLY[*]}""#;
    let output =
        Command::new("bash").args(["-euc", bash, env!("CARGO_BIN_EXE_loteria")]).output().expect("bash starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "verify\n", "{output:?}");
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let page = String::from_utf8(loteria(&["man"]).stdout).expect("UTF-8");
    let folder = tempfile::tempdir().expect("a folder");
    let output = loteria(&["man", folder.path().join("man1").to_str().expect("UTF-8")]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    for name in subcommands() {
        assert!(page.contains(&format!("loteria\\-{name}(1)")), "{name}: {page}");
        let own = std::fs::read_to_string(folder.path().join(format!("man1/loteria-{name}.1"))).expect("a page");
        assert!(own.starts_with(".ie \\n(.g") && own.contains(".SH SYNOPSIS"), "{name}: {own}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("man1/loteria.1")).expect("a page"), page);
}
