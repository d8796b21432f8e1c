//! Certificate revocation lists (RFC 5280 section 5). BoringSSL's binding cannot hand one to its verifier, so lists are
//! read and their signatures verified here at load, and `Trust` asks [`Revocation::check`] about each certificate of a
//! chain that BoringSSL has found good.
//!
//! Nothing is skipped in silence: an issuer without a list, a list past its `nextUpdate`, and an extension that
//! is critical and not understood (delta and indirect lists have one) all fail.

use std::collections::HashSet;

use boring::hash::MessageDigest;
use boring::sign::Verifier;
use boring::x509::{X509, X509Name, X509NameRef, X509Ref, X509VerifyError};

use super::der::{self, Malformed, Reader};

/// A signature algorithm (the body of its OBJECT IDENTIFIER) and its digest; Ed25519 has none of its own.
type Algorithm = (&'static [u8], fn() -> Option<MessageDigest>);

const ALGORITHMS: [Algorithm; 7] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], || Some(MessageDigest::sha256())),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], || Some(MessageDigest::sha384())),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], || Some(MessageDigest::sha512())),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], || Some(MessageDigest::sha256())),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], || Some(MessageDigest::sha384())),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], || Some(MessageDigest::sha512())),
    (&[0x2b, 0x65, 0x70], || None),
];

const PEM_BEGIN: &str = "-----BEGIN X509 CRL-----";
const PEM_END: &str = "-----END X509 CRL-----";

/// Why a file is not a set of revocation lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    #[error("holds no revocation list, neither in PEM nor in DER")]
    Malformed,
    #[error("revocation list {0} is from an issuer that is not in `ca`")]
    UnknownIssuer(usize),
    #[error(
        "revocation list {0} is not signed by the authority in `ca` that it names, or by an algorithm not supported"
    )]
    Signature(usize),
    #[error(
        "revocation list {0} has a critical extension, as delta and indirect lists do, which are not supported"
    )]
    CriticalExtension(usize),
}

/// Revocation lists whose signatures are good.
pub(super) struct Revocation {
    lists: Vec<List>,
}

struct List {
    issuer: X509Name,
    this_update: i64,
    next_update: Option<i64>,
    /// Serial numbers without leading zeros.
    revoked: HashSet<Box<[u8]>>,
}

/// A list as it stands in the file, split but not believed.
struct Parsed<'a> {
    list: List,
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    has_critical_extension: bool,
}

impl Revocation {
    /// Reads lists issued by `authorities`, all in PEM or one in DER.
    pub(super) fn parse(file: &[u8], authorities: &[X509]) -> Result<Self, RevocationError> {
        let ders = decode(file).filter(|ders| !ders.is_empty()).ok_or(RevocationError::Malformed)?;
        let lists = ders.iter().zip(1..).map(|(der, position)| accept(der, position, authorities));
        Ok(Self { lists: lists.collect::<Result<_, _>>()? })
    }

    /// Whether `certificate`'s issuer has a list in force at `now`, and none of its lists names the certificate.
    pub(super) fn check(&self, certificate: &X509Ref, now: i64) -> Result<(), X509VerifyError> {
        let serial = certificate.serial_number().to_bn().map_err(|_| X509VerifyError::UNSPECIFIED)?.to_vec();
        let issuer = certificate.issuer_name();
        let mut verdict = Err(X509VerifyError::UNABLE_TO_GET_CRL);
        for list in self.lists.iter().filter(|list| same(&list.issuer, issuer)) {
            if list.revoked.contains(serial.as_slice()) {
                return Err(X509VerifyError::CERT_REVOKED);
            }
            if verdict.is_err() {
                verdict = list.in_force(now);
            }
        }
        verdict
    }
}

impl List {
    fn in_force(&self, now: i64) -> Result<(), X509VerifyError> {
        match self.next_update {
            _ if now < self.this_update => Err(X509VerifyError::CRL_NOT_YET_VALID),
            Some(next) if now >= next => Err(X509VerifyError::CRL_HAS_EXPIRED),
            _ => Ok(()),
        }
    }
}

/// Whether two names are equal as RFC 5280 section 7.1 compares them.
fn same(a: &X509NameRef, b: &X509NameRef) -> bool {
    a.try_cmp(b).is_ok_and(std::cmp::Ordering::is_eq)
}

fn accept(der: &[u8], position: usize, authorities: &[X509]) -> Result<List, RevocationError> {
    let parsed = split(der).map_err(|_| RevocationError::Malformed)?;
    let mut issuers =
        authorities.iter().filter(|authority| same(authority.subject_name(), &parsed.list.issuer)).peekable();
    if issuers.peek().is_none() {
        return Err(RevocationError::UnknownIssuer(position));
    }
    if !issuers.any(|issuer| signed_by(&parsed, issuer)) {
        return Err(RevocationError::Signature(position));
    }
    if parsed.has_critical_extension {
        return Err(RevocationError::CriticalExtension(position));
    }
    Ok(parsed.list)
}

fn signed_by(parsed: &Parsed<'_>, issuer: &X509Ref) -> bool {
    let Some((_, digest)) = ALGORITHMS.into_iter().find(|(algorithm, _)| *algorithm == parsed.algorithm)
    else {
        return false;
    };
    let Ok(key) = issuer.public_key() else { return false };
    let verifier = match digest() {
        Some(digest) => Verifier::new(digest, &key),
        None => Verifier::new_without_digest(&key),
    };
    verifier
        .and_then(|mut verifier| verifier.verify_oneshot(parsed.signature, parsed.signed))
        .unwrap_or(false)
}

/// `CertificateList` of RFC 5280 section 5.1.
fn split(der: &[u8]) -> Result<Parsed<'_>, Malformed> {
    let mut outer = Reader::new(Reader::new(der).expect(der::SEQUENCE)?);
    let signed = outer.any()?;
    let algorithm = Reader::new(outer.expect(der::SEQUENCE)?).expect(der::OBJECT_IDENTIFIER)?;
    let signature = outer.expect(der::BIT_STRING)?.split_first().ok_or(Malformed)?.1;

    let mut inner = Reader::new(Reader::new(signed.whole).expect(der::SEQUENCE)?);
    inner.optional(der::INTEGER)?; // version
    inner.expect(der::SEQUENCE)?; // signature algorithm, once more
    let issuer = X509Name::from_der(inner.any()?.whole).map_err(|_| Malformed)?;
    let this_update = inner.optional_time()?.ok_or(Malformed)?;
    let next_update = inner.optional_time()?;
    let mut has_critical_extension = false;
    let mut revoked = HashSet::new();
    let mut entries = Reader::new(inner.optional(der::SEQUENCE)?.unwrap_or_default());
    while !entries.at_end() {
        let mut entry = Reader::new(entries.expect(der::SEQUENCE)?);
        revoked.insert(Box::from(der::magnitude(entry.expect(der::INTEGER)?)));
        entry.optional_time()?.ok_or(Malformed)?;
        has_critical_extension |= any_critical(entry.optional(der::SEQUENCE)?)?;
    }
    if let Some(extensions) = inner.optional(der::context(0))? {
        has_critical_extension |= any_critical(Some(Reader::new(extensions).expect(der::SEQUENCE)?))?;
    }
    let list = List { issuer, this_update, next_update, revoked };
    Ok(Parsed { list, signed: signed.whole, algorithm, signature, has_critical_extension })
}

fn any_critical(extensions: Option<&[u8]>) -> Result<bool, Malformed> {
    let mut extensions = Reader::new(extensions.unwrap_or_default());
    while !extensions.at_end() {
        let mut extension = Reader::new(extensions.expect(der::SEQUENCE)?);
        extension.expect(der::OBJECT_IDENTIFIER)?;
        if extension.optional(der::BOOLEAN)?.is_some_and(|critical| critical != [0]) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn decode(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    if file.first() == Some(&der::SEQUENCE) {
        return Some(vec![file.to_vec()]);
    }
    let text = std::str::from_utf8(file).ok()?;
    let blocks = text.split(PEM_BEGIN).skip(1);
    let ders = blocks.map(|block| {
        let (base64, _) = block.split_once(PEM_END)?;
        boring::base64::decode_block(&base64.split_whitespace().collect::<String>()).ok()
    });
    ders.collect()
}

#[cfg(test)]
mod tests;
