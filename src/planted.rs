//! Deliberate mistakes in the core, to show that the simulator finds them: `make simulate-faults`.
//!
//! Mistakes of a disk, a ledger or an agency's file are made by the simulator's own disk, ledger and file; only those that
//! nothing outside the core can make have a switch here. Without the feature `planted-faults`, [`planted`] is a constant
//! `false` and nothing of this is left in a program.

/// Declares the faults and their list.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A mistake that one could make here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        #[cfg(feature = "planted-faults")]
        impl Fault {
            /// Every fault.
            pub const ALL: &[Fault] = &[$(Fault::$name,)*];
        }
    };
}

faults! {
    /// An older connection of an agency goes on beside the newer one.
    NoFencing,
    /// An older connection that speaks late takes over from a newer one.
    LateConnectionTakesOver,
    /// A Welcome counts the bets stored when Hello arrives, without those that the older connection has staged.
    WelcomeBeforeCommit,
    /// A batch is taken behind a refused one.
    AcceptedBehindRefused,
    /// The valid bets of a refused batch are kept.
    PartialBatchKept,
    /// Winners among bets that could not be stored are kept.
    LostBetsWin,
    /// Every agency is told the same winners.
    WinnersBroadcast,
    /// Parked requests are not answered by the draw.
    ParkedForgotten,
    /// A reply is sent behind one that was cut off.
    ReplyBehindCutReply,
    /// Lottery bytes are applied while a commit is in flight.
    AppliedInFlight,
    /// A file that has taken the place of an open one is not noticed.
    ReplacedUnnoticed,
    /// An open file that was cut or written to by others is not noticed.
    LengthUnnoticed,
    /// The state is written before the bets that it counts are synced.
    StateBeforeSync,
    /// Bets that could not be stored are counted.
    LostBetsCount,
    /// The checksum of a batch is not added to the tally.
    ChecksumForgotten,
    /// The certificate of the draw is written before the closings that it rests on.
    CertificateBeforeCommit,
    /// Winners are told before the certificate of the draw is written.
    CertificateForgotten,
    /// The end of a TLS stream is taken for the end of the socket's input.
    SocketReadAtEnd,
    /// A server that takes over reads before its epoch is committed.
    ReadBeforeEpoch,
    /// A transaction with an unknown outcome is sent again without taking over.
    StoredAgain,
    /// A commit that came with a warning counts as replicated.
    WarningIsSuccess,
    /// A reply leaves without a check that this server is still active.
    UnfencedReply,
    /// A client takes batches of the last connection for unanswered ones of this one.
    StaleInFlight,
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

/// True if this mistake is to be made.
#[cfg(feature = "planted-faults")]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}
