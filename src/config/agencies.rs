//! Section `AGENCIES`: which agencies may speak, and the credential of each.
//!
//! No error says what an entry holds, nor even what stands before its `=`: somebody may have written it the wrong way round.

use std::collections::BTreeMap;
use std::path::Path;

use ini::Ini;
use thiserror::Error;

use super::{ConfigError, read_secret};
use crate::central::credentials::Credentials;
use crate::protocol::{Credential, InvalidCredential};

/// The section of `config.ini`, and of a file of credentials, if that has sections.
const SECTION: &str = "AGENCIES";

/// What a section says, before it is understood: entries as `agency = credential`.
pub(super) type Entries = Vec<(String, String)>;

/// What is wrong with a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum Fault {
    #[error("it names no agency")]
    Empty,
    #[error("its entry {position} is not for an agency from 1 to {agencies}, as NUM_AGENCIES has it")]
    NoSuchAgency { position: usize, agencies: u32 },
    #[error("agency {agency} has more than one entry")]
    Duplicate { agency: u32 },
    #[error("the credential of agency {agency} {fault}")]
    Credential { agency: u32, fault: InvalidCredential },
}

/// Whether the section of this name is that of the agencies.
pub(super) fn is_section(name: &str) -> bool {
    name.eq_ignore_ascii_case(SECTION)
}

/// The entries of section `AGENCIES` of `ini`, if it has one.
pub(super) fn entries_of(ini: &Ini) -> Option<Entries> {
    let sections: Vec<_> =
        ini.iter().filter(|(name, _)| name.is_some_and(is_section)).map(|(_, entries)| entries).collect();
    let entry = |(agency, credential): (&str, &str)| (agency.to_owned(), credential.to_owned());
    let entries = || sections.iter().flat_map(|entries| entries.iter().map(entry)).collect();
    (!sections.is_empty()).then(entries)
}

/// The credentials in the file at `path`: its section `AGENCIES`, or all of it if it has none.
pub(super) fn read_file(path: &Path, agencies: u32) -> Result<Credentials, ConfigError> {
    let failed = |reason: &str| ConfigError::File { path: path.to_owned(), reason: reason.to_owned() };
    let bytes = read_secret(path)
        .map_err(|error| failed(&format!("{error}; AGENCIES_FILE must be a file that can be read")))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8"))?;
    let ini = Ini::load_from_str_noescape(&text).map_err(|error| failed(&error.to_string()))?;
    let general =
        || ini.general_section().iter().map(|(agency, secret)| (agency.to_owned(), secret.to_owned())).collect();
    understand(&entries_of(&ini).unwrap_or_else(general), agencies).map_err(|fault| failed(&fault.to_string()))
}

/// The credentials that the section of `config.ini` at `path` says.
pub(super) fn understand_section(path: &Path, entries: &Entries, agencies: u32) -> Result<Credentials, ConfigError> {
    let failed = |fault| ConfigError::File { path: path.to_owned(), reason: format!("section {SECTION}: {fault}") };
    understand(entries, agencies).map_err(failed)
}

fn understand(entries: &Entries, agencies: u32) -> Result<Credentials, Fault> {
    let mut credentials = BTreeMap::new();
    for (position, (agency, secret)) in (1..).zip(entries) {
        let agency = number(agency).filter(|agency| (1..=agencies).contains(agency));
        let agency = agency.ok_or(Fault::NoSuchAgency { position, agencies })?;
        let credential = Credential::new(secret.as_str()).map_err(|fault| Fault::Credential { agency, fault })?;
        if credentials.insert(agency, credential).is_some() {
            return Err(Fault::Duplicate { agency });
        }
    }
    if credentials.is_empty() { Err(Fault::Empty) } else { Ok(Credentials::new(credentials)) }
}

/// Digits only: no sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        let ini = Ini::load_from_str_noescape(text).expect("INI");
        understand(&entries_of(&ini).expect("a section"), 5).err()
    }

    #[test]
    fn every_entry_is_an_agency_of_the_lottery_once_with_a_credential() {
        let longest = "x".repeat(255);
        assert_eq!(fault(&format!("[AGENCIES]\n1 = uno\n5 = {longest}\n")), None);
        assert_eq!(fault("[agencies]\n1 = uno\n"), None, "whoever misspells it did not mean that everybody may speak");
        assert_eq!(fault("[AGENCIES]\n"), Some(Fault::Empty));
        for entry in ["0 = uno", "6 = uno", "+1 = uno", "uno = 1", "4294967297 = uno", "-1 = uno", "1 2 = uno"] {
            let expected = Fault::NoSuchAgency { position: 2, agencies: 5 };
            assert_eq!(fault(&format!("[AGENCIES]\n1 = x\n{entry}\n")), Some(expected), "{entry}");
        }
        for text in
            ["[AGENCIES]\n1 = uno\n1 = dos\n", "[AGENCIES]\n1 = uno\n01 = dos\n", "[AGENCIES]\n1=a\n[AGENCIES]\n1=b\n"]
        {
            assert_eq!(fault(text), Some(Fault::Duplicate { agency: 1 }), "{text}");
        }
        let faulty = |fault| Some(Fault::Credential { agency: 2, fault });
        assert_eq!(fault("[AGENCIES]\n2 =\n"), faulty(InvalidCredential::Empty));
        assert_eq!(fault(&format!("[AGENCIES]\n2 = {longest}x\n")), faulty(InvalidCredential::TooLong));
    }
}
