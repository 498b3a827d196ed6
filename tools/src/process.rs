//! A program that runs, the lines it says, and how it ends.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long [`Process::wait_for`] waits for a line before it takes the program for stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
    has_ended: bool,
}

/// How a program ended, and everything it said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The lines of its standard output and error, as they came.
    pub lines: Vec<String>,
}

impl Ended {
    /// The lines that contain `text`.
    pub fn lines_with<'a>(&'a self, text: &str) -> Vec<&'a str> {
        self.lines.iter().map(String::as_str).filter(|line| line.contains(text)).collect()
    }
}

#[derive(Debug, Default)]
struct Said {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// Outputs that are still open.
    open: usize,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Lines are pushed whole, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts a program, and calls `on_line` with each line that it says.
    ///
    /// # Errors
    /// The system's.
    pub fn start(command: &mut Command, on_line: impl Fn(&str) + Clone + Send + 'static) -> io::Result<Process> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let said = Arc::new(Said::default());
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|output| Box::new(output) as Box<dyn Read + Send>),
            child.stderr.take().map(|output| Box::new(output) as Box<dyn Read + Send>),
        ];
        let outputs: Vec<_> = outputs.into_iter().flatten().collect();
        said.lock().open = outputs.len();
        let read = |output| {
            let (said, on_line) = (Arc::clone(&said), on_line.clone());
            thread::spawn(move || read_lines(output, &said, on_line))
        };
        let readers = outputs.into_iter().map(read).collect();
        Ok(Process { child, said, readers, has_ended: false })
    }

    /// What identifies it to the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn lines(&self) -> Vec<String> {
        self.said.lock().lines.clone()
    }

    /// The first line that contains `text`, as soon as it is said; `None` if the program ends without it, or a
    /// minute passes.
    pub fn wait_for(&self, text: &str) -> Option<String> {
        self.wait_for_nth(text, 1)
    }

    /// As [`Process::wait_for`], the `nth` such line from 1.
    pub fn wait_for_nth(&self, text: &str, nth: usize) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.said.lock();
        loop {
            if let Some(line) = state.lines.iter().filter(|line| line.contains(text)).nth(nth - 1) {
                return Some(line.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.open == 0 || left.is_zero() {
                return None;
            }
            state = self.said.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks it to end: SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it without a word: SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends it a signal, unless it was seen to have ended: its number may be another's then.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.has_ended) {
            // It may end at any moment, which is as good.
            let _ = kill_process(pid, signal);
        }
    }

    /// How it ended, or `None` while it is running.
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
            // A reader that panicked in `on_line` has said so itself.
            let _ = reader.join();
        }
        Ok(Ended { status, lines: std::mem::take(&mut self.said.lock().lines) })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(output: Box<dyn Read + Send>, said: &Said, on_line: impl Fn(&str)) {
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        on_line(&line);
        said.lock().lines.push(line);
        said.changed.notify_all();
    }
    said.lock().open -= 1;
    said.changed.notify_all();
}
