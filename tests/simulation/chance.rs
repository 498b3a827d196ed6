//! Decisions by chance. Every generator of a world is forked from the one of its seed.

use fastrand::Rng;

/// Decisions that [`Rng`] does not offer.
pub trait Chance {
    /// True once in `times`.
    fn one_in(&mut self, times: usize) -> bool;

    /// One of `choices`, of which there is at least one.
    fn pick<T: Copy>(&mut self, choices: &[T]) -> T;
}

impl Chance for Rng {
    fn one_in(&mut self, times: usize) -> bool {
        self.usize(0..times) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.usize(0..choices.len())]
    }
}
