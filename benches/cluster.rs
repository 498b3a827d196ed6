//! `make bench-cluster`: a round in PostgreSQL beside a raw COPY of as many rows in as many transactions, by psql into a table
//! without an index, on the same database in the same run. With and without a synchronous standby. Prints a table in Markdown.

#[path = "../tests/cluster/database.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod database;

use std::error::Error;
use std::fmt::Write as _;
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use database::{Database, free_port};
use loteria::bet::{Bet, Day};
use loteria_tools::{Process, Programs, field};
use rustix::process::Signal;

const AGENCIES: u32 = 5;
const SETTINGS: [&str; 3] = ["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"];
/// The aim: at least this share of a raw COPY.
const AIM: f64 = 0.7;

/// One round.
struct Round {
    took: Duration,
    commits: u64,
    p99: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let bets: u64 = env::var("BETS").ok().and_then(|bets| bets.parse().ok()).unwrap_or(1_000_000);
    println!("# A round in PostgreSQL\n");
    println!(
        "Measured by `make bench-cluster`: {AGENCIES} agencies send {bets} bets in batches of 148, 32 of them unanswered. Beside \
         it, psql copies as many rows in as many transactions. Everything runs on one machine. The aim is {:.0} % of the raw COPY.\n",
        AIM * 100.0
    );
    println!(
        "| synchronous standby | bets/s | commits | bets a commit | commit p99 | raw COPY, rows/s | share | takeover |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let alone = Database::start(&SETTINGS);
    measure("none", &alone, bets)?;
    drop(alone);
    let (primary, _standby) = Database::start_pair(&SETTINGS);
    measure("one, on the same machine", &primary, bets)
}

fn measure(standby: &str, database: &Database, bets: u64) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let round = play(database, folder.path(), bets)?;
    let began = Instant::now();
    drop(start_server(database, folder.path(), free_port())?);
    let takeover = began.elapsed();
    let raw = copy(database, bets, round.commits)?;
    let rate = |took: Duration| bets as f64 / took.as_secs_f64();
    println!(
        "| {standby} | {:.0} | {} | {} | {} | {:.0} | {:.0} % | {} ms |",
        rate(round.took),
        round.commits,
        bets / round.commits.max(1),
        round.p99,
        rate(raw),
        100.0 * rate(round.took) / rate(raw),
        takeover.as_millis()
    );
    Ok(())
}

fn start_server(database: &Database, folder: &Path, port: u16) -> Result<Process, Box<dyn Error>> {
    let mut command = Programs::beside_this()?.server(folder);
    command.env("NUM_AGENCIES", AGENCIES.to_string()).env("STORAGE_URL", Database::url(&[database.port]));
    command.env("SERVER_PORT", port.to_string()).env("SERVER_LISTEN_BACKLOG", "64");
    let server = Process::start(&mut command, |_| ())?;
    server.wait_for("action: listen | result: success").ok_or("the server does not start")?;
    Ok(server)
}

/// Plays a round from the first connection to the last winners.
fn play(database: &Database, folder: &Path, bets: u64) -> Result<Round, Box<dyn Error>> {
    let port = free_port();
    let server = start_server(database, folder, port)?;
    let each = bets / u64::from(AGENCIES);
    let mut clients = Vec::new();
    for id in 1..=AGENCIES {
        let file = folder.join(format!("agency-{id}.csv"));
        write_file(&file, id, each)?;
        let mut command: Command = Programs::beside_this()?.client(folder, id, port);
        command.env("CLI_BETS_FILE", file).env("CLI_LOG_LEVEL", "ERROR");
        clients.push(command);
    }
    let began = Instant::now();
    let clients: Result<Vec<Process>, _> = clients.iter_mut().map(|command| Process::start(command, |_| ())).collect();
    for client in clients? {
        let ended = client.wait()?;
        if !ended.status.success() {
            return Err(format!("an agency fails: {:?}", ended.lines).into());
        }
    }
    let took = began.elapsed();
    server.signal(Signal::USR1);
    let state = server.wait_for("action: estado").ok_or("the server does not say its state")?;
    let value = |key| field(&state, key).unwrap_or_default().to_owned();
    Ok(Round { took, commits: value("commits").parse()?, p99: value("commit_p99") })
}

fn write_file(path: &Path, agency: u32, bets: u64) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let bet = |position| Bet {
        agency,
        first_name: "Santiago Lionel".try_into().expect("a name"),
        last_name: "Lorca".try_into().expect("a name"),
        document: 1 + position as u32 % 99_999_999,
        birthdate: Day::OLDEST_BIRTHDATE,
        number: position as u32 % 10_000,
    };
    let mut rows = Vec::new();
    loteria::bet::store_bets(&mut rows, (0..bets).map(bet))?;
    // The file of an agency does not name it.
    for row in rows.split_inclusive(|&byte| byte == b'\n') {
        let comma = row.iter().position(|&byte| byte == b',').unwrap_or_default();
        std::io::Write::write_all(&mut file, &row[comma + 1..])?;
    }
    Ok(std::io::Write::flush(&mut file)?)
}

/// The time that psql takes to copy `rows` in `transactions`.
fn copy(database: &Database, rows: u64, transactions: u64) -> Result<Duration, Box<dyn Error>> {
    let folder = database::folder();
    let (file, script) = (folder.path().join("rows"), folder.path().join("script"));
    let each = rows / transactions.max(1);
    database.ask(&format!("COPY (SELECT * FROM loteria_bet LIMIT {each}) TO '{}' BINARY", file.display()));
    database.ask("CREATE TABLE raw (LIKE loteria_bet)");
    let mut text = String::new();
    for _ in 0..transactions {
        writeln!(text, "\\copy raw FROM '{}' BINARY", file.display())?;
    }
    fs::write(&script, text)?;
    let began = Instant::now();
    let output = database.psql().arg("-f").arg(&script).output()?;
    let took = began.elapsed();
    let copied = database.ask("SELECT count(*) FROM raw");
    database.ask("DROP TABLE raw");
    if !output.status.success() || copied.parse() != Ok(each * transactions) {
        return Err(format!("psql: {copied} rows, {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(took.mul_f64(rows as f64 / (each * transactions) as f64))
}
