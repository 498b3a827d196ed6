//! The tables.
//!
//! A database, or a schema that the user's `search_path` begins with, holds one round.

/// The version of the tables. A server refuses tables of another one.
pub(super) const VERSION: i32 = 1;

/// The key of the lock of the active server. An advisory lock belongs to a database.
pub(super) const LOCK: i64 = 7574;

/// Creates the tables. `loteria_bet` has no primary key: its index would cost more than its rows, and the epoch and the totals
/// already keep every position unique. A check of it is `loteria verify`.
pub(super) const CREATE: &str = "
BEGIN;
CREATE TABLE loteria_round (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL,
    epoch bigint NOT NULL,
    agencies integer NOT NULL,
    winning_number integer NOT NULL,
    drawn_at timestamptz
);
CREATE TABLE loteria_agency (
    agency integer PRIMARY KEY,
    bets bigint NOT NULL,
    checksum bigint NOT NULL,
    closed boolean NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE loteria_bet (
    agency integer NOT NULL,
    position bigint NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    document integer NOT NULL,
    birthdate date NOT NULL,
    number smallint NOT NULL
);
COMMIT";

/// Settings of each session: a commit is on the synchronous standbys before it is answered, whatever the default is, and a
/// machine that has gone silent is found out.
pub(super) fn session_settings(idle: u64, interval: u64, probes: u32, user_timeout: u128) -> String {
    format!(
        "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; \
         SET tcp_keepalives_idle = {idle}; SET tcp_keepalives_interval = {interval}; SET tcp_keepalives_count = {probes}; \
         SET tcp_user_timeout = {user_timeout}"
    )
}

/// The index of the winners, which makes takeover and draw independent of the number of bets.
pub(super) fn winners_index(winning_number: u32) -> String {
    format!(
        "CREATE INDEX IF NOT EXISTS loteria_bet_winners_{winning_number} ON loteria_bet (agency, position) \
         INCLUDE (document) WHERE number = {winning_number}"
    )
}

/// Ends the session that holds the lock, if it has said nothing for longer than 8 seconds while the database waits for it:
/// a healthy server says something every second. A frozen process keeps its connection, because its kernel still answers.
/// It is ended only while the database reads from it, so no wait for a synchronous standby is cut short.
pub(super) fn end_silent_holder() -> String {
    format!(
        "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = {LOCK} AND l.objsubid = 1 \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND a.usename = current_user AND a.wait_event = 'ClientRead' \
         AND a.state_change < clock_timestamp() - interval '8 seconds'"
    )
}
