//! The server's sockets.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;

use loteria::server::Socket;

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::life::{Fate, Life, Operation, killed};
use crate::network::{Edge, Network, Place};
use crate::pipe::End;

/// The server's end of a connection. It is closed when it is dropped.
#[derive(Debug)]
pub struct SimulatedSocket {
    pub network: Rc<RefCell<Network>>,
    /// The number of the connection.
    pub number: usize,
    /// The life of the process that has it open.
    pub life: Rc<Life>,
    /// True if closing it resets the connection.
    pub is_reset: bool,
}

impl Read for SimulatedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.life.is_over() {
            return Err(killed());
        }
        let Network { links, random, reads, .. } = &mut *self.network.borrow_mut();
        reads.attempt(self.number, links);
        let link = links.get_mut(&self.number).expect("the server's side is open");
        if random.one_in(30) {
            return Err(ErrorKind::Interrupted.into());
        }
        let arrived = link.to_server.len();
        if arrived == 0 {
            return match link.to_server.end() {
                Some(End::Closed) => {
                    link.has_read_end = true;
                    Ok(0)
                }
                Some(End::Reset) => Err(ErrorKind::ConnectionReset.into()),
                Some(End::Silence) | None => {
                    link.readable.arm();
                    reads.dried(self.number);
                    Err(ErrorKind::WouldBlock.into())
                }
            };
        }
        if random.one_in(10) {
            // The bytes arrive just after the read.
            link.readable = Edge::Pending;
            reads.dried(self.number);
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = arrived.min(buffer.len());
        let length = if random.bool() { most } else { random.usize(1..=most) };
        buffer[..length].copy_from_slice(&link.to_server.take(length));
        link.read += length;
        reads.took(self.number, length);
        tell(|| format!("server: reads {length} bytes of connection {}", self.number));
        Ok(length)
    }
}

impl Write for SimulatedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fate = self.life.operate(Operation::Send);
        let Network { links, random, .. } = &mut *self.network.borrow_mut();
        let link = links.get_mut(&self.number).expect("the server's side is open");
        if fate == Fate::Dead {
            return Err(killed());
        }
        if link.to_server.is_reset() && random.bool() {
            count(Happening::FailedReply);
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = link.capacity.saturating_sub(link.to_client.len()).min(bytes.len());
        if room == 0 {
            count(Happening::Blocked);
            link.writable.arm();
            return Err(ErrorKind::WouldBlock.into());
        }
        if random.one_in(10) {
            // Room comes just after the write.
            link.writable = Edge::Pending;
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = if random.one_in(3) { random.usize(1..=room) } else { room };
        link.to_client.send(&bytes[..length]);
        link.written += length;
        tell(|| format!("server: writes {length} bytes to connection {}", self.number));
        if fate == Fate::Dies { Err(killed()) } else { Ok(length) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for SimulatedSocket {
    fn end(&mut self) -> io::Result<()> {
        let Network { links, random, .. } = &mut *self.network.borrow_mut();
        let link = links.get_mut(&self.number).expect("the server's side is open");
        if self.life.is_over() || link.to_server.is_reset() {
            return Err(ErrorKind::NotConnected.into());
        }
        link.to_client.finish(End::Closed, random);
        Ok(())
    }

    fn reset_on_close(&mut self) {
        self.is_reset = true;
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        let network = &mut *self.network.borrow_mut();
        let Some(link) = network.links.get(&self.number).filter(|link| link.place != Place::Gone) else { return };
        if self.life.is_over() {
            return;
        }
        // A socket that is closed with unread input resets its connection.
        let end = if self.is_reset || link.to_server.len() > 0 { End::Reset } else { End::Closed };
        tell(|| format!("server: closes connection {}: {end:?}", self.number));
        network.close(self.number, end);
    }
}
