//! The figures of speed in the documents are those of the last benchmark.

#[path = "../../benches/common/quotes.rs"]
mod quotes;

use std::fs;
use std::path::Path;

/// The page that gives no other figures than measured ones.
const PERFORMANCE: &str = "docs/performance.md";
/// Units of speed, in which no limit and no setting is given.
const UNITS_OF_SPEED: [&str; 5] = ["M", "million", "millones", "ns", "µs"];
/// Further units, in which [`PERFORMANCE`] gives measured figures, and other pages also limits and settings.
const UNITS: [&str; 7] = ["ms", "s", "%", "KiB", "MiB", "times", "veces"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn report() -> String {
    fs::read_to_string(root().join("benches/results.md")).expect("the report")
}

/// The pages, and their names.
fn pages() -> Vec<(String, String)> {
    let pages = quotes::pages(root()).expect("the pages").into_iter();
    let name = |page: &Path| page.strip_prefix(root()).expect("a page of ours").display().to_string();
    pages.map(|page| (name(&page), fs::read_to_string(&page).expect("text"))).collect()
}

#[test]
fn every_figure_of_a_document_is_that_of_the_last_benchmark() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        quotes::update(root()).expect("updated");
        return;
    }
    let report = report();
    for (name, page) in pages() {
        let expected = quotes::with_figures(&page, &report).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (line, expected) in page.lines().zip(expected.lines()) {
            assert_eq!(line, expected, "{name} is not what was measured; UPDATE_DOCS=1 rewrites its figures");
        }
    }
}

#[test]
fn a_changed_digit_of_a_quoted_figure_is_found() {
    let report = report();
    let quoting = pages().into_iter().filter(|(_, page)| page.contains("<!-- figure: "));
    let mut names = Vec::new();
    for (name, page) in quoting {
        let (before, figure) = page.split_once(" -->").expect("a figure");
        let digit = if figure.starts_with('9') { "8" } else { "9" };
        let changed =
            format!("{before} -->{digit}{}", figure.trim_start_matches(|letter: char| letter.is_ascii_digit()));
        let expected = quotes::with_figures(&changed, &report).expect("figures");
        assert!(changed != expected && expected == page, "{name}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["README.md", "docs/cluster.md", PERFORMANCE]);
}

#[test]
fn every_figure_of_speed_is_quoted_from_the_benchmark() {
    for (name, page) in pages() {
        let units = if name == PERFORMANCE { [&UNITS_OF_SPEED[..], &UNITS].concat() } else { UNITS_OF_SPEED.to_vec() };
        let rest = quotes::without_figures(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(figure_in(&outside_code(&rest), &units), None, "{name}: quote it, see benches/common/quotes.rs");
    }
}

/// `page` without fenced blocks and without text in backquotes.
fn outside_code(page: &str) -> String {
    let text: String = page.split("```").step_by(2).collect();
    text.split('`').step_by(2).collect()
}

/// The first number of `text` with one of `units` behind it, and what follows.
fn figure_in<'a>(text: &'a str, units: &[&str]) -> Option<&'a str> {
    let is_figure = |text: &str| {
        let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit() || ".,".contains(letter));
        let unit = unit.strip_prefix(['\u{a0}', ' ']).unwrap_or(unit);
        let has_ended = |rest: &str| !rest.starts_with(char::is_alphanumeric);
        units.iter().any(|name| unit.strip_prefix(name).is_some_and(has_ended))
    };
    let starts = text.match_indices(|letter: char| letter.is_ascii_digit()).map(|(start, _)| &text[start..]);
    starts.into_iter().find(|text| is_figure(text)).map(|text| text.lines().next().unwrap_or_default())
}

#[test]
fn a_figure_without_a_quotation_is_found() {
    assert_eq!(figure_in("It stores 6 bets, 5.78 M a second.", &UNITS_OF_SPEED), Some("5.78 M a second."));
    assert_eq!(figure_in("Una apuesta tarda 95 ns", &UNITS_OF_SPEED), Some("95 ns"));
    assert_eq!(figure_in("version 2 Messages in 2 nstances, 100 ms", &UNITS_OF_SPEED), None);
    assert_eq!(figure_in("99 % within", &UNITS), Some("99 % within"));
}
