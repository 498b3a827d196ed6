//! The lines of several programs on one terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Shows a line of one program.
pub type Show = Arc<dyn Fn(&str) + Send + Sync>;

/// The place where the lines of all programs are shown.
pub enum Screen {
    /// Every line, one below the other.
    Log,
    /// The last line of each program, rewritten in place.
    Status(MultiProgress),
}

impl Screen {
    /// One line for each program on a terminal, unless `all_lines` are wanted; every line elsewhere.
    pub fn new(all_lines: bool) -> Screen {
        if all_lines || !io::stdout().is_terminal() {
            return Screen::Log;
        }
        Screen::Status(MultiProgress::with_draw_target(ProgressDrawTarget::stdout()))
    }

    /// A function that shows the lines of the program `name`. Write errors are ignored: the round goes on without a reader.
    pub fn show(&self, name: &str) -> Show {
        let name = format!("{name:<9}");
        let Screen::Status(lines) = self else {
            return Arc::new(move |line| drop(writeln!(io::stdout(), "{name} | {line}")));
        };
        let style = ProgressStyle::with_template("{prefix} | {wide_msg}").expect("the template is valid");
        let bar = ProgressBar::no_length().with_style(style).with_prefix(name.clone());
        let bar = lines.add(bar.with_finish(ProgressFinish::Abandon));
        let lines = lines.clone();
        Arc::new(move |line| {
            if line.contains("result: fail") {
                let _ = lines.println(format!("{name} | {line}"));
            }
            bar.set_message(line.split_once("] ").map_or(line, |(_, message)| message).to_owned());
        })
    }
}
