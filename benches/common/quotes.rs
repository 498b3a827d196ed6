//! Figures that documents quote from `benches/results.md`.
//!
//! A quotation names the section, the row and the column of the figure, in a comment that a reader of the page does not see:
//! `<!-- figure: Throughput / a large round, durable / time -->1.38 s<!-- -->`. The spread is not quoted.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- figure: ";
const BETWEEN: &str = " -->";
const END: &str = "<!-- -->";

/// The pages that may quote: those of the root and of `docs`.
pub fn pages(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        for entry in fs::read_dir(folder)? {
            pages.push(entry?.path());
        }
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    Ok(pages)
}

/// Rewrites the figures of every page with those of the report, or of none if one is not in it.
pub fn update(root: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let report = fs::read_to_string(root.join("benches/results.md"))?;
    let mut rewritten = Vec::new();
    for page in pages(root)? {
        let text = fs::read_to_string(&page)?;
        let quoting = with_figures(&text, &report).map_err(|error| format!("{}: {error}", page.display()))?;
        if quoting != text {
            rewritten.push((page, quoting));
        }
    }
    Ok(rewritten.into_iter().try_for_each(|(page, text)| fs::write(page, text))?)
}

/// `page` with the figures of `report`.
pub fn with_figures(page: &str, report: &str) -> Result<String, String> {
    replace(page, |place| figure(report, place).map(|figure| format!("{BEGIN}{place}{BETWEEN}{figure}{END}")))
}

/// `page` without its quotations.
#[allow(dead_code, reason = "the tests need it")]
pub fn without_figures(page: &str) -> Result<String, String> {
    replace(page, |_| Ok(String::new()))
}

/// `page` with another text in place of each quotation, made of its place in the report.
fn replace(page: &str, replacement: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut parts = page.split(BEGIN);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let no_end = || format!("a quotation has no end: {part:.60}");
        let (place, rest) = part.split_once(BETWEEN).ok_or_else(no_end)?;
        let (_, rest) = rest.split_once(END).ok_or_else(no_end)?;
        text.push_str(&replacement(place)?);
        text.push_str(rest);
    }
    Ok(text)
}

/// The median at `SECTION / ROW / COLUMN` of the report.
fn figure<'a>(report: &'a str, place: &str) -> Result<&'a str, String> {
    let find = || {
        let [section, row, column] = place.split(" / ").collect::<Vec<_>>().try_into().ok()?;
        let (_, rest) = report.split_once(&format!("\n## {section}\n"))?;
        let mut rows = rest.split("\n## ").next()?.lines().filter(|line| line.starts_with('|')).map(cells);
        let column = rows.next()?.iter().position(|&name| name == column)?;
        let cell = *rows.find(|cells| cells.first() == Some(&row))?.get(column)?;
        cell.split(" ±").next()
    };
    find().ok_or_else(|| format!("benches/results.md has no {place:?}"))
}

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}
