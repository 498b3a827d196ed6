//! Thousands of agencies, each with a connection and a few bets, that wait for the draw; then the draw; then more connections
//! than the server has descriptors. In plain and over TLS.
//!
//! The agencies are divided among [`THREADS`] threads, so that the server always has connections to accept, bytes to read and
//! handshakes to go on with. Each thread has at most [`UNANSWERED`] connections without a reply: all of them together fit into
//! the backlog, because the kernel drops what does not and the peer tries again a second later.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use loteria::bet::{Bet, Day, WINNER_NUMBER};
use loteria::buffer::Buffer;
use loteria::protocol::{Batch, Message, VERSION};
use loteria::server::descriptors::allow_connections;
use loteria::tls::Connector;
use loteria_tools::{Stream, Usage};
use rustix::process::{Resource, Rlimit, prlimit};

use crate::Failure;
use crate::figure::Figure;
use crate::report::{Report, Table, count, time};
use crate::setup::{Certificates, Setup, connector};
use crate::stage::{Server, repeat};
use crate::suite::Options;

/// Bets of each agency. The first one wins.
const BETS: u32 = 5;
const THREADS: u32 = 16;
/// Of each thread. With [`THREADS`], half of the backlog of [`Server::start`].
const UNANSWERED: usize = 32;
/// Connections that arrive when no descriptor is left, and wait to be accepted.
const TOO_MANY: usize = 20;
/// Time for which the idle server is observed.
const IDLE: Duration = Duration::from_secs(2);

/// A measured run.
struct Run {
    /// Seconds until all are connected, stored and waiting.
    gathered: f64,
    /// Growth of the server's memory for each agency, in KiB.
    memory_kib: f64,
    /// Processor time of an idle second.
    idle: f64,
    /// The same with no descriptor left.
    without_descriptors: f64,
    /// Seconds from the last closing to the last agency's winners.
    drawn: f64,
    usage: Usage,
}

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let agencies = options.crowd;
    let possible = allow_connections(agencies as usize + TOO_MANY, 0);
    if possible < agencies as usize + TOO_MANY {
        return Err(format!("the system allows {possible} connections and no more, see ulimit -n; set AGENCIES").into());
    }
    let certificates = Certificates::make()?;
    let setups = [Setup::Durable, Setup::Tls(&certificates)];
    let [plain, secure] = setups.map(|setup| repeat(options.runs, || run(setup, agencies)));
    let (plain, secure) = (plain?, secure?);
    let mut table = Table::new(&["", "in plain", "over TLS"]);
    let number = count(agencies.into());
    table.add(["agencies", &number, &number].map(str::to_owned));
    let mut add = |name: &str, of: fn(&Run) -> f64, form: &dyn Fn(f64) -> String| {
        let cells = [&plain, &secure].map(|runs| Figure::of(runs.iter().map(of)).show(form));
        table.add([name.to_owned()].into_iter().chain(cells));
    };
    let rate = |seconds: f64| count((f64::from(agencies) / seconds) as u64);
    add("all of them connected, stored and waiting", |run| run.gathered, &time);
    add("agencies a second", |run| run.gathered, &rate);
    add("from the last closing to the last agency's winners", |run| run.drawn, &time);
    add("memory of a waiting connection", |run| run.memory_kib, &|kib| format!("{kib:.1} KiB"));
    add("processor time of an idle second", |run| run.idle, &time);
    add("the same with no descriptor left", |run| run.without_descriptors, &time);
    let explanation = format!(
        "{number} agencies, each with a connection of its own and {BETS} bets, which wait for the draw. They are played by {THREADS} threads, \
         each with at most {UNANSWERED} connections without a reply. Memory is the growth of the server's process, without the kernel's \
         buffers. Processor time is counted in hundredths of a second. With no descriptor left, {TOO_MANY} more connections wait to be \
         accepted. Keys are of ECDSA P-256, and no session is resumed. The server logs at ERROR."
    );
    report.add("A crowd", &explanation, &table);
    for (name, runs) in [("in plain", &plain), ("over TLS", &secure)] {
        report.note_memory(format!("a crowd {name}, {number} agencies"), runs.iter().map(|run| run.usage));
    }
    Ok(())
}

fn run(setup: Setup<'_>, agencies: u32) -> Result<Run, Failure> {
    let connector = setup.authority().map(|authority| connector(&authority)).transpose()?;
    let folder = tempfile::tempdir()?;
    let server = Server::start_quiet(folder.path(), agencies as usize, setup)?;
    let before = server.usage()?;

    let began = Instant::now();
    let mut crowd = gather(server.port, connector.as_ref(), agencies)?;
    let gathered = began.elapsed().as_secs_f64();
    let parked = settle(&server)?;
    if server.parked()? != u64::from(agencies - 1) {
        return Err("not every agency but the first waits for the draw".into());
    }

    let idle = idle(&server)?;
    let began = Instant::now();
    draw(&mut crowd)?;
    let drawn = began.elapsed().as_secs_f64();
    let without_descriptors = run_out_of_descriptors(&server)?;
    let memory_kib = parked.memory_kib.saturating_sub(before.memory_kib) as f64 / f64::from(agencies);
    Ok(Run { gathered, memory_kib, idle, without_descriptors, drawn, usage: server.usage()? })
}

/// An agency and its connection.
type Agency = (u32, Stream);

/// Connects the agencies and waits until their bets are stored: the share of each thread. All but the first have closed, with
/// the same bytes and so with the same commit, and wait for the draw.
fn gather(port: u16, connector: Option<&Connector>, agencies: u32) -> Result<Vec<Vec<Agency>>, Failure> {
    let gather_some = &|first: u32| -> Result<Vec<Agency>, Failure> {
        let mut share: Vec<Agency> = Vec::new();
        let own: Vec<u32> = (first..=agencies).step_by(THREADS as usize).collect();
        for some in own.chunks(UNANSWERED) {
            let answered = share.len();
            for &agency in some {
                let channel = connector.map(|connector| connector.begin(0)).transpose()?;
                let mut stream = Stream::new(TcpStream::connect(("127.0.0.1", port))?, channel);
                stream.write_all(&opening(agency))?;
                share.push((agency, stream));
            }
            for (_, stream) in &mut share[answered..] {
                let mut welcome_and_ok = [0; 15 + 2];
                stream.read_exact(&mut welcome_and_ok)?;
                if welcome_and_ok[15..] != [0, 2] {
                    return Err("a batch is not stored".into());
                }
            }
        }
        Ok(share)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS).map(|first| scope.spawn(move || gather_some(first))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread of agencies panicked")?).collect()
    })
}

fn opening(agency: u32) -> Vec<u8> {
    let mut bytes = Buffer::new();
    Message::Hello { version: VERSION, agency, credential: &[] }.encode(&mut bytes);
    let mut batch = Batch::begin(&mut bytes);
    for position in 0..BETS {
        let number = if position == 0 { WINNER_NUMBER } else { 1 };
        let name = "Ana".try_into().expect("a name");
        let (document, birthdate) = (agency + position, Day::OLDEST_BIRTHDATE);
        let bet = Bet { agency, first_name: name, last_name: name, document, birthdate, number };
        batch.push(&bet).expect("it fits into a packet");
    }
    batch.finish();
    if agency > 1 {
        closing(&mut bytes);
    }
    bytes.into()
}

fn closing(bytes: &mut Buffer) {
    Message::AllBetsSent.encode(bytes);
    Message::RequestWinners.encode(bytes);
}

/// The server's usage once it no longer changes.
fn settle(server: &Server) -> Result<Usage, Failure> {
    let mut last = server.usage()?;
    loop {
        thread::sleep(Duration::from_millis(200));
        let usage = server.usage()?;
        if usage == last {
            return Ok(usage);
        }
        last = usage;
    }
}

/// Processor time of a second in which nothing happens.
fn idle(server: &Server) -> Result<f64, Failure> {
    let before = server.usage()?;
    thread::sleep(IDLE);
    Ok((server.usage()?.processor - before.processor).as_secs_f64() / IDLE.as_secs_f64())
}

/// The same while connections wait and the server has no descriptor for them: its limit is lowered to the number that it has
/// open.
fn run_out_of_descriptors(server: &Server) -> Result<f64, Failure> {
    let descriptors = server.usage()?.descriptors as u64;
    let limit = Rlimit { current: Some(descriptors), maximum: Some(descriptors) };
    prlimit(Some(server.pid()?), Resource::Nofile, limit)?;
    let waiting = (0..TOO_MANY).map(|_| TcpStream::connect(("127.0.0.1", server.port)));
    let _waiting = waiting.collect::<Result<Vec<TcpStream>, _>>()?;
    let idle = idle(server)?;
    if server.usage()?.descriptors as u64 > descriptors {
        return Err("the server had descriptors left".into());
    }
    Ok(idle)
}

/// Closes the first agency, and checks that every agency is told its one winner.
fn draw(crowd: &mut [Vec<Agency>]) -> Result<(), Failure> {
    let mut bytes = Buffer::new();
    closing(&mut bytes);
    crowd[0][0].1.write_all(&bytes)?;
    thread::scope(|scope| {
        let threads: Vec<_> = crowd.iter_mut().map(|agencies| scope.spawn(|| receive_winners(agencies))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread of agencies panicked")?)
    })
}

fn receive_winners(agencies: &mut [Agency]) -> Result<(), Failure> {
    for (agency, stream) in agencies {
        let mut expected = Buffer::new();
        Message::encode_winners_head(1, &mut expected);
        Message::encode_documents(&[*agency], &mut expected);
        let mut winners = vec![0; expected.len()];
        stream.read_exact(&mut winners)?;
        if winners != *expected {
            return Err(format!("agency {agency} is told other winners").into());
        }
    }
    Ok(())
}
