//! Server and agencies as processes, and their cost.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

use loteria_tools::{Programs, Usage, agency_files, field, http};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Failure;
use crate::setup::Setup;
use crate::stream;

pub fn programs() -> Programs {
    Programs::beside_this().expect("this program has a path")
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
    pub fn start(folder: &Path, agencies: usize, setup: Setup<'_>) -> Result<Server, Failure> {
        Server::of(&programs(), folder, agencies, setup)
    }

    /// The same, of a build.
    fn of(programs: &Programs, folder: &Path, agencies: usize, setup: Setup<'_>) -> Result<Server, Failure> {
        let mut command = programs.server(folder);
        setup.configure_server(&mut command);
        command.env("NUM_AGENCIES", agencies.to_string());
        command.env("SERVER_LISTEN_BACKLOG", "1024").env("ADMIN_ADDRESS", "127.0.0.1:0");
        let mut process = Killed(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let mut log = BufReader::new(process.0.stdout.take().ok_or("no standard output")?);
        let admin = read_port(&mut log, "listen_admin")?;
        let port = read_port(&mut log, "listen")?;
        thread::spawn(move || drain(log));
        Ok(Server { process, port, admin })
    }

    /// The same, logging at ERROR: for measurements in which a line for each connection or batch would be most of the cost.
    pub fn start_quiet(folder: &Path, agencies: usize, setup: Setup<'_>) -> Result<Server, Failure> {
        let config = folder.join("config.ini");
        // It starts at INFO, because it logs its port.
        fs::write(&config, "[DEFAULT]\nLOGGING_LEVEL = INFO\n")?;
        let server = Server::start(folder, agencies, setup)?;
        fs::write(&config, "[DEFAULT]\nLOGGING_LEVEL = ERROR\n")?;
        kill_process(server.pid()?, Signal::HUP)?;
        Ok(server)
    }

    pub fn pid(&self) -> Result<Pid, Failure> {
        Ok(Pid::from_raw(i32::try_from(self.process.0.id())?).ok_or("the server has no process")?)
    }

    /// Resources used so far.
    pub fn usage(&self) -> Result<Usage, Failure> {
        Ok(Usage::of(self.process.0.id())?)
    }

    /// Number of commits so far.
    pub fn commits(&self) -> Result<u64, Failure> {
        self.metric("loteria_commit_duration_seconds_count ")
    }

    /// Number of connections that wait for the draw.
    pub fn parked(&self) -> Result<u64, Failure> {
        self.metric("loteria_connections_parked ")
    }

    /// The value of the metric that begins with `name`.
    fn metric(&self, name: &str) -> Result<u64, Failure> {
        let metrics = http::get(&format!("127.0.0.1:{}", self.admin), "/metrics")?.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(value.ok_or(format!("no metric {name}"))?.parse()?)
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
pub fn play_round(files: &[PathBuf], setup: Setup<'_>) -> Result<Round, Failure> {
    play_round_with(&programs(), files, setup)
}

/// The same, with the programs of a build.
pub fn play_round_with(programs: &Programs, files: &[PathBuf], setup: Setup<'_>) -> Result<Round, Failure> {
    setup.clear();
    let folder = tempfile::tempdir()?;
    let server = Server::of(programs, folder.path(), files.len(), setup)?;
    let mut agencies = Vec::new();
    let began = Instant::now();
    for (id, file) in (1..).zip(files) {
        let mut agency = programs.client(folder.path(), id, server.port);
        if let Some(authority) = setup.authority() {
            agency.env("CLI_TLS_CA_FILE", authority);
        }
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

/// The cost of a round with a server alone, whose agencies are played by [`stream`].
pub struct Load {
    /// From the first batch to the last reply.
    pub seconds: f64,
    /// Seconds from the last closing to the first winners.
    pub draw: f64,
    /// The server's.
    pub usage: Usage,
    /// The server's.
    pub commits: u64,
}

/// Runs a round with a server alone.
pub fn load(agencies: usize, bets: u64, setup: Setup<'_>) -> Result<Load, Failure> {
    load_in(tempfile::tempdir()?.path(), agencies, bets, setup)
}

/// The same, with the server's files in `folder`.
pub fn load_in(folder: &Path, agencies: usize, bets: u64, setup: Setup<'_>) -> Result<Load, Failure> {
    setup.clear();
    let server = Server::start(folder, agencies, setup)?;
    let numbers = Stream { setup, port: server.port, agencies, bets }.perform(stream::ROUND, None)?;
    let [seconds, draw] = numbers[..] else { return Err("two numbers were expected".into()) };
    Ok(Load { seconds, draw, commits: server.commits()?, usage: server.usage()? })
}

/// An order to [`stream`].
pub struct Stream<'a> {
    pub setup: Setup<'a>,
    pub port: u16,
    pub agencies: usize,
    pub bets: u64,
}

impl Stream<'_> {
    /// Has it performed, at `rate` bets a second if there is one, and gives the numbers that come of it.
    pub fn perform(&self, kind: &str, rate: Option<f64>) -> Result<Vec<f64>, Failure> {
        let authority = self.setup.authority().map_or(stream::PLAIN.to_owned(), |path| path.display().to_string());
        let numbers = [self.port.to_string(), authority, self.agencies.to_string(), self.bets.to_string()];
        let order: Vec<String> =
            [kind.to_owned()].into_iter().chain(numbers).chain(rate.map(|rate| rate.to_string())).collect();
        perform(stream::ROLE, &order)
    }
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
pub fn start_up(folder: &Path, agencies: usize, setup: Setup<'_>) -> Result<f64, Failure> {
    let began = Instant::now();
    let _server = Server::start(folder, agencies, setup)?;
    Ok(began.elapsed().as_secs_f64())
}

/// The results of `runs` runs.
pub fn repeat<T>(runs: usize, run: impl Fn() -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    (0..runs).map(|_| run()).collect()
}
