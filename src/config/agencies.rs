//! Section `AGENCIES`: the credential of each agency.
//!
//! No error shows an entry, not even the part before its `=`: the two may have been swapped by mistake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ini::Ini;
use thiserror::Error;

use super::credential::read_secret;
use super::key::whole_number;
use super::program::NOT_TEXT;
use super::settings::without_byte_order_mark;
use super::{ConfigError, Credential, InvalidCredential, Settings, ini_text};

/// The section of `config.ini`, and of the file that `AGENCIES_FILE` names, if that has sections.
const SECTION: &str = "AGENCIES";

/// An error in a section or file of credentials.
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

/// True if `name` is the section of the credentials.
pub(super) fn is_section(name: &str) -> bool {
    name.eq_ignore_ascii_case(SECTION)
}

/// The entries of section `AGENCIES` of `ini`, if it has one.
pub(super) fn entries_of(ini: &Ini) -> Option<Vec<(String, String)>> {
    let mut entries = None;
    for (_, section) in ini.iter().filter(|(name, _)| name.is_some_and(is_section)) {
        let pairs = section.iter().map(|(agency, credential)| (agency.to_owned(), credential.to_owned()));
        entries.get_or_insert_with(Vec::new).extend(pairs);
    }
    entries
}

/// The credentials in `AGENCIES_FILE`, or else in section `AGENCIES`; `None` if neither is there.
pub(super) fn credentials(settings: &Settings) -> Result<Option<BTreeMap<u32, Credential>>, ConfigError> {
    let agencies = settings.value("NUM_AGENCIES")?;
    let (path, credentials) = match (settings.value::<Option<PathBuf>>("AGENCIES_FILE")?, &settings.file.agencies) {
        (Some(path), _) => (path.clone(), read_file(&path, agencies)),
        (None, Some(entries)) => {
            let credentials = parse(entries, agencies).map_err(|fault| format!("section {SECTION}: {fault}"));
            (settings.path.clone(), credentials)
        }
        (None, None) => return Ok(None),
    };
    credentials.map(Some).map_err(|reason| ConfigError::File { path, reason })
}

/// The credentials in the section `AGENCIES` of the file at `path`, or in all of it if it has none.
fn read_file(path: &Path, agencies: u32) -> Result<BTreeMap<u32, Credential>, String> {
    let bytes = read_secret(path).map_err(|error| format!("{error}; AGENCIES_FILE must be a file that can be read"))?;
    let text = String::from_utf8(bytes).map_err(|_| NOT_TEXT)?;
    let ini = ini_text::parse(without_byte_order_mark(&text)).map_err(|error| error.to_string())?;
    let whole =
        || ini.general_section().iter().map(|(agency, secret)| (agency.to_owned(), secret.to_owned())).collect();
    parse(&entries_of(&ini).unwrap_or_else(whole), agencies).map_err(|fault| fault.to_string())
}

fn parse(entries: &[(String, String)], agencies: u32) -> Result<BTreeMap<u32, Credential>, Fault> {
    let mut credentials = BTreeMap::new();
    for (position, (agency, secret)) in (1..).zip(entries) {
        let agency = whole_number(agency).filter(|agency| (1..=agencies).contains(agency));
        let agency = agency.ok_or(Fault::NoSuchAgency { position, agencies })?;
        let credential = Credential::new(secret.as_str()).map_err(|fault| Fault::Credential { agency, fault })?;
        if credentials.insert(agency, credential).is_some() {
            return Err(Fault::Duplicate { agency });
        }
    }
    if credentials.is_empty() { Err(Fault::Empty) } else { Ok(credentials) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        let ini = Ini::load_from_str_noescape(text).expect("INI");
        parse(&entries_of(&ini).expect("a section"), 5).err()
    }

    #[test]
    fn every_entry_is_an_agency_of_the_lottery_once_with_a_credential() {
        let longest = "x".repeat(255);
        assert_eq!(fault(&format!("[AGENCIES]\n1 = uno\n5 = {longest}\n")), None);
        assert_eq!(fault("[agencies]\n1 = uno\n"), None, "a section in other letters still asks for credentials");
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
