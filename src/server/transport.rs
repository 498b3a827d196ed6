//! The transport of a connection: plain or TLS, whichever its first byte says.
//!
//! A lottery connection begins with 0, a TLS handshake with 0x16, and a line to echo with anything else. Inside TLS the
//! protocol is the same, so the core sees the same bytes over either and does not know which it was.

use std::io::{self, ErrorKind, Write};
use std::time::Instant;

use crate::event;
use crate::tls::{self, Acceptor, Channel, TlsError};

/// The bytes between a socket and the core.
#[derive(Debug)]
pub(super) enum Transport {
    /// No byte has arrived.
    Undecided,
    Plain,
    /// The handshake is over time at this moment.
    Handshake {
        channel: Box<Channel>,
        due: Instant,
    },
    Tls(Box<Channel>),
    /// The peer speaks TLS, and the server has no certificate: this alert is left to send.
    Refused(&'static [u8]),
}

/// The reason why what arrived is not for the core.
#[derive(Debug)]
pub(super) enum Fault {
    /// It can't be understood. The peer is to be told, and closed.
    Tls(TlsError),
    /// It is plain and begins with this byte, and the server requires TLS.
    Insecure(u8),
}

impl Transport {
    /// Learns from the first byte what kind of connection this is.
    fn decide(&mut self, first_byte: u8, tls: Option<&Acceptor>, now: Instant) -> Result<(), Fault> {
        *self = match tls {
            Some(acceptor) if first_byte == tls::FIRST_BYTE => {
                let channel = Box::new(acceptor.begin().map_err(Fault::Tls)?);
                Transport::Handshake { channel, due: now + acceptor.handshake_timeout() }
            }
            None if first_byte == tls::FIRST_BYTE => {
                *self = Transport::Refused(tls::HANDSHAKE_FAILURE);
                return Err(Fault::Tls(TlsError::NotConfigured));
            }
            Some(acceptor) if acceptor.is_required() => return Err(Fault::Insecure(first_byte)),
            _ => Transport::Plain,
        };
        Ok(())
    }

    /// Gives what `received` says: itself, or what it decrypts to, which is put in `plain` and may be nothing.
    pub fn receive<'b>(
        &mut self,
        received: &'b [u8],
        plain: &'b mut Vec<u8>,
        tls: Option<&Acceptor>,
        now: Instant,
    ) -> Result<&'b [u8], Fault> {
        if let (Transport::Undecided, Some(&first_byte)) = (&*self, received.first()) {
            self.decide(first_byte, tls, now)?;
        }
        match self {
            Transport::Undecided | Transport::Plain | Transport::Refused(_) => Ok(received),
            Transport::Handshake { channel, .. } | Transport::Tls(channel) => {
                plain.clear();
                channel.receive(received, plain).map_err(Fault::Tls)?;
                Ok(plain)
            }
        }
    }

    /// True if the handshake has just been completed, once.
    pub fn take_completed(&mut self) -> bool {
        match std::mem::replace(self, Transport::Plain) {
            Transport::Handshake { channel, .. } if !channel.is_handshaking() => {
                *self = Transport::Tls(channel);
                true
            }
            other => {
                *self = other;
                false
            }
        }
    }

    /// The agency that the certificate of the peer of `ip` names.
    pub fn agency(&self, ip: std::net::IpAddr) -> Option<u32> {
        let Transport::Tls(channel) = self else { return None };
        let agency = channel.agency();
        match agency {
            Some(Ok(agency)) => {
                event!(Debug, "tls_handshake", success, "ip": ip, "certificado": format_args!("agency-{agency}"))
            }
            Some(Err(_)) => event!(Warn, "tls_handshake", success, "ip": ip,
                "error": "its certificate names no agency, or several: it needs one name agency-N"),
            None => event!(Debug, "tls_handshake", success, "ip": ip, "certificado": "none"),
        }
        agency?.ok()
    }

    /// True during a handshake.
    pub fn is_handshaking(&self) -> bool {
        matches!(self, Transport::Handshake { .. })
    }

    /// True if its next input may be a part of a handshake.
    pub fn may_shake_hands(&self) -> bool {
        matches!(self, Transport::Undecided | Transport::Handshake { .. })
    }

    /// The moment at which the handshake is over time.
    pub fn handshake_due(&self) -> Option<Instant> {
        if let Transport::Handshake { due, .. } = self { Some(*due) } else { None }
    }

    /// True once the peer has ended its side within TLS.
    pub fn is_ended_by_peer(&mut self) -> bool {
        if let Transport::Tls(channel) = self { channel.is_ended_by_peer() } else { false }
    }

    /// True if the end of the socket's stream is the end of what the peer says, and not a cut.
    pub fn may_end(&mut self) -> bool {
        !self.is_handshaking() && (!matches!(self, Transport::Tls(_)) || self.is_ended_by_peer())
    }

    /// True if bytes of its own are left to be sent.
    pub fn has_output(&self) -> bool {
        match self {
            Transport::Undecided | Transport::Plain => false,
            Transport::Handshake { channel, .. } | Transport::Tls(channel) => channel.has_output(),
            Transport::Refused(alert) => !alert.is_empty(),
        }
    }

    /// Sends what `socket` takes of `bytes`, and gives their number.
    pub fn send(&mut self, bytes: &[u8], socket: &mut impl Write) -> io::Result<usize> {
        match self {
            Transport::Undecided | Transport::Plain => write(bytes, socket),
            Transport::Handshake { channel, .. } | Transport::Tls(channel) => channel.send(bytes, socket),
            Transport::Refused(_) => self.flush(socket).map(|_| 0),
        }
    }

    /// Sends what `socket` takes of its own bytes. True if none are left.
    fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        match self {
            Transport::Undecided | Transport::Plain => Ok(true),
            Transport::Handshake { channel, .. } | Transport::Tls(channel) => channel.flush(socket),
            Transport::Refused(alert) => {
                *alert = &alert[write(alert, socket)?..];
                Ok(alert.is_empty())
            }
        }
    }

    /// Ends this side. True once all of it is sent; nothing is kept for the connection then.
    pub fn end(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        if let Transport::Handshake { channel, .. } | Transport::Tls(channel) = self {
            channel.end();
        }
        let is_flushed = self.flush(socket)?;
        if is_flushed {
            *self = Transport::Plain;
        }
        Ok(is_flushed)
    }
}

/// Writes what `socket` takes of `bytes`.
fn write(bytes: &[u8], socket: &mut impl Write) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            written => return written,
        }
    }
}
