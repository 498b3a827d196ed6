//! The keys of TLS, of both programs.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, Settings};

/// TLS at the server.
#[derive(Clone, Debug)]
pub struct TlsServer {
    /// File of its certificate, and of those between it and the authority.
    pub certificate: PathBuf,
    /// File of its key.
    pub key: PathBuf,
    /// File of the authority of agencies' certificates.
    pub client_ca: Option<PathBuf>,
    /// True if plain connections are refused.
    pub required: bool,
    /// Longest time for a handshake.
    pub handshake_timeout: Duration,
}

/// TLS at an agency.
#[derive(Clone, Debug)]
pub struct TlsClient {
    /// File of the authority of the server's certificate.
    pub ca: PathBuf,
    /// Files of the agency's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name in the certificate of each server of `server.address`, or one name that all of them have.
    pub server_names: Vec<String>,
}

/// Error of a key that is not set, and has to be where another is.
fn missing(variable: &'static str, with: &str) -> ConfigError {
    ConfigError::Missing { variable, valid: format!("the path of a file, when {with} is set") }
}

/// TLS as the server's settings have it; `None` without a certificate.
pub(super) fn server(settings: &Settings) -> Result<Option<TlsServer>, ConfigError> {
    let path = |variable| settings.value::<Option<PathBuf>>(variable);
    let (key, client_ca) = (path("TLS_KEY_FILE")?, path("TLS_CLIENT_CA_FILE")?);
    let required: bool = settings.value("TLS_REQUIRED")?;
    let handshake_timeout = settings.value("TLS_HANDSHAKE_TIMEOUT")?;
    let Some(certificate) = path("TLS_CERTIFICATE_FILE")? else {
        let set =
            [(key.is_some(), "TLS_KEY_FILE"), (client_ca.is_some(), "TLS_CLIENT_CA_FILE"), (required, "TLS_REQUIRED")];
        return match set.iter().find(|(is_set, _)| *is_set) {
            None => Ok(None),
            Some((_, variable)) => Err(missing("TLS_CERTIFICATE_FILE", variable)),
        };
    };
    let key = key.ok_or_else(|| missing("TLS_KEY_FILE", "TLS_CERTIFICATE_FILE"))?;
    Ok(Some(TlsServer { certificate, key, client_ca, required, handshake_timeout }))
}

/// TLS as the client's settings have it; `None` without an authority.
pub(super) fn client(settings: &Settings) -> Result<Option<TlsClient>, ConfigError> {
    let path = |variable| settings.value::<Option<PathBuf>>(variable);
    let (certificate, key) = (path("CLI_TLS_CERTIFICATE_FILE")?, path("CLI_TLS_KEY_FILE")?);
    let name: Option<String> = settings.value("CLI_TLS_SERVER_NAME")?;
    let Some(ca) = path("CLI_TLS_CA_FILE")? else {
        let set = [
            (certificate.is_some(), "tls.certificateFile"),
            (key.is_some(), "tls.keyFile"),
            (name.is_some(), "tls.serverName"),
        ];
        return match set.iter().find(|(is_set, _)| *is_set) {
            None => Ok(None),
            Some((_, name)) => Err(missing("CLI_TLS_CA_FILE", name)),
        };
    };
    let identity = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) => return Err(missing("CLI_TLS_KEY_FILE", "tls.certificateFile")),
        (None, Some(_)) => return Err(missing("CLI_TLS_CERTIFICATE_FILE", "tls.keyFile")),
    };
    let server_names = match name {
        Some(name) => vec![name],
        None => settings.value::<String>("CLI_SERVER_ADDRESS")?.split(',').map(host_of).collect(),
    };
    Ok(Some(TlsClient { ca, identity, server_names }))
}

/// The host in `host:port`. An address of IPv6 stands in brackets there, and not in a certificate.
pub fn host_of(address: &str) -> String {
    let address = address.trim();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_an_address_is_what_stands_before_its_port() {
        for (address, host) in [("server:12345", "server"), ("127.0.0.1:1", "127.0.0.1"), ("[::1]:80", "::1")] {
            assert_eq!(host_of(address), host);
        }
    }
}
