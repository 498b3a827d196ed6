//! The round on a terminal: a bar for the server and for each agency. Elsewhere: every line of every log.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

use super::standing::{AgencyPhase, Standing, grouped};

/// Template of a line with a bar. Its colours are left out if NO_COLOR is set.
const BAR: &str = "{prefix:9} {bar:20.green} {human_pos:>10} of {human_len:10} {wide_msg}";
/// Template of a line of a terminal that is too narrow for a bar and the longest message.
const NARROW: &str = "{prefix:9} {human_pos:>9} of {human_len:9} {wide_msg}";
const LEAST_COLUMNS_FOR_BARS: usize = 80;
/// Template of the line of the agencies that have none of their own.
const REST: &str = "{prefix:9} {wide_msg}";

/// Lines and columns of a terminal whose size is unknown.
const USUAL_SIZE: (usize, usize) = (24, 80);

/// Lines and columns of the terminal that standard output is; `None` if it is none.
pub fn terminal_size() -> Option<(usize, usize)> {
    let output = io::stdout();
    let is_known = |size: &(usize, usize)| size.0 > 0 && size.1 > 0;
    let size = || tcgetwinsize(&output).ok().map(|size| (size.ws_row.into(), size.ws_col.into())).filter(is_known);
    output.is_terminal().then(|| size().unwrap_or(USUAL_SIZE))
}

/// True if lines of the terminal can be written over.
fn can_move_cursor() -> bool {
    std::env::var_os("TERM").is_some_and(|terminal| !terminal.is_empty() && terminal != "dumb")
}

/// The place where a round is shown.
pub enum Screen {
    /// Every line of every log, one below the other.
    Log,
    /// Bars that follow the standing of the round.
    Live(Bars),
}

impl Screen {
    /// Bars on a terminal, unless `all_lines` are wanted; every line elsewhere.
    pub fn new(all_lines: bool, standing: &Standing) -> Screen {
        match terminal_size() {
            Some(size) if !all_lines && can_move_cursor() => Screen::Live(Bars::new(size, standing)),
            _ => Screen::Log,
        }
    }

    /// Shows a line of the log of `program`. Write errors are ignored: the round goes on without a reader.
    pub fn show(&self, program: &str, line: &str) {
        match self {
            Screen::Log => drop(writeln!(io::stdout(), "{program:<9} | {line}")),
            Screen::Live(bars) if line.contains("result: fail") => {
                let _ = bars.all.println(format!("{program:<9} | {line}"));
            }
            Screen::Live(_) => {}
        }
    }

    /// Shows the standing of the round.
    pub fn draw(&self, standing: &Standing) {
        if let Screen::Live(bars) = self {
            bars.draw(standing);
        }
    }

    /// Removes the bars.
    pub fn clear(&self) {
        if let Screen::Live(bars) = self {
            let _ = bars.all.clear();
        }
    }
}

/// Bars of a round.
pub struct Bars {
    all: MultiProgress,
    server: ProgressBar,
    /// Bars of the first agencies.
    agencies: Vec<ProgressBar>,
    /// The line of the agencies for which the terminal has no lines.
    rest: Option<ProgressBar>,
}

impl Bars {
    /// Bars for as many agencies as the lines have room for, beside the server's line and the cursor's.
    fn new((lines, columns): (usize, usize), standing: &Standing) -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let style = |template| ProgressStyle::with_template(template).expect("the template is valid");
        let add = |template, prefix: String, length| {
            let bar = ProgressBar::new(length).with_style(style(template)).with_prefix(prefix);
            all.add(bar)
        };
        let (room, count) = (lines.saturating_sub(2), standing.agencies.len());
        let shown = if count <= room { count } else { room.saturating_sub(1) };
        let line = if columns < LEAST_COLUMNS_FOR_BARS { NARROW } else { BAR };
        let server = add(line, "server".to_owned(), standing.bets());
        let agencies = (1..).zip(&standing.agencies[..shown]);
        let agencies = agencies.map(|(id, agency)| add(line, format!("agency {id}"), agency.bets)).collect();
        let rest = (shown < count).then(|| add(REST, format!("{} more", count - shown), 0));
        Bars { all, server, agencies, rest }
    }

    fn draw(&self, standing: &Standing) {
        let show = |bar: &ProgressBar, position, message: String| {
            bar.set_position(position);
            bar.set_message(message);
        };
        show(&self.server, standing.server.stored, standing.server.phase.words());
        for (bar, agency) in self.agencies.iter().zip(&standing.agencies) {
            show(bar, agency.stored, agency.phase.words());
        }
        if let Some(rest) = &self.rest {
            rest.set_message(summary(&standing.agencies[self.agencies.len()..]));
        }
    }
}

/// The agencies without a line of their own, in one line.
fn summary(agencies: &[super::standing::Agency]) -> String {
    let count = |is_counted: fn(AgencyPhase) -> bool| agencies.iter().filter(|agency| is_counted(agency.phase)).count();
    let waiting = count(|phase| phase == AgencyPhase::Waiting);
    let told = count(|phase| matches!(phase, AgencyPhase::Told(_)));
    let stored = agencies.iter().map(|agency| agency.stored).sum();
    format!("{} bets, {waiting} waiting for the draw, {told} told their winners", grouped(stored))
}
