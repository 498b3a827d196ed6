//! One side of one connection.

use std::io::{self, ErrorKind, Read, Write};

use rustls::pki_types::CertificateDer;
use rustls::{Connection, Error};

use super::{HANDSHAKE_BYTES, TlsError};

/// One side of a TLS connection, without its socket.
#[derive(Debug)]
pub struct Channel {
    connection: Connection,
    /// Bytes that are encrypted at once, and must be sent before the next are.
    chunk_bytes: usize,
    /// Bytes received before the handshake was complete.
    handshake_bytes: usize,
    /// Bytes of the protocol that were encrypted and are not all sent yet.
    sending: usize,
    /// True once this side has said that it ends.
    has_ended: bool,
}

impl Channel {
    pub(super) fn new(mut connection: Connection, chunk_bytes: usize) -> Channel {
        connection.set_buffer_limit(Some(chunk_bytes));
        Channel { connection, chunk_bytes, handshake_bytes: 0, sending: 0, has_ended: false }
    }

    /// Takes `received` from the socket and appends what it says to `plain`, which may be nothing.
    ///
    /// # Errors
    /// [`TlsError`]. An alert for the peer is then to be [sent](Channel::flush), and nothing else.
    pub fn receive(&mut self, mut received: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsError> {
        if self.is_handshaking() {
            self.handshake_bytes += received.len();
        }
        while !received.is_empty() {
            // Nothing counts behind close_notify.
            if self.connection.read_tls(&mut received).map_err(|error| protocol(&error))? == 0 {
                break;
            }
            let state = self.connection.process_new_packets().map_err(refused)?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut plain[start..]).map_err(|error| protocol(&error))?;
        }
        if self.is_handshaking() && self.handshake_bytes > HANDSHAKE_BYTES {
            return Err(TlsError::LongHandshake);
        }
        Ok(())
    }

    /// True until both sides have agreed upon keys.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// True once the peer has ended its side with close_notify.
    pub fn is_ended_by_peer(&mut self) -> bool {
        // It processes no packet: there is no new one.
        self.connection.process_new_packets().is_ok_and(|state| state.peer_has_closed())
    }

    /// The certificate of the peer, once the handshake is complete and if it has one.
    pub(super) fn peer_certificate(&self) -> Option<&CertificateDer<'_>> {
        self.connection.peer_certificates()?.first()
    }

    /// Sends some of `plain` over `socket`. Gives the bytes of it that were sent: none before all of a chunk is, whose bytes
    /// must be given again until then.
    ///
    /// # Errors
    /// The socket's.
    pub fn send(&mut self, plain: &[u8], socket: &mut impl Write) -> io::Result<usize> {
        debug_assert!(plain.len() >= self.sending, "a chunk is given until it is sent");
        if self.sending == 0 && self.flush(socket)? {
            self.sending = self.connection.writer().write(&plain[..plain.len().min(self.chunk_bytes)])?;
        }
        Ok(if self.flush(socket)? { std::mem::take(&mut self.sending) } else { 0 })
    }

    /// True if bytes are left that the socket did not take.
    pub fn has_output(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends what the socket takes of those. True if none are left.
    ///
    /// # Errors
    /// The socket's.
    pub fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Ends this side with close_notify, which is then to be [flushed](Channel::flush). A second call changes nothing.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.connection.send_close_notify();
        }
    }
}

fn protocol(error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Protocol(error.to_string())
}

fn refused(error: Error) -> TlsError {
    match error {
        Error::InvalidCertificate(_) | Error::AlertReceived(_) => TlsError::Rejected(error.to_string()),
        _ => protocol(&error),
    }
}
