//! Proof of an agency's identity.

use std::fmt;

use thiserror::Error;

use super::MAX_CREDENTIAL_BYTES;

/// Secret that a Hello carries: 1 to [`MAX_CREDENTIAL_BYTES`] bytes, or none by default. It is never shown.
///
/// ```
/// use loteria::protocol::{Credential, InvalidCredential};
///
/// let credential = Credential::new("tres sellos")?;
/// assert_eq!(credential.as_bytes(), b"tres sellos");
/// assert_eq!(format!("{credential:?}"), "a credential");
/// assert_eq!(Credential::new([0; 256]), Err(InvalidCredential::TooLong));
/// # Ok::<(), InvalidCredential>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential(Vec<u8>);

/// Reason why bytes are not a credential. The bytes themselves are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCredential {
    /// There are no bytes.
    #[error("is empty")]
    Empty,
    /// There are more bytes than a Hello may carry.
    #[error("is longer than {MAX_CREDENTIAL_BYTES} bytes")]
    TooLong,
}

impl Credential {
    /// A credential of these bytes.
    ///
    /// # Errors
    /// [`InvalidCredential`] if there are none, or too many.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Credential, InvalidCredential> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => Err(InvalidCredential::Empty),
            1..=MAX_CREDENTIAL_BYTES => Ok(Credential(bytes)),
            _ => Err(InvalidCredential::TooLong),
        }
    }

    /// Its bytes, none for the default.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True for the default, which proves nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "no credential" } else { "a credential" })
    }
}
