//! Settings as text: the environment wins over the file, the file over the default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::key::FromText;
use super::{ConfigError, Key, LogFormat, Program};
use crate::event;

/// A file of settings, as text.
#[derive(Default)]
pub(super) struct FileSettings {
    /// Values by the names of their keys.
    pub(super) values: BTreeMap<String, String>,
    /// Section `AGENCIES`: pairs of an agency and its credential.
    pub(super) agencies: Option<Vec<(String, String)>>,
}

/// The settings of a program as text.
pub struct Settings {
    pub(super) program: &'static Program,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) file: FileSettings,
    /// The file; empty if there is none.
    pub(super) path: PathBuf,
    /// Environment variables with the program's prefix that are no key of it.
    pub(super) unknown_variables: Vec<String>,
}

/// The text of a key, and the place it comes from.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) text: &'a str,
    pub(super) is_in_environment: bool,
}

impl Settings {
    /// The settings of `program` in these environment variables, and in no file yet.
    pub fn new(program: &'static Program, environment: impl IntoIterator<Item = (String, String)>) -> Settings {
        let environment = environment.into_iter().collect();
        let (file, path) = (FileSettings::default(), PathBuf::new());
        Settings { program, environment, file, path, unknown_variables: Vec::new() }
    }

    /// Adds the settings in `text`, the program's file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::File`] if it can't be parsed.
    pub fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        path.clone_into(&mut self.path);
        let failed = |reason| ConfigError::File { path: path.to_owned(), reason };
        self.file = (self.program.parse)(without_byte_order_mark(text)).map_err(failed)?;
        Ok(())
    }

    /// The value of the key with this `variable`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], or [`ConfigError::Missing`] if the key is needed and not set.
    ///
    /// # Panics
    /// If the program has no such key.
    pub(super) fn value<T: FromText>(&self, variable: &str) -> Result<T, ConfigError> {
        let key = self.key(variable);
        let Some(found) = self.find(key) else {
            return T::unset().ok_or_else(|| ConfigError::Missing { variable: key.variable, valid: key.kind.valid() });
        };
        let Found { text, is_in_environment } = found;
        let invalid = || ConfigError::Invalid {
            place: match is_in_environment {
                true => key.variable.to_owned(),
                false => format!("{} in {}", key.name, self.path.display()),
            },
            value: text.to_owned(),
            valid: key.kind.valid(),
        };
        T::from_text(text).filter(|_| key.kind.admits(text)).ok_or_else(invalid)
    }

    /// The form of the log's lines, which is needed before the other values are read: their errors are logged.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn log_format(&self) -> Result<LogFormat, ConfigError> {
        self.value("LOG_FORMAT")
    }

    pub(super) fn key(&self, variable: &str) -> &'static Key {
        let key = self.program.keys().find(|key| key.variable == variable);
        key.unwrap_or_else(|| panic!("{variable} is not a key of the {}", self.program.name))
    }

    /// The text of `key`, if it is set or has a default. An empty environment variable is not set.
    pub(super) fn find(&self, key: &Key) -> Option<Found<'_>> {
        let environment = self.environment.get(key.variable).map(|text| text.trim()).filter(|text| !text.is_empty());
        let file = self.file.values.get(key.name).filter(|_| !key.name.is_empty()).map(|text| text.trim());
        let text = environment.or(file).or(Some(key.default).filter(|text| !text.is_empty()))?;
        Some(Found { text, is_in_environment: environment.is_some() })
    }

    /// True if the key with this `variable` is set, and does not have its default.
    pub(super) fn is_set(&self, variable: &str) -> bool {
        let key = self.key(variable);
        self.find(key).is_some_and(|found| found.is_in_environment || self.file.values.contains_key(key.name))
    }

    /// Warns of the keys of the file, and of the variables with its prefix, that the program does not have: one may be a
    /// misspelt one.
    pub fn warn_about_unknown(&self) {
        let (program, file) = (self.program, self.path.display());
        for name in self.file.values.keys().filter(|name| program.keys().all(|key| key.name != *name)) {
            match nearest(name, program.keys().map(|key| key.name)) {
                Some(meant) => {
                    event!(Warn, "config", success, "file": file, "unknown_key": name, "did_you_mean": meant);
                }
                None => event!(Warn, "config", success, "file": file, "unknown_key": name),
            }
        }
        for name in &self.unknown_variables {
            match nearest(name, program.keys().map(|key| key.variable)) {
                Some(meant) => event!(Warn, "config", success, "unknown_variable": name, "did_you_mean": meant),
                None => event!(Warn, "config", success, "unknown_variable": name),
            }
        }
    }
}

/// The name that `name` is probably a misspelling of: at most a third of its letters differ, and their case does not count.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let distance = |other: &&str| strsim::osa_distance(&name, &other.to_lowercase());
    names.min_by_key(distance).filter(|other| distance(other) <= name.chars().count() / 3)
}

/// `text` without the mark at its beginning that some editors of Windows write.
pub(super) fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_is_told_from_another_one() {
        let names = ["SERVER_PORT", "SERVER_IP", "batch.maxAmount"];
        for (name, meant) in [
            ("SERVER_PROT", Some("SERVER_PORT")),
            ("batch.maxamount", Some("batch.maxAmount")),
            ("batch.max_amount", Some("batch.maxAmount")),
            ("COLOR", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, names.into_iter()), meant, "{name}");
        }
    }
}
