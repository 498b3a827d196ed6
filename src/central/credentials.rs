//! Credentials: proof of which agency a connection speaks for, where the server asks for it.

use std::collections::BTreeMap;
use std::fmt;

use subtle::ConstantTimeEq;

use crate::config::Credential;

/// The credential of each agency. What it holds is never shown.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<u32, Credential>);

impl Credentials {
    /// The credentials of these agencies. An agency that has none can't speak.
    pub fn new(credentials: impl IntoIterator<Item = (u32, Credential)>) -> Credentials {
        Credentials(credentials.into_iter().collect())
    }

    /// True if `given` is the credential of `agency`. The time that it takes does not depend on how much of it is right.
    pub fn admit(&self, agency: u32, given: &[u8]) -> bool {
        self.0.get(&agency).is_some_and(|expected| expected.as_bytes().ct_eq(given).into())
    }

    /// The agencies that have one, in order.
    pub fn agencies(&self) -> impl ExactSizeIterator<Item = u32> {
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

    fn credentials() -> Credentials {
        Credentials::new(
            [(1, "uno"), (2, "dos")].map(|(agency, secret)| (agency, Credential::new(secret).expect("valid"))),
        )
    }

    #[test]
    fn only_an_agencys_own_credential_admits_it() {
        assert!(credentials().admit(1, b"uno"));
        for (agency, given) in [(1, "dos"), (1, ""), (1, "un"), (1, "unos"), (3, ""), (3, "uno")] {
            assert!(!credentials().admit(agency, given.as_bytes()), "{agency} with {given:?}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(format!("{:?}", credentials()), "Credentials of 2 agencies");
        assert_eq!(format!("{:?}", Credential::new("uno").expect("valid")), "a credential");
    }
}
