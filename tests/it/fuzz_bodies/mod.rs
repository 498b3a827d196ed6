//! Invariants that hold for any bytes. `fuzz/` runs these functions on a fuzzer's bytes, and `tests/it/fuzzing.rs` on random
//! bytes and on the corpus of the repository. Each panics if its invariant does not hold.

#![allow(dead_code, unused_imports, reason = "each fuzz target uses one of them")]

mod central;
mod configuration;
mod decoder;
mod memory;
mod recovery;
mod script;
#[cfg(feature = "tls")]
mod transport;

pub use central::central;
pub use configuration::{client_configuration, server_configuration};
pub use decoder::decoder;
pub use memory::Memory;
pub use recovery::recovery;
#[cfg(feature = "tls")]
pub use transport::transport;
