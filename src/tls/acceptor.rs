//! The server's side.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use super::{Channel, TlsError, files};
use crate::config::ConfigError;
use crate::config::tls::TlsServer;

/// Bytes of replies that are encrypted at once. Nearly all are shorter.
const CHUNK_BYTES: usize = 8 * 1024;

/// Begins the server's side of each connection.
#[derive(Clone, Debug)]
pub struct Acceptor {
    settings: TlsServer,
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// An acceptor with the certificates in the files that `settings` name.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn new(settings: TlsServer) -> Result<Acceptor, ConfigError> {
        let config = read(&settings)?;
        Ok(Acceptor { settings, config })
    }

    /// Reads the files again. Connections that have begun keep what they began with.
    ///
    /// # Errors
    /// The first file that can't be used. Nothing is changed then.
    pub fn read_again(&mut self) -> Result<(), ConfigError> {
        self.config = read(&self.settings)?;
        Ok(())
    }

    /// True if every connection must begin with a handshake.
    pub fn is_required(&self) -> bool {
        self.settings.required
    }

    /// The longest time for a handshake.
    pub fn handshake_timeout(&self) -> Duration {
        self.settings.handshake_timeout
    }

    /// Begins a connection.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin(&self) -> Result<Channel, TlsError> {
        let connection = ServerConnection::new(Arc::clone(&self.config));
        Ok(Channel::new(connection.map_err(|error| TlsError::Protocol(error.to_string()))?.into(), CHUNK_BYTES))
    }
}

fn read(settings: &TlsServer) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let identity = files::identity(&settings.certificate, &settings.key, &provider)?;
    let verifier: Arc<dyn ClientCertVerifier> = match &settings.client_ca {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => {
            let roots = Arc::new(files::authorities(path)?);
            // An agency without a certificate may still have a credential; the core asks for one of the two.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
            let verifier = verifier.allow_unauthenticated().build();
            verifier.map_err(|error| ConfigError::File { path: path.clone(), reason: error.to_string() })?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has cipher suites of TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    // An agency connects once a round: resuming sessions would save nothing, and costs memory.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

impl Channel {
    /// The agency that the certificate of the peer names: its only name of the form `agency-N`. `Err` if it has a
    /// certificate that names no agency, or several.
    pub fn agency(&self) -> Option<Result<u32, NoAgencyName>> {
        let certificate = webpki::EndEntityCert::try_from(self.peer_certificate()?).ok();
        let names = certificate.iter().flat_map(|certificate| certificate.valid_dns_names());
        let agencies: Vec<u32> = names.filter_map(agency_of).collect();
        Some(if let [agency] = agencies[..] { Ok(agency) } else { Err(NoAgencyName) })
    }
}

/// A certificate that does not name one agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAgencyName;

fn agency_of(name: &str) -> Option<u32> {
    let number = name.strip_prefix("agency-")?;
    number.parse().ok().filter(|agency: &u32| agency.to_string() == number)
}

#[cfg(test)]
mod tests {
    use super::agency_of;

    #[test]
    fn an_agency_has_one_name() {
        assert_eq!(agency_of("agency-3"), Some(3));
        for name in ["agency-", "agency-03", "agency-+3", "agency-3.", "Agency-3", "agency-3x", "x.agency-3", "server"]
        {
            assert_eq!(agency_of(name), None, "{name}");
        }
    }
}
