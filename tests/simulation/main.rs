//! The simulator: the real server (turn, core, protocol, lottery, file ledger) and the real client conversation, on one
//! thread, in a world of simulated time, network and disk where everything that can go wrong does. One seed decides all of
//! it.
//!
//! After every step: nothing acknowledged would be missing after the worst crash that can happen now; no bet is stored
//! twice; an agency's order is kept; no winner is told early, twice different, or to another agency; nothing is applied
//! while a commit is in flight; shares of a turn are kept; a server that sleeps has forgotten no connection; buffers are
//! within their limits; nothing is acknowledged once something else has changed a file, and no start takes what was
//! changed; no agency is told its winners before the certificate of the draw is durable. After healing, every agency finishes and is told the right winners.
//!
//! A seed that fails is printed, told step by step, and replayed by `SIMULATION_SEED=n`. `SIMULATION_SEEDS=n` runs that
//! many, as `make simulate` does. `make simulate-faults` shows that it sees: it finds every planted mistake.
//!
//! | module | contents |
//! |---|---|
//! | `world` | one world and its steps |
//! | `hosting`, `clients`, `misfortunes` | steps of the server, of agencies, and misfortunes |
//! | `server`, `life` | the server's process and its death |
//! | `ledger`, `disk`, `file`, `whole` | storage that fails and settles late |
//! | `meddling` | people who change the files |
//! | `security` | certificates of worlds whose agencies connect over TLS |
//! | `network`, `pipe`, `socket` | connections and their edges of readiness |
//! | `agencies`, `strangers` | the parties that connect |
//! | `invariants`, `watch`, `reads` | invariants of the files, the server, its shares |
//! | `cluster` | a round that several servers share, over a database |
//! | `faults`, `mistakes` | planted mistakes |

mod agencies;
mod chance;
mod chronicle;
mod clients;
mod cluster;
mod disk;
#[cfg(feature = "planted-faults")]
mod faults;
mod file;
mod hosting;
mod invariants;
mod ledger;
mod life;
mod meddling;
mod misfortunes;
mod mistakes;
mod network;
mod pipe;
mod reads;
mod security;
mod server;
mod socket;
mod strangers;
mod watch;
mod whole;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use chronicle::Happening;
use world::World;

/// Seeds that `make test` runs.
const SEEDS: u64 = 3000;

/// Runs the worlds of `seed`, a round in files and one in a database, to their ends. The error names the invariant that was
/// broken.
fn run(seed: u64) -> Result<(), String> {
    let both = || World::new(seed).run().and_then(|()| cluster::Round::new(seed).run());
    panic::catch_unwind(AssertUnwindSafe(both)).unwrap_or_else(|panicked| {
        let message = panicked.downcast_ref::<String>().map(String::as_str);
        Err(message.or(panicked.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
    })
}

/// Runs the world of `seed` again and tells what happens in it.
fn replay(seed: u64) -> Result<(), String> {
    chronicle::start_trace();
    let outcome = run(seed);
    for line in chronicle::take_trace() {
        println!("{line}");
    }
    outcome
}

fn setting(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")))
}

/// Runs `seeds` seeds on every processor. The counts of what happened, and the first seed that failed.
fn run_many(seeds: u64) -> (Vec<u64>, Option<(u64, String)>) {
    let next = AtomicU64::new(0);
    let counts = Mutex::new(vec![0; Happening::ALL.len()]);
    let failed = Mutex::new(None);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            if let Err(fault) = run(seed) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| seed < *first) {
                    *failed = Some((seed, fault));
                }
                next.store(seeds, Ordering::Relaxed);
            }
        }
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter_mut().zip(chronicle::take_counts()).for_each(|(total, more)| *total += more);
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(1, usize::from)).for_each(|_| drop(scope.spawn(work)));
    });
    (counts.into_inner().expect("no thread panicked"), failed.into_inner().expect("no thread panicked"))
}

#[test]
fn whatever_crashes_nothing_acknowledged_is_lost_or_stored_twice() {
    chronicle::listen();
    if let Some(seed) = setting("SIMULATION_SEED") {
        replay(seed).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        return;
    }
    let (seeds, began) = (setting("SIMULATION_SEEDS").unwrap_or(SEEDS), Instant::now());
    let (counts, failed) = run_many(seeds);
    if let Some((seed, _)) = failed {
        let fault = replay(seed).expect_err("a seed fails every time");
        panic!("{fault}\nreplay it with SIMULATION_SEED={seed}");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.1} s, {:.0} a second", seeds as f64 / seconds);
    for (&(happening, words), &times) in Happening::ALL.iter().zip(&counts) {
        println!("{times:>10} {words}");
        let needs_tls = matches!(happening, Happening::Handshake | Happening::CutOff);
        let is_possible = cfg!(feature = "tls") || !needs_tls;
        assert!(times > 0 || seeds < SEEDS || !is_possible, "{happening:?} never happened");
    }
}
