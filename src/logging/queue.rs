//! The queue between those who log and the thread that writes: bounded, and without a wait for a reader that is stuck.
//!
//! A full queue lets its caller wait for as long as the writer makes progress, so that a reader which is only slow loses no
//! line. Once the writer has made none for a tenth of a second, lines are dropped and counted.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use log::Level;

/// Bytes of lines that wait. The writer holds as many again.
const QUEUE_BYTES: usize = 256 * 1024;

/// The time without progress after which a writer is stuck, and costs lines.
const STALL: Duration = Duration::from_millis(100);

/// The time without progress after which the end of the program waits no longer. It is longer, because the last lines say
/// why it ended, and nothing else waits then. After a signal, [the grace period](crate::grace) bounds it too.
const LAST_STALL: Duration = Duration::from_millis(500);

/// A line that waits to be written.
#[derive(Debug)]
pub(super) struct Line {
    pub level: Level,
    pub text: String,
    pub at: SystemTime,
}

/// Lines for the writer.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub lines: Vec<Line>,
    /// Lines that were dropped behind them.
    pub dropped: u64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// The time without progress after which lines are dropped.
    stall: Duration,
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes those who wait for room, or for everything to be written.
    emptied: Condvar,
}

#[derive(Debug)]
struct State {
    batch: Batch,
    /// Bytes of the lines in `batch`.
    bytes: usize,
    writer: Writer,
    /// Threads that wait for `emptied`.
    waiting: usize,
    /// True once the program ends: nothing waits for room any more.
    is_ending: bool,
}

#[derive(Clone, Copy, Debug)]
enum Writer {
    /// It waits for a line.
    Idle,
    /// It has lines, or was woken. Its last progress was at this moment.
    Busy { progress: Instant },
}

impl State {
    fn is_flushed(&self) -> bool {
        self.batch.lines.is_empty() && matches!(self.writer, Writer::Idle)
    }

    /// The rest of `stall`, if the writer makes no progress.
    fn patience(&self, stall: Duration) -> Duration {
        match self.writer {
            Writer::Idle => stall,
            Writer::Busy { progress } => stall.saturating_sub(progress.elapsed()),
        }
    }
}

impl Queue {
    pub const fn new() -> Queue {
        let batch = Batch { lines: Vec::new(), dropped: 0 };
        let state = State { batch, bytes: 0, writer: Writer::Idle, waiting: 0, is_ending: false };
        Queue { stall: STALL, state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// Puts a line behind the others. Drops it if the queue is full and the writer stuck.
    pub fn push(&self, line: Line) {
        let mut state = self.lock();
        while state.bytes >= QUEUE_BYTES && !state.is_ending {
            let patience = state.patience(self.stall);
            if patience.is_zero() {
                state.batch.dropped += 1;
                return;
            }
            state = self.wait(state, patience);
        }
        state.bytes += line.text.len() + mem::size_of::<Line>();
        state.batch.lines.push(line);
        if let Writer::Idle = state.writer {
            state.writer = Writer::Busy { progress: Instant::now() };
            self.filled.notify_one();
        }
    }

    /// Gives all lines to the writer, once there are any. It is done with those that it got before.
    pub fn take(&self) -> Batch {
        let mut state = self.lock();
        while state.batch.lines.is_empty() {
            state.writer = Writer::Idle;
            self.wake_waiting(&state);
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Busy { progress: Instant::now() };
        state.bytes = 0;
        self.wake_waiting(&state);
        mem::take(&mut state.batch)
    }

    /// Takes note that the writer is not stuck.
    pub fn note_progress(&self) {
        self.lock().writer = Writer::Busy { progress: Instant::now() };
    }

    /// Waits until everything is written, for as long as the writer is not stuck and for at most `longest`.
    pub fn flush(&self, longest: Duration) {
        let began = Instant::now();
        let mut state = self.lock();
        while !state.is_flushed() {
            let left = state.patience(LAST_STALL).min(longest.saturating_sub(began.elapsed()));
            if left.is_zero() {
                return;
            }
            state = self.wait(state, left);
        }
    }

    /// Lets no line wait for room any more. Those that come now are kept: the program ends soon.
    pub fn end(&self) {
        self.lock().is_ending = true;
        self.emptied.notify_all();
    }

    fn wait<'q>(&'q self, mut state: MutexGuard<'q, State>, longest: Duration) -> MutexGuard<'q, State> {
        state.waiting += 1;
        let mut state = self.emptied.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }

    /// A notification costs a system call, even without a thread that waits for it.
    fn wake_waiting(&self, state: &State) {
        if state.waiting > 0 {
            self.emptied.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock leaves a state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn line(number: usize) -> Line {
        Line { level: Level::Info, text: format!("{number:1000}"), at: SystemTime::UNIX_EPOCH }
    }

    /// Lines that fill the queue several times.
    const MANY: usize = 4 * QUEUE_BYTES / 1000;

    #[test]
    fn a_writer_that_makes_progress_gets_every_line_in_order() {
        // On a busy machine the writer may not run for longer than usual.
        let queue = Queue { stall: Duration::from_secs(60), ..Queue::new() };
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = Vec::new();
                while written.len() < MANY {
                    let batch = queue.take();
                    assert_eq!(batch.dropped, 0);
                    for line in batch.lines {
                        queue.note_progress();
                        written.push(line.text.trim().parse::<usize>().expect("a number"));
                    }
                }
                written
            });
            (0..MANY).for_each(|number| queue.push(line(number)));
            assert_eq!(writer.join().expect("joined"), (0..MANY).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_stuck_writer_costs_lines_which_are_counted_and_the_first_are_kept() {
        let queue = Queue::new();
        // The wait for a stuck writer is one for all lines. One for each would take minutes.
        (0..MANY).for_each(|number| queue.push(line(number)));
        let batch = queue.take();
        assert!(batch.lines.len() > MANY / 5, "{}", batch.lines.len());
        assert_eq!(batch.lines.len() as u64 + batch.dropped, MANY as u64);
        assert!(batch.lines.iter().enumerate().all(|(at, line)| line.text.trim() == at.to_string()));
        queue.push(line(7));
        let batch = queue.take();
        assert_eq!((batch.lines.len(), batch.dropped), (1, 0), "there is room again");
    }

    #[test]
    fn a_program_that_ends_waits_for_no_room() {
        let queue = Queue::new();
        queue.end();
        (0..MANY).for_each(|number| queue.push(line(number)));
        assert_eq!((queue.take().lines.len(), queue.lock().batch.dropped), (MANY, 0));
    }

    #[test]
    fn a_flush_ends_when_everything_is_written_or_the_writer_is_stuck() {
        let queue = Queue::new();
        queue.flush(Duration::MAX);
        queue.push(line(1));
        queue.flush(Duration::MAX);
        queue.flush(Duration::ZERO);
        thread::scope(|scope| {
            let (wrote, written) = mpsc::channel();
            scope.spawn({
                let queue = &queue;
                move || {
                    let batch = queue.take();
                    wrote.send(batch.lines.len()).expect("sent");
                    // Only now it is done with them. It ends with the next line.
                    queue.take();
                }
            });
            assert_eq!(written.recv(), Ok(1));
            while !queue.lock().is_flushed() {
                queue.flush(Duration::MAX);
            }
            queue.push(line(2));
        });
    }
}
