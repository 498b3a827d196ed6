//! Pauses between attempts to connect: exponential backoff with jitter, up to a time limit without an answer, and one
//! longer pause after a takeover.

use std::time::{Duration, Instant};

/// Longest first pause.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause of all.
const LONGEST: Duration = Duration::from_secs(5);

/// Time after an agency has come back in which another takeover is final.
const TAKEOVERS_APART: Duration = Duration::from_secs(60);

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
    /// Pauses that end once attempts have been failing without an answer for `timeout`.
    pub fn new(timeout: Duration) -> Pauses {
        Pauses { timeout, failing_since: None, backoff: FIRST }
    }

    /// Starts over, after an attempt that made progress.
    pub fn reset(&mut self) {
        *self = Pauses::new(self.timeout);
    }

    /// Starts the timeout over, because the server answered. The pauses go on growing: it may be full for hours.
    pub fn answered(&mut self) {
        self.failing_since = None;
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

    /// Time for which attempts have been failing without an answer.
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

/// Answer of an agency to code 10, a newer connection of the same agency.
///
/// The newer connection may be one that the agency itself gave up and that was accepted late. So it comes back once. The
/// other is a second process if it takes over again soon after, and then this one leaves it the agency.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use loteria::client::pauses::Takeovers;
///
/// let start = Instant::now();
/// let mut takeovers = Takeovers::default();
/// let back = start + takeovers.next(start).expect("a pause");
/// assert_eq!(takeovers.next(back + Duration::from_secs(59)), None);
/// ```
#[derive(Debug, Default)]
pub struct Takeovers {
    came_back: Option<Instant>,
}

impl Takeovers {
    /// Length of the pause after a takeover at `now`, 2 to 5 s, or `None` if the agency came back less than a minute ago.
    pub fn next(&mut self, now: Instant) -> Option<Duration> {
        if self.came_back.is_some_and(|came_back| now < came_back + TAKEOVERS_APART) {
            return None;
        }
        let pause = Duration::from_secs(2) + Duration::from_secs(3).mul_f64(fastrand::f64());
        self.came_back = Some(now + pause);
        Some(pause)
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
    fn an_answer_starts_the_timeout_over_and_not_the_pauses() {
        let mut now = Instant::now();
        let mut pauses = Pauses::new(Duration::from_secs(1));
        for _ in 0..100 {
            pauses.answered();
            now += pauses.next(now).expect("it goes on");
        }
        assert_eq!(pauses.backoff, LONGEST);
        pauses.answered();
        assert!(pauses.next(now).is_some());
        assert_eq!(pauses.next(now + Duration::from_secs(1)), None);
    }

    #[test]
    fn only_a_second_takeover_within_a_minute_is_final() {
        let mut now = Instant::now();
        let mut takeovers = Takeovers::default();
        for _ in 0..3 {
            let pause = takeovers.next(now).expect("it comes back");
            assert!((2..=5).contains(&pause.as_secs()), "{pause:?}");
            now += pause + TAKEOVERS_APART;
        }
        let pause = takeovers.next(now).expect("it comes back");
        assert_eq!(takeovers.next(now + pause + TAKEOVERS_APART / 2), None);
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
