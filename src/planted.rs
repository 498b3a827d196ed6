//! Faults on purpose, to see that the simulator finds them: `make simulate-faults`.
//!
//! Without the feature `planted-faults`, which nothing but that turns on, [`planted`] is a constant `false` and nothing of this is
//! left in a program.

/// A mistake that one could make here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Batches are acknowledged before they are synced.
    ReplyBeforeSync,
    /// The connection that another one replaces may go on.
    NoFencing,
    /// A connection that speaks late takes over from a newer one.
    LateConnectionTakesOver,
    /// A Welcome counts what is stored when Hello is heard, without what the older connection has staged.
    WelcomeBeforeCommit,
    /// A batch is taken behind one that was refused.
    AcceptedBehindRefused,
    /// The good bets of a batch are kept, and only the bad one refused.
    PartialBatchKept,
    /// What is left of a failed write stays in the file.
    NoCutBack,
    /// What could not be synced stays in the file, for the next run to read.
    UnsyncedLeft,
    /// The winners among bets that could not be stored are kept.
    LostBetsWin,
    /// The last closing draws before it is durable.
    DrawBeforeClosing,
    /// Every agency is told the same winners.
    WinnersBroadcast,
    /// Whoever waits for the draw when the last agency closes is not told.
    ParkedForgotten,
    /// Agencies that had closed are open after a restart.
    ClosedForgotten,
    /// A row that a crash tore stays where it is.
    TornRowLeft,
    /// Rows that a crash left unsynced are counted as stored.
    RecoveredUnsynced,
    /// A reply is sent behind one that was cut off.
    ReplyBehindCutReply,
    /// A client goes on one bet too early.
    ResumeOffByOne,
    /// A client takes what the last connection left unfinished for unanswered still.
    StaleInFlight,
}

#[cfg(feature = "planted-faults")]
impl Fault {
    /// Every one of them.
    pub const ALL: [Fault; 18] = [
        Fault::ReplyBeforeSync,
        Fault::NoFencing,
        Fault::LateConnectionTakesOver,
        Fault::WelcomeBeforeCommit,
        Fault::AcceptedBehindRefused,
        Fault::PartialBatchKept,
        Fault::NoCutBack,
        Fault::UnsyncedLeft,
        Fault::LostBetsWin,
        Fault::DrawBeforeClosing,
        Fault::WinnersBroadcast,
        Fault::ParkedForgotten,
        Fault::ClosedForgotten,
        Fault::TornRowLeft,
        Fault::RecoveredUnsynced,
        Fault::ReplyBehindCutReply,
        Fault::ResumeOffByOne,
        Fault::StaleInFlight,
    ];
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// From now on this thread makes this mistake, and no other.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether this mistake is to be made.
#[cfg(feature = "planted-faults")]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}
