//! `loteria demo` (`make run`): a whole round of real processes, in a temporary folder and on a free port.

mod screen;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loteria_tools::check::{self, Sent};
use loteria_tools::{Ended, Process, Programs, agency_files, field, port_of};
use thiserror::Error;

use self::screen::{Screen, Show};
use crate::Interrupted;

/// Runs a whole round on this machine and shows the winners
///
/// Starts a server and one agency for each file agency-N.csv of FOLDER, in a temporary folder and on a free port. At the end
/// the stored bets are compared with the files.
#[derive(clap::Args)]
pub struct Options {
    /// Folder with agency-1.csv, agency-2.csv, ...
    #[arg(value_name = "FOLDER", default_value = ".data")]
    folder: PathBuf,
    /// Print every log line, also on a terminal
    #[arg(long)]
    logs: bool,
}

/// A round that did not go as it should.
#[derive(Debug, Error)]
enum DemoError {
    #[error("{}: no agency-1.csv there; `make data` makes it", .0.display())]
    NoData(PathBuf),
    #[error("{}: no such program; `make build` builds it", .0.display())]
    NotBuilt(PathBuf),
    #[error("{name} ended with {status}")]
    Failed { name: String, status: ExitStatus },
    #[error("the server did not start")]
    NotStarted,
    #[error("agency {agency} was told {told:?} winners, and has {winners}")]
    Winners { agency: usize, told: Option<String>, winners: usize },
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let files = agency_files(&options.folder).iter().map(std::path::absolute).collect::<io::Result<Vec<PathBuf>>>()?;
    if files.is_empty() {
        return Err(DemoError::NoData(options.folder.clone()).into());
    }
    let interrupted = crate::interruption()?;
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let agencies = play(&files, folder.path(), &Screen::new(options.logs), &interrupted)?;
    let seconds = began.elapsed().as_secs_f64();
    let sent = check::compare(&folder.path().join("bets.csv"), &files)?;
    check_winners(&agencies, &sent)?;
    report(&sent, seconds)
}

/// Runs the round to its end, and gives what each agency logged.
fn play(
    files: &[PathBuf],
    folder: &Path,
    screen: &Screen,
    interrupted: &AtomicBool,
) -> Result<Vec<Ended>, Box<dyn Error>> {
    let has_been_interrupted = || interrupted.load(Ordering::Relaxed);
    let programs = Programs::beside_this()?;
    if let Some(missing) = [&programs.server, &programs.client].into_iter().find(|program| !program.exists()) {
        return Err(DemoError::NotBuilt(missing.clone()).into());
    }
    let mut server = programs.server(folder);
    server.env("NUM_AGENCIES", files.len().to_string());
    let server = start(&mut server, screen.show("server"))?;
    let port = port_of(&server);
    let mut agencies = Vec::new();
    for (id, file) in (1..).zip(files) {
        let Some(port) = port else { break };
        let mut client = programs.client(folder, id, port);
        agencies.push(start(client.env("CLI_BETS_FILE", file), screen.show(&format!("agency {id}")))?);
    }
    let agencies = wait_for_all(agencies, &has_been_interrupted)?;
    server.terminate();
    let server = server.wait()?;
    if has_been_interrupted() {
        return Err(Interrupted("no process is left running").into());
    }
    port.ok_or(DemoError::NotStarted)?;
    let named = (1..).map(|id: u32| format!("agency {id}")).zip(&agencies).chain([("the server".to_owned(), &server)]);
    for (name, ended) in named {
        if !ended.status.success() {
            return Err(DemoError::Failed { name, status: ended.status }.into());
        }
    }
    Ok(agencies)
}

fn start(command: &mut Command, show: Show) -> io::Result<Process> {
    Process::start(command, move |line| show(line))
}

/// Waits until every agency has ended. An agency that fails, or an interruption, terminates the others: without it there is
/// no draw to wait for.
fn wait_for_all(mut agencies: Vec<Process>, has_been_interrupted: &impl Fn() -> bool) -> io::Result<Vec<Ended>> {
    const POLL_INTERVAL: Duration = Duration::from_millis(5);
    let mut is_terminating = false;
    loop {
        let mut running = 0;
        let mut must_end = has_been_interrupted();
        for agency in &mut agencies {
            match agency.status()? {
                None => running += 1,
                Some(status) => must_end |= !status.success(),
            }
        }
        if running == 0 {
            return agencies.into_iter().map(Process::wait).collect();
        }
        if must_end && !std::mem::replace(&mut is_terminating, true) {
            agencies.iter().for_each(Process::terminate);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Checks that each agency was told as many winners as its file has.
fn check_winners(agencies: &[Ended], sent: &[Sent]) -> Result<(), DemoError> {
    for (agency, (ended, sent)) in (1..).zip(agencies.iter().zip(sent)) {
        let told = ended.lines_with("action: consulta_ganadores | result: success");
        let told = told.first().and_then(|line| field(line, "cant_ganadores"));
        let winners = sent.winners.len();
        if told != Some(winners.to_string().as_str()) {
            return Err(DemoError::Winners { agency, told: told.map(str::to_owned), winners });
        }
    }
    Ok(())
}

fn report(sent: &[Sent], seconds: f64) -> Result<(), Box<dyn Error>> {
    const RULE: &str = " ────────┼───────────┼─────────┼───────────";
    let mut out = io::stdout().lock();
    writeln!(out, "\n  agency │      bets │ winners │ documents\n{RULE}")?;
    for (agency, Sent { bets, winners }) in (1..).zip(sent) {
        let documents: Vec<String> = winners.iter().map(u32::to_string).collect();
        writeln!(out, "  {agency:>6} │ {bets:>9} │ {:>7} │ {}", winners.len(), documents.join(" "))?;
    }
    let bets: u64 = sent.iter().map(|sent| sent.bets).sum();
    let winners: usize = sent.iter().map(|sent| sent.winners.len()).sum();
    writeln!(out, "{RULE}\n     all │ {bets:>9} │ {winners:>7} │")?;
    writeln!(out, "\nbets.csv holds every bet once, in the order of its agency's file; {seconds:.2} s.")?;
    Ok(())
}
