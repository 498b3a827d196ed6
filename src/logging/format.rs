//! The forms of a line: text as the course has it, JSON for machines, and the journal's.

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

/// Writer of lines to standard output, as `program`.
pub(super) struct Printer {
    program: &'static str,
    lines: SimpleLogger,
}

impl Printer {
    pub fn new(program: &'static str) -> Printer {
        let lines = SimpleLogger::new().with_level(log::LevelFilter::Trace);
        Printer { program, lines: lines.with_timestamp_format(TIMESTAMP).with_utc_timestamps() }
    }

    /// Writes a line. Panics, as `println!` does, if it can't be written.
    pub fn print(&self, line: &Line, format: LogFormat) {
        match format {
            LogFormat::Text => {
                let text = &line.text;
                match late_by(line, SystemTime::now()) {
                    None => self.print_text(line.level, format_args!("{text}")),
                    Some(seconds) => self.print_text(line.level, format_args!("{text} | waited: {seconds}s")),
                }
            }
            LogFormat::Json => println!("{}", json(line, self.program)),
            LogFormat::Journal => println!("<{}>{}", priority(line.level), line.text),
        }
    }

    fn print_text(&self, level: Level, text: std::fmt::Arguments<'_>) {
        log::Log::log(&self.lines, &Record::builder().level(level).target(self.program).args(text).build());
    }
}

/// Seconds for which a line has waited, if that is one at least. [`SimpleLogger`] gives it the time at which it is written.
fn late_by(line: &Line, now: SystemTime) -> Option<u64> {
    let waited = now.duration_since(line.at).unwrap_or_default().as_secs();
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
fn json(line: &Line, program: &str) -> String {
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
        let line = Line { level: Level::Info, text: String::new(), at };
        for (milliseconds, late) in [(0, None), (999, None), (1000, Some(1)), (75_900, Some(75))] {
            assert_eq!(late_by(&line, at + Duration::from_millis(milliseconds)), late);
        }
        assert_eq!(late_by(&line, at - Duration::from_secs(9)), None, "the clock was set back");
    }

    proptest! {
        /// JSON is a part of YAML.
        #[test]
        fn a_line_in_json_has_the_parts_of_the_line_in_text(value in any::<String>(), error in "\\PC{0,40}") {
            let shown = [Value(&value).to_string(), Value(&error).to_string()];
            let text = format!("action: exit | result: fail | msg: {} | error: {}", shown[0], shown[1]);
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_123);
            let object = json(&Line { level: Level::Warn, text, at }, "server");
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
