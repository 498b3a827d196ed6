//! The log contract: every line is `action: NAME | result: success|fail|in_progress | key: value | ...`.
//!
//! [`event!`](crate::event) writes every line and can't write another form: the action and the keys are literals, the
//! result is one of three words, and [`Value`] replaces the characters that could end a value. The result is `in_progress`
//! if a wait or another attempt follows; `fail` is final. [`simple_logger`] writes the lines to standard output.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::panic;
use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Logs a line of the contract: a level, an action, a result, and keys with their values.
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

/// Displays a value on one line and without a separator: `|` becomes `/`, and control characters become spaces.
///
/// ```
/// use loteria::logging::Value;
///
/// assert_eq!(Value("a | b\n").to_string(), "a / b ");
/// ```
#[derive(Debug)]
pub struct Value<'a, T: ?Sized>(pub &'a T);

impl<T: fmt::Display + ?Sized> fmt::Display for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Sanitizer(f), "{}", self.0)
    }
}

struct Sanitizer<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Sanitizer<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_separator) {
            self.0.write_str(&rest[..at])?;
            let separator = rest[at..].chars().next().unwrap_or_default();
            self.0.write_str(if separator == '|' { "/" } else { " " })?;
            rest = &rest[at + separator.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Some readers end a line at U+2028 and U+2029, which are not control characters.
fn is_separator(character: char) -> bool {
    character == '|' || character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

const TIMESTAMP: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// Starts to log as `program`, at INFO until [`set_level`] is called. Panics are logged as lines of the contract too.
///
/// Call it once, at the start of `main`. A second call changes nothing.
pub fn start(program: &'static str) {
    let lines =
        SimpleLogger::new().with_level(LevelFilter::Trace).with_timestamp_format(TIMESTAMP).with_utc_timestamps();
    if log::set_boxed_logger(Box::new(ProgramLogger { name: program, lines })).is_ok() {
        log::set_max_level(LevelFilter::Info);
        panic::set_hook(Box::new(log_panic));
    }
}

/// Logs lines of `level` and above from now on.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Writes each line through `around`, which must call its argument once. A progress bar uses it to make room for the line.
///
/// Call it at most once, because there is one terminal. A second call changes nothing.
pub fn write_lines_within(around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) {
    let _ = AROUND_LINES.set(Box::new(around));
}

/// Function that calls its argument, which writes one line.
type Around = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static AROUND_LINES: OnceLock<Around> = OnceLock::new();

/// Logger that names the program as the target of each line, and survives a closed standard output.
struct ProgramLogger {
    name: &'static str,
    lines: SimpleLogger,
}

thread_local! {
    /// Set while this thread writes a line, so that a panic of that write is not logged in turn.
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

impl Log for ProgramLogger {
    /// True for the library and the program itself. Other crates do not follow the contract, so their lines are dropped.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let crate_name = metadata.target().split("::").next();
        crate_name == Some(env!("CARGO_CRATE_NAME")) || crate_name == Some(self.name)
    }

    /// Writes one line. `println!`, which writes it, panics if standard output is closed. The server must outlive the
    /// reader of its log, so that line is dropped and the next one is tried again.
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
            prop_assert!(!shown.contains(is_separator));
            prop_assert_eq!(shown.chars().count(), value.chars().count());
        }
    }
}
