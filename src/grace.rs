//! Grace period after SIGTERM or SIGINT, so that both programs end in under a second even if they are blocked.
//!
//! Both programs end by themselves when the signal arrives. Some calls can't be woken: a sync that takes seconds, a recovery
//! of millions of rows, a write to a log that is not read, a name server that does not answer. Anything still blocked after
//! the grace period is abandoned, exactly as in a crash: no part of it was acknowledged, and the next start recovers.
//!
//! One thing outlasts even `exit`: Linux ends no process while one of its threads is in an uninterruptible wait (state D), as
//! fdatasync(2) is on a disk that does not answer. SIGKILL waits for it too.

use std::process;
use std::thread;
use std::time::Duration;

use crate::{event, logging};

/// Time for a program to end by itself after the signal.
pub const GRACE: Duration = Duration::from_millis(700);

/// Longest time for the last line. The log may be what blocks.
const LAST_LINE: Duration = Duration::from_millis(50);

/// Ends the process after [`GRACE`] with exit code 0, unless it has ended by then.
///
/// Call it when `signal` arrives, from a thread that does nothing else: it blocks that thread. The thread is started with
/// the program, because there may be no room for another when the signal comes.
pub fn end_after_grace(signal: &'static str) -> ! {
    thread::sleep(GRACE);
    logging::end();
    event!(Warn, "exit", success, "signal": signal, "reason": "what was blocked did not wake");
    logging::flush_within(LAST_LINE);
    process::exit(0)
}
