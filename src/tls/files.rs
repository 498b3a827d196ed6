//! Certificates and keys, from files in PEM. Each file that can't be used gets one line that says why.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use thiserror::Error as ErrorText;

use crate::config::{ConfigError, read_secret};
use crate::event;

/// Days before its end from which on a certificate is warned about.
const DAYS_OF_WARNING: u32 = 30;

/// Reason why a file is of no use.
#[derive(Debug, ErrorText)]
enum FileFault {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("it holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    #[error("a certificate in it can't be used: {0}")]
    Certificate(Error),
    #[error("its key can't be used: {0}")]
    Key(Error),
    #[error("it is not the key of the certificate in {0}")]
    OtherKey(String),
    #[error("its certificate has expired; make a new one")]
    Expired,
    #[error("its certificate is not valid yet; compare the clocks")]
    NotValidYet,
}

impl FileFault {
    fn of(self, path: &Path) -> ConfigError {
        ConfigError::File { path: path.to_owned(), reason: self.to_string() }
    }
}

/// The certificates of the authorities in the file at `path`.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| FileFault::Certificate(error).of(path))?;
    }
    Ok(roots)
}

/// The chain of certificates in the file `certificate`, the own one first, and its key in the file `key`.
pub(super) fn identity(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, ConfigError> {
    let chain = certificates(certificate)?;
    let days_left = days_left(&chain[0], provider).map_err(|fault| fault.of(certificate))?;
    if let Some(days_left) = days_left {
        event!(Warn, "tls_expiry", success, "file": certificate.display(), "days_left": days_left,
            "advice": "make a new certificate before this one expires");
    }
    let bytes = read_secret(key).map_err(|error| FileFault::from(error).of(key))?;
    let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| FileFault::NoKey.of(key))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            FileFault::OtherKey(certificate.display().to_string()).of(key)
        }
        error => FileFault::Key(error).of(key),
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = read_secret(path).map_err(|error| FileFault::from(error).of(path))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes).map_while(Result::ok).collect();
    if certificates.is_empty() {
        return Err(FileFault::NoCertificate.of(path));
    }
    Ok(certificates)
}

/// Days until a certificate, which is valid now, expires, if they are few. It finds out early what every peer would say.
fn days_left(certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> Result<Option<u32>, FileFault> {
    const DAY: Duration = Duration::from_secs(86_400);
    let parsed = ParsedCertificate::try_from(certificate).map_err(FileFault::Certificate)?;
    let now = Duration::from_secs(UnixTime::now().as_secs());
    let is_valid_in = |days| check_validity(&parsed, UnixTime::since_unix_epoch(now + DAY * days), provider);
    is_valid_in(0)?;
    Ok((0..DAYS_OF_WARNING).find(|&days| is_valid_in(days + 1).is_err()))
}

/// Checks the dates of a certificate. Its issuer is not known here.
fn check_validity(
    certificate: &ParsedCertificate<'_>,
    at: UnixTime,
    provider: &CryptoProvider,
) -> Result<(), FileFault> {
    let (algorithms, no_roots) = (provider.signature_verification_algorithms.all, RootCertStore::empty());
    // With no authority at all, the dates are checked first.
    let verified =
        rustls::client::verify_server_cert_signed_by_trust_anchor(certificate, &no_roots, &[], at, algorithms);
    match verified {
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Err(FileFault::Expired)
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            Err(FileFault::NotValidYet)
        }
        _ => Ok(()),
    }
}
