//! Keys that sign: those of the other side, for tests to hold the verifier against.

use boring::ec::EcKey;
use boring::ecdsa::EcdsaSig;
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::pkey::{PKey, PKeyRef, Private};
use boring::rsa::Padding;
use boring::sha::{sha256, sha384};
use boring::sign::{RsaPssSaltlen, Signer};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Algorithm;

/// SHA-512's length, as `rsa-pss-sha512` has it (RFC 9421 §3.3.1).
const PSS_SALT_BYTES: i32 = 64;

/// Makes signatures of one algorithm.
pub enum SigningKey {
    Pair(Algorithm, PKey<Private>),
    Secret(Hmac<Sha256>),
}

impl SigningKey {
    /// A private key of `algorithm` from PEM, not encrypted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, ErrorStack> {
        Ok(Self::Pair(algorithm, PKey::private_key_from_pem(pem)?))
    }

    /// A secret shared with the verifier, for `hmac-sha256`.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self::Secret(Hmac::new_from_slice(secret).unwrap())
    }

    /// What the key is for.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Pair(algorithm, _) => *algorithm,
            Self::Secret(_) => Algorithm::HmacSha256,
        }
    }

    /// Signs, in the form that goes into `Signature`.
    ///
    /// # Errors
    /// When the key is none for its algorithm.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        match self {
            Self::Secret(mac) => Ok(mac.clone().chain_update(message).finalize().into_bytes().to_vec()),
            Self::Pair(algorithm, key) => sign(*algorithm, key, message),
        }
    }
}

fn sign(algorithm: Algorithm, key: &PKeyRef<Private>, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    match algorithm {
        Algorithm::RsaPssSha512 => {
            let mut signer = Signer::new(MessageDigest::sha512(), key)?;
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(PSS_SALT_BYTES))?;
            signer.set_rsa_mgf1_md(MessageDigest::sha512())?;
            signer.sign_oneshot_to_vec(message)
        }
        Algorithm::EcdsaP256Sha256 => sign_ecdsa(&key.ec_key()?, &sha256(message), 32),
        Algorithm::EcdsaP384Sha384 => sign_ecdsa(&key.ec_key()?, &sha384(message), 48),
        Algorithm::Ed25519 => Signer::new_without_digest(key)?.sign_oneshot_to_vec(message),
        // A pair is never made for HMAC.
        Algorithm::RsaV15Sha256 | Algorithm::HmacSha256 => {
            Signer::new(MessageDigest::sha256(), key)?.sign_oneshot_to_vec(message)
        }
    }
}

fn sign_ecdsa(key: &EcKey<Private>, digest: &[u8], half: usize) -> Result<Vec<u8>, ErrorStack> {
    let signature = EcdsaSig::sign(digest, key)?;
    let mut bytes = padded(&signature.r().to_vec(), half);
    bytes.extend(padded(&signature.s().to_vec(), half));
    Ok(bytes)
}

/// Zeros in front, up to `length` bytes.
fn padded(number: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length.saturating_sub(number.len())];
    bytes.extend_from_slice(number);
    bytes
}
