//! `STORAGE_URL`: the database that several servers share.
//!
//! The address is shown in the log, so a password in it is refused: it has keys of its own.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::credential::read_secret;
use super::{ConfigError, Settings};

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Its address, without a password.
    pub url: String,
    /// The password, if one is needed.
    pub password: Option<Password>,
    /// The file of certificate authorities. Without one, TLS is not used.
    pub ca_file: Option<PathBuf>,
    /// The longest time for a transaction.
    pub timeout: Duration,
}

/// A password. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password")
    }
}

/// The database that `settings` name; `None` if the bets go to a file.
pub(super) fn database(settings: &Settings) -> Result<Option<DatabaseConfig>, ConfigError> {
    // Read in any case: a wrong value is an error even where it is not needed.
    let password_file: Option<PathBuf> = settings.value("STORAGE_PASSWORD_FILE")?;
    let (ca_file, timeout) = (settings.value("STORAGE_CA_FILE")?, settings.value("STORAGE_TIMEOUT")?);
    let inline: Option<String> = settings.value("PGPASSWORD")?;
    let Some(url) = settings.value::<Option<String>>("STORAGE_URL")? else { return Ok(None) };
    let refused = |variable, reason: &str| {
        let reason = reason.to_owned();
        Err(ConfigError::Secret { name: variable, variable, reason })
    };
    if !cfg!(feature = "postgres") {
        return refused("STORAGE_URL", "this server was built without it; build it with --features postgres");
    }
    if settings.is_set("STORAGE_FILEPATH") {
        return refused(
            "STORAGE_URL",
            "can't be set together with STORAGE_FILEPATH; a round is in a file or in a database",
        );
    }
    if holds_password(&url) {
        return refused("STORAGE_URL", "has a password in it; set PGPASSWORD or STORAGE_PASSWORD_FILE instead");
    }
    let password = match (inline, password_file) {
        (inline, None) => inline.map(Password),
        (Some(_), Some(_)) => return refused("STORAGE_PASSWORD_FILE", "can't be set together with PGPASSWORD"),
        (None, Some(path)) => match read_secret(&path).map(String::from_utf8) {
            Ok(Ok(text)) => Some(Password(text.trim_end_matches(['\r', '\n']).to_owned())),
            Ok(Err(_)) => return refused("STORAGE_PASSWORD_FILE", "is not text in UTF-8"),
            Err(error) => return refused("STORAGE_PASSWORD_FILE", &error.to_string()),
        },
    };
    Ok(Some(DatabaseConfig { url, password, ca_file, timeout }))
}

/// True if `url` has a password in one of its forms: `user:password@host`, or a parameter.
fn holds_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || url.to_ascii_lowercase().contains("password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_seen_in_every_form() {
        for url in ["postgresql://a:b@h/d", "postgresql://h/d?password=b", "host=h password = b", "postgres://:b@h"] {
            assert!(holds_password(url), "{url}");
        }
        for url in ["postgresql://a@h1:5432,h2:5432/d", "host=h port=5432 user=a", "postgresql://[::1]:5432/d"] {
            assert!(!holds_password(url), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", Password("7574".to_owned())), "a password");
    }
}
