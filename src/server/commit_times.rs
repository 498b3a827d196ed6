//! The commits since the start: their outcomes, and a histogram of their durations in two kilobytes.

use std::time::Duration;

use crate::ledger::Outcome;

/// Buckets for each doubling of a duration: a percentile is at most an eighth above what it says.
const BUCKETS_A_DOUBLING: usize = 8;
/// Doublings of a microsecond: up to an hour.
const DOUBLINGS: usize = 32;

/// The commits since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Commits {
    /// Their durations.
    pub times: CommitTimes,
    /// The number of those that stored nothing.
    pub failed: u64,
    /// Reason why the last one stored nothing. `None` if it did, or there was none.
    pub failure: Option<String>,
}

impl Commits {
    /// Counts a commit that took `duration`.
    pub fn record(&mut self, duration: Duration, outcome: &Outcome) {
        self.times.record(duration);
        self.failure = match outcome {
            Outcome::Stored => None,
            Outcome::NotStored(why) | Outcome::Unknown(why) => Some(why.clone()),
            Outcome::Fenced => Some("another server has taken over".to_owned()),
        };
        self.failed += u64::from(self.failure.is_some());
    }
}

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(super) struct CommitTimes {
    count: u64,
    total: Duration,
    buckets: [u64; BUCKETS_A_DOUBLING * DOUBLINGS],
}

impl Default for CommitTimes {
    fn default() -> CommitTimes {
        CommitTimes { count: 0, total: Duration::ZERO, buckets: [0; BUCKETS_A_DOUBLING * DOUBLINGS] }
    }
}

impl CommitTimes {
    /// Counts a commit that took `duration`.
    pub fn record(&mut self, duration: Duration) {
        self.count += 1;
        self.total += duration;
        self.buckets[bucket_of(duration.as_micros() as u64)] += 1;
    }

    /// The number of commits.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of their durations.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The commits since `earlier`, a former state of this histogram.
    pub fn since(&self, earlier: &CommitTimes) -> CommitTimes {
        let buckets = std::array::from_fn(|bucket| self.buckets[bucket] - earlier.buckets[bucket]);
        CommitTimes { count: self.count - earlier.count, total: self.total - earlier.total, buckets }
    }

    /// The number of commits that took less than 2 to the power of `exponent` microseconds: the end of a bucket.
    pub fn shorter_than_power(&self, exponent: u32) -> u64 {
        self.buckets.iter().take(bucket_of(1 << exponent)).sum()
    }

    /// The duration that a `share` of the commits, from 0 to 1, did not exceed. Zero without commits.
    pub fn percentile(&self, share: f64) -> Duration {
        let needed = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= needed && seen > 0 {
                return Duration::from_micros(end_of(bucket));
            }
        }
        Duration::ZERO
    }
}

/// The first microseconds have a bucket each. From there on, each doubling has the same number of buckets.
fn bucket_of(micros: u64) -> usize {
    let steps = BUCKETS_A_DOUBLING as u64;
    if micros < steps {
        return micros as usize;
    }
    let doubling = micros.ilog2() - steps.ilog2();
    let bucket = u64::from(doubling + 1) * steps + (micros >> doubling) - steps;
    (bucket as usize).min(BUCKETS_A_DOUBLING * DOUBLINGS - 1)
}

/// The largest number of microseconds in `bucket`.
fn end_of(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / BUCKETS_A_DOUBLING, (bucket % BUCKETS_A_DOUBLING) as u64);
    match doubling.checked_sub(1) {
        None => step,
        Some(doubling) => ((BUCKETS_A_DOUBLING as u64 + step + 1) << doubling) - 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentile_is_the_duration_that_a_share_did_not_exceed() {
        let mut commits = CommitTimes::default();
        assert_eq!(commits.percentile(0.99), Duration::ZERO);
        (1..=99).for_each(|_| commits.record(Duration::from_micros(5)));
        commits.record(Duration::from_micros(1000));
        assert_eq!(commits.percentile(0.99), Duration::from_micros(5));
        assert!((1000..=1125).contains(&commits.percentile(1.0).as_micros()));
        assert_eq!(commits.count(), 100);
        assert_eq!(commits.total(), Duration::from_micros(99 * 5 + 1000));
    }

    #[test]
    fn later_commits_are_told_from_earlier_ones() {
        let mut commits = CommitTimes::default();
        (0..3).for_each(|_| commits.record(Duration::from_micros(900)));
        let earlier = commits.clone();
        commits.record(Duration::from_micros(20));
        let later = commits.since(&earlier);
        assert_eq!((later.count(), later.total()), (1, Duration::from_micros(20)));
        assert_eq!(later.percentile(1.0).as_micros(), 21);
    }

    #[test]
    fn a_power_of_two_ends_a_bucket() {
        let mut commits = CommitTimes::default();
        [1, 127, 128, 255, 256].into_iter().for_each(|micros| commits.record(Duration::from_micros(micros)));
        assert_eq!([0, 1, 7, 8, 9, 30].map(|exponent| commits.shorter_than_power(exponent)), [0, 1, 2, 4, 5, 5]);
    }

    #[test]
    fn a_failure_is_remembered_until_a_commit_succeeds() {
        let mut commits = Commits::default();
        commits.record(Duration::ZERO, &Outcome::NotStored("full".to_owned()));
        assert_eq!((commits.failed, commits.failure.as_deref()), (1, Some("full")));
        commits.record(Duration::ZERO, &Outcome::Stored);
        assert_eq!((commits.failed, commits.failure), (1, None));
    }

    proptest! {
        #[test]
        fn a_bucket_is_at_most_an_eighth_wide(micros in 0..1_u64 << 30) {
            let end = end_of(bucket_of(micros));
            prop_assert!(micros <= end && end <= micros + micros / 8, "{micros} is in the bucket up to {end}");
        }
    }
}
