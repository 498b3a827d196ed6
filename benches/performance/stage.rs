//! The central and the agencies as processes, and what they cost.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loteria_tools::{Programs, agency_files, field};
use tempfile::TempDir;

use crate::Failure;

pub fn programs() -> Programs {
    Programs::beside_this().expect("this program has a path")
}

/// Whether the central syncs each commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Always,
    Never,
}

impl Sync {
    pub fn name(self) -> &'static str {
        match self {
            Sync::Always => "always",
            Sync::Never => "never",
        }
    }
}

/// Files of bets for `agencies`, made by the generator.
pub fn make_data(agencies: usize, bets: u64) -> Result<(TempDir, Vec<PathBuf>), Failure> {
    let folder = tempfile::tempdir()?;
    let mut generator = Command::new(programs().loteria);
    generator.arg("data");
    generator.args(["--agencies", &agencies.to_string(), "--bets", &bets.to_string(), "--seed", "2023", "--into"]);
    let made = generator.arg(folder.path()).stdout(Stdio::null()).status()?;
    if !made.success() {
        return Err(format!("the generator ended with {made}").into());
    }
    let files = agency_files(folder.path());
    Ok((folder, files))
}

/// A process that is killed when this is dropped.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running central.
pub struct Central {
    process: Killed,
    pub port: u16,
    /// Lines of its log that were read so far.
    lines: Arc<AtomicU64>,
}

impl Central {
    /// A central of `agencies` on the files in `folder`. Its log is read and dropped, as by a collector that keeps up.
    pub fn start(folder: &Path, agencies: usize, sync: Sync) -> Result<Central, Failure> {
        let mut command = programs().server(folder);
        command.env("NUM_AGENCIES", agencies.to_string()).env("STORAGE_SYNC", sync.name());
        command.env("SERVER_LISTEN_BACKLOG", "1024");
        let mut process = Killed(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let mut log = BufReader::new(process.0.stdout.take().ok_or("no standard output")?);
        let port = read_port(&mut log)?;
        let lines = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lines);
        thread::spawn(move || count_lines(log, &counted));
        Ok(Central { process, port, lines })
    }

    /// Processor time so far, in user space and in the kernel.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        const TICKS_A_SECOND: u64 = 100;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()))?;
        // Fields 14 and 15 of proc_pid_stat(5); the second one is a name in parentheses.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        Ok(Duration::from_millis((ticks(14) + ticks(15)) * 1000 / TICKS_A_SECOND))
    }

    /// How often it has committed, and synced if it does: its calls of write(2) that were not for a line of its log. Sockets
    /// are written with send(2). A few calls of its start are counted too.
    pub fn commits(&self) -> Result<u64, Failure> {
        let io = fs::read_to_string(format!("/proc/{}/io", self.process.0.id()))?;
        let writes = io.lines().find_map(|line| line.strip_prefix("syscw: ")?.parse::<u64>().ok());
        Ok(writes.ok_or("no syscw")?.saturating_sub(self.lines.load(Ordering::Relaxed)).max(1))
    }

    /// The most memory that it has had, in KiB.
    pub fn peak_memory(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        Ok(peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).ok_or("no VmHWM")?)
    }
}

fn read_port(log: &mut BufReader<ChildStdout>) -> Result<u16, Failure> {
    let mut line = String::new();
    while log.read_line(&mut line)? > 0 {
        if line.contains("action: listen | result: success") {
            let port = field(line.trim_end(), "port").and_then(|port| port.parse().ok());
            return Ok(port.ok_or("the central does not say its port")?);
        }
        line.clear();
    }
    Err("the central did not start".into())
}

fn count_lines(mut log: impl Read, lines: &AtomicU64) {
    let mut block = vec![0; 1 << 16];
    while let Ok(bytes @ 1..) = log.read(&mut block) {
        lines.fetch_add(block[..bytes].iter().filter(|&&byte| byte == b'\n').count() as u64, Ordering::Relaxed);
    }
}

fn drain(mut log: impl Read) {
    // Whatever ends it ends the log.
    let _ = io::copy(&mut log, &mut io::sink());
}

/// What a whole contest took.
pub struct Contest {
    /// From the start of the first agency's process to the end of the last one's.
    pub seconds: f64,
    /// Processor time of the central.
    pub central_cpu: Duration,
    /// The central's peak memory, in KiB.
    pub central_memory: u64,
    /// How often the central committed.
    pub commits: u64,
}

/// A central and an agency for each of `files`, from the start of the first agency to the end of the last one. The draw is a
/// part of it: an agency ends when it has heard its winners.
pub fn contest(files: &[PathBuf], sync: Sync) -> Result<Contest, Failure> {
    let folder = tempfile::tempdir()?;
    let central = Central::start(folder.path(), files.len(), sync)?;
    let mut agencies = Vec::new();
    let began = Instant::now();
    for (id, file) in (1..).zip(files) {
        let mut agency = programs().client(folder.path(), id, central.port);
        let log = agency.env("CLI_BETS_FILE", file).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut agency = Killed(log?);
        let log = agency.0.stdout.take().ok_or("no standard output")?;
        thread::Builder::new().stack_size(1 << 16).spawn(move || drain(log))?;
        agencies.push(agency);
    }
    for agency in &mut agencies {
        let status = agency.0.wait()?;
        if !status.success() {
            return Err(format!("an agency ended with {status}").into());
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let commits = central.commits()?;
    Ok(Contest { seconds, central_cpu: central.cpu()?, central_memory: central.peak_memory()?, commits })
}

/// Runs this program in another role to its end, and gives what it printed: numbers.
pub fn perform(role: &str, order: &[String]) -> Result<Vec<f64>, Failure> {
    let output = Command::new(std::env::current_exe()?).arg(role).args(order).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{role} {order:?} ended with {}", output.status).into());
    }
    let numbers = String::from_utf8(output.stdout)?;
    Ok(numbers.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?)
}

/// How long a central takes from its start until it listens.
pub fn start_up(folder: &Path, agencies: usize) -> Result<f64, Failure> {
    let began = Instant::now();
    Central::start(folder, agencies, Sync::Always)?;
    Ok(began.elapsed().as_secs_f64())
}
