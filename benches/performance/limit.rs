//! The limit: a program that moves bytes from connections into a file and does nothing else.
//!
//! It works in turns as the server does: the bytes that each connection has ready, up to the server's default share, go into the
//! file with one write. It syncs as often as the server did for the same bets, evenly. It parses nothing and sends no reply.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use loteria::central::Limits;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::Failure;
use crate::setup::Setup;
use crate::stage::{Killed, Stream};
use crate::stream;

pub const ROLE: &str = "limit";

/// Bytes of a generated bet on the wire, with its share of the batch's head.
const WIRE_BYTES_A_BET: u64 = 54;

/// Seconds that it takes to move the bytes of `bets` from `connections` into a file, with `syncs` on the way.
pub fn seconds(connections: usize, bets: u64, syncs: Option<u64>) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let mut receiver = Command::new(std::env::current_exe()?);
    let bytes_a_sync = syncs.map_or(u64::MAX, |syncs| bets * WIRE_BYTES_A_BET / syncs);
    receiver.arg(ROLE).arg(connections.to_string()).arg(bytes_a_sync.to_string()).arg(folder.path().join("bytes"));
    let mut receiver = Killed(receiver.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    let mut port = String::new();
    let output = receiver.0.stdout.as_mut().ok_or("no standard output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut port)?;
    let stream = Stream { setup: Setup::Durable, port: port.trim().parse()?, agencies: connections, bets };
    let numbers = stream.perform(stream::BYTES, None)?;
    Ok(*numbers.first().ok_or("no number")?)
}

/// Plays the role. The order: number of connections, bytes from one sync to the next, path of the file.
pub fn play(order: &[&str]) -> Result<(), Failure> {
    let &[connections, bytes_a_sync, path] = order else { return Err("limit CONNECTIONS BYTES_A_SYNC FILE".into()) };
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let mut sockets = Vec::new();
    for _ in 0..connections.parse()? {
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        sockets.push(Some(TcpStream::from_std(socket)));
    }
    drop(TcpListener::from_std(listener));
    let file = OpenOptions::new().append(true).create(true).open(Path::new(path))?;
    Ok(move_bytes(sockets, file, bytes_a_sync.parse()?)?)
}

fn move_bytes(mut sockets: Vec<Option<TcpStream>>, mut file: File, bytes_a_sync: u64) -> std::io::Result<()> {
    let mut poll = Poll::new()?;
    for (token, socket) in sockets.iter_mut().flatten().enumerate() {
        poll.registry().register(socket, Token(token), Interest::READABLE)?;
    }
    let mut events = Events::with_capacity(1024);
    let share_bytes = Limits::default().turn_bytes;
    let (mut ready, mut turn, mut ended) = (vec![false; sockets.len()], Vec::new(), Vec::new());
    let mut open = sockets.len();
    let mut unsynced = 0;
    while open > 0 {
        let timeout = ready.contains(&true).then_some(std::time::Duration::ZERO);
        poll.poll(&mut events, timeout)?;
        events.iter().for_each(|event| ready[event.token().0] = true);
        for (socket, is_ready) in sockets.iter_mut().zip(&mut ready).filter(|(_, is_ready)| **is_ready) {
            let start = turn.len();
            turn.resize(start + share_bytes, 0);
            let Some(stream) = socket else { continue };
            let read = stream.read(&mut turn[start..]);
            turn.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    // Closed only once its bytes are in the file, because the sender measures until then.
                    ended.extend(socket.take());
                    *is_ready = false;
                    open -= 1;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => *is_ready = false,
                Err(error) => return Err(error),
            }
        }
        if !turn.is_empty() {
            file.write_all(&turn)?;
            unsynced += turn.len() as u64;
            if unsynced >= bytes_a_sync || (open == 0 && bytes_a_sync < u64::MAX) {
                file.sync_data()?;
                unsynced = 0;
            }
            turn.clear();
        }
        ended.clear();
    }
    Ok(())
}
