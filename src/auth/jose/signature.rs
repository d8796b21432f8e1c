//! One signature, checked by one key, by the algorithm that both are for (RFC 7518 section 3, RFC 8037 section 3.1).
//!
//! A key's material and the algorithm are matched as a pair, so there is no path from one kind of key to another kind's
//! algorithm. Lengths are checked before anything is computed. BoringSSL's queue of errors, which belongs to the thread
//! and which TLS connections on it look at, is left empty.

use boring::bn::BigNum;
use boring::ec::EcKey;
use boring::ecdsa::EcdsaSig;
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::hmac::Hmac;
use boring::pkey::{PKey, Public};
use boring::rsa::Padding;
use boring::sha;
use boring::sign::{RsaPssSaltlen, Verifier};

use super::algorithm::{Algorithm, Hash};
use super::key::{Key, Material};

impl Key {
    /// Whether `signature` is one of this key over `signed`. Also `false` when the key is not for the algorithm.
    pub(in crate::auth) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.algorithms().contains(algorithm) {
            return false;
        }
        match self.material() {
            Material::Rsa { key, bytes } => {
                signature.len() == *bytes && rsa(key, algorithm, signed, signature)
            }
            Material::Ec { key, algorithm } => ecdsa(key, *algorithm, signed, signature),
            Material::Ed25519(key) => signature.len() == 64 && ed25519(key, signed, signature),
            Material::Secret(secret) => {
                mac(secret, algorithm, signed).is_ok_and(|expected| is_same(&expected, signature))
            }
        }
    }
}

fn rsa(key: &PKey<Public>, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let verify = || {
        let mut verifier = Verifier::new(algorithm.hash().digest(), key)?;
        if algorithm.is_pss() {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            verifier.set_rsa_mgf1_md(algorithm.hash().digest())?;
        }
        verifier.verify_oneshot(signature, signed)
    };
    settled(verify())
}

/// The signature is `r` and `s`, each as long as the order of the curve (RFC 7518 section 3.4), not DER. BoringSSL
/// refuses zero and whatever is not below the order, which would verify for every message.
fn ecdsa(key: &EcKey<Public>, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let half = ecdsa_half(algorithm);
    if signature.len() != 2 * half {
        return false;
    }
    let (r, s) = signature.split_at(half);
    let verify = || {
        let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
        match algorithm.hash() {
            Hash::Sha256 => signature.verify(&sha::sha256(signed), key),
            Hash::Sha384 => signature.verify(&sha::sha384(signed), key),
            Hash::Sha512 => signature.verify(&sha::sha512(signed), key),
        }
    };
    settled(verify())
}

/// Bytes of each half of an ECDSA signature.
pub(super) fn ecdsa_half(algorithm: Algorithm) -> usize {
    match algorithm {
        // An order of 521 bits.
        Algorithm::Es512 => 66,
        _ => algorithm.hash().bytes(),
    }
}

fn ed25519(key: &PKey<Public>, signed: &[u8], signature: &[u8]) -> bool {
    settled(
        Verifier::new_without_digest(key).and_then(|mut verifier| verifier.verify_oneshot(signature, signed)),
    )
}

/// A failed check may have left its reasons in the queue.
fn settled(outcome: Result<bool, ErrorStack>) -> bool {
    let is_good = outcome.unwrap_or(false);
    if !is_good {
        _ = ErrorStack::get();
    }
    is_good
}

/// The MAC of an HMAC algorithm.
pub(super) fn mac(secret: &[u8], algorithm: Algorithm, signed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut hmac = Hmac::init(secret, &algorithm.hash().digest())?;
    hmac.update(signed)?;
    hmac.finalize()
}

/// In a time that depends on the lengths alone, and those are public.
pub(in crate::auth) fn is_same(expected: &[u8], found: &[u8]) -> bool {
    expected.len() == found.len() && boring::memcmp::eq(expected, found)
}

impl Algorithm {
    pub(super) fn is_pss(self) -> bool {
        matches!(self, Self::Ps256 | Self::Ps384 | Self::Ps512)
    }
}

impl Hash {
    pub(in crate::auth) fn digest(self) -> MessageDigest {
        match self {
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }
}
