//! What happened: counted for every seed, and told line by line when one seed is replayed.
//!
//! A simulator that injects nothing finds nothing. The counts are what shows that it does inject.

use std::cell::{Cell, RefCell};

use log::{LevelFilter, Log, Metadata, Record};

macro_rules! happenings {
    ($($name:ident: $words:literal,)*) => {
        /// Everything that must happen over a few thousand seeds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Happening { $($name,)* }

        impl Happening {
            pub const ALL: &[(Happening, &'static str)] = &[$((Happening::$name, $words),)*];
        }
    };
}

happenings! {
    KilledBeforeCommit: "central killed before a commit",
    KilledAtDisk: "central killed in the middle of a commit",
    KilledBeforeWriting: "central killed between commit and replies",
    KilledWhileWriting: "central killed between replies",
    PowerLost: "power lost",
    TornRow: "torn rows found at a start",
    ZeroTail: "tails of zeros found at a start",
    UnsyncedKept: "rows of a write that was not synced found at a start",
    RecoveryInterrupted: "central killed or failed while starting",
    Stopped: "central stopped by a signal",
    ShortWrite: "short writes",
    FailedWrite: "failed writes",
    DiskFull: "writes to a full disk",
    FailedSync: "failed syncs",
    FailedCutBack: "failed cuts of a file",
    TornCut: "writes cut back after a part of them was written",
    NotStored: "code 9 heard",
    TakenOver: "code 10 heard",
    Unavailable: "code 12 heard",
    RefusedBet: "code 2 heard",
    LateConnection: "an older connection spoke after a newer one of its agency",
    LinkReset: "connections reset",
    LinkSilent: "connections half-open",
    Expired: "connections closed at a deadline",
    ClientKilled: "clients killed",
    Duplicated: "second clients of an agency",
    KilledEverything: "central and clients killed at once",
    KilledParked: "central killed while agencies were parked",
    ClosedBeforeRestart: "starts with some agencies closed",
    DrawnBeforeRestart: "starts after the draw",
    AskedAgain: "winners asked for again",
    HeldInput: "connections held until their replies were read",
    LegacyFinished: "clients without Hello told their winners",
    LegacyContinued: "clients without Hello continued by one with it",
    Pipelined: "more than one batch unanswered",
    EmptyAgency: "agencies without a bet",
}

thread_local! {
    static COUNTS: RefCell<Vec<u64>> = RefCell::new(vec![0; Happening::ALL.len()]);
    static TRACE: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static DRAWS: Cell<u32> = const { Cell::new(0) };
}

/// Counts `happening`.
pub fn count(happening: Happening) {
    COUNTS.with_borrow_mut(|counts| counts[happening as usize] += 1);
}

/// Takes this thread's counts, in the order of [`Happening::ALL`].
pub fn take_counts() -> Vec<u64> {
    COUNTS.replace(vec![0; Happening::ALL.len()])
}

/// From now on this thread's events are told.
pub fn start_trace() {
    TRACE.set(Some(Vec::new()));
}

/// The events since [`start_trace`].
pub fn take_trace() -> Vec<String> {
    TRACE.take().unwrap_or_default()
}

/// Tells an event, if anybody listens.
pub fn tell(event: impl FnOnce() -> String) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(trace) = trace {
            trace.push(event());
        }
    });
}

/// How often this thread's central has said `sorteo` since the last call.
pub fn take_draws() -> u32 {
    DRAWS.take()
}

struct Listener;

/// Hears what the programs log: how often the central draws, and everything while an event is being told.
pub fn listen() {
    if log::set_boxed_logger(Box::new(Listener)).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl Log for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.args().as_str() == Some("action: sorteo | result: success") {
            DRAWS.set(DRAWS.get() + 1);
        }
        tell(|| format!("      {}", record.args()));
    }

    fn flush(&self) {}
}
