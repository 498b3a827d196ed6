//! What proves that an agency is that agency.

use std::fmt;

use thiserror::Error;

use super::MAX_CREDENTIAL_BYTES;

/// The bytes that a Hello carries as its credential, none where nothing is asked. They are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential(Vec<u8>);

/// Why bytes are no credential. What they are is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCredential {
    /// There are none.
    #[error("is empty")]
    Empty,
    /// There are more than a Hello may carry.
    #[error("is longer than {MAX_CREDENTIAL_BYTES} bytes")]
    TooLong,
}

impl Credential {
    /// The credential that is these bytes.
    ///
    /// # Errors
    /// [`InvalidCredential`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Credential, InvalidCredential> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => Err(InvalidCredential::Empty),
            1..=MAX_CREDENTIAL_BYTES => Ok(Credential(bytes)),
            _ => Err(InvalidCredential::TooLong),
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "no credential" } else { "a credential" })
    }
}
