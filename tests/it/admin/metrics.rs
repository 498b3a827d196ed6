//! `/metrics`, the rules and the dashboard, checked by Prometheus's own tool.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::fixture::{ROW, Server, installed, repository, with_admin};

#[test]
fn promtool_accepts_the_metrics() {
    let Some(mut promtool) = installed("promtool") else { return };
    let server = Server::start_with(2, with_admin);
    let _parked = server.park(2, ROW);
    let metrics = server.get("/metrics");
    assert!(metrics.head.iter().any(|line| line == "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    let checked =
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut checking = checked.spawn().expect("it starts");
    checking.stdin.take().expect("piped").write_all(metrics.body.as_bytes()).expect("written");
    let output = checking.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_metrics_say_what_the_status_says() {
    let server = Server::start_with(2, with_admin);
    let _parked = server.park(2, ROW);
    let metrics = server.get("/metrics").body;
    for line in [
        "loteria_healthy 1",
        "loteria_agencies 2",
        "loteria_bets_total 1",
        "loteria_drawn 0",
        "loteria_commits_failed_total 0",
        "loteria_agency_bets_total{agency=\"1\"} 0",
        "loteria_agency_bets_total{agency=\"2\"} 1",
        "loteria_agency_up{agency=\"1\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
    let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let count = value("loteria_commit_duration_seconds_count ");
    assert!(count.is_some_and(|count| count >= 1));
    assert_eq!(value("loteria_commit_duration_seconds_bucket{le=\"+Inf\"} "), count);
}

#[test]
fn promtool_accepts_the_rules_and_they_fire_when_they_should() {
    let Some(mut promtool) = installed("promtool") else { return };
    let rules = repository().join("deploy/prometheus-rules.yml");
    let output = promtool.arg("check").arg("rules").arg(&rules).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tests = repository().join("deploy/prometheus-rules-test.yml");
    let mut promtool = installed("promtool").expect("it was there before");
    let output = promtool.arg("test").arg("rules").arg(&tests).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The names of metrics that `text` contains.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    let is_metric = |word: &&str| word.starts_with("loteria_") || word.starts_with("process_");
    let of_histogram = |word: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    words.filter(is_metric).map(of_histogram).collect()
}

#[test]
fn the_dashboard_and_the_rules_use_metrics_that_there_are() {
    let server = Server::start_with(1, with_admin);
    let metrics = names(&server.get("/metrics").body);
    for file in ["deploy/grafana.json", "deploy/prometheus-rules.yml"] {
        let text = fs::read_to_string(repository().join(file)).expect("text");
        let used = names(&text);
        assert!(used.len() > 3, "{file}");
        assert!(used.is_subset(&metrics), "{file}: {:?}", used.difference(&metrics));
    }
    let dashboard = fs::read_to_string(repository().join("deploy/grafana.json")).expect("text");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() >= 6));
}
