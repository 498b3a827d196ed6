//! The standing of the server, for logs and operators.

use std::collections::BTreeSet;

use super::Central;
use super::session::Session;

/// A snapshot of the server.
#[derive(Clone, Debug)]
pub struct Status {
    /// Connections.
    pub connections: usize,
    /// Connections that wait for the draw.
    pub parked: usize,
    /// Bytes allocated for input and output of connections.
    pub buffered_bytes: usize,
    /// Stored bets of all agencies.
    pub stored: u64,
    /// The agencies that have not closed, in order.
    pub open_agencies: Vec<u32>,
    /// Those of them that no connection speaks for, in order.
    pub absent_agencies: Vec<u32>,
    /// The number of agencies that have closed.
    pub closed_agencies: usize,
}

impl Central {
    /// A snapshot. Looks at every session and every agency.
    pub fn status(&self) -> Status {
        let sessions = || self.sessions.values();
        debug_assert_eq!(self.budget.used(), sessions().map(Session::anonymous_bytes).sum());
        debug_assert!(self.budget.used() <= self.limits.anonymous_bytes);
        let open_agencies: Vec<u32> = self.lottery.open_agencies().collect();
        let speaking: BTreeSet<u32> = sessions().filter_map(Session::agency).collect();
        let is_absent = |agency: &u32| !speaking.contains(agency);
        Status {
            connections: self.sessions.len(),
            parked: sessions().filter(|session| session.is_parked()).count(),
            buffered_bytes: sessions().map(Session::allocated).sum(),
            stored: self.lottery.total_stored(),
            closed_agencies: self.lottery.agencies() as usize - open_agencies.len(),
            absent_agencies: open_agencies.iter().copied().filter(is_absent).collect(),
            open_agencies,
        }
    }
}
