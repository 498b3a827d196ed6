//! The log contract: every line is `action: NAME | result: success|fail|in_progress | key: value | ...`.
//!
//! A line is made by [`event!`](crate::event), which can't make another form: the action and the keys are literals, the result
//! is one of three words, and a value loses whatever could be taken for the end of itself. Whatever will be tried again is
//! `in_progress`; `fail` is final. Lines go to standard output as [`simple_logger`] writes them.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::panic;
use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Logs a line of the contract.
///
/// ```
/// loteria::event!(Info, "apuesta_recibida", success, "cantidad": 100);
/// ```
#[macro_export]
macro_rules! event {
    ($level:ident, $action:literal, success $($rest:tt)*) => { $crate::event!(@ $level, $action, "success" $($rest)*) };
    ($level:ident, $action:literal, fail $($rest:tt)*) => { $crate::event!(@ $level, $action, "fail" $($rest)*) };
    ($level:ident, $action:literal, in_progress $($rest:tt)*) => { $crate::event!(@ $level, $action, "in_progress" $($rest)*) };
    (@ $level:ident, $action:literal, $result:literal $(, $key:literal: $value:expr)* $(,)?) => {
        ::log::log!(
            ::log::Level::$level,
            concat!("action: ", $action, " | result: ", $result $(, " | ", $key, ": {}")*)
            $(, $crate::logging::Value(&$value))*
        )
    };
}

/// Shows a value so that it can't be taken for the end of a value or of a line: `|` becomes `/`, and control characters spaces.
#[derive(Debug)]
pub struct Value<'a, T: ?Sized>(pub &'a T);

impl<T: fmt::Display + ?Sized> fmt::Display for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Harmless(f), "{}", self.0)
    }
}

struct Harmless<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Harmless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_harmful) {
            self.0.write_str(&rest[..at])?;
            let harmful = rest[at..].chars().next().unwrap_or_default();
            self.0.write_str(if harmful == '|' { "/" } else { " " })?;
            rest = &rest[at + harmful.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Line and paragraph separators end a line for some readers, though they are no control characters.
fn is_harmful(character: char) -> bool {
    character == '|' || character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

const TIMESTAMP: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// Starts logging as `program`, at INFO until [`set_level`] says otherwise. Panics are logged as lines of the contract too.
///
/// Called once, first thing in `main`; a second call changes nothing.
pub fn start(program: &'static str) {
    let lines =
        SimpleLogger::new().with_level(LevelFilter::Trace).with_timestamp_format(TIMESTAMP).with_utc_timestamps();
    if log::set_boxed_logger(Box::new(Program { name: program, lines })).is_ok() {
        log::set_max_level(LevelFilter::Info);
        panic::set_hook(Box::new(log_panic));
    }
}

/// Logs from now on what is at least as important as `level`.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Writes each line from within `around`, which is to call what it is given, once: a progress bar makes room for it there.
///
/// Called at most once; a second call changes nothing.
pub fn write_lines_within(around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) {
    // There is one terminal, and so at most one bar.
    let _ = AROUND_LINES.set(Box::new(around));
}

/// What calls what it is given.
type Around = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static AROUND_LINES: OnceLock<Around> = OnceLock::new();

/// Lines that say who speaks, and that standard output can refuse without harm.
struct Program {
    name: &'static str,
    lines: SimpleLogger,
}

thread_local! {
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

impl Log for Program {
    /// What the library or the program itself says. Crates that log in words of their own are not heard, at TRACE either.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let speaker = metadata.target().split("::").next();
        speaker == Some(env!("CARGO_CRATE_NAME")) || speaker == Some(self.name)
    }

    /// `println!`, which writes the line, panics when standard output is gone. A server must not die because the reader
    /// of its log did: that line is lost, and the next one is tried again.
    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let record = Record::builder().level(record.level()).target(self.name).args(*record.args()).build();
        IS_WRITING.set(true);
        let written = panic::catch_unwind(panic::AssertUnwindSafe(|| match AROUND_LINES.get() {
            None => self.lines.log(&record),
            Some(around) => around(&mut || self.lines.log(&record)),
        }));
        IS_WRITING.set(false);
        drop(written);
    }

    fn flush(&self) {}
}

fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    if IS_WRITING.get() {
        return;
    }
    let message = panic.payload_as_str().unwrap_or("no message");
    match panic.location() {
        Some(place) => crate::event!(Error, "panic", fail, "error": message, "at": place),
        None => crate::event!(Error, "panic", fail, "error": message),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_value_can_end_a_value_or_a_line(value in any::<String>()) {
            let shown = Value(&value).to_string();
            prop_assert!(!shown.contains(is_harmful));
            prop_assert_eq!(shown.chars().count(), value.chars().count());
        }
    }
}
