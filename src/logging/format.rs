//! The forms of a line: text as the course has it, JSON for machines, and the journal's.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::time::SystemTime;

use log::{Level, Record};
use simple_logger::SimpleLogger;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::queue::Line;
use crate::config::LogFormat;

const TIMESTAMP: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

const JSON_TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Bytes of lines that are written at once. A full pipe takes nothing before a page of it was read, so that smaller writes
/// would not show earlier that a slow reader makes progress, and larger ones would show it later. A terminal, which may be a
/// slow line, gets one line at a time.
const WRITE_BYTES: usize = 4096;

/// Bytes that text adds to a line, at most: 36 and a few seconds that it waited.
const AROUND: usize = 64;

/// Writer of lines to standard output, as `program`.
///
/// A line of text that comes alone is written by [`SimpleLogger`], which makes one write of each line. The lines of a burst
/// have the same form, and one write.
pub(super) struct Printer {
    program: &'static str,
    lone: SimpleLogger,
    /// Bytes of lines that are written at once.
    write_bytes: usize,
    /// Lines that are not written. After a write that failed, the rest of the line that it broke off: a whole line follows.
    unwritten: Vec<u8>,
    /// Number of lines that were added since the last write.
    added: u64,
    /// The time at which they are written, and the same as text has it.
    now: SystemTime,
    timestamp: String,
}

impl Printer {
    pub fn new(program: &'static str) -> Printer {
        let lone = SimpleLogger::new().with_level(log::LevelFilter::Trace);
        let lone = lone.with_timestamp_format(TIMESTAMP).with_utc_timestamps();
        Printer {
            program,
            lone,
            write_bytes: if io::stdout().is_terminal() { 0 } else { WRITE_BYTES },
            unwritten: Vec::new(),
            added: 0,
            now: SystemTime::UNIX_EPOCH,
            timestamp: String::new(),
        }
    }

    /// Writes the only line of a batch. Gives the number of lines that could not be written.
    pub fn print(&mut self, line: Line<'_>, format: LogFormat) -> u64 {
        if format != LogFormat::Text || !self.unwritten.is_empty() {
            self.add(line, format);
            return self.write();
        }
        let text = line.text;
        let is_written = match late_by(line.at, SystemTime::now()) {
            None => self.print_text(line.level, format_args!("{text}")),
            Some(seconds) => self.print_text(line.level, format_args!("{text} | waited: {seconds}s")),
        };
        u64::from(!is_written)
    }

    /// Writes a line of text. `println!`, which writes it, panics if standard output is closed or its disk full. The program
    /// must outlive both. The panic may not reach a progress bar: it would poison its lock for the thread that sends. False
    /// if the write failed.
    fn print_text(&self, level: Level, text: std::fmt::Arguments<'_>) -> bool {
        let record = Record::builder().level(level).target(self.program).args(text).build();
        panic::catch_unwind(panic::AssertUnwindSafe(|| log::Log::log(&self.lone, &record))).is_ok()
    }

    /// True if `line` belongs into the next write.
    pub fn is_full_for(&self, line: Line<'_>) -> bool {
        self.added > 0 && self.unwritten.len() + line.text.len() + AROUND > self.write_bytes
    }

    /// Adds a line to those of the next write.
    pub fn add(&mut self, line: Line<'_>, format: LogFormat) {
        if self.added == 0 {
            self.now = SystemTime::now();
            self.timestamp = OffsetDateTime::from(self.now).format(TIMESTAMP).unwrap_or_default();
        }
        self.added += 1;
        let added = match format {
            LogFormat::Text => self.add_text(line),
            LogFormat::Json => writeln!(self.unwritten, "{}", json(line, self.program)),
            LogFormat::Journal => writeln!(self.unwritten, "<{}>{}", priority(line.level), line.text),
        };
        debug_assert!(added.is_ok(), "a vector takes everything");
    }

    fn add_text(&mut self, Line { level, text, at }: Line<'_>) -> io::Result<()> {
        write!(self.unwritten, "{} {level:<5} [{}] {text}", self.timestamp, self.program)?;
        match late_by(at, self.now) {
            None => writeln!(self.unwritten),
            Some(seconds) => writeln!(self.unwritten, " | waited: {seconds}s"),
        }
    }

    /// Writes the lines that were added. Gives the number of those that could not be written.
    pub fn write(&mut self) -> u64 {
        let added = std::mem::take(&mut self.added);
        if self.write_unwritten().is_ok() {
            return 0;
        }
        let mut ends = self.unwritten.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at + 1);
        let end = ends.next();
        // One of them may be of an earlier write.
        let failed = (end.iter().count() + ends.count()) as u64;
        self.unwritten.truncate(end.unwrap_or_default());
        failed.clamp(1, added)
    }

    /// `write_all` would not tell how much of the lines an error has left.
    fn write_unwritten(&mut self) -> io::Result<()> {
        let mut output = io::stdout().lock();
        while !self.unwritten.is_empty() {
            match output.write(&self.unwritten) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.unwritten.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        output.flush()
    }
}

/// Seconds for which a line has waited, if that is one at least. [`SimpleLogger`] gives it the time at which it is written.
fn late_by(at: SystemTime, now: SystemTime) -> Option<u64> {
    let waited = now.duration_since(at).unwrap_or_default().as_secs();
    (waited > 0).then_some(waited)
}

/// Priority of syslog(3), as the journal reads it from the beginning of a line (sd-daemon(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A line as an object. Its parts are told apart by ` | `, which no [`Value`](super::Value) contains, and so no control
/// character needs an escape either.
fn json(line: Line<'_>, program: &str) -> String {
    let time = OffsetDateTime::from(line.at).format(JSON_TIMESTAMP).unwrap_or_default();
    let mut parts = line.text.split(" | ").map(|part| part.split_once(": ").unwrap_or((part, "")));
    let [action, result] = [(); 2].map(|()| parts.next().unwrap_or_default().1);
    let fields = parts.map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect::<Vec<_>>().join(",");
    format!(
        "{{\"time\":\"{time}\",\"level\":\"{}\",\"program\":\"{program}\",\"action\":{},\"result\":{},\"fields\":{{{fields}}}}}",
        line.level,
        quoted(action),
        quoted(result)
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_yaml::Value as Yaml;

    use super::super::Value;
    use super::*;

    #[test]
    fn a_line_that_waited_for_a_second_says_so() {
        let at = SystemTime::now();
        for (milliseconds, late) in [(0, None), (999, None), (1000, Some(1)), (75_900, Some(75))] {
            assert_eq!(late_by(at, at + Duration::from_millis(milliseconds)), late);
        }
        assert_eq!(late_by(at, at - Duration::from_secs(9)), None, "the clock was set back");
    }

    proptest! {
        /// JSON is a part of YAML.
        #[test]
        fn a_line_in_json_has_the_parts_of_the_line_in_text(value in any::<String>(), error in "\\PC{0,40}") {
            let shown = [Value(&value).to_string(), Value(&error).to_string()];
            let text = format!("action: exit | result: fail | msg: {} | error: {}", shown[0], shown[1]);
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_123);
            let object = json(Line { level: Level::Warn, text: &text, at }, "server");
            let object: Yaml = serde_yaml::from_str(&object).expect("JSON");
            for (name, value) in [
                ("time", "2001-09-09T01:46:40.123Z"), ("level", "WARN"), ("program", "server"), ("action", "exit"), ("result", "fail"),
            ] {
                prop_assert_eq!(object[name].as_str(), Some(value));
            }
            prop_assert_eq!(object["fields"]["msg"].as_str(), Some(shown[0].as_str()));
            prop_assert_eq!(object["fields"]["error"].as_str(), Some(shown[1].as_str()));
        }
    }
}
