//! The report: tables on the terminal as they are measured, and all of them as Markdown at the end.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

/// The folder of the results.
pub fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches"))
}

/// A report, section by section.
pub struct Report {
    file: PathBuf,
    markdown: String,
}

impl Report {
    /// A report that is written to `file` in [`folder`].
    pub fn begin(file: &str, introduction: &str) -> Report {
        println!("{introduction}");
        Report { file: folder().join(file), markdown: format!("{introduction}\n") }
    }

    /// Adds a table under a title, and shows it.
    pub fn add(&mut self, title: &str, explanation: &str, table: &Table) {
        println!("\n{title}\n{}", table.to_text());
        let _ = write!(self.markdown, "\n## {title}\n{explanation}\n\n{}", table.to_markdown());
    }

    /// Adds a picture in the report's folder.
    pub fn add_picture(&mut self, file: &str, description: &str) {
        let _ = write!(self.markdown, "\n![{description}]({file})\n");
    }

    /// Writes the file.
    pub fn finish(self) -> Result<(), Failure> {
        fs::write(&self.file, self.markdown)?;
        println!("\n{}", self.file.display());
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

/// KiB as MiB.
pub fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}
