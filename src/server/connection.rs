//! A connection of the shell: its socket, its [transport](super::transport), what is known of its readiness, and its end.
//!
//! A connection that is closed after a reply ends its own side first, then reads and drops what still comes, and closes
//! when the peer has ended its side: closing a socket with unread input resets the connection, and a reset can destroy
//! the reply just written (RFC 1122, 4.2.2.13). It *lingers* for a bounded time and a bounded number of bytes.
//!
//! A connection that has exceeded a deadline, or makes room for another, is reset instead: nothing of it stays in the
//! kernel's buffers.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::SockRef;

use super::transport::{Fault, Transport};
use crate::planted::{Fault as Planted, planted};
use crate::tls::{Acceptor, TlsError};

/// The time for which a closing connection may go on sending.
pub const LINGER: Duration = Duration::from_secs(1);
/// The bytes that a closing connection may go on sending.
const LINGER_BYTES: usize = 1 << 20;

/// A byte stream that never blocks.
pub trait Socket: Read + Write {
    /// Ends this side: the peer reads the end of the stream.
    ///
    /// # Errors
    /// The system's.
    fn end(&mut self) -> io::Result<()>;

    /// Lets closing it reset the connection: the system drops what the peer has not taken.
    fn reset_on_close(&mut self);
}

impl Socket for TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset_on_close(&mut self) {
        // An error means that the connection is gone already.
        let _ = SockRef::from(&*self).set_linger(Some(Duration::ZERO));
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection<S> {
    pub socket: S,
    pub peer: SocketAddr,
    /// True if the socket may hold input: an edge-triggered poll reports it once and not again until it was read to
    /// `WouldBlock`.
    pub is_readable: bool,
    /// True once both of its sides are closed, or it was reset.
    pub is_over: bool,
    /// True while it stands in line to be written to.
    pub is_in_line: bool,
    pub transport: Transport,
    phase: Phase,
    /// The moment until which it may take to end.
    end_due: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Both sides are open.
    Open,
    /// The peer has ended its side.
    PeerEnded,
    /// This side ends, and the socket has no room for its last bytes.
    Ending,
    /// This side has ended. Input is dropped, so many bytes of it.
    Lingering { bytes_left: usize },
}

/// The result of a read.
pub(super) enum Received<'b> {
    /// So many bytes of the socket, and what they say, which may be nothing.
    Bytes {
        taken: usize,
        bytes: &'b [u8],
    },
    /// So many bytes of the socket that are not for the core.
    Fault {
        taken: usize,
        fault: Fault,
    },
    /// Nothing now.
    None,
    /// The peer has ended its side.
    End,
    Broken(io::Error),
}

/// The result of a write.
pub(super) enum Written {
    /// So many bytes.
    Bytes(usize),
    Broken(io::Error),
}

impl<S: Socket> Connection<S> {
    pub fn new(socket: S, peer: SocketAddr) -> Connection<S> {
        Connection {
            socket,
            peer,
            is_readable: false,
            is_over: false,
            is_in_line: false,
            transport: Transport::Undecided,
            phase: Phase::Open,
            end_due: None,
        }
    }

    /// Reads what there is, at most as much as `buffer` holds. What is encrypted is decrypted to `plain`.
    pub fn read<'b>(
        &mut self,
        buffer: &'b mut [u8],
        plain: &'b mut Vec<u8>,
        tls: Option<&Acceptor>,
        now: Instant,
    ) -> Received<'b> {
        if self.transport.is_ended_by_peer() {
            // The socket may still hold input, which is read while the connection lingers.
            self.is_readable &= !planted(Planted::SocketReadAtEnd);
            return Received::End;
        }
        match self.read_socket(buffer) {
            Received::Bytes { taken, bytes } => match self.transport.receive(bytes, plain, tls, now) {
                Ok(bytes) => Received::Bytes { taken, bytes },
                Err(fault) => Received::Fault { taken, fault },
            },
            Received::End if !self.transport.may_end() => {
                Received::Fault { taken: 0, fault: Fault::Tls(TlsError::Truncated) }
            }
            other => other,
        }
    }

    /// Reads what there is, as it is.
    pub fn read_socket<'b>(&mut self, buffer: &'b mut [u8]) -> Received<'b> {
        match self.socket.read(buffer) {
            Ok(0) => {
                self.is_readable = false;
                self.phase = Phase::PeerEnded;
                Received::End
            }
            Ok(taken) => Received::Bytes { taken, bytes: &buffer[..taken] },
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_readable = false;
                Received::None
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Received::None,
            Err(error) => Received::Broken(error),
        }
    }

    /// Writes what the socket takes of `bytes`, behind what the transport has to say for itself.
    pub fn write(&mut self, bytes: &[u8]) -> Written {
        self.transport.send(bytes, &mut self.socket).map_or_else(Written::Broken, Written::Bytes)
    }

    /// Sends what the transport has to say for itself, as far as the socket takes it.
    ///
    /// # Errors
    /// The socket's.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.transport.has_output() {
            self.transport.send(&[], &mut self.socket)?;
        }
        Ok(())
    }

    /// Ends this side, as far as the socket has room for it. False if the connection can be closed at once.
    pub fn linger(&mut self, now: Instant) -> bool {
        self.end_due.get_or_insert(now + LINGER);
        let Ok(is_ended) = self.transport.end(&mut self.socket) else { return false };
        if matches!(self.phase, Phase::PeerEnded) {
            return false;
        }
        self.phase = if is_ended { Phase::Lingering { bytes_left: LINGER_BYTES } } else { Phase::Ending };
        !is_ended || self.socket.end().is_ok()
    }

    /// The moment at which it is reset if nothing changes, whatever the core says.
    pub fn due(&self) -> Option<Instant> {
        self.end_due.or(self.transport.handshake_due())
    }

    pub fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }

    /// Reads and drops input of a lingering connection, at most as much as `buffer` holds. Gives the bytes that it was;
    /// `None` if the connection is to be closed.
    pub fn drop_input(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let Phase::Lingering { bytes_left } = self.phase else { return None };
        match self.read_socket(buffer) {
            Received::Bytes { taken, .. } => {
                self.phase = Phase::Lingering { bytes_left: bytes_left.checked_sub(taken)? };
                Some(taken)
            }
            Received::None => Some(0),
            Received::End | Received::Fault { .. } | Received::Broken(_) => None,
        }
    }
}
