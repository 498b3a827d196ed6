//! The promises that do not depend on the transport, over TLS: the tests of `tests/it/`, with a fixture whose connections
//! begin with a handshake, and a server that refuses any other.
#![cfg(feature = "tls")]
#![allow(dead_code, unused_imports, reason = "the fixture has more than these tests need")]

#[path = "../it/fixture/mod.rs"]
mod fixture;

/// True if every connection of the fixture is over TLS.
const OVER_TLS: bool = true;

macro_rules! over_tls {
    ($($module:ident: $path:literal,)+) => {$(
        #[path = $path]
        mod $module;
    )+};
}

over_tls! {
    agency: "../it/agency.rs",
    crashes: "../it/crashes.rs",
    credentials: "../it/credentials.rs",
    deadlines: "../it/deadlines.rs",
    echo: "../it/echo.rs",
    hostile: "../it/hostile.rs",
    input: "../it/input.rs",
    limits: "../it/limits.rs",
    older_agencies: "../it/older_agencies.rs",
    one_bet: "../it/one_bet.rs",
    refusals: "../it/refusals.rs",
    replies: "../it/replies.rs",
    resumption: "../it/resumption.rs",
    round: "../it/round.rs",
    signals: "../it/signals.rs",
    welcome: "../it/welcome.rs",
}
