//! The agency's side.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;

use super::{Channel, TlsError, files};
use crate::config::ConfigError;
use crate::config::tls::TlsClient;

/// Bytes of batches that are encrypted at once: four records, sent with one call.
const CHUNK_BYTES: usize = 64 * 1024;

/// Begins the agency's side of each connection.
#[derive(Debug)]
pub struct Connector {
    server_names: Vec<ServerName<'static>>,
    config: Arc<ClientConfig>,
}

impl Connector {
    /// A connector that trusts the authorities, and has the certificate, in the files that `settings` name.
    ///
    /// # Errors
    /// The first file that can't be used, or the name of the server.
    pub fn new(settings: &TlsClient) -> Result<Connector, ConfigError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = files::authorities(&settings.ca)?;
        let parse = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| ConfigError::Invalid {
                place: "the server's name (tls.serverName, CLI_TLS_SERVER_NAME), or else the host of its address"
                    .to_owned(),
                value: name.clone(),
                valid: "a DNS name or an IP address, as the server's certificate has it".to_owned(),
            })
        };
        let server_names = settings.server_names.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let identity = settings.identity.as_ref();
        let identity = identity.map(|(certificate, key)| files::identity(certificate, key, &provider)).transpose()?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has cipher suites of TLS 1.3")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        };
        config.resumption = Resumption::disabled();
        Ok(Connector { server_names, config: Arc::new(config) })
    }

    /// Begins a connection to the server at this place of the list.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin(&self, server: usize) -> Result<Channel, TlsError> {
        // One name is the name of all.
        let name = self.server_names.get(server).unwrap_or(&self.server_names[0]);
        let connection = ClientConnection::new(Arc::clone(&self.config), name.clone());
        Ok(Channel::new(connection.map_err(|error| TlsError::Protocol(error.to_string()))?.into(), CHUNK_BYTES))
    }
}
