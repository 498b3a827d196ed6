//! The address of the database: hosts, user, password and TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::DatabaseConfig;

/// Longest time to connect to one host.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A silence after which the system asks whether the database is alive,
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(3);
/// this often,
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// and so many times.
pub(super) const KEEPALIVE_PROBES: u32 = 3;
/// Longest time that sent bytes may stay unacknowledged: what keep-alive does not see.
pub(super) const USER_TIMEOUT: Duration = Duration::from_secs(9);

/// Reason why `STORAGE_URL` names no database.
#[derive(Debug, Error)]
pub enum AddressError {
    /// It is none.
    #[error("STORAGE_URL is not the address of a database, as in postgresql://user@host1:5432,host2:5432/loteria: {0}")]
    Invalid(String),
    /// It asks for TLS, and there is nothing to check a certificate against.
    #[error("STORAGE_URL asks for TLS; set STORAGE_CA_FILE to the authorities that the database is checked against")]
    NoAuthorities,
    /// The authorities can't be read.
    #[error("{}: {reason}; STORAGE_CA_FILE must be a file of certificates in PEM", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// A database, ready to connect to.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Longest time for a transaction.
    pub(super) timeout: Duration,
}

impl Address {
    /// The database that `database` names.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn new(database: &DatabaseConfig) -> Result<Address, AddressError> {
        let mut config: Config = database.url.parse().map_err(|error: tokio_postgres::Error| {
            AddressError::Invalid(std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string))
        })?;
        if config.get_hosts().is_empty() {
            return Err(AddressError::Invalid("no host".to_owned()));
        }
        let tls = match &database.ca_file {
            Some(path) => {
                let failed = |reason| AddressError::Authorities { path: path.clone(), reason };
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(client_config(path).map_err(failed)?))
            }
            None if config.get_ssl_mode() == SslMode::Require => return Err(AddressError::NoAuthorities),
            None => {
                config.ssl_mode(SslMode::Disable);
                None
            }
        };
        if let Some(password) = &database.password {
            config.password(password.as_str());
        }
        config
            .application_name("loteria")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(USER_TIMEOUT)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_PROBES);
        Ok(Address { config, tls, timeout: database.timeout })
    }
}

/// TLS as a client that trusts the authorities in the file at `path`.
fn client_config(path: &PathBuf) -> Result<ClientConfig, String> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        authorities.add(certificate).map_err(|error| error.to_string())?;
    }
    if authorities.is_empty() {
        return Err("no certificate".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(authorities).with_no_client_auth())
}
