//! Server and agencies as processes, and their cost.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

use loteria_tools::{Programs, Usage, agency_files, field, http};
use tempfile::TempDir;

use crate::Failure;

pub fn programs() -> Programs {
    Programs::beside_this().expect("this program has a path")
}

/// The server's STORAGE_SYNC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `always`: every commit is synced before its batches are acknowledged.
    Durable,
    /// `never`.
    NotSynced,
}

impl Durability {
    pub const BOTH: [Durability; 2] = [Durability::Durable, Durability::NotSynced];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Durable => "durable",
            Durability::NotSynced => "not synced",
        }
    }

    /// The value of STORAGE_SYNC.
    fn setting(self) -> &'static str {
        match self {
            Durability::Durable => "always",
            Durability::NotSynced => "never",
        }
    }
}

/// Files of bets for `agencies`, made by the generator.
pub fn make_data(agencies: usize, bets: u64) -> Result<(TempDir, Vec<PathBuf>), Failure> {
    let folder = tempfile::tempdir()?;
    let mut generator = Command::new(programs().loteria);
    generator.args(["data", "--agencies", &agencies.to_string(), "--bets", &bets.to_string(), "--into"]);
    let made = generator.arg(folder.path()).stdout(Stdio::null()).status()?;
    if !made.success() {
        return Err(format!("the generator ended with {made}").into());
    }
    let files = agency_files(folder.path());
    Ok((folder, files))
}

/// A process. Dropping it kills the process.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Fails if it has ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server.
pub struct Server {
    process: Killed,
    pub port: u16,
    /// Its admin port.
    admin: u16,
}

impl Server {
    /// A server for `agencies` on the files in `folder`. Its log is read and dropped, as by a collector that keeps up.
    pub fn start(folder: &Path, agencies: usize, durability: Durability) -> Result<Server, Failure> {
        let mut command = programs().server(folder);
        command.env("NUM_AGENCIES", agencies.to_string()).env("STORAGE_SYNC", durability.setting());
        command.env("SERVER_LISTEN_BACKLOG", "1024").env("ADMIN_ADDRESS", "127.0.0.1:0");
        let mut process = Killed(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let mut log = BufReader::new(process.0.stdout.take().ok_or("no standard output")?);
        let admin = read_port(&mut log, "listen_admin")?;
        let port = read_port(&mut log, "listen")?;
        thread::spawn(move || drain(log));
        Ok(Server { process, port, admin })
    }

    /// Resources used so far.
    pub fn usage(&self) -> Result<Usage, Failure> {
        Ok(Usage::of(self.process.0.id())?)
    }

    /// Number of commits so far, from its metrics.
    pub fn commits(&self) -> Result<u64, Failure> {
        let metrics = http::get(&format!("127.0.0.1:{}", self.admin), "/metrics")?.body;
        let count = metrics.lines().find_map(|line| line.strip_prefix("loteria_commit_duration_seconds_count "));
        Ok(count.ok_or("no count of commits")?.parse()?)
    }
}

/// The port that the server logs with `action`.
fn read_port(log: &mut BufReader<ChildStdout>, action: &str) -> Result<u16, Failure> {
    let logged = format!("action: {action} | result: success");
    let mut line = String::new();
    while log.read_line(&mut line)? > 0 {
        if line.contains(&logged) {
            let port = field(line.trim_end(), "port").and_then(|port| port.parse().ok());
            return Ok(port.ok_or("the server logs no port")?);
        }
        line.clear();
    }
    Err("the server did not start".into())
}

fn drain(mut log: impl Read) {
    // An error ends the log as well as its end does.
    let _ = io::copy(&mut log, &mut io::sink());
}

/// The cost of a whole round.
pub struct Round {
    /// From the start of the first agency's process to the end of the last one's.
    pub seconds: f64,
    /// The server's.
    pub usage: Usage,
    /// The server's.
    pub commits: u64,
}

/// Plays a whole round with a server and an agency for each of `files`. The draw is a part of it: an agency ends when it has its
/// winners.
pub fn play_round(files: &[PathBuf], durability: Durability) -> Result<Round, Failure> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), files.len(), durability)?;
    let mut agencies = Vec::new();
    let began = Instant::now();
    for (id, file) in (1..).zip(files) {
        let mut agency = programs().client(folder.path(), id, server.port);
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
    Ok(Round { seconds: began.elapsed().as_secs_f64(), commits: server.commits()?, usage: server.usage()? })
}

/// Runs this program in another role to its end, and gives the numbers that it printed.
pub fn perform(role: &str, order: &[String]) -> Result<Vec<f64>, Failure> {
    let output = Command::new(std::env::current_exe()?).arg(role).args(order).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{role} {order:?} ended with {}", output.status).into());
    }
    let numbers = String::from_utf8(output.stdout)?;
    Ok(numbers.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?)
}

/// Seconds from the start of a server's process until it listens.
pub fn start_up(folder: &Path, agencies: usize) -> Result<f64, Failure> {
    let began = Instant::now();
    Server::start(folder, agencies, Durability::Durable)?;
    Ok(began.elapsed().as_secs_f64())
}
