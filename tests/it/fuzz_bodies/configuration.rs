//! Both configuration files: any text is accepted or refused, and the error fits into one line of the log.

use std::path::Path;

use loteria::config::client::{self, ClientConfig};
use loteria::config::server::{self, ServerConfig};
use loteria::config::{ConfigError, Settings};
use loteria::logging::Value;

/// The bytes are a `config.ini`.
pub fn server_configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // AGENCIES_FILE would name a file of the machine that runs this.
    if text.to_ascii_uppercase().contains("AGENCIES_FILE") {
        return;
    }
    let mut settings = Settings::new([]);
    let config = server::add_ini(&mut settings, Path::new("config.ini"), text)
        .and_then(|()| ServerConfig::from_settings(&settings));
    match config {
        Ok(config) => assert!(config.limits.connections > 0 && config.limits.turn_bytes > 0),
        Err(error) => check_error(&error),
    }
}

/// The bytes are a `config.yaml`.
pub fn client_configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // agency.credentialFile would name a file of the machine that runs this.
    let text = text.replace("credentialFile", "aFile");
    match client::parse_yaml(&text) {
        Err(reason) => check_line(&reason),
        Ok(values) => {
            let mut settings = Settings::new([("CLI_ID".to_owned(), "1".to_owned())]);
            settings.add_file(Path::new("config.yaml"), values);
            match ClientConfig::from_settings(&settings) {
                Ok(config) => assert!(config.id > 0 && config.batch_max_amount > 0 && config.batch_window > 0),
                Err(error) => check_error(&error),
            }
        }
    }
}

fn check_error(error: &ConfigError) {
    check_line(&error.to_string());
}

fn check_line(text: &str) {
    assert!(!text.is_empty());
    assert!(!Value(text).to_string().contains(['\n', '\r', '|']));
}
