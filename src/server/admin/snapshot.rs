//! The state of the round and of the server at one moment: what `/status.json` says, as plain data.

use serde::{Deserialize, Serialize};

use crate::central::Stage;

/// Agencies named in [`Round::waiting_for`]. The page and the service manager show them in one line.
pub(super) const NAMED_AGENCIES: usize = 100;

/// A snapshot. Numbers of bets count what is stored; documents of winners are no part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The program.
    pub server: ServerPart,
    /// Its health.
    pub health: Health,
    /// The round.
    pub round: Round,
    /// The draw, once it has happened.
    pub draw: Option<Draw>,
    /// The commits since the start of the server.
    pub commits: CommitsPart,
    /// The disk that holds the bets.
    pub storage: Storage,
    /// The connections of agencies.
    pub connections: Connections,
    /// The last two minutes.
    pub history: Samples,
    /// Every agency, in order. `/events` leaves them out if they are many.
    pub agencies: Vec<AgencyPart>,
}

/// The program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerPart {
    /// Its version.
    pub version: String,
    /// Its role: `active` takes bets, `suspended` has lost the database, `standby` waits for the active one to go.
    pub role: String,
    /// Seconds since its start.
    pub uptime_seconds: f64,
    /// The time of the snapshot, in seconds since 1970.
    pub time: f64,
    /// Bytes of memory in use. Zero if the system does not say.
    pub memory_bytes: u64,
}

/// The health of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// True if the last commit succeeded and none takes too long.
    pub ok: bool,
    /// The reason if it is false.
    pub reason: Option<String>,
}

/// The round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    /// The number of agencies.
    pub agencies: u32,
    /// Those that have not closed and have no connection.
    pub missing: usize,
    /// Those that have not closed and have a connection.
    pub connected: usize,
    /// Those that have closed.
    pub closed: usize,
    /// The numbers of the first agencies that have not closed.
    pub waiting_for: Vec<u32>,
    /// Bets of all agencies.
    pub bets: u64,
    /// Bets a second, over the last second.
    pub bets_per_second: u64,
}

/// The draw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Draw {
    /// The number that wins.
    pub winning_number: u32,
    /// Its time, in seconds since 1970. `None` if it is not known.
    pub time: Option<f64>,
    /// Winning bets of all agencies.
    pub winners: u64,
}

/// The commits since the start of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommitsPart {
    /// All of them.
    pub count: u64,
    /// Those that stored nothing.
    pub failed: u64,
    /// The sum of their durations.
    pub total_seconds: f64,
    /// The duration that half of them did not exceed, over the last seconds in which there were any.
    pub p50_micros: u64,
    /// The same for 99 of 100.
    pub p99_micros: u64,
    /// For each power of two of microseconds from [`FIRST_POWER`] on, the commits that took less.
    pub histogram: Vec<u64>,
}

/// The exponent of the first bound of [`CommitsPart::histogram`]: 128 microseconds.
pub const FIRST_POWER: u32 = 7;
/// The exponent of the last one: four seconds.
pub const LAST_POWER: u32 = 22;

/// The disk that holds the bets. Zeros if the system does not say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Storage {
    /// Bytes of the file of bets.
    pub bets_bytes: u64,
    /// Bytes that are free for the server.
    pub free_bytes: u64,
    /// Bytes of the disk.
    pub size_bytes: u64,
}

/// The connections of agencies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// All of them, also those that have not said whose they are.
    pub open: usize,
    /// Those that wait for the draw.
    pub parked: usize,
    /// Bytes allocated for their input and output.
    pub buffered_bytes: usize,
}

/// One sample a second, the last one last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    /// Bets a second.
    pub bets_per_second: Vec<u64>,
    /// The duration of commits that 99 of 100 did not exceed; 0 without commits.
    pub commit_p99_micros: Vec<u64>,
}

/// One agency.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgencyPart {
    /// Its number.
    pub agency: u32,
    /// Its stage.
    pub stage: Stage,
    /// Its bets.
    pub bets: u64,
    /// Its bets a second, over the last second.
    pub bets_per_second: u64,
    /// Seconds since bytes of it arrived. `None` if none have since the start of the server.
    pub silent_seconds: Option<f64>,
    /// Its winning bets, after the draw.
    pub winners: Option<u64>,
}

impl Snapshot {
    /// The same in JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has no map, and numbers that are finite")
    }

    /// One event of a stream of server-sent events. With more than `most` agencies they are left out.
    pub(super) fn to_event(&self, most: usize) -> Vec<u8> {
        let short = (self.agencies.len() > most).then(|| Snapshot { agencies: Vec::new(), ..self.clone() });
        let json = short.as_ref().unwrap_or(self).to_json();
        [b"retry: 1000\ndata: ".as_slice(), &json, b"\n\n"].concat()
    }

    /// One line about the round: `4 of 5 agencies closed, waiting for 5`.
    pub fn summary(&self) -> String {
        summary(&self.round, self.draw.as_ref())
    }
}

/// The line of [`Snapshot::summary`].
pub(in crate::server) fn summary(round: &Round, draw: Option<&Draw>) -> String {
    let Round { agencies, closed, waiting_for, .. } = round;
    match draw {
        Some(Draw { winning_number, winners, .. }) => {
            let bets = if *winners == 1 { "winning bet" } else { "winning bets" };
            format!("drawn: {winning_number} wins, {winners} {bets} of {agencies} agencies")
        }
        None => format!(
            "{closed} of {agencies} agencies closed, waiting for {}",
            Named { waiting_for, of: agencies - *closed as u32 }
        ),
    }
}

/// The first of some numbers, and how many more there are.
struct Named<'a> {
    waiting_for: &'a [u32],
    of: u32,
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 10;
        if self.of == 0 {
            return f.write_str("none");
        }
        let shown: Vec<String> = self.waiting_for.iter().take(SHOWN).map(u32::to_string).collect();
        f.write_str(&shown.join(", "))?;
        match self.of as usize - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(agencies: u32, closed: u32) -> Round {
        let open = agencies - closed;
        Round {
            agencies,
            missing: open as usize,
            connected: 0,
            closed: closed as usize,
            waiting_for: (closed + 1..=agencies).take(NAMED_AGENCIES).collect(),
            bets: 0,
            bets_per_second: 0,
        }
    }

    #[test]
    fn the_summary_names_the_first_agencies_that_are_waited_for() {
        assert_eq!(summary(&round(5, 4), None), "4 of 5 agencies closed, waiting for 5");
        assert_eq!(summary(&round(5, 3), None), "3 of 5 agencies closed, waiting for 4, 5");
        let many = "0 of 1000 agencies closed, waiting for 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 990 more";
        assert_eq!(summary(&round(1000, 0), None), many);
        assert_eq!(summary(&round(0, 0), None), "0 of 0 agencies closed, waiting for none");
        let draw = |winners| Draw { winning_number: 7574, time: None, winners };
        assert_eq!(summary(&round(2, 2), Some(&draw(1))), "drawn: 7574 wins, 1 winning bet of 2 agencies");
        assert_eq!(summary(&round(2, 2), Some(&draw(0))), "drawn: 7574 wins, 0 winning bets of 2 agencies");
    }
}
