//! A connection of the shell: its socket, what is known of its readiness, and its end.
//!
//! A connection that is closed after a reply ends its own side first, then reads and drops what still comes, and closes
//! when the peer has ended its side: closing a socket with unread input resets the connection, and a reset can destroy
//! the reply just written (RFC 1122, 4.2.2.13). It *lingers* for a bounded time and a bounded number of bytes.
//!
//! A connection that has exceeded a deadline, or makes room for another, is reset instead: nothing of it stays in the
//! kernel's buffers.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

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
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Both sides are open.
    Open,
    /// The peer has ended its side.
    PeerEnded,
    /// This side has ended. Input is dropped, so many bytes of it.
    Lingering { bytes_left: usize },
}

/// The result of a read.
pub(super) enum Received<'b> {
    Bytes(&'b [u8]),
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
        Connection { socket, peer, is_readable: false, is_over: false, is_in_line: false, phase: Phase::Open }
    }

    /// Reads what there is, at most as much as `buffer` holds.
    pub fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Received<'b> {
        match self.socket.read(buffer) {
            Ok(0) => {
                self.is_readable = false;
                self.phase = Phase::PeerEnded;
                Received::End
            }
            Ok(bytes) => Received::Bytes(&buffer[..bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_readable = false;
                Received::None
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Received::None,
            Err(error) => Received::Broken(error),
        }
    }

    /// Writes what the socket takes of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Written {
        loop {
            match self.socket.write(bytes) {
                Ok(written) => return Written::Bytes(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Written::Bytes(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Written::Broken(error),
            }
        }
    }

    /// Ends this side. False if the connection can be closed at once.
    pub fn linger(&mut self) -> bool {
        if matches!(self.phase, Phase::PeerEnded) || self.socket.end().is_err() {
            return false;
        }
        self.phase = Phase::Lingering { bytes_left: LINGER_BYTES };
        true
    }

    pub fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }

    /// Reads and drops input of a lingering connection, at most as much as `buffer` holds. Gives the bytes that it was;
    /// `None` if the connection is to be closed.
    pub fn drop_input(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let Phase::Lingering { bytes_left } = self.phase else { return None };
        match self.read(buffer) {
            Received::Bytes(bytes) => {
                self.phase = Phase::Lingering { bytes_left: bytes_left.checked_sub(bytes.len())? };
                Some(bytes.len())
            }
            Received::None => Some(0),
            Received::End | Received::Broken(_) => None,
        }
    }
}
