//! `SERVER_IP`: the address to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::Kind;
use super::key::FromText;
use crate::logging::Excerpt;

/// The addresses of this machine that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenIp {
    /// Every one, because nothing is set.
    Every,
    /// Every one: the course's file names the server's container here, which has one address.
    HostName(String),
    /// This one.
    Only(IpAddr),
}

impl ListenIp {
    /// The address to bind to.
    pub fn address(&self) -> IpAddr {
        match self {
            ListenIp::Every | ListenIp::HostName(_) => Ipv4Addr::UNSPECIFIED.into(),
            ListenIp::Only(address) => *address,
        }
    }
}

impl FromText for ListenIp {
    const KIND: Kind = Kind::Host;

    /// An address that is misspelt is no host name: it would open the server to every network.
    fn from_text(text: &str) -> Option<ListenIp> {
        let is_of_a_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        if text.eq_ignore_ascii_case("localhost") {
            return Some(ListenIp::Only(Ipv4Addr::LOCALHOST.into()));
        }
        if let Ok(address) = text.parse() {
            return Some(ListenIp::Only(address));
        }
        let is_name = text.chars().all(is_of_a_name) && text.contains(|letter: char| letter.is_ascii_alphabetic());
        is_name.then(|| ListenIp::HostName(text.to_owned()))
    }

    fn unset() -> Option<ListenIp> {
        Some(ListenIp::Every)
    }
}

impl fmt::Display for ListenIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenIp::Every => f.write_str("every address"),
            ListenIp::HostName(name) => write!(f, "every address, because {:?} is a host name", Excerpt(name)),
            ListenIp::Only(address) => address.fmt(f),
        }
    }
}
