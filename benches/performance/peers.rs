//! The same bets beside others in the same run, durable against durable: Redis and PostgreSQL, where they are installed.
//!
//! Each has a client for every agency. Redis takes each row of bets.csv with an `RPUSH`, in pipelines as long as our batches, as
//! many of them unanswered. PostgreSQL takes the rows of a client with one `COPY` by psql.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use loteria::bet::store_bets;
use loteria::client::source::{BetFile, BetSource};

use crate::Failure;
use crate::database;
use crate::figure::Figure;
use crate::report::{Report, Table, count, millions, time};
use crate::setup::{Cluster, Setup};
use crate::stage::{Killed, make_data, play_round, repeat};
use crate::stream::{BATCH_BETS, WINDOW};
use crate::suite::{AGENCIES, Options};

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let bets = options.bets / 16;
    let mut table = Table::new(&["", "time", "bets a second", "a sync covers"]);
    let (_folder, files) = make_data(AGENCIES, bets)?;
    let rows = files.iter().zip(1..).map(|(file, agency)| rows_of(file, agency)).collect::<Result<Vec<_>, _>>()?;
    let mut add = |name: &str, sync: &str, run: &dyn Fn() -> Result<f64, Failure>| -> Result<(), Failure> {
        let seconds = Figure::of(repeat(options.runs, run)?);
        let rate = seconds.map(|seconds| bets as f64 / seconds);
        table.add([name.to_owned(), seconds.show(time), rate.show(millions), sync.to_owned()]);
        Ok(())
    };
    add("Lotería, a whole round, durable", "the batches of a turn, before their replies", &|| {
        Ok(play_round(&files, Setup::Durable)?.seconds)
    })?;
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok() {
        let pipelines: Vec<Vec<Pipeline>> = rows.iter().map(|rows| pipelines(rows)).collect();
        add("Redis, RPUSH, appendfsync always", "the commands of a loop, before their replies", &|| redis(&pipelines))?;
    } else {
        report.leave_out("redis-server");
    }
    if let Some(cluster) = Cluster::start(false, report) {
        // PostgreSQL's user can read what is in this folder.
        let folder = database::folder();
        let write = |(rows, agency): (&Vec<u8>, u32)| -> Result<PathBuf, Failure> {
            let file = folder.path().join(format!("{agency}.csv"));
            fs::write(&file, rows)?;
            Ok(file)
        };
        let files = rows.iter().zip(1..).map(write).collect::<Result<Vec<PathBuf>, _>>()?;
        add("PostgreSQL, COPY, fsync on", "all rows of a client, which are one transaction", &|| {
            copy(&cluster, &files)
        })?;
    }
    let explanation = format!(
        "{} bets, {AGENCIES} clients each. A round and a COPY begin with the start of the clients' processes; the clients of Redis are \
         connected before, and their commands encoded. What is acknowledged survives a power loss in each of them.",
        count(bets)
    );
    report.add("Beside others", &explanation, &table);
    Ok(())
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

fn redis(pipelines: &[Vec<Pipeline>]) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port().to_string();
    let mut server = Command::new("redis-server");
    server.args([
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]);
    let _server = Killed(server.arg("--dir").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    let connections = pipelines.iter().map(|_| connect(&port)).collect::<Result<Vec<TcpStream>, Failure>>()?;

    let began = Instant::now();
    thread::scope(|scope| {
        let clients = connections.into_iter().zip(pipelines);
        let threads: Vec<_> =
            clients.map(|(connection, pipelines)| scope.spawn(|| push(connection, pipelines))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a client panicked")?)
    })?;
    Ok(began.elapsed().as_secs_f64())
}

fn connect(port: &str) -> Result<TcpStream, Failure> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect(format!("127.0.0.1:{port}")) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Commands of Redis that are sent at once.
struct Pipeline {
    bytes: Vec<u8>,
    commands: usize,
}

/// `RPUSH bets ROW` for each row, as many of them at a time as a batch has bets.
fn pipelines(rows: &[u8]) -> Vec<Pipeline> {
    let rows: Vec<&[u8]> = rows.split_inclusive(|&byte| byte == b'\n').collect();
    let command = |row: &&[u8]| {
        [format!("*3\r\n$5\r\nRPUSH\r\n$4\r\nbets\r\n${}\r\n", row.len()).as_bytes(), row, b"\r\n"].concat()
    };
    let pipeline = |rows: &[&[u8]]| Pipeline { bytes: rows.iter().flat_map(command).collect(), commands: rows.len() };
    rows.chunks(BATCH_BETS as usize).map(pipeline).collect()
}

/// Sends the pipelines, [`WINDOW`] of them unanswered.
fn push(mut connection: TcpStream, pipelines: &[Pipeline]) -> Result<(), Failure> {
    connection.set_nodelay(true)?;
    let replies = BufReader::new(connection.try_clone()?);
    // The sender waits while as many are in the channel; the reader has taken one more.
    let (sent, unanswered) = sync_channel(WINDOW as usize - 1);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read_replies(replies, unanswered.iter()));
        for pipeline in pipelines {
            // Fails if the reader has: it gives the reason.
            if sent.send(pipeline.commands).is_err() {
                break;
            }
            connection.write_all(&pipeline.bytes)?;
        }
        drop(sent);
        reader.join().map_err(|_| "a reader panicked")?
    })
}

fn read_replies(mut replies: impl BufRead, unanswered: impl Iterator<Item = usize>) -> Result<(), Failure> {
    let mut reply = Vec::new();
    for _ in unanswered.flat_map(|commands| 0..commands) {
        reply.clear();
        replies.read_until(b'\n', &mut reply)?;
        if reply.first() != Some(&b':') {
            return Err(format!("Redis answered {:?}", String::from_utf8_lossy(&reply)).into());
        }
    }
    Ok(())
}

/// Seconds in which a psql for each of `files` copies it, all at the same time.
fn copy(cluster: &Cluster, files: &[PathBuf]) -> Result<f64, Failure> {
    cluster.primary.ask("DROP TABLE IF EXISTS bets");
    let columns = "agency int, first_name text, last_name text, document int, birthdate date, number int";
    cluster.primary.ask(&format!("CREATE TABLE bets ({columns})"));
    let began = Instant::now();
    let start = |file: &PathBuf| {
        let copy = format!("\\copy bets FROM '{}' CSV", file.display());
        cluster.primary.psql().args(["-c", &copy]).stdin(Stdio::null()).spawn().map(Killed)
    };
    for mut client in files.iter().map(start).collect::<Result<Vec<Killed>, _>>()? {
        let status = client.0.wait()?;
        if !status.success() {
            return Err(format!("psql ended with {status}").into());
        }
    }
    Ok(began.elapsed().as_secs_f64())
}
