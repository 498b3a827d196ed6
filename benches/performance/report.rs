//! The report: tables on the terminal as they are measured, and all of them as Markdown at the end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use loteria_tools::Usage;

use crate::Failure;
use crate::plot::Plot;

/// The folder of the results.
pub fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches"))
}

/// The file of the report.
const FILE: &str = "results.md";

/// The place for a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The files in [`folder`], and the terminal.
    Files,
    /// The terminal alone.
    Terminal,
}

/// A report, section by section. Nothing is written before its end, so that an interrupted run leaves the last whole one.
pub struct Report {
    destination: Destination,
    markdown: String,
    /// Names and contents.
    pictures: Vec<(&'static str, String)>,
    /// Peaks that the sections have noted.
    memory: Table,
    /// Programs that the section at hand misses.
    missing: Vec<&'static str>,
}

impl Report {
    pub fn begin(destination: Destination, introduction: &str) -> Report {
        println!("{introduction}");
        let memory = Table::new(&["peak memory of the server (VmHWM)", "MiB"]);
        Report { destination, markdown: format!("{introduction}\n"), pictures: Vec::new(), memory, missing: Vec::new() }
    }

    /// Adds a table under a title, and shows it.
    pub fn add(&mut self, title: &str, explanation: &str, table: &Table) {
        let missing: String =
            self.missing.drain(..).map(|name| format!(" {name} is not installed: its rows are left out.")).collect();
        println!("\n{title}\n{}\n{missing}", table.to_text());
        let _ = write!(self.markdown, "\n## {title}\n{explanation}{missing}\n\n{}", table.to_markdown());
    }

    /// Adds a picture.
    pub fn add_plot(&mut self, file: &'static str, description: &str, plot: &Plot<'_>) -> Result<(), Failure> {
        self.pictures.push((file, plot.to_svg()?));
        Ok(write!(self.markdown, "\n![{description}]({file})\n")?)
    }

    /// Notes the highest peak of the server's memory in some runs.
    pub fn note_memory(&mut self, name: String, usages: impl Iterator<Item = Usage>) {
        let peak = usages.map(|usage| usage.peak_kib).max().unwrap_or_default();
        self.memory.add([name, mebibytes(peak)]);
    }

    /// Says in the section at hand that this program is not installed.
    pub fn leave_out(&mut self, name: &'static str) {
        if !self.missing.contains(&name) {
            self.missing.push(name);
        }
    }

    /// Adds the peaks of the memory, and writes the files.
    pub fn finish(mut self) -> Result<(), Failure> {
        let memory = std::mem::replace(&mut self.memory, Table::new(&[]));
        if memory.rows.len() > 1 {
            let explanation = "Highest of the runs. It grows with the number of connections, not of bets, but for the winners' \
                               documents.";
            self.add("Memory", explanation, &memory);
        }
        if self.destination == Destination::Files {
            for (file, svg) in &self.pictures {
                fs::write(folder().join(file), svg)?;
            }
            fs::write(folder().join(FILE), &self.markdown)?;
            println!("\n{}", folder().join(FILE).display());
        }
        Ok(())
    }
}

/// Rows of text under a head. All columns but the first are right-aligned.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub fn add(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    fn widths(&self) -> Vec<usize> {
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (0..self.rows[0].len()).map(|column| width(column).unwrap_or_default()).collect()
    }

    fn to_text(&self) -> String {
        let line = |row: &Vec<String>| -> String {
            let cells = row.iter().zip(self.widths()).enumerate();
            cells
                .map(
                    |(column, (cell, width))| {
                        if column == 0 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") }
                    },
                )
                .collect()
        };
        self.rows.iter().map(line).collect::<Vec<String>>().join("\n")
    }

    fn to_markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let rule: Vec<&str> = (0..self.rows[0].len()).map(|column| if column == 0 { "---" } else { "---:" }).collect();
        let rule = format!("| {} |\n", rule.join(" | "));
        let (head, rows) = self.rows.split_at(1);
        head.iter().map(line).chain([rule]).chain(rows.iter().map(line)).collect()
    }
}

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Millions, to two places.
pub fn millions(number: f64) -> String {
    format!("{:.2} M", number / 1e6)
}

/// A duration in s, ms or µs.
pub fn time(seconds: f64) -> String {
    match seconds {
        ..1e-3 => format!("{:.0} µs", seconds * 1e6),
        ..0.1 => format!("{:.1} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

/// A ratio as a percentage.
pub fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

/// A cost of a bet.
pub fn nanoseconds(seconds: f64) -> String {
    format!("{:.0} ns", seconds * 1e9)
}

/// KiB as MiB.
fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}
