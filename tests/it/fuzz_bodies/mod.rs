//! What must hold for any bytes whatever. `fuzz/` runs these with a fuzzer's bytes, `tests/fuzzing.rs` with random ones and
//! with the corpus of the repository, so that the guard does not need a fuzzer.
//!
//! Each function takes bytes and panics if what it checks does not hold.

#![allow(dead_code, unused_imports, reason = "each fuzz target uses one of them")]

mod central;
mod configuration;
mod decoder;
mod memory;
mod recovery;
mod script;

pub use central::central;
pub use configuration::{client_configuration, server_configuration};
pub use decoder::decoder;
pub use recovery::recovery;
