//! Proof that the simulator sees: each planted fault in turn, until a seed fails because of it.

use std::time::Instant;

use loteria::planted::{self, Fault};

use crate::chronicle;
use crate::mistakes::{self, Mistake};

/// Seeds after which a fault counts as not found.
const PATIENCE: u64 = 20_000;

#[test]
fn every_planted_fault_is_found() {
    chronicle::listen();
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = Vec::new();
    for &fault in Fault::ALL {
        planted::plant(Some(fault));
        missed.extend(search(format!("{fault:?}")));
    }
    planted::plant(None);
    for &mistake in Mistake::ALL {
        mistakes::make(Some(mistake));
        missed.extend(search(format!("{mistake:?}")));
    }
    mistakes::make(None);
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "the simulator does not see {missed:?}");
}

/// Runs seeds until one fails. Gives the fault's `name` if none does.
fn search(name: String) -> Option<String> {
    let began = Instant::now();
    let found = (0..PATIENCE).find_map(|seed| Some((seed, super::run(seed).err()?)));
    let milliseconds = began.elapsed().as_millis();
    let Some((seed, what)) = found else {
        println!("{name:<24} not found in {PATIENCE} seeds");
        return Some(name);
    };
    let what = what.lines().next().unwrap_or_default();
    println!("{name:<24} found by seed {seed:<5} in {milliseconds:>5} ms: {what}");
    None
}
