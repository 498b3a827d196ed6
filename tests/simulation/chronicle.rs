//! Counts of everything that happened, and the story of a seed when it is replayed.
//!
//! A simulator that injects nothing finds nothing. The counts show that it does inject.

use std::cell::{Cell, RefCell};

use log::{Level, LevelFilter, Log, Metadata, Record};

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
    KilledBeforeCommit: "server killed before a commit",
    KilledAtDisk: "server killed in the middle of a commit",
    KilledBeforeWriting: "server killed between commit and replies",
    KilledWhileWriting: "server killed between replies",
    KilledInFlight: "server killed while a commit was in flight",
    PowerLost: "power lost",
    TornRow: "torn rows found at a start",
    ZeroTail: "tails of zeros found at a start",
    UnsyncedKept: "rows of a write that was not synced found at a start",
    RecoveryInterrupted: "server killed or failed while starting",
    Stopped: "server stopped by a signal",
    StoppedInFlight: "server stopped while a commit was in flight",
    ShortWrite: "short writes",
    FailedWrite: "failed writes",
    DiskFull: "writes to a full disk",
    FailedSync: "failed syncs",
    FailedCutBack: "failed cuts of a file",
    TornCut: "writes cut back after a part of them was written",
    TornState: "writes of the state that failed or were torn",
    CertificateFailed: "certificates that could not be written",
    CertificateUnsettled: "certificates that a power loss took or left",
    CertificateLate: "certificates written at a start",
    ChangedRunning: "files changed under a running server",
    ChangedAtRest: "files changed while no server ran",
    ChangeFound: "starts refused because a file was changed",
    SettledLate: "commits settled in a later turn",
    StoredLate: "commits stored in a later turn",
    LedgerRefused: "commits that the ledger did not store",
    UnknownStored: "commits with an unknown outcome that were stored",
    UnknownLost: "commits with an unknown outcome that were lost",
    Fenced: "servers fenced off",
    NotStored: "code 9 heard",
    TakenOver: "code 10 heard",
    CameBack: "clients that came back after code 10",
    Ghost: "clients taken over by a connection of their own that came late",
    OtherFile: "clients with another file than the one that was sent",
    Unavailable: "code 12 heard",
    TurnedAway: "connections turned away",
    MadeRoom: "connections without an agency that made room",
    NotRegistered: "connections that could not be polled",
    RefusedBet: "code 2 heard",
    LateConnection: "an older connection spoke after a newer one of its agency",
    LinkReset: "connections reset",
    LinkSilent: "connections half-open",
    FailedReply: "replies to a broken connection",
    Blocked: "replies without room in the socket",
    Expired: "connections closed at a deadline",
    ExpiredInFlight: "connections closed at a deadline while a commit was in flight",
    StaleEdge: "readiness reported of closed connections",
    ClientKilled: "clients killed",
    Duplicated: "second clients of an agency",
    KilledEverything: "server and clients killed at once",
    KilledParked: "server killed while agencies were parked",
    ClosedBeforeRestart: "starts with some agencies closed",
    DrawnBeforeRestart: "starts after the draw",
    AskedAgain: "winners asked for again",
    HeldInput: "connections held until their replies were read",
    HeldInFlight: "connections held until a commit was settled",
    WholeShare: "connections that gave their whole share of a turn",
    BulkInTurn: "bulk senders read one after the other",
    LegacyFinished: "clients without Hello told their winners",
    LegacyContinued: "clients without Hello continued by one with it",
    Pipelined: "more than one batch unanswered",
    EmptyAgency: "agencies without a bet",
    Echoed: "lines echoed",
    EchoedInFlight: "lines echoed while a commit was in flight",
    SilentClosed: "silent connections closed",
    RoundTakenOver: "epochs begun in a database",
    EpochOver: "transactions of an epoch that was over",
    OrphanStored: "transactions stored after their connection was lost",
    MemberKilled: "servers of a shared round killed",
    MemberFrozen: "servers of a shared round frozen",
    SessionCut: "sessions of a database cut off",
    SessionEnded: "sessions of a database ended by it",
    LockLost: "locks lost that a server believed to have",
    WaitCutShort: "waits for a synchronous standby cut short",
    FailedOver: "databases failed over",
    UnreplicatedLost: "failovers that lost transactions",
    Handshake: "TLS handshakes completed",
    CutOff: "TLS streams cut",
    StuckClosed: "connections closed in the middle of their first message",
}

thread_local! {
    static COUNTS: RefCell<Vec<u64>> = RefCell::new(vec![0; Happening::ALL.len()]);
    static TRACE: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static DRAWS: Cell<u32> = const { Cell::new(0) };
    static EXPIRATIONS: Cell<u32> = const { Cell::new(0) };
}

/// Counts `happening`.
pub fn count(happening: Happening) {
    COUNTS.with_borrow_mut(|counts| counts[happening as usize] += 1);
}

/// Takes this thread's counts, in the order of [`Happening::ALL`].
pub fn take_counts() -> Vec<u64> {
    COUNTS.replace(vec![0; Happening::ALL.len()])
}

/// From now on this thread keeps what is told.
pub fn start_trace() {
    TRACE.set(Some(Vec::new()));
}

/// The events since [`start_trace`].
pub fn take_trace() -> Vec<String> {
    TRACE.take().unwrap_or_default()
}

/// Tells an event, while a trace is kept.
pub fn tell(event: impl FnOnce() -> String) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(trace) = trace {
            trace.push(event());
        }
    });
}

/// Number of draws that this thread's server has logged since the last call.
pub fn take_draws() -> u32 {
    DRAWS.take()
}

/// Number of connections that this thread's server has closed at a deadline since the last call.
pub fn take_expirations() -> u32 {
    EXPIRATIONS.take()
}

struct Listener;

/// Hears what the programs log: draws and expirations are counted, and everything is told.
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
        if record.level() == Level::Warn && record.args().to_string().starts_with("action: expire_connection ") {
            EXPIRATIONS.set(EXPIRATIONS.get() + 1);
        }
        tell(|| format!("      {}", record.args()));
    }

    fn flush(&self) {}
}
