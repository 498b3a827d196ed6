//! How far an agency has come: a bar where standard error is a terminal, a line of the log now and then where it is not.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::client::{BetsFrom, ClientConfig};
use crate::{event, logging};

/// How often a long run says in the log how far it has come.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What a bar says: no colours.
const BAR: &str = "agency {prefix} [{bar:30}] {human_pos} of {human_len} bets, {per_sec}, {eta} left";

/// The progress of one run.
#[derive(Debug)]
pub struct Progress {
    agency: u32,
    bar: Option<ProgressBar>,
    /// When it was last said in the log how many bets were stored, and how many.
    last: (Instant, u64),
}

impl Progress {
    /// The progress of an agency so configured. For a bar, the bets of its file are counted first.
    pub fn new(config: &ClientConfig) -> Progress {
        let bar = match &config.bets {
            BetsFrom::File(path) if io::stderr().is_terminal() => start_bar(config.id, path),
            _ => None,
        };
        Progress { agency: config.id, bar, last: (Instant::now(), 0) }
    }

    /// `stored` bets are known to be stored.
    pub fn advance(&mut self, stored: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(stored);
            return;
        }
        let now = Instant::now();
        let (then, stored_then) = self.last;
        if now - then >= LINE_EVERY {
            let a_second = stored.saturating_sub(stored_then) as f64 / (now - then).as_secs_f64();
            event!(Info, "progreso", in_progress, "client_id": self.agency, "almacenadas": stored,
                "por_segundo": format_args!("{a_second:.0}"));
            self.last = (now, stored);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar that makes room for the lines of the log. Without a readable file there is none; what is wrong with the file is
/// said by who reads it.
fn start_bar(agency: u32, file: &Path) -> Option<ProgressBar> {
    let bets = count_lines(File::open(file).ok()?).ok()?;
    let bar = ProgressBar::new(bets).with_prefix(agency.to_string());
    bar.set_style(ProgressStyle::with_template(BAR).ok()?);
    let around = bar.clone();
    logging::write_lines_within(move |write| around.suspend(write));
    Some(bar)
}

fn count_lines(mut file: impl Read) -> io::Result<u64> {
    let mut chunk = vec![0; 1 << 16];
    let mut lines = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(lines),
            bytes => lines += chunk[..bytes].iter().filter(|&&byte| byte == b'\n').count() as u64,
        }
    }
}
