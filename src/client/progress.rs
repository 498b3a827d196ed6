//! Progress of a run: a bar if standard error is a terminal, and a line of the log every few seconds if it is not.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::client::{BetsFrom, ClientConfig};
use crate::{event, logging};

/// Least time between two lines of the log.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Template of the bar while bets are sent: no colours.
const SENDING: &str = "agency {prefix} [{bar:30}] {human_pos} of {human_len} bets, {per_sec}, {eta} left";
/// Template of the bar once every bet is stored.
const WAITING: &str = "agency {prefix} [{bar:30}] {human_pos} of {human_len} bets, waiting for the draw";

/// The progress of one run.
#[derive(Debug)]
pub struct Progress {
    agency: u32,
    display: Display,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    /// Lines of the log. The rate is measured from the last one: when it was written, and the bets stored by then.
    Log {
        written: Instant,
        stored: u64,
    },
}

impl Progress {
    /// Starts to show the progress of the agency of `config`. For a bar, the rows of its file are counted first.
    pub fn new(config: &ClientConfig) -> Progress {
        let bar = match &config.bets {
            BetsFrom::File(path) if io::stderr().is_terminal() => start_bar(config.id, path),
            _ => None,
        };
        let display = bar.map_or(Display::Log { written: Instant::now(), stored: 0 }, Display::Bar);
        Progress { agency: config.id, display }
    }

    /// Shows that `stored` bets are stored.
    pub fn advance(&mut self, stored: u64) {
        let (written, stored_then) = match &self.display {
            Display::Bar(bar) => return bar.set_position(stored),
            Display::Log { written, stored } => (*written, *stored),
        };
        let elapsed = written.elapsed();
        if elapsed >= LINE_EVERY {
            let per_second = stored.saturating_sub(stored_then) as f64 / elapsed.as_secs_f64();
            event!(Info, "progreso", in_progress, "client_id": self.agency, "almacenadas": stored,
                "por_segundo": format_args!("{per_second:.0}"));
            self.display = Display::Log { written: Instant::now(), stored };
        }
    }
}

impl Progress {
    /// Shows that all bets, `stored` of them, are stored, and that nothing is left but the draw.
    pub fn wait_for_draw(&mut self, stored: u64) {
        let Display::Bar(bar) = &self.display else { return };
        if let Ok(style) = ProgressStyle::with_template(WAITING) {
            bar.set_style(style);
        }
        bar.set_length(stored);
        bar.set_position(stored);
        // The agency sleeps from now on: unlike another update, this one is drawn however soon it follows the last.
        bar.abandon();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

/// Starts a bar that makes room for the lines of the log, or none if the rows can't be counted: a device may have no end,
/// and the source of the bets reports a file that can't be read.
fn start_bar(agency: u32, path: &Path) -> Option<ProgressBar> {
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    let bets = count_lines(file).ok()?;
    let bar = ProgressBar::new(bets).with_prefix(agency.to_string());
    bar.set_style(ProgressStyle::with_template(SENDING).ok()?);
    let around = bar.clone();
    logging::write_lines_within(move |write| around.suspend(write));
    Some(bar)
}

fn count_lines(mut file: impl Read) -> io::Result<u64> {
    let mut chunk = vec![0; 1 << 16];
    let (mut lines, mut last) = (0, b'\n');
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(lines + u64::from(last != b'\n')),
            bytes => {
                lines += chunk[..bytes].iter().filter(|&&byte| byte == b'\n').count() as u64;
                last = chunk[bytes - 1];
            }
        }
    }
}
