//! A program that was asked to end does so in under a second, whatever it is blocked in.
//!
//! Both programs end by themselves when SIGTERM or SIGINT comes. What can't be woken (a disk that syncs for seconds, a recovery
//! of millions of rows, a reader of the log that does not read, a name server that does not answer) is left behind: nothing of
//! it was acknowledged, and the next start finds what a crash would have left.

use std::process;
use std::thread;
use std::time::Duration;

use crate::event;

/// How long a program that was asked to end may take to do so by itself.
pub const GRACE: Duration = Duration::from_millis(700);

/// How long the last line may take. It may be the log that blocks.
const LAST_LINE: Duration = Duration::from_millis(50);

/// Ends the process after [`GRACE`], unless it has ended by then. Called from a thread that has nothing else to do, when
/// `signal` came.
pub fn end_after_grace(signal: &'static str) -> ! {
    thread::sleep(GRACE);
    thread::spawn(move || event!(Warn, "exit", success, "signal": signal, "reason": "what was blocked did not wake"));
    thread::sleep(LAST_LINE);
    process::exit(0)
}
