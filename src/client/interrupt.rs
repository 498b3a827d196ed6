//! SIGTERM and SIGINT end the client at any point where it blocks.
//!
//! A thread waits for the signals. When one arrives, the thread wakes a sleeping client and shuts its connection down, so
//! that a blocked connect, read or write returns at once; the client then checks for the interruption. A call that can't
//! be woken (a name server that does not answer) is abandoned: the process ends after a [grace period](crate::grace).

use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;

use crate::grace::end_after_grace;

/// Silence after which keep-alive probes the server. A connection that waits for the draw may be silent for days.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Error of a client that a signal asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("interrupted by {}", self.signal())]
pub struct Interrupted(i32);

impl Interrupted {
    /// Name of the signal.
    pub fn signal(self) -> &'static str {
        if self.0 == SIGINT { "SIGINT" } else { "SIGTERM" }
    }
}

/// Handle to wait and to connect with, so that a signal ends either. Its clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing to shut down.
    #[default]
    Unconnected,
    /// Another handle of the socket that connects or is connected, to shut it down.
    Connected(Socket),
    /// A signal arrived. This state is final.
    Interrupted(Interrupted),
}

impl State {
    fn check(&self) -> Result<(), Interrupted> {
        match self {
            State::Interrupted(interrupted) => Err(*interrupted),
            State::Unconnected | State::Connected(_) => Ok(()),
        }
    }
}

impl Interrupt {
    /// Listens for the signals from now on.
    ///
    /// # Errors
    /// The system's, if signals can't be listened for.
    pub fn on_signals() -> io::Result<Interrupt> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let interrupt = Interrupt::default();
        let listener = interrupt.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let interrupted = Interrupted(signal);
                listener.interrupt(interrupted);
                end_after_grace(interrupted.signal());
            }
        })?;
        Ok(interrupt)
    }

    fn interrupt(&self, interrupted: Interrupted) {
        let before = std::mem::replace(&mut *self.lock(), State::Interrupted(interrupted));
        if let State::Connected(socket) = before {
            // Fails if the connection has ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
    }

    /// Returns at once, and fails if a signal has arrived.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn check(&self) -> Result<(), Interrupted> {
        self.lock().check()
    }

    /// Sleeps for `duration`.
    ///
    /// # Errors
    /// [`Interrupted`], at once, if a signal has arrived or arrives meanwhile.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        let sleeps_on = |state: &mut State| state.check().is_ok();
        let slept = self.shared.changed.wait_timeout_while(self.lock(), duration, sleeps_on);
        slept.unwrap_or_else(PoisonError::into_inner).0.check()
    }

    /// Connects to `address`, a `host:port`, trying each address of the host in turn, each for `timeout`. The connection, whole or half made,
    /// is closed as `ending` says.
    ///
    /// # Errors
    /// The error of the last address. If a signal caused it, [`Interrupt::check`] fails too.
    pub fn connect(&self, address: &str, ending: Ending, timeout: Duration) -> io::Result<Connection> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in address.to_socket_addrs()? {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            self.shut_down_on_signal(socket.try_clone()?)?;
            let connection = Connection { stream: socket.into(), interrupt: self.clone() };
            connection.set_ending(ending)?;
            let socket = SockRef::from(&connection.stream);
            match socket.connect_timeout(&address.into(), timeout) {
                Ok(()) => {
                    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
                    socket.set_tcp_keepalive(&keepalive)?;
                    socket.set_tcp_nodelay(true)?;
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn shut_down_on_signal(&self, socket: Socket) -> io::Result<()> {
        let mut state = self.lock();
        state.check().map_err(|_| io::ErrorKind::Interrupted)?;
        *state = State::Connected(socket);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic can't leave the state half changed: every change is one assignment.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Way in which a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Bytes already sent still arrive, and then the end.
    Close,
    /// Bytes that did not arrive yet are dropped, with the connection. Otherwise the kernel would go on sending it, and a server
    /// that accepts it late would take it for the agency's newest connection.
    Reset,
}

/// Connection to the server. A signal shuts it down until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    interrupt: Interrupt,
}

impl Connection {
    /// Sets how the connection is closed.
    ///
    /// # Errors
    /// The system's.
    pub fn set_ending(&self, ending: Ending) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger((ending == Ending::Reset).then_some(Duration::ZERO))
    }
}

impl Deref for Connection {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.interrupt.lock();
        if let State::Connected(_) = *state {
            *state = State::Unconnected;
        }
    }
}
