//! Both configuration files: any text is accepted or refused, and the error fits into one line of the log.

use std::path::Path;

use loteria::config::client::{self, ClientConfig};
use loteria::config::server::{self, ServerConfig};
use loteria::config::{ConfigError, Program, Settings};
use loteria::logging::Value;

/// The bytes are a `config.ini`.
pub fn server_configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // AGENCIES_FILE would name a file of the machine that runs this.
    if text.to_ascii_uppercase().contains("AGENCIES_FILE") {
        return;
    }
    let config = settings(&server::PROGRAM, text).and_then(|settings| ServerConfig::from_settings(&settings));
    if let Some(config) = check_error(config) {
        assert!(config.limits.connections > 0 && config.limits.turn_bytes > 0);
    }
}

/// The bytes are a `config.yaml`.
pub fn client_configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // agency.credentialFile would name a file of the machine that runs this.
    let text = text.replace("credentialFile", "aFile");
    let config = settings(&client::PROGRAM, &text).and_then(|settings| ClientConfig::from_settings(&settings));
    if let Some(config) = check_error(config) {
        assert!(config.id > 0 && config.batch_max_amount > 0 && config.batch_window > 0);
    }
}

fn settings(program: &'static Program, text: &str) -> Result<Settings, ConfigError> {
    let mut settings = Settings::new(program, [("CLI_ID".to_owned(), "1".to_owned())]);
    settings.add_file(Path::new(program.file), text)?;
    Ok(settings)
}

fn check_error<T>(config: Result<T, ConfigError>) -> Option<T> {
    let error = match config {
        Ok(config) => return Some(config),
        Err(error) => error.to_string(),
    };
    assert!(!error.is_empty());
    assert!(!Value(&error).to_string().contains(['\n', '\r', '|']));
    None
}
