//! Accepting connections, also when the system or the server has no room for another.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Socket, TcpKeepalive, Type};

use crate::buffer::Buffer;
use crate::event;
use crate::protocol::{ErrorCode, Message};

/// The pause of accepting when the system has no descriptor left. The connection stays in the backlog meanwhile; a loop
/// that tried again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// An agency may wait for the draw for days. The system asks after so long a silence whether its peer is alive,
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// this often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// and this many times before it gives the connection up.
const KEEPALIVE_PROBES: u32 = 6;
/// Bytes of replies that the kernel keeps for a connection, of which Linux makes twice as many. Without a bound it would
/// be megabytes.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// A socket that listens at `address` (port 0: any free one) with this backlog. The unspecified address of IPv6 is every
/// address of IPv4 too.
///
/// Linux gives each accepted connection the options that are set here, which saves six system calls a connection. They send
/// replies at once, because they are small and awaited, bound those that the kernel keeps for a peer that does not read, and
/// find out about a peer that died without a word.
///
/// # Errors
/// The system's, such as a port in use.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The listening socket and its readiness.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A poll will report the next connection.
    Idle,
    /// There may be connections in the backlog.
    Ready,
    /// There are, and the system has no room for another until this moment, perhaps.
    Paused { until: Instant },
}

impl Listener {
    pub fn new(socket: TcpListener) -> Listener {
        Listener { socket, state: State::Idle }
    }

    /// A poll reported the listening socket. A pause goes on.
    pub fn note_ready(&mut self) {
        if self.state == State::Idle {
            self.state = State::Ready;
        }
    }

    /// The time to sleep before the next attempt to accept. `None`: a poll will report it.
    pub fn time_to_sleep(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Idle => None,
            State::Ready => Some(Duration::ZERO),
            State::Paused { until } => Some(until.saturating_duration_since(now)),
        }
    }

    /// The next connection of the backlog, if there is one and the system has room for it.
    pub fn accept(&mut self, now: Instant) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match self.state {
                State::Idle => return None,
                State::Paused { until } if until > now => return None,
                State::Ready | State::Paused { .. } => {}
            }
            match self.socket.accept() {
                Ok((socket, peer)) => {
                    self.state = State::Ready;
                    // A peer that comes over IPv4 to a socket of IPv6 is still shown in IPv4.
                    return Some((socket, SocketAddr::new(peer.ip().to_canonical(), peer.port())));
                }
                // The connection that there was no room for may have gone meanwhile.
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.state = State::Idle,
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => self.pause(&error, now),
            }
        }
    }

    fn pause(&mut self, error: &io::Error, now: Instant) {
        if !matches!(self.state, State::Paused { .. }) {
            event!(Warn, "accept_connections", in_progress, "error": error, "retry_every": format_args!("{ACCEPT_PAUSE:?}"));
        }
        self.state = State::Paused { until: now + ACCEPT_PAUSE };
    }
}

/// Tells a connection that there is no room for it, without waiting: a new socket has room for these few bytes. It is told
/// before this end is closed, so that the reset which unread input then causes comes behind the reply. Gives what became of that.
pub(super) fn turn_away(mut socket: TcpStream) -> String {
    let mut reply = Buffer::new();
    Message::RegisterBetFailed(ErrorCode::Unavailable).encode(&mut reply);
    let told = socket.write(&reply).and_then(|_| socket.shutdown(Shutdown::Write));
    told.map_or_else(|error| error.to_string(), |()| "told".to_owned())
}

/// True for errors of accept(2) that concern the connection that was to be accepted, and not the next one.
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

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn an_accepted_connection_has_the_options_of_its_listener() {
        let listener = listen(([127, 0, 0, 1], 0).into(), 1).expect("a listener");
        listener.set_nonblocking(false).expect("set");
        let _peer = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("it accepts");
        let (socket, _) = listener.accept().expect("it connects");
        let socket = SockRef::from(&socket);
        assert!(socket.tcp_nodelay().expect("read") && socket.keepalive().expect("read"));
        assert_eq!(socket.send_buffer_size().expect("read"), 2 * SEND_BUFFER_BYTES);
        assert_eq!(socket.tcp_keepalive_time().expect("read"), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().expect("read"), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().expect("read"), KEEPALIVE_PROBES);
    }
}
