//! Durations of commits: a histogram that gives percentiles, in two kilobytes.

use std::time::Duration;

/// Buckets for each doubling of a duration: a percentile is at most an eighth above what it says.
const BUCKETS_A_DOUBLING: usize = 8;
/// Doublings of a microsecond: up to an hour.
const DOUBLINGS: usize = 32;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(super) struct CommitTimes {
    count: u64,
    buckets: [u64; BUCKETS_A_DOUBLING * DOUBLINGS],
}

impl Default for CommitTimes {
    fn default() -> CommitTimes {
        CommitTimes { count: 0, buckets: [0; BUCKETS_A_DOUBLING * DOUBLINGS] }
    }
}

impl CommitTimes {
    /// Counts a commit that took `duration`.
    pub fn record(&mut self, duration: Duration) {
        self.count += 1;
        self.buckets[bucket_of(duration.as_micros() as u64)] += 1;
    }

    /// The number of commits.
    pub fn count(&self) -> u64 {
        self.count
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
    }

    proptest! {
        #[test]
        fn a_bucket_is_at_most_an_eighth_wide(micros in 0..1_u64 << 30) {
            let end = end_of(bucket_of(micros));
            prop_assert!(micros <= end && end <= micros + micros / 8, "{micros} is in the bucket up to {end}");
        }
    }
}
