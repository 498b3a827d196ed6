//! The loop: one thread, one mio `Poll`, tokens for the listener, the signals, the admin port and each connection.
//!
//! A round of the loop sleeps until something is ready or due, lets the [`Server`] take its turn, accepts new connections
//! into the room that those of this turn have left, serves the admin port, and obeys signals.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;
use slotmap::{Key, KeyData};

use super::admin::{self, Admin};
use super::listener::{Listener, configure, turn_away};
use super::notify::Notifier;
use super::report::{Reminder, Report};
use super::turn::{Ready, Server, TurnError, World};
use crate::central::{ConnectionId, Now};
use crate::ledger::Ledger;
use crate::{event, peer_event};

const LISTENER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Events taken from one poll. The rest comes with the next.
const EVENTS: usize = 1024;
/// Connections accepted in one turn. The rest stays in the backlog for the next.
const ACCEPTS: usize = 32;

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
    listener: Listener,
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
    /// A loop of `server` over `listener`, which does not block. Agencies that are missing are logged every
    /// `reminder_interval`. SIGHUP calls `on_hangup` and has certificates read again, SIGUSR1 logs the status.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        listener: std::net::TcpListener,
        mut signals: Signals,
        server: Server<TcpStream, L>,
        reminder_interval: Duration,
        on_hangup: fn(),
    ) -> io::Result<Reactor<L>> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Reactor {
            readiness: Readiness {
                poll,
                events: Events::with_capacity(EVENTS),
                listener: false,
                signals: false,
                admin: Vec::new(),
            },
            listener: Listener::new(listener),
            signals,
            report: Report::new(server.central()),
            reminder: Reminder::new(reminder_interval, Instant::now()),
            server,
            ready: Vec::new(),
            admin: None,
            notifier: Notifier::from_environment(Instant::now()),
            on_hangup,
        })
    }

    /// Serves the admin port over `listener`, which does not block. `storage` is the file of bets.
    ///
    /// # Errors
    /// The system's.
    pub fn serve_admin(&mut self, listener: std::net::TcpListener, storage: PathBuf) -> io::Result<()> {
        let (central, registry) = (self.server.central(), self.readiness.poll.registry());
        self.admin = Some(Admin::new(listener, storage, central, registry)?);
        Ok(())
    }

    /// Turns until a signal ends it, then closes everything.
    ///
    /// # Errors
    /// [`TurnError`]. Nothing is acknowledged after it.
    pub fn run(mut self) -> Result<Stop, TurnError> {
        event!(Info, "accept_connections", in_progress);
        self.notifier.iter_mut().for_each(Notifier::ready);
        loop {
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

    fn time_to_sleep(&self) -> Option<Duration> {
        let now = Instant::now();
        let reminder = self.reminder.time_to_sleep(self.server.central(), now);
        let admin = self.admin.as_ref().map(|admin| admin.time_to_sleep(now));
        let notifier = self.notifier.as_ref().map(|notifier| notifier.time_to_sleep(now));
        let times = [self.server.time_to_sleep(now), self.listener.time_to_sleep(now), reminder, admin, notifier];
        times.into_iter().flatten().min()
    }

    /// Shows the round to those who look at it.
    fn show(&mut self, now: Instant) {
        if let Some(admin) = &mut self.admin {
            self.readiness.admin.drain(..).for_each(|(token, is_readable)| admin.note_ready(token, is_readable));
            admin.turn(&self.server, self.readiness.poll.registry(), now);
        }
        if let Some(notifier) = &mut self.notifier {
            notifier.update(self.server.central(), now);
        }
    }

    fn accept(&mut self, now: Now) {
        if std::mem::take(&mut self.readiness.listener) {
            self.listener.note_ready();
        }
        for _ in 0..ACCEPTS {
            let Some((socket, peer)) = self.listener.accept(now.instant) else { return };
            if !self.server.make_room(now) {
                let how = turn_away(socket);
                peer_event!(self.server.peer_log(), peer.ip(), Warn, "accept_connections", fail, "ip": peer.ip(),
                    "error": "MAX_CONNECTIONS reached", "peer": how);
                continue;
            }
            let registry = self.readiness.poll.registry();
            let added = self.server.add(socket, peer, now, |socket, id| {
                configure(socket)?;
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
        drop(listener);
        event!(Info, "close_listener", success);
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
