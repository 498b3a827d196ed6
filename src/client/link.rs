//! A connection to the server, plain or over TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::ClientError;
use super::interrupt::{Connection, Ending, Interrupt};
use super::servers::Servers;
use crate::config::ConfigError;
use crate::config::client::ClientConfig;
use crate::event;
use crate::tls::{Channel, Connector, TlsError};

/// Bytes read at once. Every reply but InformWinners is shorter than 32.
pub(super) const READ_BYTES: usize = 4096;

pub(super) const NO_REPLY: &str = "the server does not reply in time, see reply.timeout";

/// The way to connect to the server.
#[derive(Debug)]
pub struct Dialer<'c> {
    config: &'c ClientConfig,
    interrupt: &'c Interrupt,
    servers: Servers<'c>,
    tls: Option<Connector>,
}

impl<'c> Dialer<'c> {
    /// The way that `config` says.
    ///
    /// # Errors
    /// A file of TLS that can't be used.
    pub fn new(config: &'c ClientConfig, interrupt: &'c Interrupt) -> Result<Dialer<'c>, ConfigError> {
        let tls = config.tls.as_ref().map(Connector::new).transpose()?;
        Ok(Dialer { config, interrupt, servers: Servers::new(&config.server_address), tls })
    }

    /// Connects, and shakes hands if the connection is over TLS.
    ///
    /// # Errors
    /// The system's, or one of TLS.
    pub fn dial(&self, ending: Ending) -> io::Result<Link> {
        let ClientConfig { server_address, reply_timeout, .. } = self.config;
        let (server, socket) = self.servers.connect(self.interrupt, ending)?;
        socket.set_write_timeout(Some(*reply_timeout))?;
        let channel = self.tls.as_ref().map(|tls| tls.begin(server)).transpose()?;
        let mut link = Link { socket, channel, plain: Vec::new() };
        link.shake_hands(*reply_timeout)?;
        event!(Debug, "connect", success, "client_id": self.config.id, "server_address": server_address,
            "tls": link.channel.is_some());
        Ok(link)
    }

    /// The error that ends the client, if another connection would break for the same reason as this one.
    pub fn final_error(&self, error: &io::Error) -> Option<ClientError> {
        crate::tls::is_rejection(error).then(|| ClientError::NotTrusted {
            server_address: self.config.server_address.clone(),
            why: error.to_string(),
        })
    }
}

/// A connection to the server.
#[derive(Debug)]
pub struct Link {
    socket: Connection,
    channel: Option<Channel>,
    /// Bytes that were decrypted and not read yet.
    plain: Vec<u8>,
}

impl Link {
    fn shake_hands(&mut self, timeout: Duration) -> io::Result<()> {
        let due = Instant::now() + timeout;
        while self.channel.as_ref().is_some_and(Channel::is_handshaking) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, NO_REPLY));
            }
            self.socket.set_read_timeout(Some(left))?;
            self.flush()?;
            match self.receive() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(io::Error::new(ErrorKind::TimedOut, NO_REPLY));
                }
                received => received?,
            };
        }
        self.flush()
    }

    /// Reads once from the socket and decrypts what came. False if it has ended.
    fn receive(&mut self) -> io::Result<bool> {
        let Some(channel) = &mut self.channel else { return Ok(true) };
        let mut received = [0; READ_BYTES];
        let bytes = match (&*self.socket).read(&mut received) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        let heard = channel.receive(&received[..bytes], &mut self.plain);
        if let Err(error) = heard {
            // An alert, so that the server can log the reason.
            let _ = channel.flush(&mut &*self.socket);
            return Err(error.into());
        }
        if bytes == 0 && !channel.is_ended_by_peer() {
            return Err(TlsError::Truncated.into());
        }
        Ok(bytes > 0 && !channel.is_ended_by_peer())
    }

    /// Sets the longest time that a read waits.
    ///
    /// # Errors
    /// The system's.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    /// Ends it well: what was sent still arrives, and then the end.
    pub fn end_well(mut self) {
        // If any of this fails, only an Ack is lost.
        let _ = self.socket.set_ending(Ending::Close);
        if let Some(channel) = &mut self.channel {
            channel.end();
            let _ = channel.flush(&mut &*self.socket);
        }
    }
}

impl Read for Link {
    /// Reads once, and fails with `Interrupted` if that gave only a part of a record.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.channel.is_none() {
            return (&*self.socket).read(buffer);
        }
        if self.plain.is_empty() && self.receive()? && self.plain.is_empty() {
            return Err(ErrorKind::Interrupted.into());
        }
        let bytes = self.plain.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.plain[..bytes]);
        self.plain.drain(..bytes);
        Ok(bytes)
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket: &TcpStream = &self.socket;
        match &mut self.channel {
            None => socket.write(bytes),
            Some(channel) => match channel.send(bytes, &mut socket)? {
                0 if !bytes.is_empty() => Err(ErrorKind::WouldBlock.into()),
                sent => Ok(sent),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut socket: &TcpStream = &self.socket;
        match &mut self.channel {
            None => Ok(()),
            Some(channel) => channel.flush(&mut socket)?.then_some(()).ok_or(ErrorKind::WouldBlock.into()),
        }
    }
}
