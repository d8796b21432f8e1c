//! A certificate with its chain, key and OCSP response, read from files and checked as a whole: what a [`Certificate`]
//! holds fits together. Its validity period is told, not enforced: a proxy that refused to start over an expired
//! certificate would turn a warning into an outage. Whoever loads it looks at [`Certificate::validity`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boring::asn1::Asn1TimeRef;
use boring::pkey::{PKey, Private};
use boring::x509::{X509, X509Ref};

use super::der;
use super::key::KeyKind;
use super::ocsp::{self, Staple};

/// Where a certificate's parts are.
#[derive(Debug, Clone)]
pub(super) struct PairFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ocsp: Option<PathBuf>,
}

/// A certificate that can be served, or shown to an upstream.
pub struct Certificate {
    pub(super) source: PathBuf,
    /// The certificate itself, then its issuers in turn. Never empty.
    pub(super) chain: Vec<X509>,
    pub(super) key: PKey<Private>,
    pub(super) kind: KeyKind,
    pub(super) staple: Option<Staple>,
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

/// How a certificate's validity period lies to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Valid,
    NotYet,
    Expired,
}

/// Why files do not make a certificate. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("{} holds no certificate in PEM{hint}", path.display())]
    NoCertificate { path: PathBuf, hint: &'static str },
    #[error(
        "{}: certificate {position} did not issue the one before it, as each has to in a chain",
        path.display()
    )]
    ChainOrder { path: PathBuf, position: usize },
    #[error("{} holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    #[error("the key in {} is encrypted: store it decrypted, readable by the service's user alone", .0.display())]
    EncryptedKey(PathBuf),
    #[error("the key in {} is {reason}", path.display())]
    UnfitKey { path: PathBuf, reason: String },
    #[error("the key in {} is not the one of the certificate in {}", key.display(), cert.display())]
    KeyMismatch { cert: PathBuf, key: PathBuf },
    #[error("{} has no readable validity period", .0.display())]
    NoPeriod(PathBuf),
    #[error("{}: {reason}", path.display())]
    Ocsp { path: PathBuf, reason: ocsp::OcspError },
}

impl Certificate {
    /// Reads and checks a certificate.
    ///
    /// # Errors
    /// When a file cannot be read, the key is encrypted, weak or not the certificate's, the chain is out of order, or
    /// the OCSP response is not a good one for this certificate.
    pub(super) fn load(files: &PairFiles) -> Result<Self, CertificateError> {
        let chain = read_chain(&files.cert)?;
        let key = read_key(&files.key)?;
        let mut certificate = Self::new(files.cert.clone(), chain, key).map_err(|unfit| unfit.of(files))?;
        if let Some(path) = &files.ocsp {
            let staple = Staple::parse(read(path)?, certificate.leaf())
                .map_err(|reason| CertificateError::Ocsp { path: path.clone(), reason })?;
            certificate.staple = Some(staple);
        }
        Ok(certificate)
    }

    /// A certificate from its parts; `chain` must not be empty.
    pub(super) fn new(source: PathBuf, chain: Vec<X509>, key: PKey<Private>) -> Result<Self, Unfit> {
        let leaf = chain.first().ok_or(Unfit::Empty)?;
        let kind = KeyKind::of(&key).map_err(Unfit::Key)?;
        if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
            return Err(Unfit::Mismatch);
        }
        let time = |time: &Asn1TimeRef| der::unix_seconds(time).ok_or(Unfit::Period);
        let (not_before, not_after) = (time(leaf.not_before())?, time(leaf.not_after())?);
        let names = subject_names(leaf);
        Ok(Self { source, chain, key, kind, staple: None, names, not_before, not_after })
    }

    /// The file it came from, or `self-signed`. Fit for a log line or a metric's label.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Its subject alternative names: DNS names in lower case, IP addresses as text. The common name is not one
    /// (RFC 9525 section 2).
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// End of its validity, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// How its validity period lies to `now`, in seconds since 1970.
    pub fn validity(&self, now: i64) -> Validity {
        match now {
            _ if now < self.not_before => Validity::NotYet,
            _ if now > self.not_after => Validity::Expired,
            _ => Validity::Valid,
        }
    }

    /// The certificate itself and its issuers.
    pub(super) fn split(&self) -> Option<(&X509, &[X509])> {
        self.chain.split_first()
    }

    fn leaf(&self) -> Option<&X509Ref> {
        self.chain.first().map(AsRef::as_ref)
    }
}

/// Why parts do not make a certificate, before any file is known.
pub(super) enum Unfit {
    Empty,
    Key(String),
    Mismatch,
    Period,
}

impl Unfit {
    fn of(self, files: &PairFiles) -> CertificateError {
        match self {
            Self::Empty => CertificateError::NoCertificate { path: files.cert.clone(), hint: "" },
            Self::Key(reason) => CertificateError::UnfitKey { path: files.key.clone(), reason },
            Self::Mismatch => {
                CertificateError::KeyMismatch { cert: files.cert.clone(), key: files.key.clone() }
            }
            Self::Period => CertificateError::NoPeriod(files.cert.clone()),
        }
    }
}

/// All certificates in a PEM file, in any order: authorities to trust.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<X509>, CertificateError> {
    let pem = read(path)?;
    match X509::stack_from_pem(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ if memchr::memmem::find(&pem, b"PRIVATE KEY").is_some() => {
            Err(CertificateError::NoCertificate { path: path.to_owned(), hint: ", but a private key" })
        }
        // A SEQUENCE with a length of two bytes, as every certificate in DER begins.
        _ if pem.starts_with(&[0x30, 0x82]) => {
            let hint = ", but DER: convert it with `openssl x509 -inform der`";
            Err(CertificateError::NoCertificate { path: path.to_owned(), hint })
        }
        _ => Err(CertificateError::NoCertificate { path: path.to_owned(), hint: "" }),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|reason| CertificateError::Unreadable { path: path.to_owned(), reason })
}

fn read_chain(path: &Path) -> Result<Vec<X509>, CertificateError> {
    let chain = read_authorities(path)?;
    let broken =
        chain.windows(2).position(|pair| !matches!(pair, [subject, issuer] if issued(issuer, subject)));
    match broken {
        Some(index) => Err(CertificateError::ChainOrder { path: path.to_owned(), position: index + 2 }),
        None => Ok(chain),
    }
}

fn issued(issuer: &X509Ref, subject: &X509Ref) -> bool {
    issuer.issued(subject).is_ok()
        && issuer.public_key().and_then(|key| subject.verify(&key)).unwrap_or(false)
}

fn read_key(path: &Path) -> Result<PKey<Private>, CertificateError> {
    let pem = read(path)?;
    let says = |marker: &[u8]| memchr::memmem::find(&pem, marker).is_some();
    if says(b"BEGIN ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") {
        return Err(CertificateError::EncryptedKey(path.to_owned()));
    }
    PKey::private_key_from_pem(&pem).map_err(|_| CertificateError::NoKey(path.to_owned()))
}

fn subject_names(leaf: &X509Ref) -> Vec<String> {
    let names = leaf.subject_alt_names();
    let names = names.iter().flatten().filter_map(|name| match (name.dnsname(), name.ipaddress()) {
        (Some(name), _) => Some(name.to_ascii_lowercase()),
        (None, Some(octets)) => address(octets).map(|address| address.to_string()),
        (None, None) => None,
    });
    names.collect()
}

fn address(octets: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(Into::into);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(Into::into)).ok()
}

#[cfg(test)]
mod tests;
