//! A private authority and the certificates that it issues: for `loteria certificates`, and for the tests.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SerialNumber, SignatureAlgorithm, date_time_ymd,
};

pub use rcgen::Error;

/// The names under which a server is reached on its own machine and in its Compose network.
pub const SERVER_NAMES: [&str; 4] = ["server", "localhost", "127.0.0.1", "::1"];

const DAY: i64 = 86_400;
/// An authority outlives the certificates that it issues.
const AUTHORITY_DAYS: i64 = 3650;

/// The kind of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// ECDSA over P-256, which every TLS library and browser takes.
    P256,
    /// Ed25519, whose signatures all have the same length: the simulator needs that.
    Ed25519,
}

impl Keys {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Keys::P256 => &PKCS_ECDSA_P256_SHA256,
            Keys::Ed25519 => &PKCS_ED25519,
        }
    }
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A party that a certificate is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its common name.
    pub name: &'a str,
    /// Its DNS names and IP addresses.
    pub names: &'a [&'a str],
    /// True for a server, false for an agency.
    pub is_server: bool,
    /// Days from now until the certificate expires. If negative, it has.
    pub days: i64,
}

/// A private authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    keys: Keys,
    own: Certified,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(keys: Keys) -> Result<Authority, Error> {
        let key = KeyPair::generate_for(keys.algorithm())?;
        let params = authority_params(&key);
        let certificate = params.self_signed(&key)?.pem();
        let own = Certified { certificate, key: key.serialize_pem() };
        Ok(Authority { issuer: Issuer::new(params, key), keys, own })
    }

    /// The authority that was made before, with keys of the kind [`Keys::P256`].
    ///
    /// # Errors
    /// `own` holds no key.
    pub fn load(own: Certified) -> Result<Authority, Error> {
        let key = KeyPair::from_pem(&own.key)?;
        Ok(Authority { issuer: Issuer::new(authority_params(&key), key), keys: Keys::P256, own })
    }

    /// Its own certificate and key.
    pub fn own(&self) -> &Certified {
        &self.own
    }

    /// Issues a certificate with a new key.
    ///
    /// # Errors
    /// A name that no certificate can have.
    pub fn issue(&self, subject: Subject<'_>) -> Result<Certified, Error> {
        let names: Vec<String> = subject.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(subject.name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match subject.is_server {
            true => ExtendedKeyUsagePurpose::ServerAuth,
            false => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let key = KeyPair::generate_for(self.keys.algorithm())?;
        params.serial_number = Some(serial_of(&key));
        // The clocks of two machines differ.
        params.not_before = at(-DAY + subject.days.min(0) * DAY);
        params.not_after = at(subject.days * DAY);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certified { certificate, key: key.serialize_pem() })
    }
}

/// Two authorities have two names, or a certificate of one would be taken for a forged one of the other.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id: String = random_part(key)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = named(&format!("private authority {id}"));
    params.serial_number = Some(serial_of(key));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (at(-DAY), at(AUTHORITY_DAYS * DAY));
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "Loteria Nacional");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// 15 bytes of the key, which is random, behind a byte that is neither 0 nor negative: all serial numbers have one length.
fn serial_of(key: &KeyPair) -> SerialNumber {
    SerialNumber::from_slice(&[&[0x4c], random_part(key)].concat())
}

fn random_part(key: &KeyPair) -> &[u8] {
    let bytes = key.public_key_raw();
    &bytes[bytes.len() - 15..]
}

/// The moment so many seconds from now.
fn at(seconds: i64) -> time::OffsetDateTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    date_time_ymd(1970, 1, 1) + now + time::Duration::seconds(seconds)
}
