//! One thread, one `Poll`: carries bytes between the sockets and the [`Central`], a turn at a time.
//!
//! `Reactor::turn` names its steps in the order in which a bet lives them. mio reports a socket once and not again
//! until it has been read (or written) to the point of `WouldBlock`. A connection that was not read to that point, because of
//! its share of the turn or the time of it, therefore stays on a list, and the next poll does not sleep while a list holds
//! anything.
//!
//! Some connections send a batch and wait for the answer; others send on while they wait, and are *bulky*. A turn may be long
//! while it serves only those (`Pace` says how long), so it looks every now and then whether somebody else has come
//! meanwhile, who is read next and has the turn end soon.
//!
//! A connection is closed only after its replies are written and the rest of its input has been read and dropped, within
//! `LINGER` and `LINGER_BYTES`: closing a socket with unread input resets the connection, and a reset can destroy
//! the reply just written (RFC 1122, 4.2.2.13).

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;

use super::commits::Commits;
use super::deadlines::Deadlines;
use super::pace::Pace;
use crate::buffer::Buffer;
use crate::central::{Central, Now, SessionId, Standing};
use crate::event;
use crate::ledger::file::{CommitError, Medium};
use crate::protocol::{ErrorCode, MAX_PACKET_BYTES, Message};

const LISTENER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Events taken from one poll. What is left comes with the next.
const EVENTS: usize = 1024;
/// Connections accepted in one turn. What is left waits in the backlog for the next.
const ACCEPTS: usize = 32;
/// Bytes taken from a connection before it is the next one's turn: a packet, as agencies send them. The smaller, the less a
/// small batch waits for the packets of others; each read costs the system about as much as ten bets do.
const SLICE_BYTES: usize = MAX_PACKET_BYTES;
/// For how many turns a connection that was bulky counts as one.
const BULKY_TURNS: u64 = 8;
/// How many small connections are read before it is a bulky one's turn: each costs the system about a fourth of a slice.
const SMALL_IN_A_ROW: u32 = 4;
/// How often a turn looks for new input while it is taking input.
const POLL_EVERY: Duration = Duration::from_micros(100);
/// How long accepting pauses when the system has no descriptor left for another connection. It stays in the backlog
/// meanwhile, and an event loop that tried again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection that is being closed may go on sending.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes a connection that is being closed may go on sending.
const LINGER_BYTES: usize = 1 << 20;
/// An agency may wait for the draw for days; whether it is still alive is asked after this long without a word,
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// this often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// and this many times before its connection is given up.
const KEEPALIVE_PROBES: u32 = 6;

/// Why the loop can't go on.
#[derive(Debug, Error)]
pub enum ReactorError {
    /// The system refuses to poll.
    #[error("poll: {0}")]
    Poll(#[from] io::Error),
    /// What was stored can't be known any more.
    #[error("storage: {0}")]
    Storage(#[from] CommitError),
}

/// Why the loop ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM came.
    Terminate,
    /// SIGINT came.
    Interrupt,
}

/// The loop and everything that it polls.
pub struct Reactor<M> {
    poll: Poll,
    events: Events,
    signals: Signals,
    /// Whether there are signals to be obeyed.
    is_signalled: bool,
    listener: Option<TcpListener>,
    /// Whether the listener may have connections that were not accepted yet.
    acceptable: bool,
    /// Until when accepting pauses.
    accept_paused: Option<Instant>,
    central: Central<M>,
    /// The connection of each session, by its id.
    connections: Vec<Option<Connection>>,
    /// Connections to be read: small ones; and bulky ones, those that were behind with their replies, and those that are being
    /// closed. Each is on one of these two lists, once.
    small: VecDeque<SessionId>,
    bulky: VecDeque<SessionId>,
    /// How many small ones were read since the last bulky one.
    small_in_a_row: u32,
    /// How many small ones have something new to say: see [`Connection::is_unread`].
    unread: usize,
    /// Connections to be read in the next turn, because they have had their share of this one.
    served: Vec<SessionId>,
    /// Connections to be written in this turn.
    writable: Vec<SessionId>,
    deadlines: Deadlines,
    /// Which turn this is.
    turn: u64,
    /// Bytes taken from one connection in a turn: its share.
    turn_bytes: usize,
    /// How long a turn may take input.
    pace: Pace,
    /// Where input is read to.
    slice: Vec<u8>,
    /// What SIGHUP asks for.
    on_hangup: fn(),
    /// Commits since the state was last logged, and what was stored and what time it was then.
    commits: Commits,
    last_state: (u64, Instant),
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    /// Whether the socket may hold input, because it was not read to `WouldBlock`.
    readable: bool,
    /// Whether it is on a list of those to be read, or will be.
    listed: bool,
    /// Whether a poll has said that it has input, and it has not been read since.
    is_unread: bool,
    /// The last turn in which it was read, and the bytes taken from it in that one.
    turn: u64,
    taken: usize,
    /// The last turn in which it counts as bulky: see [`Connection::is_bulky`].
    bulky_until: u64,
    /// Whether its peer has ended its side.
    ended: bool,
    /// Once everything is written: how many more bytes of input are read, and dropped.
    linger: Option<usize>,
}

/// A socket on every address of this machine, that listens on `port` (0: any free one) with this backlog.
///
/// # Errors
/// The system's, such as a port in use.
pub fn listen(port: u16, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Takes the signals that the loop obeys. From here on none of them kills the program: they wait for the first turn.
///
/// # Errors
/// The system's.
pub fn listen_for_signals() -> io::Result<Signals> {
    Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])
}

impl<M: Medium> Reactor<M> {
    /// A loop that carries between `listener`, which does not block, and `central`; a connection's share of a turn is
    /// `turn_bytes`. SIGHUP calls `on_hangup`, SIGUSR1 logs the state.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        listener: std::net::TcpListener,
        mut signals: Signals,
        central: Central<M>,
        turn_bytes: usize,
        on_hangup: fn(),
    ) -> io::Result<Reactor<M>> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let last_state = (central.lottery().total_stored(), Instant::now());
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            is_signalled: false,
            listener: Some(listener),
            acceptable: false,
            accept_paused: None,
            central,
            connections: Vec::new(),
            small: VecDeque::new(),
            bulky: VecDeque::new(),
            small_in_a_row: 0,
            unread: 0,
            served: Vec::new(),
            writable: Vec::new(),
            deadlines: Deadlines::default(),
            turn: 0,
            turn_bytes,
            pace: Pace::new(),
            slice: vec![0; SLICE_BYTES],
            on_hangup,
            commits: Commits::default(),
            last_state,
        })
    }

    /// Turns until a signal comes, then closes everything.
    ///
    /// # Errors
    /// [`ReactorError`]. Nothing is acknowledged after it.
    pub fn run(mut self) -> Result<Stop, ReactorError> {
        event!(Info, "accept_connections", in_progress);
        loop {
            if let Some(stop) = self.turn()? {
                self.shut_down(stop)?;
                return Ok(stop);
            }
        }
    }

    fn turn(&mut self) -> Result<Option<Stop>, ReactorError> {
        self.poll(self.time_to_sleep())?;
        let now = Now::read();
        self.read(now)?;
        self.expire(now);
        self.commit()?;
        self.write(now);
        // Last, into the room that those have left who ended in this turn. A commit may have taken long.
        self.accept(Now::read());
        Ok(self.obey_signals())
    }

    /// Sleeps until something can be done, or for that long, and notes what.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        for event in &self.events {
            match event.token() {
                LISTENER => self.acceptable = true,
                SIGNALS => self.is_signalled = true,
                Token(key) => {
                    let id = SessionId(key);
                    let Some(connection) = self.connections.get_mut(key).and_then(Option::as_mut) else { continue };
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        connection.readable = true;
                        if connection.is_bulky(self.turn) {
                            connection.list(id, &mut self.bulky);
                        } else {
                            connection.list(id, &mut self.small);
                            self.unread += usize::from(!std::mem::replace(&mut connection.is_unread, true));
                        }
                    }
                    if event.is_writable() {
                        self.writable.push(id);
                    }
                }
            }
        }
        Ok(())
    }

    fn obey_signals(&mut self) -> Option<Stop> {
        let mut stop = None;
        if !std::mem::take(&mut self.is_signalled) {
            return stop;
        }
        for signal in self.signals.pending().collect::<Vec<_>>() {
            match signal {
                SIGHUP => (self.on_hangup)(),
                SIGUSR1 => self.log_state(),
                SIGINT => stop = Some(Stop::Interrupt),
                _ => stop = Some(Stop::Terminate),
            }
        }
        stop
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        let has_input = !self.small.is_empty() || !self.bulky.is_empty();
        if has_input || (self.acceptable && self.accept_paused.is_none()) {
            return Some(Duration::ZERO);
        }
        let next = [self.deadlines.next(), self.accept_paused].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self, now: Now) {
        if self.accept_paused.is_some_and(|until| until > now.instant) {
            return;
        }
        for _ in 0..ACCEPTS {
            if !self.acceptable {
                // The connection that there was no room for may have gone meanwhile.
                self.accept_paused = None;
                return;
            }
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((socket, peer)) => {
                    self.accept_paused = None;
                    self.welcome(socket, peer, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.acceptable = false,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => return self.pause_accepting(&error, now),
            }
        }
    }

    /// There is no room for another connection now. It stays in the backlog until there is.
    fn pause_accepting(&mut self, error: &io::Error, now: Now) {
        if self.accept_paused.is_none() {
            event!(Warn, "accept_connections", in_progress, "error": error, "retry_every": format_args!("{ACCEPT_PAUSE:?}"));
        }
        self.accept_paused = Some(now.instant + ACCEPT_PAUSE);
    }

    fn welcome(&mut self, mut socket: TcpStream, peer: SocketAddr, now: Now) {
        if self.central.is_full() {
            return turn_away(&mut socket, peer);
        }
        let id = self.central.connect(peer.ip(), now);
        let registered = configure(&socket).and_then(|()| {
            self.poll.registry().register(&mut socket, Token(id.0), Interest::READABLE | Interest::WRITABLE)
        });
        if let Err(error) = registered {
            event!(Warn, "accept_connections", fail, "ip": peer.ip(), "error": error);
            return self.central.disconnect(id);
        }
        event!(Info, "accept_connections", success, "ip": peer.ip());
        if self.connections.len() <= id.0 {
            self.connections.resize_with(id.0 + 1, || None);
        }
        let connection = Connection {
            socket,
            peer,
            readable: false,
            listed: false,
            is_unread: false,
            turn: 0,
            taken: 0,
            bulky_until: 0,
            ended: false,
            linger: None,
        };
        self.connections[id.0] = Some(connection);
        self.deadlines.set(id, self.central.deadline(id));
    }

    /// Takes a slice from each ready connection in turn, and again, until none has any more to say, each has had its
    /// share, or the time is over.
    fn read(&mut self, now: Now) -> io::Result<()> {
        self.turn += 1;
        self.pace.begin_turn(now.instant);
        let mut polled = now.instant;
        while let Some(id) = self.next_to_read() {
            let Some(connection) = self.connections[id.0].as_mut() else { continue };
            connection.begin_turn(self.turn);
            self.unread -= usize::from(std::mem::take(&mut connection.is_unread));
            if connection.taken >= self.turn_bytes {
                self.served.push(id);
                continue;
            }
            connection.listed = false;
            if connection.linger.is_some() {
                self.read_and_drop(id);
            } else {
                self.read_slice(id, now);
            }
            let time = Instant::now();
            if self.pace.is_over(time, self.unread > 0) {
                break;
            }
            if time - polled >= POLL_EVERY {
                self.poll(Some(Duration::ZERO))?;
                polled = time;
            }
        }
        // Whoever had nothing in this turn goes first in the next.
        self.bulky.extend(self.served.drain(..));
        Ok(())
    }

    /// Small connections go before bulky ones, but for every few of them a bulky one is read: a small batch need not wait for
    /// every flood before it, and no number of small ones keeps a large one from going on.
    fn next_to_read(&mut self) -> Option<SessionId> {
        if self.small_in_a_row < SMALL_IN_A_ROW
            && let Some(id) = self.small.pop_front()
        {
            self.small_in_a_row += 1;
            return Some(id);
        }
        self.small_in_a_row = 0;
        self.bulky.pop_front().or_else(|| self.small.pop_front())
    }

    fn read_slice(&mut self, id: SessionId, now: Now) {
        let Some(connection) = self.connections[id.0].as_mut() else { return };
        self.central.resume(id, now);
        if connection.readable && self.central.wants_input(id) {
            let room = SLICE_BYTES.min(self.turn_bytes - connection.taken);
            match connection.socket.read(&mut self.slice[..room]) {
                Ok(0) => {
                    connection.readable = false;
                    connection.ended = true;
                    self.central.end_of_input(id);
                }
                Ok(bytes) => {
                    let is_bulky = connection.take(bytes, self.turn_bytes);
                    let staged_before = self.central.staged_bytes();
                    self.central.receive(id, &self.slice[..bytes], now);
                    if !is_bulky && self.central.staged_bytes() > staged_before {
                        self.pace.note_waiting();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(id, &error),
            }
        }
        if connection.readable && self.central.wants_input(id) {
            let list = if connection.is_bulky(self.turn) { &mut self.bulky } else { &mut self.small };
            connection.list(id, list);
        }
        self.deadlines.set(id, self.central.deadline(id));
    }

    /// Keeps the input of a connection that is being closed from resetting it.
    fn read_and_drop(&mut self, id: SessionId) {
        let Some(connection) = self.connections[id.0].as_mut() else { return };
        let Some(bytes_left) = connection.linger.as_mut() else { return };
        match connection.socket.read(&mut self.slice) {
            Ok(bytes) if bytes > 0 && bytes <= *bytes_left => {
                *bytes_left -= bytes;
                connection.take(bytes, self.turn_bytes);
                connection.list(id, &mut self.bulky);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => self.close(id),
        }
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        if !self.central.has_staged() {
            return self.central.commit();
        }
        let began = Instant::now();
        self.central.commit()?;
        let took = began.elapsed();
        self.commits.record(took);
        self.pace.committed_in(took);
        Ok(())
    }

    /// One line about where the central stands, since the last such line.
    fn log_state(&mut self) {
        let Standing { connections, parked, buffered_bytes, stored, open_agencies, closed_agencies } =
            self.central.standing();
        let commits = self.commits.take();
        let now = Instant::now();
        let (stored_before, since) = std::mem::replace(&mut self.last_state, (stored, now));
        let bets_a_second = stored.saturating_sub(stored_before) as f64 / (now - since).as_secs_f64();
        event!(Info, "estado", success, "conexiones": connections, "agencias_abiertas": open_agencies.len(),
            "agencias_cerradas": closed_agencies, "esperando_sorteo": parked, "apuestas": stored,
            "apuestas_por_segundo": format_args!("{bets_a_second:.0}"), "commits": commits.count(),
            "commit_p99": format_args!("{}us", commits.percentile(0.99).as_micros()),
            "bytes_en_buffers": buffered_bytes, "faltan_cerrar": Numbers(&open_agencies));
    }

    /// Writes what the commit has released.
    fn write(&mut self, now: Now) {
        let mut writable = std::mem::take(&mut self.writable);
        for id in writable.drain(..).chain(self.central.take_touched()) {
            self.write_one(id, now);
        }
        self.writable = writable;
    }

    fn write_one(&mut self, id: SessionId, now: Now) {
        let Some(connection) = self.connections[id.0].as_mut() else { return };
        if connection.linger.is_some() {
            return;
        }
        while !self.central.unsent(id).is_empty() {
            match connection.socket.write(self.central.unsent(id)) {
                Ok(bytes) => self.central.sent(id, bytes, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.central.sent(id, 0, now);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(id, &error),
            }
        }
        if self.central.is_finished(id) {
            return self.finish(id, now);
        }
        if self.central.wants_input(id) && (connection.readable || self.central.is_held(id)) {
            connection.list(id, &mut self.bulky);
        }
        self.deadlines.set(id, self.central.deadline(id));
    }

    /// Everything is written: ends this side, and closes once the peer has ended its own.
    fn finish(&mut self, id: SessionId, now: Now) {
        let Some(connection) = self.connections[id.0].as_mut() else { return };
        if connection.ended || connection.socket.shutdown(Shutdown::Write).is_err() {
            return self.close(id);
        }
        connection.linger = Some(LINGER_BYTES);
        connection.list(id, &mut self.bulky);
        self.deadlines.set(id, Some(now.instant + LINGER));
    }

    fn expire(&mut self, now: Now) {
        while let Some(id) = self.deadlines.take_due(now.instant) {
            let lingers = self.connections[id.0].as_ref().is_some_and(|connection| connection.linger.is_some());
            if lingers {
                self.close(id);
            } else {
                self.central.expire(id, now);
                self.deadlines.set(id, self.central.deadline(id));
            }
        }
    }

    /// The connection broke.
    fn lose(&mut self, id: SessionId, error: &io::Error) {
        if let Some(connection) = &self.connections[id.0] {
            event!(Warn, "lose_connection", success, "ip": connection.peer.ip(), "error": error);
        }
        self.close(id);
    }

    fn close(&mut self, id: SessionId) {
        if let Some(connection) = self.connections[id.0].take() {
            self.unread -= usize::from(connection.is_unread);
            self.deadlines.set(id, None);
            self.central.disconnect(id);
            event!(Info, "close_connection", success, "ip": connection.peer.ip());
        }
    }

    /// Tells every agency that the server is going and closes every descriptor.
    fn shut_down(&mut self, stop: Stop) -> Result<(), ReactorError> {
        event!(Info, "shutdown", in_progress, "signal": stop.name());
        if self.listener.take().is_some() {
            event!(Info, "close_listener", success);
        }
        let now = Now::read();
        self.central.shut_down();
        self.central.commit()?;
        self.write(now);
        for key in 0..self.connections.len() {
            self.close(SessionId(key));
        }
        Ok(())
    }
}

impl Connection {
    /// Every turn owes it a new share.
    fn begin_turn(&mut self, turn: u64) {
        if self.turn != turn {
            (self.turn, self.taken) = (turn, 0);
        }
    }

    /// Notes that `bytes` were taken from it, whose share is `turn_bytes`, and says whether it is bulky.
    fn take(&mut self, bytes: usize, turn_bytes: usize) -> bool {
        self.taken += bytes;
        if self.taken >= SLICE_BYTES.min(turn_bytes) {
            self.bulky_until = self.turn + BULKY_TURNS;
        }
        self.is_bulky(self.turn)
    }

    /// Whether it says more than what it waits for the answer to: in `turn` or shortly before, it had a slice to give in a
    /// turn, or its whole share where that is less.
    fn is_bulky(&self, turn: u64) -> bool {
        turn <= self.bulky_until
    }

    fn list(&mut self, id: SessionId, list: &mut VecDeque<SessionId>) {
        if !std::mem::replace(&mut self.listed, true) {
            list.push_back(id);
        }
    }
}

impl Stop {
    /// The name of the signal.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Terminate => "SIGTERM",
            Stop::Interrupt => "SIGINT",
        }
    }
}

/// The first of these numbers, and how many more there are.
struct Numbers<'a>(&'a [u32]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        if self.0.is_empty() {
            return f.write_str("ninguna");
        }
        for (position, number) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{number}", if position > 0 { " " } else { "" })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " y {more} mas"),
        }
    }
}

/// Replies are small and awaited, so they go out at once; a peer that died without a word is found out.
fn configure(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// Tells a connection that there is no room for it, without waiting: a new socket has room for these few bytes. It is told
/// before this end is closed, so that the reset which unread input then causes comes behind the reply.
fn turn_away(socket: &mut TcpStream, peer: SocketAddr) {
    let mut reply = Buffer::new();
    Message::RegisterBetFailed(ErrorCode::Unavailable).encode(&mut reply);
    let told = socket.write(&reply).and_then(|_| socket.shutdown(Shutdown::Write));
    let how = told.map_or_else(|error| error.to_string(), |()| "told".to_owned());
    event!(Warn, "accept_connections", fail, "ip": peer.ip(), "error": "MAX_CONNECTIONS reached", "peer": how);
}

/// Errors of accept(2) that concern the connection that was to be accepted, and not the next one.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::PermissionDenied
    ) || error.raw_os_error().is_some_and(|code| code == EPROTO)
}

/// Protocol error, from errno(3) on Linux.
const EPROTO: i32 = 71;
