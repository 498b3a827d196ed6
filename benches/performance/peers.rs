//! `make bench-peers`: the same bets into Redis and PostgreSQL, in the same run, where they are installed.
//!
//! Redis takes each row of bets.csv with an `RPUSH`, 148 to a pipeline, from five clients. PostgreSQL takes all of them with one
//! `COPY` in one transaction.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use loteria::bet::store_bets;
use loteria::client::source::{BetFile, BetSource};

use crate::Failure;
use crate::median::median;
use crate::report::{Report, Table, count, millions, time};
use crate::stage::{Durability, Killed, make_data, play_round};

const BETS: u64 = 2_000_000;
const AGENCIES: usize = 5;
const RUNS: usize = 3;
/// Commands of a pipeline, as many as the default of `batch.maxAmount`.
const PIPELINE: usize = 148;

pub fn run() -> Result<(), Failure> {
    let introduction = format!(
        "# Beside others\n\nMeasured by `make bench-peers`: {} bets of {AGENCIES} agencies, medians of {RUNS} runs on the same machine, one after \
         the other.",
        count(BETS)
    );
    let mut report = Report::begin("peers.md", &introduction);
    let mut table = Table::new(&["", "time", "bets a second"]);
    let (folder, files) = make_data(AGENCIES, BETS)?;
    let rows = files.iter().zip(1..).map(|(file, agency)| rows_of(file, agency)).collect::<Result<Vec<_>, _>>()?;
    let csv = folder.path().join("all.csv");
    fs::write(&csv, rows.concat())?;
    // PostgreSQL's user must be able to read it.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;

    let mut measure = |name: &str, run: &dyn Fn() -> Result<f64, Failure>| -> Result<(), Failure> {
        let seconds = median((0..RUNS).map(|_| run()).collect::<Result<Vec<f64>, _>>()?);
        table.add([name.to_owned(), time(seconds), millions(BETS as f64 / seconds)]);
        Ok(())
    };
    for durability in Durability::BOTH {
        let name = format!("Lotería, a whole round, {}", durability.name());
        measure(&name, &|| Ok(play_round(&files, durability)?.seconds))?;
    }
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok() {
        for fsync in ["always", "everysec"] {
            measure(&format!("Redis, RPUSH, appendfsync {fsync}"), &|| redis(&rows, fsync))?;
        }
    } else {
        println!("redis-server is not installed: left out");
    }
    match postgres_programs() {
        Some(programs) => measure("PostgreSQL, COPY in one transaction", &|| postgres(&programs, &csv))?,
        None => println!("PostgreSQL is not installed: left out"),
    }
    report.add("Bets a second", "", &table);
    report.finish()
}

/// The rows of an agency's bets as the server stores them.
fn rows_of(file: &Path, agency: u32) -> Result<Vec<u8>, Failure> {
    let mut source = BetFile::open(file, agency)?;
    let mut rows = Vec::new();
    while let Some(bet) = source.peek()? {
        store_bets(&mut rows, [bet])?;
        source.take();
    }
    Ok(rows)
}

fn redis(rows: &[Vec<u8>], fsync: &str) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut server = Command::new("redis-server");
    server.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        fsync,
    ]);
    let _server = Killed(server.arg("--dir").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    let connections = rows.iter().map(|_| connect(port)).collect::<Result<Vec<TcpStream>, Failure>>()?;
    let commands: Vec<Vec<Vec<u8>>> = rows.iter().map(|rows| pipelines(rows)).collect();

    let began = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = connections
            .into_iter()
            .zip(&commands)
            .map(|(connection, pipelines)| scope.spawn(|| push(connection, pipelines)))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a client panicked")?)
    })?;
    Ok(began.elapsed().as_secs_f64())
}

fn connect(port: u16) -> Result<TcpStream, Failure> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// `RPUSH bets ROW` for each row, [`PIPELINE`] of them at a time.
fn pipelines(rows: &[u8]) -> Vec<Vec<u8>> {
    let rows: Vec<&[u8]> = rows.split_inclusive(|&byte| byte == b'\n').collect();
    let command = |row: &&[u8]| {
        [format!("*3\r\n$5\r\nRPUSH\r\n$4\r\nbets\r\n${}\r\n", row.len()).as_bytes(), row, b"\r\n"].concat()
    };
    rows.chunks(PIPELINE).map(|rows| rows.iter().flat_map(command).collect()).collect()
}

fn push(mut connection: TcpStream, pipelines: &[Vec<u8>]) -> Result<(), Failure> {
    connection.set_nodelay(true)?;
    let mut replies = BufReader::new(connection.try_clone()?);
    let mut reply = Vec::new();
    for pipeline in pipelines {
        connection.write_all(pipeline)?;
        let commands = pipeline.windows(4).filter(|bytes| bytes == b"*3\r\n").count();
        for _ in 0..commands {
            reply.clear();
            replies.read_until(b'\n', &mut reply)?;
            if reply.first() != Some(&b':') {
                return Err(format!("Redis answered {:?}", String::from_utf8_lossy(&reply)).into());
            }
        }
    }
    Ok(())
}

/// The folder of PostgreSQL's programs, most of which are not on the path.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|version| version.path().join("bin"));
    versions.filter(|folder| folder.join("initdb").exists()).max()
}

fn postgres(programs: &Path, csv: &Path) -> Result<f64, Failure> {
    let folder = as_postgres("mktemp", &["-d"])?;
    let folder = folder.trim();
    let (data, port) = (format!("{folder}/data"), "54399");
    let program = |name: &str| programs.join(name).display().to_string();
    as_postgres(&program("initdb"), &["--auth=trust", "-D", &data])?;
    let options = format!("-p {port} -k {folder} -c listen_addresses=");
    as_postgres(&program("pg_ctl"), &["-w", "-D", &data, "-o", &options, "-l", &format!("{folder}/log"), "start"])?;
    let query = |text: &str| as_postgres("psql", &["-h", folder, "-p", port, "-d", "postgres", "-q", "-c", text]);
    let copied = (|| {
        query(
            "CREATE TABLE bets (agency int, first_name text, last_name text, document int, birthdate date, number int)",
        )?;
        let began = Instant::now();
        query(&format!("\\copy bets FROM '{}' CSV", csv.display()))?;
        Ok(began.elapsed().as_secs_f64())
    })();
    as_postgres(&program("pg_ctl"), &["-w", "-D", &data, "-m", "fast", "stop"])?;
    as_postgres("rm", &["-r", folder])?;
    copied
}

/// Runs a program as the user `postgres` if this one is root, which PostgreSQL refuses. Gives its output.
fn as_postgres(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    let mut command = Command::new(if is_root { "runuser" } else { program });
    if is_root {
        command.args(["-u", "postgres", "--", program]);
    }
    // A file, because the server that pg_ctl starts would keep a pipe open.
    let output = tempfile::NamedTempFile::new()?;
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(output.reopen()?).stderr(output.reopen()?);
    let status = command.status()?;
    let said = fs::read_to_string(output.path())?;
    if status.success() { Ok(said) } else { Err(format!("{program} ended with {status}: {said}").into()) }
}
