//! A configurable program: its keys, its file, `--help` and `--version`.

use std::env::VarError;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use super::settings::FileSettings;
use super::{ConfigError, Key, Settings};

/// Exit code of a program with an argument that it does not know.
const USAGE_ERROR: u8 = 2;

/// Reason for which a file that is not UTF-8 is refused.
pub(super) const NOT_TEXT: &str = "it is not text in UTF-8";

/// A program that is configured by environment variables and a file.
pub struct Program {
    /// Its name, `server` or `client`.
    pub name: &'static str,
    /// The name of its file.
    pub file: &'static str,
    /// The beginning of its environment variables, if no other program's begin so.
    pub(super) prefix: Option<&'static str>,
    /// The parser of its file.
    pub(super) parse: fn(&str) -> Result<FileSettings, String>,
    /// Its keys, in groups with a title.
    pub groups: &'static [(&'static str, &'static [Key])],
}

impl Program {
    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.groups.iter().flat_map(|(_, keys)| *keys)
    }

    /// Paths of its file, from the working directory; the first that exists is read.
    fn paths(&self) -> [String; 3] {
        let Program { name, file, .. } = self;
        [(*file).to_owned(), format!("config/{file}"), format!("config/{name}/{file}")]
    }

    /// The settings in its environment and its file.
    ///
    /// # Errors
    /// [`ConfigError::NotText`] and [`ConfigError::File`].
    pub fn settings(&'static self) -> Result<Settings, ConfigError> {
        let mut settings = Settings::new(self, []);
        for Key { variable, .. } in self.keys() {
            match env::var(variable) {
                Ok(value) => drop(settings.environment.insert((*variable).to_owned(), value)),
                Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => return Err(ConfigError::NotText { variable }),
            }
        }
        settings.unknown_variables = self.unknown_variables();
        for path in self.paths() {
            let path = Path::new(&path);
            match fs::read_to_string(path) {
                Ok(text) => {
                    settings.add_file(path, &text)?;
                    break;
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => {
                    let is_no_text = error.kind() == ErrorKind::InvalidData;
                    let reason = if is_no_text { NOT_TEXT.to_owned() } else { error.to_string() };
                    return Err(ConfigError::File { path: path.to_owned(), reason });
                }
            }
        }
        Ok(settings)
    }

    fn unknown_variables(&self) -> Vec<String> {
        let Some(prefix) = self.prefix else { return Vec::new() };
        let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(prefix) && self.keys().all(|key| key.variable != name)).collect()
    }

    /// Answers `--help` and `--version` and refuses any other argument; `None` if there is none.
    pub fn answer_arguments(&self) -> Option<ExitCode> {
        let argument = env::args_os().nth(1)?;
        let answer = match argument.to_str() {
            Some("--help" | "-h") => self.help(),
            Some("--version" | "-V") => format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION")),
            _ => {
                let name = self.name;
                eprintln!("{name}: {argument:?} is not an option; --help lists what can be configured");
                return Some(ExitCode::from(USAGE_ERROR));
            }
        };
        // A reader such as `head` may close its end early.
        let _ = io::stdout().write_all(answer.as_bytes());
        Some(ExitCode::SUCCESS)
    }

    fn help(&self) -> String {
        let mut help = format!(
            "Usage: {} [--help | --version]\n\n\
             Reads environment variables, which win, and the first of these files that exists:\n  {}\n\n\
             Durations are written as 100ms, 5s, 1.5s or 1m30s.\n\
             Exit codes: 0 done or ended by a signal, 2 a wrong argument, 78 a wrong configuration, 1 any other error.\n",
            self.name,
            self.paths().join("\n  ")
        );
        for (title, keys) in self.groups {
            // Writing to a String can't fail.
            let _ = writeln!(help, "\n{title}:");
            for Key { variable, name, default, kind, help: meaning } in *keys {
                let name = if name.is_empty() || name == variable { String::new() } else { format!(", {name}") };
                let default = if default.is_empty() { String::new() } else { format!("; default: {default}") };
                let _ = writeln!(help, "  {variable}{name} [{kind}{default}]\n      {meaning}");
            }
        }
        help
    }
}
