//! Mistakes of a disk, a ledger, an agency's file or a driver, made on purpose for the simulator to find. Those of the core
//! are in [`loteria::planted`].

/// A mistake that the world makes in place of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Syncs of a running server are skipped.
    ReplyBeforeSync,
    /// The ledger says that a commit is stored before it is.
    ReplyBeforeCommit,
    /// The ledger stores the bets of a commit and not its closings.
    DrawBeforeClosing,
    /// The rest of a failed write stays in the file.
    NoCutBack,
    /// Rows that could not be synced stay in the file.
    UnsyncedLeft,
    /// A torn row stays in the file at a start.
    TornRowLeft,
    /// The files are not synced at a start.
    RecoveredUnsynced,
    /// Closings are forgotten at a start.
    ClosedForgotten,
    /// The state says nothing at a start.
    StateIgnored,
    /// The bytes of the certificate are not synced before it gets its name.
    CertificateUnsynced,
    /// The name of the certificate is not synced.
    CertificateNameUnsynced,
    /// The certificate says nothing at a start.
    CertificateIgnored,
    /// A connection's share of a turn is not kept.
    ShareIgnored,
    /// A database stores what a server orders whose epoch is over.
    EpochIgnored,
    /// A server that takes over does not read the closings: the lottery is drawn twice.
    ClosingsUnread,
    /// A client goes on one bet too early.
    ResumeOffByOne,
    /// A client goes on behind bets that are not those of its file.
    OtherFileUnnoticed,
    /// A client ends as soon as another connection of its agency has taken over.
    TakeoverFinal,
}

#[cfg(feature = "planted-faults")]
impl Mistake {
    pub const ALL: &[Mistake] = &[
        Mistake::ReplyBeforeSync,
        Mistake::ReplyBeforeCommit,
        Mistake::DrawBeforeClosing,
        Mistake::NoCutBack,
        Mistake::UnsyncedLeft,
        Mistake::TornRowLeft,
        Mistake::RecoveredUnsynced,
        Mistake::ClosedForgotten,
        Mistake::StateIgnored,
        Mistake::CertificateUnsynced,
        Mistake::CertificateNameUnsynced,
        Mistake::CertificateIgnored,
        Mistake::ShareIgnored,
        Mistake::EpochIgnored,
        Mistake::ClosingsUnread,
        Mistake::ResumeOffByOne,
        Mistake::OtherFileUnnoticed,
        Mistake::TakeoverFinal,
    ];
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static MADE: std::cell::Cell<Option<Mistake>> = const { std::cell::Cell::new(None) };
}

/// From now on this thread makes this mistake, and no other.
#[cfg(feature = "planted-faults")]
pub fn make(mistake: Option<Mistake>) {
    MADE.set(mistake);
}

/// True if this mistake is to be made.
#[cfg(feature = "planted-faults")]
pub fn makes(mistake: Mistake) -> bool {
    MADE.get() == Some(mistake)
}

#[cfg(not(feature = "planted-faults"))]
pub const fn makes(_: Mistake) -> bool {
    false
}
