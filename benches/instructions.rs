//! `make callgrind`: the instructions in user space that a bet costs the server and an agency.
//!
//! One agency sends its file to a server, both under valgrind's callgrind, which counts the instructions that they execute. Two
//! files of different length are sent, and the difference of the counts is divided by the difference of the bets, so that start
//! and end cancel out. The bets come from the generator with its default seed, and the configuration is the default. The cut of
//! the bytes into reads differs from run to run, by less than 0.5 % of the figure; the median of [`RUNS`] is taken.
//!
//! The figures are kept in `benches/instructions.txt`. Without an argument they are written there; with `--check` they are
//! compared with those kept, and the program fails if one has grown by more than [`TOLERANCE_PERCENT`].

#[path = "common/median.rs"]
mod median;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use loteria_tools::{Process, Programs, port_of};

use median::median;

/// The two numbers of bets, large enough that what happens once, or once a file buffer, is negligible.
const BETS: [u64; 2] = [50_000, 150_000];
const RUNS: usize = 3;
const TOLERANCE_PERCENT: u64 = 25;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/instructions.txt");

/// Instructions for each program.
#[derive(Clone, Copy)]
struct Figures {
    server: u64,
    client: u64,
}

fn main() -> ExitCode {
    let is_check = std::env::args().any(|argument| argument == "--check");
    match measure().and_then(|figures| if is_check { check(figures) } else { keep(figures) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("callgrind: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Figures, Box<dyn Error>> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Err("valgrind is not installed (on Debian: apt-get install valgrind)".into());
    }
    let folder = tempfile::tempdir()?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let [few, many] = BETS.map(|bets| count(folder.path(), bets));
        let (few, many) = (few?, many?);
        let between = BETS[1] - BETS[0];
        runs.push(Figures {
            server: (many.server - few.server).div_ceil(between),
            client: (many.client - few.client).div_ceil(between),
        });
    }
    let (server, client) = (runs.iter().map(|run| run.server), runs.iter().map(|run| run.client));
    Ok(Figures { server: median(server), client: median(client) })
}

/// Instructions of a whole round of one agency with `bets`.
fn count(folder: &Path, bets: u64) -> Result<Figures, Box<dyn Error>> {
    let data = folder.join(bets.to_string());
    let file = data.join("agency-1.csv");
    if !file.exists() {
        make_data(&data, bets)?;
    }
    let work = tempfile::tempdir_in(folder)?;
    let programs = Programs::beside_this()?;
    let server = start(programs.server(work.path()).env("NUM_AGENCIES", "1"))?;
    let port = port_of(&server).ok_or("the server did not start under valgrind")?;
    let client = start(programs.client(work.path(), 1, port).env("CLI_BETS_FILE", &file))?;
    let client = instructions_of(client)?;
    server.terminate();
    Ok(Figures { server: instructions_of(server)?, client })
}

fn make_data(folder: &Path, bets: u64) -> Result<(), Box<dyn Error>> {
    let mut generator = Command::new(Programs::beside_this()?.loteria);
    generator.args(["data", "--agencies", "1", "--bets", &bets.to_string(), "--into"]).arg(folder);
    let made = generator.stdout(Stdio::null()).status()?;
    if made.success() { Ok(()) } else { Err(format!("the generator ended with {made}").into()) }
}

/// Starts `program` under callgrind, with its environment and folder.
fn start(program: &Command) -> std::io::Result<Process> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program.get_program());
    valgrind.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    valgrind.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    valgrind.current_dir(program.get_current_dir().unwrap_or(Path::new(".")));
    Process::start(&mut valgrind, |_| ())
}

/// The count that callgrind prints at the end: `==1== Collected : 12345`.
fn instructions_of(program: Process) -> Result<u64, Box<dyn Error>> {
    let ended = program.wait()?;
    if !ended.status.success() {
        return Err(format!("a program under valgrind ended with {}: {:#?}", ended.status, ended.lines).into());
    }
    let said = ended.lines_with("Collected : ");
    let count = said.first().and_then(|line| line.rsplit(' ').next()).ok_or("valgrind printed no count")?;
    Ok(count.parse()?)
}

fn keep(figures: Figures) -> Result<(), Box<dyn Error>> {
    let text = describe(figures);
    fs::write(KEPT, &text)?;
    print!("{text}");
    Ok(())
}

fn describe(Figures { server, client }: Figures) -> String {
    format!(
        "# Instructions per bet in user space, from `make callgrind`. CI fails when one grows by more than {TOLERANCE_PERCENT} %.\n\
         server {server}\nclient {client}\n"
    )
}

fn check(now: Figures) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(KEPT)?;
    let kept = |name: &str| -> Result<u64, Box<dyn Error>> {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).ok_or(format!("no line {name:?} in {KEPT}"))?;
        Ok(line.trim().parse()?)
    };
    let mut grown = String::new();
    for (name, kept, now) in [("server", kept("server")?, now.server), ("client", kept("client")?, now.client)] {
        println!("{name}: {now} instructions per bet, {kept} in benches/instructions.txt");
        if now * 100 > kept * (100 + TOLERANCE_PERCENT) {
            write!(grown, "the {name} costs {now} instructions per bet instead of {kept}; ")?;
        }
    }
    if grown.is_empty() {
        Ok(())
    } else {
        Err(format!("{grown}if that is justified, `make callgrind` keeps the new figures").into())
    }
}
