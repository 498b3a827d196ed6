//! In place of TLS where the program is built without it: types that have no value.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use super::TlsError;
use crate::config::ConfigError;
use crate::config::tls::{TlsClient, TlsServer};

/// Begins the server's side of each connection.
#[derive(Clone, Debug)]
pub enum Acceptor {}

/// Begins the agency's side of each connection.
#[derive(Debug)]
pub enum Connector {}

/// One side of a TLS connection, without its socket.
#[derive(Debug)]
pub enum Channel {}

/// A certificate that does not name one agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAgencyName;

/// Reason why no certificate is of use.
#[derive(Debug, Error)]
#[error("this program was built without TLS; build it with the cargo feature tls")]
struct Absent;

fn absent(path: &Path) -> ConfigError {
    ConfigError::File { path: path.to_owned(), reason: Absent.to_string() }
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "as in the types that these stand for")]
impl Acceptor {
    pub fn new(settings: TlsServer) -> Result<Acceptor, ConfigError> {
        Err(absent(&settings.certificate))
    }

    pub fn read_again(&mut self) -> Result<(), ConfigError> {
        match *self {}
    }

    pub fn is_required(&self) -> bool {
        match *self {}
    }

    pub fn handshake_timeout(&self) -> Duration {
        match *self {}
    }

    pub fn begin(&self) -> Result<Channel, TlsError> {
        match *self {}
    }
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "as in the types that these stand for")]
impl Connector {
    pub fn new(settings: &TlsClient) -> Result<Connector, ConfigError> {
        Err(absent(&settings.ca))
    }

    pub fn begin(&self, _: usize) -> Result<Channel, TlsError> {
        match *self {}
    }
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "as in the types that these stand for")]
impl Channel {
    pub fn receive(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), TlsError> {
        match *self {}
    }

    pub fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub fn is_ended_by_peer(&mut self) -> bool {
        match *self {}
    }

    pub fn agency(&self) -> Option<Result<u32, NoAgencyName>> {
        match *self {}
    }

    pub fn send(&mut self, _: &[u8], _: &mut impl Write) -> io::Result<usize> {
        match *self {}
    }

    pub fn has_output(&self) -> bool {
        match *self {}
    }

    pub fn flush(&mut self, _: &mut impl Write) -> io::Result<bool> {
        match *self {}
    }

    pub fn end(&mut self) {
        match *self {}
    }
}
