//! How long a turn may go on taking input: a commit is to be worth its price, and who says little is not to wait for those
//! who say much.
//!
//! A commit with its sync takes about as long for a hundred batches as for one, so that a turn of floods takes input for as
//! long as commits have been taking. A flood loses nothing by it: it sends on while it waits. Somebody who sends a batch and
//! waits for the answer does, so that as soon as there is one, and every such one has been read, the turn takes input for no
//! longer than a quarter of a commit; and as it will have more, so do the turns of the next few milliseconds. At worst its batch
//! comes when the commit of a long turn has just begun, and waits for that one, for a quarter, and for its own. Only bets shorten
//! a turn: whatever else is answered at its end (a Hello, a closing, a line that is echoed) waits for a long one at most.
//! `make bench-fairness` measures it.

use std::time::{Duration, Instant};

/// A turn of floods takes input for this long at least: where commits cost next to nothing, polling must not become the cost.
const SHORTEST: Duration = Duration::from_micros(200);
/// And a turn in which somebody who waits is only expected.
const SHORTEST_EXPECTING: Duration = Duration::from_micros(25);
/// And for this long at most, however slow the disk is.
const LONGEST: Duration = Duration::from_millis(10);
/// A turn that somebody waits for takes input for this part of a commit.
const COMMIT_PARTS: u32 = 4;
/// One commit that is slower than the others, or quicker, changes the time by an eighth of the difference.
const WEIGHT: u32 = 8;
/// For how long somebody who has sent bets is expected to send more.
const REMEMBERED: Duration = Duration::from_millis(5);

/// What the commits and the turns so far say.
#[derive(Debug)]
pub(super) struct Pace {
    /// How long a commit takes, the last ones counting most.
    commit: Duration,
    /// When the turn began.
    began: Instant,
    /// Whether somebody waits for the end of the turn.
    is_awaited: bool,
    /// Until when somebody is expected who will.
    expected_until: Option<Instant>,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { commit: Duration::ZERO, began: Instant::now(), is_awaited: false, expected_until: None }
    }

    /// A turn begins.
    pub fn begin_turn(&mut self, now: Instant) {
        (self.began, self.is_awaited) = (now, false);
    }

    /// Somebody has sent bets, and waits for the end of the turn.
    pub fn note_waiting(&mut self) {
        self.is_awaited = true;
        self.expected_until = Some(self.began + REMEMBERED);
    }

    /// Whether the turn is to take no more input; `is_anyone_unread`: of those who wait for its end.
    pub fn is_over(&self, now: Instant, is_anyone_unread: bool) -> bool {
        let is_expected = self.expected_until.is_some_and(|until| self.began < until);
        let part = self.commit.min(LONGEST) / COMMIT_PARTS;
        let limit = if is_anyone_unread || !(self.is_awaited || is_expected) {
            self.commit.clamp(SHORTEST, LONGEST)
        } else if self.is_awaited {
            part
        } else {
            part.max(SHORTEST_EXPECTING)
        };
        now - self.began >= limit
    }

    /// A commit took this long. The first says all that is known.
    pub fn committed_in(&mut self, took: Duration) {
        self.commit = match self.commit {
            Duration::ZERO => took,
            commit => commit / WEIGHT * (WEIGHT - 1) + took / WEIGHT,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pace after many commits of this length.
    fn settled(commit: Duration) -> Pace {
        let mut pace = Pace::new();
        (0..100).for_each(|_| pace.committed_in(commit));
        pace
    }

    /// For how long a turn that begins now takes input, to within a thousandth.
    fn next_turn(pace: &mut Pace, now: Instant, is_anyone_unread: bool) -> Duration {
        pace.begin_turn(now);
        reading(pace, now, is_anyone_unread)
    }

    fn reading(pace: &Pace, began: Instant, is_anyone_unread: bool) -> Duration {
        let mut took = Duration::ZERO;
        while !pace.is_over(began + took, is_anyone_unread) {
            took += took / 1000 + Duration::from_nanos(1);
        }
        took
    }

    fn is_close(reading: Duration, expected: Duration) -> bool {
        reading > expected * 9 / 10 && reading < expected * 11 / 10
    }

    #[test]
    fn a_turn_of_floods_reads_for_as_long_as_a_commit_takes_within_bounds() {
        let (now, milli) = (Instant::now(), Duration::from_millis(1));
        assert!(is_close(next_turn(&mut Pace::new(), now, false), SHORTEST));
        for (commit, reading) in [(4 * milli, 4 * milli), (1000 * milli, LONGEST), (milli / 100, SHORTEST)] {
            assert!(is_close(next_turn(&mut settled(commit), now, false), reading), "{commit:?}");
        }
    }

    #[test]
    fn a_turn_that_somebody_waits_for_is_short_once_all_who_do_are_read() {
        for commit in [Duration::from_millis(4), Duration::from_micros(400)] {
            let (now, mut pace) = (Instant::now(), settled(commit));
            pace.begin_turn(now);
            pace.note_waiting();
            assert!(is_close(reading(&pace, now, true), commit));
            assert!(is_close(reading(&pace, now, false), commit / 4));
        }
    }

    #[test]
    fn who_has_sent_a_batch_is_expected_to_send_the_next_one_soon() {
        let (commit, mut now) = (Duration::from_millis(4), Instant::now());
        for (commit, reading) in [(commit, commit / 4), (Duration::from_micros(20), SHORTEST_EXPECTING)] {
            let mut pace = settled(commit);
            pace.begin_turn(now);
            pace.note_waiting();
            assert!(is_close(next_turn(&mut pace, now + REMEMBERED / 2, false), reading));
            assert!(
                is_close(next_turn(&mut pace, now + REMEMBERED / 2, true), commit.max(SHORTEST)),
                "who came is read"
            );
            now += REMEMBERED;
            assert!(is_close(next_turn(&mut pace, now, false), commit.max(SHORTEST)));
        }
    }

    #[test]
    fn one_slow_commit_does_not_make_the_next_turn_slow() {
        let mut pace = settled(Duration::from_millis(1));
        pace.committed_in(Duration::from_millis(9));
        assert!(next_turn(&mut pace, Instant::now(), false) <= Duration::from_micros(2100));
    }
}
