//! The loop: one thread, one mio `Poll`, tokens for the listener, the signals, the admin port and each connection.
//!
//! A round of the loop sleeps until something is ready or due, lets the [`Server`] take its turn, accepts new connections
//! into the room that those of this turn have left, serves the admin port, and obeys signals. It listens while the server is
//! no standby.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use slotmap::{Key, KeyData};

use super::admin::{self, Admin};
use super::listener::{Listener, listen, turn_away};
use super::notify::Notifier;
use super::part::Part;
use super::report::{Reminder, Report};
use super::turn::{Ready, Server, TurnError, World};
use crate::central::{ConnectionId, Now};
use crate::ledger::Ledger;
use crate::{event, peer_event};

const LISTENER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);
/// The ledger has news.
const LEDGER: Token = Token(usize::MAX - 512);

/// Events taken from one poll. The rest comes with the next.
const EVENTS: usize = 1024;
/// Connections accepted in one turn: about 2 ms, and 8 ms with their first requests. The rest stays in the backlog for the
/// next. Linux drops connections of a full backlog, and their clients try again a second later. So one turn, which may
/// cost a commit, empties more of it than clients fill meanwhile.
const ACCEPTS: usize = 256;
/// The same while there is no room left. Each takes the place of the oldest connection without an agency, which needs a
/// turn to name one.
const ACCEPTS_WHEN_FULL: usize = 32;

/// The signal that ended the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
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

/// Reason why the loop could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A turn could not be completed.
    #[error("{0}")]
    Turn(#[from] TurnError),
    /// The agencies' address can't be listened on.
    #[error("{address} can't be listened on: {error}; stop what uses it, or set SERVER_PORT or SERVER_IP to another")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> RunError {
        RunError::Turn(error.into())
    }
}

/// The address that agencies come to.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// The address. Port 0 is any free one.
    pub address: SocketAddr,
    /// Connections that wait to be accepted.
    pub backlog: i32,
}

/// Catches the signals that the loop obeys. From here on none of them kills the program: they wait for the first turn.
///
/// # Errors
/// The system's.
pub fn catch_signals() -> io::Result<Signals> {
    Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])
}

/// The loop and everything that it polls.
pub struct Reactor<L> {
    readiness: Readiness,
    door: Door,
    /// `None` while the server is a standby.
    listener: Option<Listener>,
    signals: Signals,
    server: Server<TcpStream, L>,
    /// Connections that the last poll reported.
    ready: Vec<Ready>,
    report: Report,
    reminder: Reminder,
    admin: Option<Admin>,
    notifier: Option<Notifier>,
    on_hangup: fn(),
}

/// The poll, and what it has reported beside connections.
struct Readiness {
    poll: Poll,
    events: Events,
    /// True if the listener was reported since the last turn.
    listener: bool,
    /// True if the signals were.
    signals: bool,
    /// Tokens of the admin port that were, each with its readability.
    admin: Vec<(Token, bool)>,
}

impl<L: Ledger> Reactor<L> {
    /// A loop of `server` that listens at `door`. Agencies that are missing are logged every `reminder_interval`. SIGHUP calls
    /// `on_hangup` and has certificates read again, SIGUSR1 logs the status.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        door: Door,
        mut signals: Signals,
        mut server: Server<TcpStream, L>,
        reminder_interval: Duration,
        on_hangup: fn(),
    ) -> io::Result<Reactor<L>> {
        let poll = Poll::new()?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let report = Report::new(server.central());
        server.wake_with(Waker::new(poll.registry(), LEDGER)?);
        Ok(Reactor {
            readiness: Readiness {
                poll,
                events: Events::with_capacity(EVENTS),
                listener: false,
                signals: false,
                admin: Vec::new(),
            },
            door,
            listener: None,
            signals,
            report,
            reminder: Reminder::new(reminder_interval, Instant::now()),
            server,
            ready: Vec::new(),
            admin: None,
            notifier: Notifier::from_environment(Instant::now()),
            on_hangup,
        })
    }

    /// Serves the admin port over `listener`, which does not block. `storage` is the file of bets, and `drawn_at` the time
    /// of a former run's draw.
    ///
    /// # Errors
    /// The system's.
    pub fn serve_admin(
        &mut self,
        listener: std::net::TcpListener,
        storage: PathBuf,
        drawn_at: Option<SystemTime>,
    ) -> io::Result<()> {
        let (central, registry) = (self.server.central(), self.readiness.poll.registry());
        self.admin = Some(Admin::new(listener, storage, drawn_at, central, registry)?);
        Ok(())
    }

    /// Turns until a signal ends it, then closes everything.
    ///
    /// # Errors
    /// [`RunError`]. Nothing is acknowledged after it.
    pub fn run(mut self) -> Result<Stop, RunError> {
        self.listen_or_not()?;
        self.notifier.iter_mut().for_each(Notifier::ready);
        loop {
            self.listen_or_not()?;
            let timeout = self.time_to_sleep();
            self.readiness.wait(timeout, &mut self.ready)?;
            self.server.turn(&mut self.ready, &mut self.readiness)?;
            let now = Now::read();
            self.accept(now);
            self.show(now.instant);
            self.reminder.log_if_due(self.server.central(), now.instant);
            if let Some(stop) = self.obey_signals() {
                self.shut_down(stop);
                return Ok(stop);
            }
        }
    }

    /// Opens the door of a server that is no standby any more, and closes it behind one that has become one.
    fn listen_or_not(&mut self) -> Result<(), RunError> {
        match (self.server.part(), &self.listener) {
            (Part::Standby, Some(_)) => {
                self.listener = None;
                event!(Info, "close_listener", success);
            }
            (Part::Active, None) => {
                let Door { address, backlog } = self.door;
                let failed = |error| RunError::Listen { address, error };
                let listener = listen(address, backlog).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                let mut listener = TcpListener::from_std(listener);
                self.readiness.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
                self.listener = Some(Listener::new(listener));
                event!(Info, "listen", success, "ip": address.ip(), "port": address.port());
                event!(Info, "accept_connections", in_progress);
            }
            _ => {}
        }
        Ok(())
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        let now = Instant::now();
        let reminder = self.reminder.time_to_sleep(self.server.central(), now);
        let admin = self.admin.as_ref().map(|admin| admin.time_to_sleep(now));
        let notifier = self.notifier.as_ref().map(|notifier| notifier.time_to_sleep(now));
        let listener = self.listener.as_ref().and_then(|listener| listener.time_to_sleep(now));
        let times = [self.server.time_to_sleep(now), listener, reminder, admin, notifier];
        times.into_iter().flatten().min()
    }

    /// Shows the round to those who look at it.
    fn show(&mut self, now: Instant) {
        if let Some(admin) = &mut self.admin {
            self.readiness.admin.drain(..).for_each(|(token, is_readable)| admin.note_ready(token, is_readable));
            admin.turn(&mut self.server, self.readiness.poll.registry(), now);
        }
        if let Some(notifier) = &mut self.notifier {
            notifier.update(self.server.central(), now);
        }
    }

    fn accept(&mut self, now: Now) {
        let is_ready = std::mem::take(&mut self.readiness.listener);
        let Some(listener) = &mut self.listener else { return };
        if is_ready {
            listener.note_ready();
        }
        for accepted in 0..ACCEPTS {
            if accepted >= ACCEPTS_WHEN_FULL && self.server.central().is_full() {
                return;
            }
            let Some((socket, peer)) = listener.accept(now.instant) else { return };
            if !self.server.make_room(now) {
                let how = turn_away(socket);
                peer_event!(self.server.peer_log(), peer.ip(), Warn, "accept_connections", fail, "ip": peer.ip(),
                    "error": "MAX_CONNECTIONS reached", "peer": how);
                continue;
            }
            let registry = self.readiness.poll.registry();
            let added = self.server.add(socket, peer, now, |socket, id| {
                registry.register(socket, token_of(id), Interest::READABLE | Interest::WRITABLE)
            });
            match added {
                Ok(_) => {
                    peer_event!(self.server.peer_log(), peer.ip(), Info, "accept_connections", success, "ip": peer.ip());
                }
                Err(error) => {
                    peer_event!(self.server.peer_log(), peer.ip(), Warn, "accept_connections", fail, "ip": peer.ip(),
                        "error": error);
                }
            }
        }
    }

    fn obey_signals(&mut self) -> Option<Stop> {
        if !std::mem::take(&mut self.readiness.signals) {
            return None;
        }
        let mut stop = None;
        for signal in self.signals.pending().collect::<Vec<_>>() {
            match signal {
                SIGHUP => {
                    (self.on_hangup)();
                    self.server.read_certificates_again();
                }
                SIGUSR1 => self.report.log(&self.server),
                SIGINT => stop = Some(Stop::Interrupt),
                _ => stop = Some(Stop::Terminate),
            }
        }
        stop
    }

    fn shut_down(self, stop: Stop) {
        let Reactor { listener, mut server, notifier, .. } = self;
        notifier.iter().for_each(Notifier::stopping);
        event!(Info, "shutdown", in_progress, "signal": stop.name());
        if listener.is_some() {
            drop(listener);
            event!(Info, "close_listener", success);
        }
        server.shut_down(Now::read());
    }
}

impl Readiness {
    /// Sleeps until something is ready, for at most `timeout`, and appends the connections among it to `ready`.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        for event in &self.events {
            match event.token() {
                LISTENER => self.listener = true,
                SIGNALS => self.signals = true,
                // The next turn polls it.
                LEDGER => {}
                token if admin::is_of_admin(token) => {
                    let is_readable = event.is_readable() || event.is_read_closed() || event.is_error();
                    self.admin.push((token, is_readable));
                }
                token => ready.push(Ready {
                    id: id_of(token),
                    is_readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    is_writable: event.is_writable(),
                    is_over: event.is_error() || (event.is_read_closed() && event.is_write_closed()),
                }),
            }
        }
        Ok(())
    }
}

impl World for Readiness {
    fn now(&mut self) -> Now {
        Now::read()
    }

    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.wait(Some(Duration::ZERO), ready)
    }
}

/// A token is a connection's index and generation, so that an event of a closed connection finds none.
fn token_of(id: ConnectionId) -> Token {
    Token(id.data().as_ffi() as usize)
}

fn id_of(token: Token) -> ConnectionId {
    KeyData::from_ffi(token.0 as u64).into()
}
