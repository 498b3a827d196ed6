//! `make run`: a central and one agency for each file of a folder, as real processes on a free port and in a folder that is
//! gone afterwards; what they say, then what it came to.
//!
//! On a terminal each of them has one line, which shows the last that it said; elsewhere, or with `--logs`, every line is
//! printed as it comes, behind who says it.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use loteria_tools::check::{self, Difference, Sent};
use loteria_tools::{Ended, Process, Programs, agency_files, field, port_of};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use thiserror::Error;

/// The exit code of a program that a signal interrupted, by the shells' convention.
const INTERRUPTED: u8 = 130;

/// Why a contest did not go as it should.
#[derive(Debug, Error)]
enum RunError {
    #[error("{}: no agency-1.csv there; `make data` makes it", .0.display())]
    NoData(PathBuf),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{name} ended with {status}")]
    Failed { name: String, status: std::process::ExitStatus },
    #[error("the central did not start")]
    NotStarted,
    #[error(transparent)]
    Different(#[from] Difference),
    #[error("agency {agency} was told {told:?} winners, and has {winners}")]
    Winners { agency: usize, told: Option<String>, winners: usize },
    #[error("interrupted")]
    Interrupted,
}

pub fn main(arguments: Vec<std::ffi::OsString>) -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_args(arguments)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Text(text)) => {
            // Nobody may be reading.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("run: {error}; see --help");
            return ExitCode::FAILURE;
        }
    };
    let is_quiet = !options.logs && io::stdout().is_terminal();
    let screen = if is_quiet { Screen::lines_in_place() } else { Screen::Lines };
    match run(&options.folder, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Interrupted) => {
            eprintln!("run: interrupted; nothing is left running");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How it was called.
struct Options {
    folder: PathBuf,
    logs: bool,
}

/// What the arguments ask for.
enum Asked {
    Run(Options),
    Text(String),
}

const HELP: &str = "Usage: run [--logs] [FOLDER]

Runs a central and one agency for each file agency-N.csv of FOLDER (.data).
  --logs      every line as it comes, also on a terminal
  --help, --version
";

impl Options {
    fn parse(mut parser: lexopt::Parser) -> Result<Asked, lexopt::Error> {
        use lexopt::prelude::{Long, Short, Value};

        let (mut folder, mut logs) = (None, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("logs") => logs = true,
                Long("help") | Short('h') => return Ok(Asked::Text(HELP.to_owned())),
                Long("version") | Short('V') => return Ok(Asked::Text(format!("run {}\n", env!("CARGO_PKG_VERSION")))),
                Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
                unexpected => return Err(unexpected.unexpected()),
            }
        }
        Ok(Asked::Run(Options { folder: folder.unwrap_or_else(|| PathBuf::from(".data")), logs }))
    }
}

/// Shows a line.
type Show = Arc<dyn Fn(&str) + Send + Sync>;

/// Where what the programs say is shown.
enum Screen {
    /// Line after line.
    Lines,
    /// One line for each program, on a terminal.
    InPlace(MultiProgress),
}

impl Screen {
    fn lines_in_place() -> Screen {
        Screen::InPlace(MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout()))
    }

    /// What shows the lines of the program `name`. A reader that is gone does not end the contest.
    fn show(&self, name: &str) -> Show {
        let name = format!("{name:<9}");
        match self {
            Screen::Lines => Arc::new(move |line| drop(writeln!(io::stdout(), "{name} | {line}"))),
            Screen::InPlace(lines) => {
                let style = ProgressStyle::with_template("{prefix} | {wide_msg}").expect("the template above is valid");
                let bar = lines.add(
                    ProgressBar::no_length()
                        .with_style(style)
                        .with_prefix(name.clone())
                        .with_finish(ProgressFinish::Abandon),
                );
                let lines = lines.clone();
                Arc::new(move |line| {
                    let is_bad = line.contains("result: fail");
                    if is_bad {
                        // A terminal that is gone does not end the contest either.
                        let _ = lines.println(format!("{name} | {line}"));
                    }
                    bar.set_message(line.split_once("] ").map_or(line, |(_, said)| said).to_owned());
                })
            }
        }
    }
}

fn run(data: &Path, screen: &Screen) -> Result<(), RunError> {
    let files = agency_files(data).iter().map(std::path::absolute).collect::<io::Result<Vec<PathBuf>>>()?;
    if files.is_empty() {
        return Err(RunError::NoData(data.to_owned()));
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    // SIGHUP too: closing the terminal must not leave a central behind.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let agencies = play(&files, folder.path(), screen, &interrupted)?;
    let seconds = began.elapsed().as_secs_f64();

    let sent = check::compare(&folder.path().join("bets.csv"), &files)?;
    check_winners(&agencies, &sent)?;
    Ok(report(&sent, seconds)?)
}

/// Runs the contest to its end and gives what the agencies said.
fn play(files: &[PathBuf], folder: &Path, screen: &Screen, interrupted: &AtomicBool) -> Result<Vec<Ended>, RunError> {
    let programs = Programs::beside_this()?;
    let mut server = programs.server(folder);
    server.env("NUM_AGENCIES", files.len().to_string());
    let server = start(&mut server, screen.show("central"))?;
    let Some(port) = port_of(&server) else {
        return Err(if interrupted.load(Ordering::Relaxed) { RunError::Interrupted } else { RunError::NotStarted });
    };
    let start_agency = |(id, file): (u32, &PathBuf)| {
        let mut client = programs.client(folder, id, port);
        start(client.env("CLI_BETS_FILE", file), screen.show(&format!("agency {id}")))
    };
    let agencies = (1..).zip(files).map(start_agency).collect::<io::Result<Vec<Process>>>()?;
    let agencies = wait_for_all(agencies, interrupted)?;
    server.terminate();
    let server = server.wait()?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(RunError::Interrupted);
    }
    let named = (1..).map(|id: u32| format!("agency {id}")).zip(&agencies).chain([("central".to_owned(), &server)]);
    for (name, ended) in named {
        if !ended.status.success() {
            return Err(RunError::Failed { name, status: ended.status });
        }
    }
    Ok(agencies)
}

fn start(command: &mut Command, show: Show) -> io::Result<Process> {
    Process::start(command, move |line| show(line))
}

/// Waits for the agencies to end; an agency that fails, or an interruption, ends the others: without it there is no draw.
fn wait_for_all(mut agencies: Vec<Process>, interrupted: &AtomicBool) -> io::Result<Vec<Ended>> {
    const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(5);
    let mut is_over = false;
    loop {
        let mut running = 0;
        let mut has_failed = interrupted.load(Ordering::Relaxed);
        for agency in &mut agencies {
            match agency.status()? {
                None => running += 1,
                Some(status) => has_failed |= !status.success(),
            }
        }
        if running == 0 {
            return agencies.into_iter().map(Process::wait).collect();
        }
        if has_failed && !std::mem::replace(&mut is_over, true) {
            agencies.iter().for_each(Process::terminate);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn check_winners(agencies: &[Ended], sent: &[Sent]) -> Result<(), RunError> {
    for (agency, (ended, sent)) in (1..).zip(agencies.iter().zip(sent)) {
        let told = ended.lines_with("action: consulta_ganadores | result: success");
        let told = told.first().and_then(|line| field(line, "cant_ganadores"));
        if told != Some(sent.winners.len().to_string().as_str()) {
            let (told, winners) = (told.map(str::to_owned), sent.winners.len());
            return Err(RunError::Winners { agency, told, winners });
        }
    }
    Ok(())
}

fn report(sent: &[Sent], seconds: f64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let bets: u64 = sent.iter().map(|sent| sent.bets).sum();
    let winners: usize = sent.iter().map(|sent| sent.winners.len()).sum();
    writeln!(out, "\n  agency │      bets │ winners │ documents\n ────────┼───────────┼─────────┼───────────")?;
    for (agency, sent) in (1..).zip(sent) {
        let documents: Vec<String> = sent.winners.iter().map(u32::to_string).collect();
        let (bets, winners) = (sent.bets, sent.winners.len());
        writeln!(out, "  {agency:>6} │ {bets:>9} │ {winners:>7} │ {}", documents.join(" "))?;
    }
    writeln!(out, " ────────┼───────────┼─────────┼───────────\n     all │ {bets:>9} │ {winners:>7} │")?;
    writeln!(out, "\nbets.csv holds every bet once, in the order of its agency's file; {seconds:.2} s.")
}
