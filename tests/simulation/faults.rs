//! Does the simulator see? Each planted fault in turn, until a seed fails because of it.

use std::time::Instant;

use loteria::planted::{Fault, plant};

use crate::chronicle;

/// Seeds after which a fault counts as not found.
const PATIENCE: u64 = 20_000;

#[test]
fn every_planted_fault_is_found() {
    chronicle::listen();
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = Vec::new();
    for fault in Fault::ALL {
        let began = Instant::now();
        plant(Some(fault));
        let found = (0..PATIENCE).find_map(|seed| Some((seed, super::run(seed).err()?)));
        plant(None);
        let milliseconds = began.elapsed().as_millis();
        let name = format!("{fault:?}");
        match found {
            Some((seed, what)) => {
                println!(
                    "{name:<24} found by seed {seed:<5} in {milliseconds:>5} ms: {}",
                    what.lines().next().unwrap_or_default()
                );
            }
            None => {
                println!("{name:<24} not found in {PATIENCE} seeds");
                missed.push(fault);
            }
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "the simulator does not see {missed:?}");
}
