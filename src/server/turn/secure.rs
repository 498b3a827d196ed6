//! The part of a turn that knows TLS: handshakes, and what arrives over either transport.

use std::io;

use super::{Server, Socket};
use crate::central::{ConnectionId, Event, Now};
use crate::ledger::Ledger;
use crate::server::connection::Received;
use crate::server::transport::Fault;
use crate::tls::{Acceptor, CHANNEL_BYTES, TlsError};
use crate::{event, peer_event};

/// Reads of handshakes in a turn. Each may cost a signature, about 0.1 ms with the keys that `loteria certificates` makes;
/// the rest waits for the next turn, so that handshakes take no agency its share.
pub(super) const HANDSHAKES: usize = 4;

impl<S: Socket, L: Ledger> Server<S, L> {
    /// The same server, which takes connections over TLS too.
    #[must_use]
    pub fn with_tls(self, tls: Option<Acceptor>) -> Server<S, L> {
        Server { tls, ..self }
    }

    /// TLS, if there is a certificate.
    pub(in crate::server) fn tls(&self) -> Option<&Acceptor> {
        self.tls.as_ref()
    }

    /// Reads the files of certificates again, for the connections that begin from now on.
    pub fn read_certificates_again(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        match tls.read_again() {
            Ok(()) => event!(Info, "tls_certificates", success),
            Err(error) => event!(Error, "tls_certificates", fail, "error": error, "certificates": "unchanged"),
        }
    }

    /// Reads from a connection and gives the core what it says. Gives the bytes that were read.
    pub(super) fn receive(&mut self, id: ConnectionId, bytes: usize, now: Now) -> io::Result<usize> {
        let connection = &mut self.connections[id];
        let ip = connection.peer.ip();
        let was_handshaking = connection.transport.is_handshaking();
        let received = connection.read(&mut self.slice[..bytes], &mut self.plain, self.tls.as_ref(), now.instant);
        let (taken, event) = match received {
            Received::Bytes { taken, bytes } => (taken, Event::Received(bytes)),
            Received::Fault { taken, fault: Fault::Insecure(first_byte) } => (taken, Event::Insecure(first_byte)),
            Received::Fault { taken, fault: Fault::Tls(error) } => {
                peer_event!(self.central.peer_log(), ip, Warn, "tls", fail, "ip": ip, "error": error);
                (taken, if matches!(error, TlsError::Truncated) { Event::Cut } else { Event::Failed })
            }
            Received::None => return Ok(0),
            Received::End => (0, Event::Ended),
            Received::Broken(error) => return Err(error),
        };
        if was_handshaking || connection.transport.is_handshaking() {
            self.handshakes_left -= 1;
        }
        if connection.transport.take_completed()
            && let Some(agency) = connection.transport.agency(ip)
        {
            self.central.on(id, Event::Identified(agency), now);
        }
        let has_output = connection.transport.has_output();
        let begins = !was_handshaking && connection.transport.is_handshaking();
        self.central.on(id, event, now);
        if has_output {
            self.writable.push(id);
        }
        if begins {
            self.make_room_for_tls(id, now);
        }
        Ok(taken)
    }

    /// Counts the memory of a handshake. The oldest connections without an agency make room for it, itself among them.
    fn make_room_for_tls(&mut self, id: ConnectionId, now: Now) {
        const REASON: &str = "MAX_ANONYMOUS_BYTES reached, and it has not said whose it is";
        while self.connections.contains_key(id) && !self.central.has_room_for(CHANNEL_BYTES) {
            if !self.evict(REASON, now) {
                return;
            }
        }
        self.central.on(id, Event::Transport(CHANNEL_BYTES), now);
    }
}
