//! How long a turn may go on taking input: a flood must not make the others wait, and a commit is to be worth its price.
//!
//! Whoever comes in the middle of a turn waits for the rest of it and for the next one. Were turns as long as a flood has
//! input for, that would be many times what a batch takes when nobody else sends. Were they always short, a commit with its
//! sync would serve few batches. So a turn takes input for a quarter of the time that commits have been taking. A commit of
//! that much takes longer than one of next to nothing, by about as much again: a turn then is half as long again as the
//! shortest one, and two of them, the most that a small batch waits, three times. `make bench-fairness` measures it.

use std::time::Duration;

/// A turn takes input for this long at least: where commits cost next to nothing, so that polling does not become the cost.
const SHORTEST: Duration = Duration::from_micros(25);
/// And for this long at most, however slow the disk is.
const LONGEST: Duration = Duration::from_millis(10);
/// And as a rule, for this part of a commit.
const COMMIT_PARTS: u32 = 4;
/// One commit that is slower than the others, or quicker, changes the time by an eighth of the difference.
const WEIGHT: u32 = 8;

/// What the commits so far say.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How long a commit takes, the last ones counting most.
    commit: Duration,
}

impl Pace {
    /// A commit took this long. The first says all that is known.
    pub fn committed_in(&mut self, took: Duration) {
        self.commit = match self.commit {
            Duration::ZERO => took,
            commit => commit / WEIGHT * (WEIGHT - 1) + took / WEIGHT,
        };
    }

    /// How long the next turn may take input.
    pub fn reading(&self) -> Duration {
        (self.commit / COMMIT_PARTS).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_reads_for_a_quarter_of_a_commit_within_bounds() {
        let mut pace = Pace::default();
        assert_eq!(pace.reading(), SHORTEST);
        let mut settle = |commit| {
            (0..100).for_each(|_| pace.committed_in(commit));
            pace.reading()
        };
        let close = |reading: Duration, expected: Duration| reading <= expected && reading > expected * 9 / 10;
        assert!(close(settle(Duration::from_millis(4)), Duration::from_millis(1)));
        assert_eq!(settle(Duration::from_secs(1)), LONGEST);
        assert_eq!(settle(Duration::from_micros(10)), SHORTEST);
    }

    #[test]
    fn one_slow_commit_does_not_make_the_next_turn_slow() {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.committed_in(Duration::from_millis(1)));
        pace.committed_in(Duration::from_millis(9));
        assert!(pace.reading() <= Duration::from_micros(500), "{:?}", pace.reading());
    }
}
