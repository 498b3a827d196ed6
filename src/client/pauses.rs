//! Pauses between attempts to connect: exponential backoff with jitter, up to a time limit.

use std::time::{Duration, Instant};

/// Longest first pause.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause of all.
const LONGEST: Duration = Duration::from_secs(5);

/// The pauses between attempts that fail one after another.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use loteria::client::pauses::Pauses;
///
/// let start = Instant::now();
/// let mut pauses = Pauses::new(Duration::from_secs(60));
/// assert!(pauses.next(start).is_some_and(|pause| pause <= Duration::from_millis(100)));
/// assert_eq!(pauses.next(start + Duration::from_secs(60)), None);
/// assert_eq!(pauses.failing_for(start + Duration::from_secs(60)), Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct Pauses {
    timeout: Duration,
    failing_since: Option<Instant>,
    /// Length of the next pause before jitter.
    backoff: Duration,
}

impl Pauses {
    /// Pauses that end once attempts have been failing for `timeout`.
    pub fn new(timeout: Duration) -> Pauses {
        Pauses { timeout, failing_since: None, backoff: FIRST }
    }

    /// Starts over, after an attempt that made progress.
    pub fn reset(&mut self) {
        *self = Pauses::new(self.timeout);
    }

    /// Starts over if an attempt waited for the draw for longer than the pause that would follow.
    ///
    /// A server that is restarted every hour is not a server that cannot be reached. One that accepts and hangs up at
    /// once is.
    pub fn note_wait(&mut self, waited: Duration) {
        if waited > self.backoff {
            self.reset();
        }
    }

    /// Time for which attempts have been failing.
    pub fn failing_for(&self, now: Instant) -> Duration {
        self.failing_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Length of the pause after an attempt that failed at `now`, or `None` if the timeout has passed.
    ///
    /// The jitter takes off up to half, so that agencies which lost the same server do not all return at once. The last
    /// pause is cut to end with the timeout, so that one more attempt is made then.
    pub fn next(&mut self, now: Instant) -> Option<Duration> {
        let give_up_at = *self.failing_since.get_or_insert(now) + self.timeout;
        let pause = self.backoff.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.backoff = (self.backoff * 2).min(LONGEST);
        let left = give_up_at.saturating_duration_since(now);
        (!left.is_zero()).then_some(pause.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_end_with_the_timeout() {
        let start = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(60));
        let mut now = start;
        let mut longest = FIRST;
        while let Some(pause) = pauses.next(now) {
            let is_last = now + pause == start + Duration::from_secs(60);
            assert!((is_last || longest / 2 <= pause) && pause <= longest, "{pause:?} of {longest:?}");
            longest = (longest * 2).min(LONGEST);
            now += pause;
        }
        assert_eq!(pauses.failing_for(now), Duration::from_secs(60), "the last attempt is made when the timeout ends");
    }

    #[test]
    fn only_a_wait_longer_than_a_pause_starts_the_pauses_over() {
        let start = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(1));
        assert!(pauses.next(start).is_some());
        pauses.note_wait(Duration::from_millis(1));
        assert_eq!(pauses.next(start + Duration::from_secs(2)), None, "the server hung up at once");
        pauses.note_wait(Duration::from_secs(3600));
        assert!(pauses.next(start + Duration::from_secs(3600)).is_some_and(|pause| pause <= FIRST));
    }

    #[test]
    fn progress_starts_the_pauses_over() {
        let start = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(1));
        assert!(pauses.next(start).is_some());
        assert_eq!(pauses.next(start + Duration::from_secs(2)), None);
        pauses.reset();
        assert!(pauses.next(start + Duration::from_secs(2)).is_some_and(|pause| pause <= FIRST));
    }
}
