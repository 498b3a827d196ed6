//! Which agencies may speak, where the central asks for it.

use std::collections::HashMap;
use std::fmt;

use subtle::ConstantTimeEq;

/// The credential of each agency. What it holds is never shown.
#[derive(Clone, Default)]
pub struct Credentials(HashMap<u32, Vec<u8>>);

impl Credentials {
    /// The credentials of these agencies. An agency that has none can't speak.
    pub fn new(credentials: impl IntoIterator<Item = (u32, Vec<u8>)>) -> Credentials {
        Credentials(credentials.into_iter().collect())
    }

    /// Whether `given` is the credential of `agency`, in a time that does not depend on how much of it is right.
    pub fn admit(&self, agency: u32, given: &[u8]) -> bool {
        self.0.get(&agency).is_some_and(|expected| expected.as_slice().ct_eq(given).into())
    }

    /// The agencies that have one.
    pub fn agencies(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials of {} agencies", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_agencys_own_credential_admits_it() {
        let credentials = Credentials::new([(1, b"uno".to_vec()), (2, b"dos".to_vec())]);
        assert!(credentials.admit(1, b"uno"));
        for (agency, given) in [(1, "dos"), (1, ""), (1, "un"), (1, "unos"), (3, ""), (3, "uno")] {
            assert!(!credentials.admit(agency, given.as_bytes()), "{agency} with {given:?}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        assert!(!format!("{:?}", Credentials::new([(1, b"uno".to_vec())])).contains("uno"));
    }
}
