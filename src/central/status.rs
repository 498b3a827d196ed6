//! The standing of the server, for logs and operators.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Central;
use super::session::Session;
use crate::lottery::Standing;

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

/// The stage of an agency on its way to the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It has not closed, and no connection speaks for it.
    Missing,
    /// It has not closed, and a connection speaks for it.
    Connected,
    /// It has closed, and a connection of it waits for the draw.
    Waiting,
    /// It has closed.
    Closed,
}

/// The standing of one agency.
#[derive(Clone, Copy, Debug)]
pub struct AgencyStatus {
    /// The agency.
    pub agency: u32,
    /// Its stage.
    pub stage: Stage,
    /// Its stored bets.
    pub stored: u64,
    /// The last time that bytes of it arrived, since the start.
    pub heard: Option<Instant>,
    /// The number of its winners, once they are drawn.
    pub winners: Option<usize>,
}

impl Central {
    /// The standing of each agency, in order.
    pub fn agencies(&self) -> impl Iterator<Item = AgencyStatus> {
        (1..=self.lottery.agencies()).map(|agency| AgencyStatus {
            agency,
            stage: self.stage(agency),
            stored: self.lottery.stored(agency).bets,
            heard: self.speakers.heard(agency),
            winners: self.lottery.winners(agency).map(<[u32]>::len),
        })
    }

    fn stage(&self, agency: u32) -> Stage {
        let session = self.speakers.of(agency).and_then(|id| self.sessions.get(id));
        match self.lottery.standing(agency) {
            Standing::Open if session.is_none() => Stage::Missing,
            Standing::Open => Stage::Connected,
            Standing::Closed | Standing::Drawn if session.is_some_and(Session::is_parked) => Stage::Waiting,
            Standing::Closed | Standing::Drawn => Stage::Closed,
        }
    }

    /// A snapshot. Looks at every session and every agency.
    pub fn status(&self) -> Status {
        let sessions = || self.sessions.values();
        debug_assert_eq!(self.budget.used(), sessions().map(Session::anonymous_bytes).sum::<usize>());
        debug_assert!(self.budget.used() <= self.limits.anonymous_bytes);
        let open_agencies: Vec<u32> = self.lottery.open_agencies().collect();
        let is_absent = |&agency: &u32| self.stage(agency) == Stage::Missing;
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
