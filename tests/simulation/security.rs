//! Certificates of a secure world, whose agencies connect over TLS.
//!
//! Keys are random and everything else has a fixed length, so that a seed sends as many bytes each time.
#![cfg_attr(
    not(feature = "tls"),
    allow(unused_variables, reason = "nothing comes behind a certificate that is refused")
)]

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use loteria::config::tls::{TlsClient, TlsServer};
use loteria::tls::{Acceptor, Channel, Connector, TlsError};
use loteria_tools::certificates::{Authority, Certified, Keys, Subject};

struct Security {
    acceptor: Acceptor,
    connector: Connector,
}

static SECURITY: LazyLock<Security> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(Keys::Ed25519).expect("random numbers");
    let subject = Subject { name: "server", names: &["server"], is_server: true, days: 1 };
    let Certified { certificate, key } = authority.issue(subject).expect("a valid name");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let (ca, certificate) = (write("ca.pem", &authority.own().certificate), write("server.pem", &certificate));
    let key = write("server.key", &key);
    let handshake_timeout = Duration::from_secs(10);
    let server = TlsServer { certificate, key, client_ca: None, required: false, handshake_timeout };
    let client = TlsClient { ca, identity: None, server_names: vec!["server".to_owned()] };
    Security {
        acceptor: Acceptor::new(server).expect("valid files"),
        connector: Connector::new(&client).expect("valid files"),
    }
});

/// TLS of the server.
pub fn acceptor() -> Acceptor {
    SECURITY.acceptor.clone()
}

/// The client's side of a connection.
#[derive(Debug)]
pub struct Secure(Channel);

impl Secure {
    pub fn begin() -> Secure {
        Secure(SECURITY.connector.begin(0).expect("random numbers"))
    }

    /// The bytes of `plain` as they are sent, with all that is left of a handshake.
    pub fn encrypt(&mut self, mut plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !plain.is_empty() {
            let sent = self.0.send(plain, &mut bytes).expect("a Vec takes everything");
            plain = &plain[sent..];
        }
        self.0.flush(&mut bytes).expect("a Vec takes everything");
        bytes
    }

    /// The plain text of `received`.
    pub fn decrypt(&mut self, received: &[u8]) -> Result<Vec<u8>, TlsError> {
        let mut plain = Vec::new();
        self.0.receive(received, &mut plain)?;
        Ok(plain)
    }

    /// The last bytes of this side.
    pub fn end(&mut self) -> Vec<u8> {
        self.0.end();
        self.encrypt(&[])
    }

    /// True if the server ended its side, and not the network.
    pub fn is_ended(&mut self) -> bool {
        self.0.is_ended_by_peer()
    }

    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }
}

/// The first bytes of a handshake that never ends.
pub const PART_OF_HANDSHAKE: [u8; 6] = [0x16, 3, 1, 2, 0, 1];
