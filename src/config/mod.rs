//! Where a setting comes from: the environment over the file over the default.
//!
//! Each program declares its settings once, as a table of [`Key`]s; what is read, what `--help` prints and what README's
//! tables say all come from there.

mod agencies;
pub mod client;
mod duration;
pub mod server;

use std::collections::BTreeMap;
use std::env::VarError;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error;

use crate::event;

pub use duration::{parse_duration, show_duration};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// What it is when nobody says; empty if it then is not set.
    pub default: &'static str,
    /// What it means and, with units, what is valid.
    pub meaning: &'static str,
}

/// Why a program can't be configured.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value is not valid.
    #[error("{place}: {value:?} is not valid, it must be {valid}")]
    Invalid {
        /// The variable or the key and its file.
        place: String,
        /// What it says.
        value: String,
        /// What it could say.
        valid: String,
    },
    /// A value is needed and nobody gives it.
    #[error("{variable} is not set, it must be {valid}")]
    Missing {
        /// The environment variable.
        variable: &'static str,
        /// What it could say.
        valid: &'static str,
    },
    /// A secret is not valid. What it says is not shown.
    #[error("{place}: {reason}")]
    Secret {
        /// Where it is written.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable is not text. What it says is not shown: it may be a secret.
    #[error("{variable} is not text in UTF-8")]
    NotText {
        /// The environment variable.
        variable: &'static str,
    },
    /// A file can't be read or understood.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The settings of a program as somebody wrote them, before they are understood.
#[derive(Default)]
pub struct Settings {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    path: PathBuf,
    /// Section `AGENCIES` of the file, if it has one.
    agencies: Option<agencies::Entries>,
}

impl fmt::Debug for Settings {
    /// Without a value: some are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings of {} variables and {:?}", self.environment.len(), self.path)
    }
}

impl Settings {
    /// Settings from these environment variables alone.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Settings {
        Settings { environment: environment.into_iter().collect(), ..Settings::default() }
    }

    /// Adds what a file says, by the names of the keys.
    pub fn add_file(&mut self, path: &Path, values: BTreeMap<String, String>) {
        path.clone_into(&mut self.path);
        self.file = values;
    }

    /// The file that was read, if there was one.
    pub fn path(&self) -> Option<&Path> {
        (!self.path.as_os_str().is_empty()).then_some(self.path.as_path())
    }

    /// What the file says that no key of `keys` is for.
    pub fn unknown<'a>(&'a self, keys: &'a [Key]) -> impl Iterator<Item = &'a str> {
        self.file.keys().map(String::as_str).filter(|name| keys.iter().all(|key| key.name != *name))
    }

    /// The value of `key`, if it is set or has a default, understood by `parse`. An empty variable is one that is not set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if `parse` gives nothing; `valid` says what would be.
    pub fn get<T>(
        &self,
        key: &Key,
        valid: impl Into<String>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((place, value)) = self.find(key) else { return Ok(None) };
        let value = value.trim();
        match parse(value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(ConfigError::Invalid { place, value: value.to_owned(), valid: valid.into() }),
        }
    }

    /// The value of `key`, which has a default, understood by `parse`.
    ///
    /// # Errors
    /// As [`Settings::get`].
    pub fn require<T>(
        &self,
        key: &Key,
        valid: impl Into<String>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let parsed = self.get(key, valid, parse)?;
        Ok(parsed.expect("a key with a default always has a value"))
    }

    /// The whole number `key`, within `range`.
    ///
    /// # Errors
    /// As [`Settings::get`].
    pub fn number<N>(&self, key: &Key, range: std::ops::RangeInclusive<N>) -> Result<N, ConfigError>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let valid = format!("a whole number from {} to {}", range.start(), range.end());
        self.require(key, valid, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    /// The duration `key`, above 0 and at most a year.
    ///
    /// # Errors
    /// As [`Settings::get`].
    pub fn duration(&self, key: &Key) -> Result<std::time::Duration, ConfigError> {
        self.require(key, duration::VALID, parse_duration)
    }

    /// The value of `key`, if it is set, as it is written: the caller sees to it that no error shows it.
    fn secret(&self, key: &Key) -> Option<&str> {
        self.find(key).map(|(_, value)| value.trim())
    }

    fn is_in_environment(&self, key: &Key) -> bool {
        self.environment.get(key.variable).is_some_and(|value| !value.trim().is_empty())
    }

    fn find(&self, key: &Key) -> Option<(String, &str)> {
        if let Some(value) = self.environment.get(key.variable).filter(|_| self.is_in_environment(key)) {
            return Some((key.variable.to_owned(), value));
        }
        if let Some(value) = self.file.get(key.name) {
            return Some((format!("{} in {}", key.name, self.path.display()), value));
        }
        (!key.default.is_empty()).then(|| (format!("the default of {}", key.name), key.default))
    }
}

/// Reads the first of `paths` that exists.
fn read_first(paths: &[&str]) -> Result<Option<(PathBuf, String)>, ConfigError> {
    for path in paths.iter().map(Path::new) {
        match std::fs::read_to_string(path) {
            Ok(text) => return Ok(Some((path.to_owned(), text))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(ConfigError::File { path: path.to_owned(), reason: error.to_string() }),
        }
    }
    Ok(None)
}

/// The most bytes that a file of secrets may have: more than the longest credentials of as many agencies as there can be.
const MAX_SECRET_FILE_BYTES: u64 = 1 << 25;

/// What the file at `path` holds.
fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SECRET_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SECRET_FILE_BYTES {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("more than {MAX_SECRET_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

/// What the environment says of `keys`.
///
/// # Errors
/// [`ConfigError::NotText`] if one of their variables is not text.
pub fn environment<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Result<Vec<(String, String)>, ConfigError> {
    let as_text = |key: &Key| match std::env::var(key.variable) {
        Ok(value) => Some(Ok((key.variable.to_owned(), value))),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => Some(Err(ConfigError::NotText { variable: key.variable })),
    };
    keys.into_iter().filter_map(as_text).collect()
}

/// Says in the log which keys of the file nobody reads: one of them may be a misspelt one.
pub fn warn_about_unknown(settings: &Settings, keys: &[Key]) {
    for name in settings.unknown(keys) {
        let path = settings.path().unwrap_or(Path::new("the file"));
        event!(Warn, "config", success, "file": path.display(), "unknown_key": name);
    }
}

/// Answers `--help` and `--version`, and refuses any other argument: everything else is configured. `None` if there is none.
pub fn answer_arguments(program: &str, keys: &[(&str, &[Key])]) -> Option<ExitCode> {
    let argument = std::env::args_os().nth(1)?;
    match argument.to_str() {
        Some("--help" | "-h") => say(&help(program, keys)),
        Some("--version" | "-V") => say(&format!("{program} {}\n", env!("CARGO_PKG_VERSION"))),
        _ => {
            event!(Error, "exit", fail, "error": format_args!("{argument:?} is not an option; --help lists what can be configured"));
            return Some(ExitCode::FAILURE);
        }
    }
    Some(ExitCode::SUCCESS)
}

/// Prints, and does not mind if nobody reads it to its end.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn help(program: &str, keys: &[(&str, &[Key])]) -> String {
    let mut text =
        format!("Usage: {program} [--help | --version]\n\nConfigured by environment variables and a file.\n");
    for (title, keys) in keys {
        text += &format!("\n{title}:\n");
        for Key { name, variable, default, meaning } in *keys {
            let names = if name.is_empty() || name == variable {
                (*variable).to_owned()
            } else {
                format!("{variable}, {name}")
            };
            let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
            text += &format!("  {names}{default}\n      {meaning}\n");
        }
    }
    text
}
