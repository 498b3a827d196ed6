//! A share of the log for each peer: lines that a peer can cause as often as it likes are limited per second.
//!
//! Without it, a peer that connects and goes in a loop fills the disk and hides what others do. The lines that an agency
//! causes by storing bets have no limit: each is the course's, and costs a commit. Lines beyond the limit are counted, and
//! the count is logged when the second is over.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::event;

/// Lines of one peer in a second: more than an agency that is in trouble causes, and some kilobytes.
const LINES: u32 = 100;
/// Peers that are told apart in a second. The others share what one may log.
const PEERS: usize = 1000;
const SECOND: Duration = Duration::from_secs(1);

/// Lines that each peer has caused in this second.
#[derive(Debug, Default)]
pub struct PeerLog {
    /// The end of this second, once a line was logged in it.
    until: Option<Instant>,
    now: Option<Instant>,
    lines: BTreeMap<IpAddr, u32>,
    /// True if a line of this second was suppressed.
    is_over: bool,
}

impl PeerLog {
    /// Takes note of the time. Logs the counts of a second that is over.
    pub fn pass(&mut self, now: Instant) {
        self.now = Some(now);
        if self.until.is_some_and(|until| until <= now) {
            for (peer, suppressed) in self.end_second() {
                event!(Warn, "suppress_lines", success, "ip": peer, "lines": suppressed,
                    "reason": format_args!("more than {LINES} in a second"));
            }
        }
    }

    /// True if a line of `peer` is to be logged.
    pub fn admit(&mut self, peer: IpAddr) -> bool {
        let Some(now) = self.now else { return true };
        self.until.get_or_insert(now + SECOND);
        let mut peer = network_of(peer);
        if self.lines.len() >= PEERS && !self.lines.contains_key(&peer) {
            peer = OTHERS;
        }
        let lines = self.lines.entry(peer).or_default();
        *lines = lines.saturating_add(1);
        self.is_over |= *lines > LINES;
        *lines <= LINES
    }

    /// The moment at which a count is to be logged, if there is one.
    pub fn due(&self) -> Option<Instant> {
        self.until.filter(|_| self.is_over)
    }

    /// Gives the peers with more lines than their share, and the number of those that were suppressed.
    fn end_second(&mut self) -> Vec<(IpAddr, u32)> {
        let lines = std::mem::take(&mut self.lines);
        (self.until, self.is_over) = (None, false);
        lines
            .into_iter()
            .filter_map(|(peer, lines)| Some((peer, lines.checked_sub(LINES).filter(|&over| over > 0)?)))
            .collect()
    }
}

/// The peers behind the first [`PEERS`].
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The address that counts as one peer: of IPv6 the first 64 bits, of which a single host may use all the others.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Asks for so many lines of `peer`. Gives the number of those that are admitted.
    fn ask(log: &mut PeerLog, peer: &str, lines: u32) -> u32 {
        (0..lines).filter(|_| log.admit(ip(peer))).count() as u32
    }

    #[test]
    fn each_peer_has_its_share_of_a_second_and_the_rest_is_counted() {
        let (mut log, start) = (PeerLog::default(), Instant::now());
        log.pass(start);
        assert_eq!(ask(&mut log, "10.0.0.1", LINES), LINES);
        assert_eq!(log.due(), None, "nothing is suppressed");
        assert_eq!(ask(&mut log, "10.0.0.1", 7), 0);
        assert_eq!(ask(&mut log, "10.0.0.2", 9), 9);
        assert_eq!(log.due(), Some(start + SECOND));
        log.pass(start + SECOND / 2);
        assert_eq!(ask(&mut log, "10.0.0.1", 1), 0, "it is the same second");
        assert_eq!(log.end_second(), [(ip("10.0.0.1"), 8)]);
        assert_eq!((ask(&mut log, "10.0.0.1", LINES), log.due()), (LINES, None), "a new second");
    }

    #[test]
    fn a_second_is_over_by_itself() {
        let (mut log, start) = (PeerLog::default(), Instant::now());
        log.pass(start);
        ask(&mut log, "10.0.0.1", 2 * LINES);
        log.pass(start + SECOND);
        assert_eq!((log.due(), ask(&mut log, "10.0.0.1", LINES)), (None, LINES));
    }

    #[test]
    fn a_host_with_many_addresses_is_one_peer() {
        let (mut log, start) = (PeerLog::default(), Instant::now());
        log.pass(start);
        let admitted = (1..=500).filter(|host| log.admit(ip(&format!("2001:db8::{host:x}")))).count();
        assert_eq!(admitted, LINES as usize);
        assert!(log.admit(ip("2001:db8:0:1::1")));
    }

    #[test]
    fn peers_behind_the_first_thousand_share_what_one_may_log() {
        let (mut log, start) = (PeerLog::default(), Instant::now());
        log.pass(start);
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        let admitted = (1..=2000).filter(|&number| log.admit(address(number))).count();
        assert_eq!(admitted, PEERS + LINES as usize);
        assert!(log.lines.len() <= PEERS + 1);
    }
}
