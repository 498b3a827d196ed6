//! `make bench-tls`: the same round in plain and over TLS, handshakes, and the memory of connections. Prints a table in
//! Markdown.
//!
//! `make bench-tls BETS=8000000 AGENCIES=10000 RUNS=3` are the defaults: bets of a round of five agencies, connections whose
//! memory is measured, and runs of each kind, in turn.

#[path = "common/quiet.rs"]
mod quiet;

use std::error::Error;
use std::fs;
use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use loteria::config::tls::TlsClient;
use loteria::protocol::{Message, VERSION};
use loteria::server::descriptors::allow_connections;
use loteria::tls::{Channel, Connector};
use loteria_tools::certificates::{Authority, Keys, SERVER_NAMES, Subject};
use loteria_tools::{Process, Programs};

const ROUND_AGENCIES: u32 = 5;
/// Handshakes of each of two threads.
const HANDSHAKES: u32 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let number = |name: &str, default: u32| std::env::var(name).map_or(Ok(default), |text| text.parse());
    let (bets, agencies, runs) = (number("BETS", 8_000_000)?, number("AGENCIES", 10_000)?, number("RUNS", 3)?);
    let folder = tempfile::tempdir()?;
    certify(folder.path())?;
    write_bets(folder.path(), bets / ROUND_AGENCIES)?;
    let (mut plain, mut secure) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        plain.push(round(folder.path(), false)?);
        secure.push(round(folder.path(), true)?);
    }
    let rate = |times: &mut Vec<Duration>| {
        times.sort();
        f64::from(bets) / times[times.len() / 2].as_secs_f64() / 1e6
    };
    let (plain, secure) = (rate(&mut plain), rate(&mut secure));
    let connector = connector(folder.path())?;
    let handshakes = handshakes(folder.path(), &connector)?;
    let memory = memory(folder.path(), &connector, agencies)?;

    println!("# TLS\n");
    println!(
        "Measured by `make bench-tls`, median of {runs} runs: agencies, server and benchmark on one machine, every batch synced, \
         keys of ECDSA P-256. The server logs at ERROR.\n"
    );
    println!("| | | aim |");
    println!("|---|---:|---:|");
    println!("| bets per second, {bets} bets of {ROUND_AGENCIES} agencies, in plain | {plain:.2} M | |");
    println!("| the same over TLS | {secure:.2} M | |");
    println!("| TLS beside plain | {:.0} % | 70 % |", 100.0 * secure / plain);
    println!("| handshakes per second, two clients at a time | {handshakes:.0} | |");
    println!("| memory of each of {agencies} connections over TLS, without the kernel's | {memory:.1} KiB | 24 KiB |");
    Ok(())
}

fn certify(folder: &Path) -> Result<(), Box<dyn Error>> {
    let authority = Authority::new(Keys::P256)?;
    let server = authority.issue(Subject { name: "server", names: &SERVER_NAMES, is_server: true, days: 1 })?;
    fs::write(folder.join("ca.pem"), &authority.own().certificate)?;
    fs::write(folder.join("server.pem"), server.certificate)?;
    Ok(fs::write(folder.join("server.key"), server.key)?)
}

fn write_bets(folder: &Path, bets: u32) -> Result<(), Box<dyn Error>> {
    for agency in 1..=ROUND_AGENCIES {
        let mut file = BufWriter::new(fs::File::create(folder.join(format!("agency-{agency}.csv")))?);
        for bet in 1..=bets {
            write!(file, "Santiago Lionel,Lorca,{bet},1999-03-17,{}\r\n", bet % 10_000)?;
        }
        file.flush()?;
    }
    Ok(())
}

/// A server in a folder of its own, and its port.
fn serve(certificates: &Path, folder: &Path, is_secure: bool) -> Result<(Process, u16), Box<dyn Error>> {
    quiet::start_server(folder, |command: &mut Command| {
        command.env("SERVER_LISTEN_BACKLOG", "1024");
        if is_secure {
            command.env("TLS_CERTIFICATE_FILE", certificates.join("server.pem"));
            command.env("TLS_KEY_FILE", certificates.join("server.key"));
        }
    })
}

/// The time of a round, from the start of the first agency to the winners of the last.
fn round(folder: &Path, is_secure: bool) -> Result<Duration, Box<dyn Error>> {
    let own = tempfile::tempdir()?;
    let (_server, port) = serve(folder, own.path(), is_secure)?;
    let programs = Programs::beside_this()?;
    let began = Instant::now();
    let mut agencies = Vec::new();
    for agency in 1..=ROUND_AGENCIES {
        let mut command = programs.client(own.path(), agency, port);
        command.env("CLI_BETS_FILE", folder.join(format!("agency-{agency}.csv"))).env("CLI_LOG_LEVEL", "ERROR");
        if is_secure {
            command.env("CLI_TLS_CA_FILE", folder.join("ca.pem"));
        }
        agencies.push(Process::start(&mut command, |_| ())?);
    }
    for agency in agencies {
        let ended = agency.wait()?;
        if !ended.status.success() {
            return Err(format!("an agency failed: {:?}", ended.lines).into());
        }
    }
    Ok(began.elapsed())
}

fn connector(folder: &Path) -> Result<Connector, Box<dyn Error>> {
    let settings = TlsClient { ca: folder.join("ca.pem"), identity: None, server_names: vec!["localhost".to_owned()] };
    Ok(Connector::new(&settings)?)
}

/// A connection whose handshake is complete at both ends: the server has answered the line or the Hello `said`.
fn connect(connector: &Connector, port: u16, said: &[u8]) -> Result<(TcpStream, Channel), Box<dyn Error>> {
    use std::io::Read;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let (mut channel, mut plain) = (connector.begin(0)?, Vec::new());
    channel.send(said, &mut stream)?;
    let mut received = [0; 4096];
    while plain.is_empty() {
        channel.flush(&mut stream)?;
        let bytes = stream.read(&mut received)?;
        if bytes == 0 {
            return Err("the server closed a connection".into());
        }
        channel.receive(&received[..bytes], &mut plain)?;
    }
    Ok((stream, channel))
}

fn handshakes(folder: &Path, connector: &Connector) -> Result<f64, Box<dyn Error>> {
    let own = tempfile::tempdir()?;
    let (_server, port) = serve(folder, own.path(), true)?;
    let began = Instant::now();
    let shake_hands = || (0..HANDSHAKES).try_for_each(|_| connect(connector, port, b"hola\n").map(drop).ok());
    let all =
        thread::scope(|scope| [0, 1].map(|_| scope.spawn(shake_hands)).map(|thread| thread.join().ok().flatten()));
    if all.contains(&None) {
        return Err("a handshake failed".into());
    }
    Ok(2.0 * f64::from(HANDSHAKES) / began.elapsed().as_secs_f64())
}

/// The growth of the server for each connection that has said Hello and waits, in KiB.
fn memory(folder: &Path, connector: &Connector, agencies: u32) -> Result<f64, Box<dyn Error>> {
    let possible = allow_connections(agencies as usize, 0);
    if possible < agencies as usize {
        return Err(format!("the system allows {possible} connections and no more, see ulimit -n; set AGENCIES").into());
    }
    let own = tempfile::tempdir()?;
    let (server, port) = quiet::start_server(own.path(), |command| {
        command.env("NUM_AGENCIES", agencies.to_string());
        command.env("TLS_CERTIFICATE_FILE", folder.join("server.pem")).env("TLS_KEY_FILE", folder.join("server.key"));
    })?;
    let before = server.usage()?;
    let mut crowd = Vec::new();
    for agency in 1..=agencies {
        let mut hello = loteria::buffer::Buffer::new();
        Message::Hello { version: VERSION, agency, credential: &[] }.encode(&mut hello);
        crowd.push(connect(connector, port, &hello)?);
    }
    let after = server.usage()?;
    Ok(after.memory_kib.saturating_sub(before.memory_kib) as f64 / f64::from(agencies))
}
