//! Settings as text: the environment wins over the file, the file over the default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::key::FromText;
use super::{ConfigError, Key, Program};
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
        Settings { program, environment, file: FileSettings::default(), path: PathBuf::new() }
    }

    /// Adds the settings in `text`, the program's file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::File`] if it can't be parsed.
    pub fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        path.clone_into(&mut self.path);
        let failed = |reason| ConfigError::File { path: path.to_owned(), reason };
        self.file = (self.program.parse)(text).map_err(failed)?;
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

    /// Warns of the keys of the file that the program does not have: one may be a misspelt one.
    pub fn warn_about_unknown(&self) {
        for name in self.file.values.keys().filter(|name| self.program.keys().all(|key| key.name != *name)) {
            event!(Warn, "config", success, "file": self.path.display(), "unknown_key": name);
        }
    }
}
