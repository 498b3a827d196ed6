//! One sample a second: the rates that a snapshot needs, and the last two minutes for the page's lines.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use super::snapshot::Samples;
use crate::central::Central;
use crate::server::commit_times::CommitTimes;

/// The time between two samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// Samples that are kept.
const KEPT: usize = 120;

/// The samples.
#[derive(Debug)]
pub(super) struct History {
    /// The moment of the last sample.
    at: Instant,
    /// Stored bets of each agency then.
    stored: Vec<u64>,
    /// Bets a second of each agency between the last two samples.
    rates: Vec<u64>,
    throughput: VecDeque<u64>,
    latency: VecDeque<u64>,
    /// The commits until the last sample.
    commits: CommitTimes,
    /// The commits between the last two samples between which there were any.
    recent: CommitTimes,
    is_drawn: bool,
    /// The time of the draw, if it is known.
    drawn_at: Option<SystemTime>,
}

impl History {
    /// A history that begins `now`, with what a former run stored, and drew at `drawn_at`.
    pub fn new(central: &Central, drawn_at: Option<SystemTime>, now: Instant) -> History {
        let stored: Vec<u64> = central.agencies().map(|agency| agency.stored).collect();
        History {
            at: now,
            rates: vec![0; stored.len()],
            stored,
            throughput: VecDeque::from([0; KEPT]),
            latency: VecDeque::from([0; KEPT]),
            commits: CommitTimes::default(),
            recent: CommitTimes::default(),
            is_drawn: central.lottery().is_drawn(),
            drawn_at,
        }
    }

    /// The moment of the next sample.
    pub fn due(&self) -> Instant {
        self.at + INTERVAL
    }

    /// Takes a sample.
    pub fn sample(&mut self, central: &Central, commits: &CommitTimes, now: Instant) {
        let seconds = (now - self.at).as_secs_f64().max(0.001);
        let per_second = |bets: u64| (bets as f64 / seconds).round() as u64;
        let mut total = 0;
        for (agency, (stored, rate)) in central.agencies().zip(self.stored.iter_mut().zip(&mut self.rates)) {
            let bets = agency.stored - std::mem::replace(stored, agency.stored);
            *rate = per_second(bets);
            total += bets;
        }
        let latest = commits.since(&self.commits);
        push(&mut self.throughput, per_second(total));
        push(&mut self.latency, latest.percentile(0.99).as_micros() as u64);
        if latest.count() > 0 {
            (self.recent, self.commits) = (latest, commits.clone());
        }
        self.note_draw(central);
        self.at = now;
    }

    /// Keeps the time of the draw, if it is new.
    pub fn note_draw(&mut self, central: &Central) {
        if central.lottery().is_drawn() && !std::mem::replace(&mut self.is_drawn, true) {
            self.drawn_at = Some(SystemTime::now());
        }
    }

    /// The time of the draw, if it is known.
    pub fn drawn_at(&self) -> Option<SystemTime> {
        self.drawn_at
    }

    /// Bets a second of all agencies.
    pub fn throughput(&self) -> u64 {
        self.throughput.back().copied().unwrap_or_default()
    }

    /// Bets a second of each agency.
    pub fn rates(&self) -> &[u64] {
        &self.rates
    }

    /// The commits of the last interval in which there were any: before the first sample, those until now.
    pub fn recent(&self, commits: &CommitTimes) -> CommitTimes {
        if self.recent.count() > 0 { self.recent.clone() } else { commits.since(&self.commits) }
    }

    /// All samples.
    pub fn samples(&self) -> Samples {
        Samples {
            bets_per_second: self.throughput.iter().copied().collect(),
            commit_p99_micros: self.latency.iter().copied().collect(),
        }
    }
}

fn push(samples: &mut VecDeque<u64>, sample: u64) {
    samples.pop_front();
    samples.push_back(sample);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::central::Limits;
    use crate::lottery::Lottery;

    #[test]
    fn only_bets_and_commits_of_the_last_interval_count_for_its_rates() {
        let central = |bets: u32| {
            let mut lottery = Lottery::new(2);
            lottery.restore_tally(2, bets, b"");
            Central::new(Limits::default(), None, lottery)
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::new(&central(100), None, start);
        assert_eq!(history.due(), at(1));
        let mut commits = CommitTimes::default();
        commits.record(Duration::from_micros(7));
        history.sample(&central(130), &commits, at(2));
        assert_eq!((history.rates(), history.throughput()), ([0, 15].as_slice(), 15));
        history.sample(&central(130), &commits, at(3));
        assert_eq!((history.rates(), history.throughput()), ([0, 0].as_slice(), 0));
        assert_eq!(history.recent(&commits).percentile(1.0), Duration::from_micros(7), "the last ones that there were");
        let Samples { bets_per_second, commit_p99_micros } = history.samples();
        assert_eq!((bets_per_second.len(), commit_p99_micros.len()), (KEPT, KEPT));
        assert_eq!(bets_per_second[KEPT - 3..], [0, 15, 0]);
        assert_eq!(commit_p99_micros[KEPT - 3..], [0, 7, 0]);
    }
}
