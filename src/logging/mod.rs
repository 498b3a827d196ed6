//! The log contract: every line is `action: NAME | result: success|fail|in_progress | key: value | ...`.
//!
//! [`event!`](crate::event) writes every line and can't write another form: the action and the keys are literals, the
//! result is one of three words, and [`Value`] replaces the characters that could end a value. The result is `in_progress`
//! if a wait or another attempt follows; `fail` is final. [`simple_logger`] writes a line that comes alone to standard
//! output, and `format` a burst of them, in one write and the same form.
//!
//! Text from outside stands in a value of its own. In a sentence it is quoted and bounded, as `{:?}` of an [`Excerpt`]. Only
//! a path or an address at the beginning of a sentence is not, as in a compiler's errors.
//!
//! The log blocks nobody. Lines go through a bounded queue to a thread of their own, which outlives a full disk and a reader
//! that has gone. Lines that a stuck reader costs are counted, and the count is logged once there is room.
//!
//! | module | contents |
//! |---|---|
//! | `value` | values: one line, no separator, bounded |
//! | `queue` | lines that wait to be written |
//! | `format` | text, JSON, the journal's form |

mod format;
mod queue;
mod value;

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use std::{io, panic, thread};

use log::{Level, LevelFilter, Log, Metadata, Record};
use thiserror::Error;

use crate::config::LogFormat;
use format::Printer;
use queue::{Batch, Line, Queue};

pub use value::{Excerpt, Value};

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

/// Logs a line that a peer can cause as often as it likes, unless its [share](crate::central::PeerLog) of this second is
/// used up.
#[macro_export]
macro_rules! peer_event {
    ($log:expr, $peer:expr, $level:ident, $($line:tt)*) => {
        if ::log::log_enabled!(::log::Level::$level) && $log.admit($peer) {
            $crate::event!($level, $($line)*);
        }
    };
}

/// The lines that wait to be written. Static, as the logger is, and because a thread that ends the program needs it.
static QUEUE: Queue = Queue::new();

/// The form of the lines: a [`LogFormat`].
static FORMAT: AtomicU8 = AtomicU8::new(LogFormat::Text as u8);

/// Reason why nothing can be logged.
#[derive(Debug, Error)]
#[error("the log can't be started: {0}")]
pub struct StartError(#[from] io::Error);

/// Starts to log as `program`, at INFO until [`set_level`] is called. Panics are logged as lines of the contract too.
///
/// Call it once, at the start of `main`, and [`flush`] at its end.
///
/// # Errors
/// [`StartError`], if the system refuses a thread or a signal.
pub fn start(program: &'static str) -> Result<(), StartError> {
    outlive_file_size_limit()?;
    if log::set_boxed_logger(Box::new(ProgramLogger { name: program })).is_ok() {
        log::set_max_level(LevelFilter::Info);
        panic::set_hook(Box::new(log_panic));
        let printer = Printer::new(program);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(printer))?;
    }
    Ok(())
}

/// Makes a limit on the size of files an error of the write that exceeds it, as a full disk is, and not the end of the process.
fn outlive_file_size_limit() -> io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map(drop)
}

/// Logs lines of `level` and above from now on.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Writes lines in this form from now on.
pub fn set_format(format: LogFormat) {
    FORMAT.store(format as u8, Ordering::Relaxed);
}

fn current_format() -> LogFormat {
    let format = FORMAT.load(Ordering::Relaxed);
    [LogFormat::Json, LogFormat::Journal].into_iter().find(|&other| other as u8 == format).unwrap_or(LogFormat::Text)
}

/// Waits until every line is written. A reader that is stuck is not waited for.
pub fn flush() {
    QUEUE.flush(Duration::MAX);
}

/// Waits as [`flush`] does, for at most `longest`.
pub fn flush_within(longest: Duration) {
    QUEUE.flush(longest);
}

/// Lets no line wait for room any more: the program ends now.
pub fn end() {
    QUEUE.end();
}

/// Writes lines through `around`, which must call its argument once. A progress bar uses it to make room for the lines.
///
/// Call it at most once, because there is one terminal. A second call changes nothing.
pub fn write_lines_within(around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) {
    let _ = AROUND_LINES.set(Box::new(around));
}

/// Function that calls its argument, which writes lines.
type Around = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static AROUND_LINES: OnceLock<Around> = OnceLock::new();

/// Logger that puts lines into the queue.
struct ProgramLogger {
    name: &'static str,
}

impl Log for ProgramLogger {
    /// True for the library and the program itself. Other crates do not follow the contract, so their lines are dropped.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let crate_name = metadata.target().split("::").next();
        crate_name == Some(env!("CARGO_CRATE_NAME")) || crate_name == Some(self.name)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            QUEUE.push(Line { level: record.level(), text: &text, at: SystemTime::now() });
        }
    }

    fn flush(&self) {
        flush();
    }
}

thread_local! {
    /// Set in the thread that writes the lines, so that a panic of a write is not logged in turn.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// Writes the lines of the queue, for as long as the program runs.
fn write_lines(mut printer: Printer) {
    IS_WRITER.set(true);
    let mut batch = Batch::default();
    let mut failed = 0_u64;
    loop {
        QUEUE.take(&mut batch);
        failed += write_batch(&mut printer, &batch);
        if batch.dropped > 0 || failed > 0 {
            let text = format!("action: log | result: fail | dropped: {} | failed_writes: {failed}", batch.dropped);
            let line = Line { level: Level::Warn, text: &text, at: SystemTime::now() };
            let lost = write(|| printer.print(line, current_format()));
            failed = if lost == 0 { 0 } else { failed + lost };
        }
    }
}

/// Writes the lines of a batch. Gives the number of those that could not be written.
fn write_batch(printer: &mut Printer, batch: &Batch) -> u64 {
    let format = current_format();
    let mut lines = batch.lines();
    if let (1, Some(line)) = (lines.len(), lines.next()) {
        return write(|| printer.print(line, format));
    }
    let mut failed = 0;
    for line in batch.lines() {
        if printer.is_full_for(line) {
            failed += write(|| printer.write());
            QUEUE.note_progress();
        }
        printer.add(line, format);
    }
    failed + write(|| printer.write())
}

/// Writes lines by `print`, which gives the number of those that could not be written. Gives that number.
fn write(print: impl FnOnce() -> u64) -> u64 {
    let (mut print, mut failed) = (Some(print), 0);
    let mut once = || {
        if let Some(print) = print.take() {
            failed = print();
        }
    };
    if let Some(around) = AROUND_LINES.get() {
        // A bar that a panic has broken does not keep the lines.
        let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| around(&mut once)));
    }
    once();
    failed
}

fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    if IS_WRITER.get() {
        return;
    }
    let message = panic.payload_as_str().unwrap_or("no message");
    match panic.location() {
        Some(place) => crate::event!(Error, "panic", fail, "error": message, "at": place),
        None => crate::event!(Error, "panic", fail, "error": message),
    }
    // It may be the end of the program.
    flush();
}
