//! `loteria conformance` passes what conforms, and of what does not it finds exactly the requirements that are not met.

mod agencies;
mod servers;
mod transcripts;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use super::loteria;

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn server_double() -> String {
    repository().join("tools/tests/it/conformance/server.py").display().to_string()
}

/// A port without a listener, for a server that is killed and started again. It is below those that Linux gives to outgoing
/// connections, one of which could take it meanwhile. Each call returns another.
fn lasting_port() -> u16 {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    // Random, because other runs of the tests take ports at the same time.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(..)));
    let mut ports = std::iter::repeat_with(|| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT);
    ports.find(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok()).expect("one of them is free")
}

fn conformance(arguments: &[&str]) -> (Output, String) {
    let output = loteria(&[&["conformance"], arguments].concat());
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, table)
}

/// The requirements with this verdict in a table.
fn with_verdict<'a>(table: &'a str, verdict: &str) -> Vec<&'a str> {
    let mut rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    rows.retain(|words| words.get(1) == Some(&verdict) && words[0].contains('-'));
    rows.into_iter().map(|words| words[0]).collect()
}

/// Passes if no requirement of `table` is broken, and only those in `skipped` are skipped.
#[track_caller]
fn conforms(output: &Output, table: &str, skipped: &[&str]) {
    assert_eq!(with_verdict(table, "FAILED"), [""; 0], "{table}");
    assert_eq!(with_verdict(table, "skipped"), skipped, "{table}");
    assert_eq!(output.status.code(), Some(0), "{table}");
}

/// Passes if exactly the requirements in `broken` are, in any order.
#[track_caller]
fn breaks(output: &Output, table: &str, broken: &[&str]) {
    let (mut expected, mut found) = (broken.to_vec(), with_verdict(table, "FAILED"));
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{table}");
    assert_eq!(output.status.code(), Some(1), "{table}");
}
