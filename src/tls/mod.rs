//! TLS 1.3 over rustls, for both programs. No I/O: bytes in, bytes out.
//!
//! A [`Channel`] turns the bytes of a socket into those of the protocol and back. The server's [`Acceptor`] and the agency's
//! [`Connector`] begin one for each connection. Both speak TLS 1.3 alone: it has no renegotiation, no compression and no
//! weak ciphers to turn off, and every library of the last years has it.
//!
//! Without the cargo feature `tls`, [`Acceptor`] and [`Connector`] have no value and refuse to be made.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod channel;
#[cfg(feature = "tls")]
mod connector;
#[cfg(feature = "tls")]
mod files;

#[cfg(not(feature = "tls"))]
pub use absent::{Acceptor, Channel, Connector};
#[cfg(feature = "tls")]
pub use acceptor::Acceptor;
#[cfg(feature = "tls")]
pub use channel::Channel;
#[cfg(feature = "tls")]
pub use connector::Connector;

use std::io;

use thiserror::Error;

/// The first byte of a connection over TLS: the type of a record with a handshake (RFC 8446, 5.1).
pub const FIRST_BYTE: u8 = 0x16;

/// The alert `handshake_failure`, for a peer that speaks TLS where there is none (RFC 8446, 6).
pub const HANDSHAKE_FAILURE: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

/// Bytes that a channel may have allocated: a record that is not whole yet with the room to read more of it (20 KiB), and
/// the keys.
pub const CHANNEL_BYTES: usize = 24 * 1024;

/// Bytes of its peer that a handshake may take. A ClientHello has some hundred, a chain of certificates some thousand.
const HANDSHAKE_BYTES: usize = 16 * 1024;

/// Reason why a channel can't go on.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The peer breaks the rules of TLS, or does not prove who it is.
    #[error("TLS: {0}")]
    Protocol(String),
    /// The peer rejects this side, or this side the certificate of the peer: another attempt would not help.
    #[error("TLS: {0}; see docs/security.md")]
    Rejected(String),
    /// The handshake has more bytes than any in good faith.
    #[error("TLS: a handshake of more than {HANDSHAKE_BYTES} bytes")]
    LongHandshake,
    /// The connection ended without a `close_notify`, so its last bytes may be missing.
    #[error("TLS: the connection was cut off, it ended without close_notify")]
    Truncated,
    /// The peer speaks TLS, and no certificate is configured.
    #[error("a TLS handshake, and TLS_CERTIFICATE_FILE is not set")]
    NotConfigured,
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> io::Error {
        let kind = match error {
            TlsError::Truncated => io::ErrorKind::UnexpectedEof,
            TlsError::Rejected(_) => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// True if the connection broke for a reason that stays: see [`TlsError::Rejected`].
pub fn is_rejection(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(inner, Some(TlsError::Rejected(_)))
}
