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

/// The longest rest of the writer between two looks at the queue. A line that comes after a longer pause is written at once;
/// in a stream of lines the writer wakes a thousand times a second, and not once a line.
const REST: Duration = Duration::from_millis(1);

/// A line that waits to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'t> {
    pub level: Level,
    pub text: &'t str,
    pub at: SystemTime,
}

/// Lines for the writer. Their texts are one, so that a line costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: String,
    marks: Vec<Mark>,
    /// Lines that were dropped behind them.
    pub dropped: u64,
}

/// All of a line but its text, which ends at `end` in the text of all.
#[derive(Debug)]
struct Mark {
    level: Level,
    at: SystemTime,
    end: usize,
}

impl Batch {
    const fn new() -> Batch {
        Batch { text: String::new(), marks: Vec::new(), dropped: 0 }
    }

    fn push(&mut self, line: Line<'_>) {
        self.text.push_str(line.text);
        self.marks.push(Mark { level: line.level, at: line.at, end: self.text.len() });
    }

    fn clear(&mut self) {
        self.text.clear();
        self.marks.clear();
        self.dropped = 0;
    }

    fn bytes(&self) -> usize {
        self.text.len() + mem::size_of_val(&*self.marks)
    }

    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        let mut start = 0;
        self.marks.iter().map(move |&Mark { level, at, end }| {
            let text = &self.text[mem::replace(&mut start, end)..end];
            Line { level, text, at }
        })
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// The time without progress after which lines are dropped.
    stall: Duration,
    /// The longest rest of the writer.
    rest: Duration,
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes those who wait for room, or for everything to be written.
    emptied: Condvar,
}

#[derive(Debug)]
struct State {
    batch: Batch,
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
    /// It has written everything, and looks for lines when its [`REST`] is over.
    Resting,
    /// It has lines, or was woken. Its last progress was at this moment.
    Busy { progress: Instant },
}

impl State {
    fn is_flushed(&self) -> bool {
        self.batch.marks.is_empty() && !matches!(self.writer, Writer::Busy { .. })
    }

    /// The rest of `stall`, if the writer makes no progress.
    fn patience(&self, stall: Duration) -> Duration {
        match self.writer {
            Writer::Idle | Writer::Resting => stall,
            Writer::Busy { progress } => stall.saturating_sub(progress.elapsed()),
        }
    }
}

impl Queue {
    pub const fn new() -> Queue {
        let state = State { batch: Batch::new(), writer: Writer::Idle, waiting: 0, is_ending: false };
        Queue { stall: STALL, rest: REST, state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// Puts a line behind the others. Drops it if the queue is full and the writer stuck.
    pub fn push(&self, line: Line<'_>) {
        let mut state = self.lock();
        while state.batch.bytes() >= QUEUE_BYTES && !state.is_ending {
            let patience = state.patience(self.stall);
            if patience.is_zero() {
                state.batch.dropped += 1;
                return;
            }
            state = self.wait(state, patience);
        }
        state.batch.push(line);
        if matches!(state.writer, Writer::Idle) || state.batch.bytes() >= QUEUE_BYTES / 2 {
            self.wake_writer(&mut state);
        }
    }

    /// Puts all lines into `batch`, which the writer has written, once there are any.
    pub fn take(&self, batch: &mut Batch) {
        batch.clear();
        let mut state = self.lock();
        state.writer = Writer::Resting;
        if state.batch.bytes() < QUEUE_BYTES / 2 && state.waiting == 0 {
            let is_resting = |state: &mut State| matches!(state.writer, Writer::Resting);
            let rested = self.filled.wait_timeout_while(state, self.rest, is_resting);
            state = rested.unwrap_or_else(PoisonError::into_inner).0;
        }
        while state.batch.marks.is_empty() {
            state.writer = Writer::Idle;
            self.wake_waiting(&state);
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Busy { progress: Instant::now() };
        self.wake_waiting(&state);
        mem::swap(&mut state.batch, batch);
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

    /// Waits for room, or for everything to be written. The writer has no rest meanwhile.
    fn wait<'q>(&'q self, mut state: MutexGuard<'q, State>, longest: Duration) -> MutexGuard<'q, State> {
        self.wake_writer(&mut state);
        state.waiting += 1;
        let mut state = self.emptied.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }

    fn wake_writer(&self, state: &mut State) {
        if !matches!(state.writer, Writer::Busy { .. }) {
            state.writer = Writer::Busy { progress: Instant::now() };
            self.filled.notify_one();
        }
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

    fn push(queue: &Queue, number: usize) {
        queue.push(Line { level: Level::Info, text: &format!("{number:1000}"), at: SystemTime::UNIX_EPOCH });
    }

    fn take(queue: &Queue) -> Batch {
        let mut batch = Batch::default();
        queue.take(&mut batch);
        batch
    }

    fn numbers(batch: &Batch) -> Vec<usize> {
        batch.lines().map(|line| line.text.trim().parse().expect("a number")).collect()
    }

    /// Lines that fill the queue several times.
    const MANY: usize = 4 * QUEUE_BYTES / 1000;

    #[test]
    fn a_writer_that_makes_progress_gets_every_line_in_order() {
        // On a busy machine the writer may not run for longer than usual.
        let queue = Queue { stall: Duration::from_secs(60), ..Queue::new() };
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let (mut batch, mut written) = (Batch::default(), Vec::new());
                while written.len() < MANY {
                    queue.take(&mut batch);
                    assert_eq!(batch.dropped, 0);
                    written.extend(numbers(&batch));
                }
                written
            });
            (0..MANY).for_each(|number| push(&queue, number));
            assert_eq!(writer.join().expect("joined"), (0..MANY).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_stuck_writer_costs_lines_which_are_counted_and_the_first_are_kept() {
        let queue = Queue::new();
        // The wait for a stuck writer is one for all lines. One for each would take minutes.
        (0..MANY).for_each(|number| push(&queue, number));
        let batch = take(&queue);
        let kept = numbers(&batch);
        assert!(kept.len() > MANY / 5, "{}", kept.len());
        assert_eq!(kept.len() as u64 + batch.dropped, MANY as u64);
        assert!(kept.iter().enumerate().all(|(at, &number)| number == at));
        push(&queue, 7);
        let batch = take(&queue);
        assert_eq!((numbers(&batch), batch.dropped), (vec![7], 0), "there is room again");
    }

    #[test]
    fn a_program_that_ends_waits_for_no_room() {
        let queue = Queue::new();
        queue.end();
        (0..MANY).for_each(|number| push(&queue, number));
        let batch = take(&queue);
        assert_eq!((numbers(&batch).len(), batch.dropped), (MANY, 0));
    }

    /// Queue whose writer would rest forever.
    fn restful() -> Queue {
        Queue { rest: Duration::from_secs(3600), ..Queue::new() }
    }

    #[test]
    fn lines_come_together_until_a_flush_ends_the_rest_of_the_writer() {
        let queue = restful();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let taken = numbers(&take(&queue));
                queue.lock().writer = Writer::Idle;
                queue.emptied.notify_all();
                taken
            });
            (0..9).for_each(|number| push(&queue, number));
            while !queue.lock().is_flushed() {
                queue.flush(Duration::MAX);
            }
            assert_eq!(writer.join().expect("joined"), (0..9).collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_queue_half_full_ends_the_rest_of_the_writer() {
        let queue = restful();
        thread::scope(|scope| {
            let writer = scope.spawn(|| numbers(&take(&queue)).len());
            (0..MANY / 6).for_each(|number| push(&queue, number));
            assert!(writer.join().expect("joined") > MANY / 10);
        });
    }

    #[test]
    fn a_flush_ends_when_everything_is_written_or_the_writer_is_stuck() {
        let queue = Queue::new();
        queue.flush(Duration::MAX);
        push(&queue, 1);
        queue.flush(Duration::MAX);
        queue.flush(Duration::ZERO);
        thread::scope(|scope| {
            let (wrote, written) = mpsc::channel();
            scope.spawn({
                let queue = &queue;
                move || {
                    wrote.send(numbers(&take(queue))).expect("sent");
                    // Only now it is done with them. It ends with the next line.
                    take(queue);
                }
            });
            assert_eq!(written.recv(), Ok(vec![1]));
            while !queue.lock().is_flushed() {
                queue.flush(Duration::MAX);
            }
            push(&queue, 2);
        });
    }
}
