//! SIGTERM and SIGINT end the client wherever it blocks.
//!
//! A thread waits for the signals. When one comes it wakes a sleeper and shuts the connection down, which makes a
//! blocked connect, read or write return at once; each of those then finds that it was interrupted. What can't be
//! woken (a name server that does not answer) is left behind: the process ends after [a while](crate::grace) all the same.

use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;

use crate::grace::end_after_grace;

/// How long one attempt to connect may take. Another follows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that waits for the draw may be silent for days; whether the central is still there is asked after this long.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A signal asked the client to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("interrupted by {}", signal_name(*.0))]
pub struct Interrupted(i32);

impl Interrupted {
    /// The name of the signal.
    pub fn signal(self) -> &'static str {
        signal_name(self.0)
    }
}

fn signal_name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}

/// Whether a signal came, and what it has to wake.
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
struct State {
    signal: Option<i32>,
    /// The connection of the moment.
    socket: Option<Socket>,
}

impl Interrupt {
    /// Listens for the signals from now on.
    ///
    /// # Errors
    /// The system's.
    pub fn on_signals() -> io::Result<Interrupt> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let interrupt = Interrupt::default();
        let listener = interrupt.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                listener.request(signal);
                end_after_grace(signal_name(signal));
            }
        })?;
        Ok(interrupt)
    }

    fn request(&self, signal: i32) {
        let mut state = self.lock();
        state.signal = Some(signal);
        if let Some(socket) = state.socket.take() {
            // It may be closed already, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Interrupted`] if a signal has come.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.lock().signal.map_or(Ok(()), |signal| Err(Interrupted(signal)))
    }

    /// Sleeps.
    ///
    /// # Errors
    /// [`Interrupted`], at once, if a signal has come or comes meanwhile.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        let until = Instant::now() + duration;
        let mut state = self.lock();
        loop {
            if let Some(signal) = state.signal {
                return Err(Interrupted(signal));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Connects to `address`, a `host:port`, trying each address that the host has. A signal shuts the connection down
    /// until it is [released](Interrupt::release).
    ///
    /// # Errors
    /// Why the last address did not answer. Whether that was a signal, [`Interrupt::check`] tells.
    pub fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in address.to_socket_addrs()? {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            {
                let mut state = self.lock();
                if state.signal.is_some() {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                state.socket = Some(socket.try_clone()?);
            }
            match socket.connect_timeout(&address.into(), CONNECT_TIMEOUT) {
                Ok(()) => return prepare(socket),
                Err(error) => last = error,
            }
            self.release();
        }
        Err(last)
    }

    /// The connection is over.
    pub fn release(&self) {
        self.lock().socket = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment that the lock is free, whoever panicked.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prepare(socket: Socket) -> io::Result<TcpStream> {
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3))?;
    Ok(stream)
}
