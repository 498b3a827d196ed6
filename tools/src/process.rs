//! A running program, the lines of its log, and its end.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Usage;

/// The longest time that [`Process::wait_for`] waits for a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills the program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Log>,
    readers: Vec<JoinHandle<()>>,
    has_ended: bool,
}

/// The exit status of a program that has ended, and all of its log.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The lines of its standard output and error, in the order in which they were read.
    pub lines: Vec<String>,
}

impl Ended {
    /// The lines that contain `text`.
    pub fn lines_with<'a>(&'a self, text: &str) -> Vec<&'a str> {
        self.lines.iter().map(String::as_str).filter(|line| line.contains(text)).collect()
    }
}

#[derive(Debug, Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// Number of outputs that are still open.
    open: usize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A line is pushed in one step, so a panic elsewhere leaves the state valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts a program, and calls `on_line` with each line that it prints.
    ///
    /// # Errors
    /// The system's.
    pub fn start(command: &mut Command, on_line: impl Fn(&str) + Clone + Send + 'static) -> io::Result<Process> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let log = Arc::new(Log::default());
        let stdout = child.stdout.take().map(|output| Box::new(output) as Box<dyn Read + Send>);
        let stderr = child.stderr.take().map(|output| Box::new(output) as Box<dyn Read + Send>);
        let outputs: Vec<_> = stdout.into_iter().chain(stderr).collect();
        log.lock().open = outputs.len();
        let read = |output| {
            let (log, on_line) = (Arc::clone(&log), on_line.clone());
            thread::spawn(move || read_lines(output, &log, on_line))
        };
        let readers = outputs.into_iter().map(read).collect();
        Ok(Process { child, log, readers, has_ended: false })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resources that it has used so far.
    ///
    /// # Errors
    /// It has ended, or the system has no `/proc`.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.pid())
    }

    /// The lines that it has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().lines.clone()
    }

    /// The first line that contains `text`, as soon as it is printed. `None` if the program ends without it, or a minute
    /// passes.
    pub fn wait_for(&self, text: &str) -> Option<String> {
        self.wait_for_nth(text, 1)
    }

    /// As [`Process::wait_for`], but the `nth` such line, counted from 1.
    pub fn wait_for_nth(&self, text: &str, nth: usize) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.log.lock();
        loop {
            if let Some(line) = state.lines.iter().filter(|line| line.contains(text)).nth(nth - 1) {
                return Some(line.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.open == 0 || left.is_zero() {
                return None;
            }
            state = self.log.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal, unless the program is known to have ended: its number may be reused by then.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.has_ended) {
            // Fails if it ends at this very moment, which is as good.
            let _ = kill_process(pid, signal);
        }
    }

    /// Its exit status; `None` while it is running.
    ///
    /// # Errors
    /// The system's.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.has_ended = status.is_some();
        Ok(status)
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(mut self) -> io::Result<Ended> {
        let status = self.child.wait()?;
        for reader in self.readers.drain(..) {
            // A panic in `on_line` has been reported by its thread.
            let _ = reader.join();
        }
        Ok(Ended { status, lines: std::mem::take(&mut self.log.lock().lines) })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(output: Box<dyn Read + Send>, log: &Log, on_line: impl Fn(&str)) {
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        on_line(&line);
        log.lock().lines.push(line);
        log.changed.notify_all();
    }
    log.lock().open -= 1;
    log.changed.notify_all();
}
