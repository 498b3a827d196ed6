//! Credentials of agencies, and the files that hold them.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use thiserror::Error;

/// Most bytes of a credential: as many as a Hello carries.
pub const MAX_CREDENTIAL_BYTES: usize = 255;

/// Below as many bytes, a credential can be guessed over the network.
pub const WEAK_CREDENTIAL_BYTES: usize = 8;

/// Proof of an agency's identity; empty where none is asked for. It is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential(Vec<u8>);

/// The reason why bytes are not a credential, without the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCredential {
    /// There are none.
    #[error("is empty")]
    Empty,
    /// There are more than [`MAX_CREDENTIAL_BYTES`].
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
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "no credential" } else { "a credential" })
    }
}

/// Most bytes of a file of secrets: above the longest credentials of the most agencies.
const MAX_FILE_BYTES: u64 = 1 << 25;

/// The content of the file at `path`.
pub(crate) fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("more than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}
