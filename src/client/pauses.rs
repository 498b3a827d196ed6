//! How long to wait before trying again: longer each time, never quite the same, and not for ever.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// The pauses between attempts that all fail.
#[derive(Debug)]
pub struct Pauses {
    timeout: Duration,
    failing_since: Option<Instant>,
    next: Duration,
}

impl Pauses {
    /// Pauses that end once attempts have been failing for `timeout`.
    pub fn new(timeout: Duration) -> Pauses {
        Pauses { timeout, failing_since: None, next: FIRST }
    }

    /// An attempt has got further than the last.
    pub fn reset(&mut self) {
        *self = Pauses::new(self.timeout);
    }

    /// The last attempt got as far as waiting for the draw, for `lasted`. That is no failure if it was longer than the pause that
    /// would follow: a central that is started again every other hour is no central that can't be reached.
    pub fn note_wait(&mut self, lasted: Duration) {
        if lasted > self.next {
            self.reset();
        }
    }

    /// How long attempts have been failing.
    pub fn failing_for(&self, now: Instant) -> Duration {
        self.failing_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// An attempt failed: how long to wait before the next, or `None` if the time for trying is over.
    ///
    /// Between half of the pause and all of it, so that agencies which lost the same central do not all come back at once; the
    /// last is cut to the time that is left, so that an attempt is made at its end.
    pub fn next(&mut self, now: Instant) -> Option<Duration> {
        let give_up_at = *self.failing_since.get_or_insert(now) + self.timeout;
        let pause = self.next / 2 + (self.next / 2).mul_f64(random_fraction());
        self.next = (self.next * 2).min(LONGEST);
        // The last pause ends with the time that there is, so that there is an attempt at its end.
        let left = give_up_at.saturating_duration_since(now);
        (!left.is_zero()).then_some(pause.min(left))
    }
}

/// From 0 to 1, from the keys that the standard library draws for its hash maps.
fn random_fraction() -> f64 {
    f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_end_with_the_time_they_are_given() {
        let start = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(60));
        let mut now = start;
        let mut expected = FIRST;
        while let Some(pause) = pauses.next(now) {
            let is_last = now + pause == start + Duration::from_secs(60);
            assert!((is_last || expected / 2 <= pause) && pause <= expected, "{pause:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST);
            now += pause;
        }
        let tried = pauses.failing_for(now);
        assert_eq!(tried, Duration::from_secs(60), "the last attempt is made at the end of the time");
    }

    #[test]
    fn having_waited_for_the_draw_for_longer_than_a_pause_starts_them_over_too() {
        let start = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(1));
        assert!(pauses.next(start).is_some());
        pauses.note_wait(Duration::from_millis(1));
        assert_eq!(pauses.next(start + Duration::from_secs(2)), None, "the central hung up at once");
        pauses.note_wait(Duration::from_secs(3600));
        assert!(pauses.next(start + Duration::from_secs(3600)).is_some_and(|pause| pause <= FIRST));
    }

    #[test]
    fn getting_further_starts_them_over() {
        let start = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(1));
        assert!(pauses.next(start).is_some());
        assert_eq!(pauses.next(start + Duration::from_secs(2)), None);
        pauses.reset();
        assert!(pauses.next(start + Duration::from_secs(2)).is_some_and(|pause| pause <= FIRST));
    }
}
