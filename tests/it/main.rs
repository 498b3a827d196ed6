//! The promises of both programs, tested on the real binaries over real sockets and files.

/// True if every connection of the fixture is over TLS: see `tests/tls/main.rs`.
const OVER_TLS: bool = false;

mod fixture;
mod fuzz_bodies;

mod admin;
mod agency;
mod allocations;
mod altered_files;
mod bad_input;
mod bets_file;
mod compose;
mod configuration;
mod crashes;
mod credentials;
mod deadlines;
mod descriptors;
mod documents;
mod draw;
mod echo;
mod echo_check;
mod fairness;
mod figures;
mod full_disk;
mod fuzzing;
mod hostile;
mod input;
mod limits;
mod log_contract;
mod log_formats;
mod log_shares;
mod older_agencies;
mod one_bet;
mod operator;
mod other_files;
mod patience;
mod progress;
mod protocol;
mod python_agency;
mod recovery;
mod refusals;
mod replies;
mod resumption;
mod round;
mod signals;
mod slow_logs;
mod tls;
mod tls_absent;
mod welcome;
