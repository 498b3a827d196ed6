//! `validar-echo-server.sh`: the prescribed line, and the reason of a failure on standard error.
//!
//! A stand-in for `docker` plays each failure. `tests/docker.sh` runs the script on a real engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::fixture::repository;

/// Runs the script with a `docker` whose subcommands succeed but for those that `script`, lines of a shell's `case`, says.
fn validate(script: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let docker = folder.path().join("docker");
    fs::write(&docker, format!("#!/bin/sh\ncase $1 in\n{script}\nesac\n")).expect("written");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a PATH"));
    Command::new("sh").arg(repository().join("validar-echo-server.sh")).env("PATH", path).output().expect("sh")
}

#[test]
fn an_echo_that_comes_back_is_a_success_and_nothing_else_is_said() {
    let output = validate("*) ;;");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"action: test_echo_server | result: success\n");
    assert_eq!(output.stderr, b"");
}

#[test]
fn each_failure_gives_its_reason_on_standard_error() {
    for (script, reason) in [
        ("version) exit 1;;", "no Docker engine answers; docker version says why"),
        (
            "network) exit 1;;",
            "there is no network tp0_testing_net, so no server is up; make docker-compose-up starts one",
        ),
        ("run) echo \"nc: bad address 'server'\" >&2; exit 1;;", "nc: bad address 'server'"),
        ("run) printf 'the server answered \\033[2J'; exit 1;;", "the server answered [2J"),
    ] {
        let output = validate(script);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stdout, b"action: test_echo_server | result: fail\n", "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, format!("validar-echo-server.sh: {reason}\n"));
    }
}
