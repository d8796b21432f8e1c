//! Keys of HTTP message signatures, each pinned to one algorithm (RFC 9421 §3.3).
//!
//! The algorithm belongs to the key and never to the request, so no request can have a public key read as a shared
//! secret, or choose the weaker of two paddings. Weak keys are refused when the policy is read: RSA below 2048 bits,
//! secrets shorter than the 32 bytes that HMAC-SHA-256 gives out (RFC 2104 §3). What verifies is the key of a token under
//! another name of its algorithm: each of these makes the signatures of one in JOSE.

use std::fmt;

use boring::ec::EcKey;
use boring::ecdsa::EcdsaSig;
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{HasPublic, Id, PKey, PKeyRef, Private};
use boring::rsa::Padding;
use boring::sha::{sha256, sha384};
use boring::sign::{RsaPssSaltlen, Signer};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::auth::jose;

/// SHA-512's length, as `rsa-pss-sha512` has it (RFC 9421 §3.3.1).
const PSS_SALT_BYTES: i32 = 64;
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;
const SHORTEST_SECRET_BYTES: usize = 32;

/// The algorithms of the registry that RFC 9421 §6.2.2 starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    RsaPssSha512,
    RsaV15Sha256,
    HmacSha256,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    Ed25519,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RsaPssSha512,
        Self::RsaV15Sha256,
        Self::HmacSha256,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::Ed25519,
    ];

    /// The registered name, as the `alg` parameter has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
            Self::HmacSha256 => "hmac-sha256",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The same by its name in JOSE: these make the same signatures (RFC 7518 section 3, RFC 8037 section 3.1).
    const fn in_jose(self) -> jose::Algorithm {
        match self {
            Self::RsaPssSha512 => jose::Algorithm::Ps512,
            Self::RsaV15Sha256 => jose::Algorithm::Rs256,
            Self::HmacSha256 => jose::Algorithm::Hs256,
            Self::EcdsaP256Sha256 => jose::Algorithm::Es256,
            Self::EcdsaP384Sha384 => jose::Algorithm::Es384,
            Self::Ed25519 => jose::Algorithm::EdDsa,
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key cannot be read")]
    Unreadable(#[source] ErrorStack),
    #[error("the key is not one for {}", .0.name())]
    WrongKind(Algorithm),
    #[error("an RSA key of {0} bits is not within 2048 and 8192")]
    RsaSize(u32),
    #[error("a shared secret needs at least 32 bytes")]
    ShortSecret,
    #[error(transparent)]
    Jose(#[from] jose::KeyError),
    #[error("the key is for no algorithm of RFC 9421")]
    NoAlgorithm,
    #[error("the key is good for several algorithms: name the one")]
    SeveralAlgorithms,
}

/// Verifies signatures of one algorithm.
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: jose::Key,
}

/// Makes signatures of one algorithm.
pub struct SigningKey(Material);

enum Material {
    Pair(Algorithm, PKey<Private>),
    Secret(Hmac<Sha256>),
}

impl VerifyingKey {
    /// A public key from PEM: `PUBLIC KEY`, `RSA PUBLIC KEY` (PKCS#1), or that of a `CERTIFICATE`.
    ///
    /// # Errors
    /// When it cannot be read, is too weak, or is of another kind than `algorithm` takes.
    pub fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_jose(jose::Key::from_pem(pem, None, None)?, Some(algorithm))
    }

    /// A secret shared with the signer, for `hmac-sha256`.
    ///
    /// # Errors
    /// When it is shorter than 32 bytes.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        Self::from_jose(jose::Key::secret(secret, None, None)?, Some(Algorithm::HmacSha256))
    }

    /// A key that was read elsewhere, for `named`, or else for the one algorithm that it can be for: RFC 9421 says nothing of
    /// JWKs, but their `alg`, or the curve, does.
    ///
    /// # Errors
    /// When it is not for `named`, for none of the algorithms, or for several.
    pub fn from_jose(key: jose::Key, named: Option<Algorithm>) -> Result<Self, KeyError> {
        let fits = |algorithm: &Algorithm| key.algorithms().contains(algorithm.in_jose());
        let mut fitting = Algorithm::ALL.into_iter().filter(fits);
        let algorithm = match (named, fitting.next(), fitting.next()) {
            (Some(named), ..) if fits(&named) => named,
            (Some(named), ..) => return Err(KeyError::WrongKind(named)),
            (None, Some(only), None) => only,
            (None, None, _) => return Err(KeyError::NoAlgorithm),
            (None, Some(_), Some(_)) => return Err(KeyError::SeveralAlgorithms),
        };
        Ok(Self { algorithm, key })
    }

    /// What the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is one of `message` by this key. A MAC is compared in constant time.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verifies(self.algorithm.in_jose(), message, signature)
    }
}

impl SigningKey {
    /// A private key from PEM, not encrypted.
    ///
    /// # Errors
    /// When it cannot be read, is too short, or is of another kind than `algorithm` takes.
    pub fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        let key = PKey::private_key_from_pem(pem).map_err(KeyError::Unreadable)?;
        check_kind(algorithm, &key)?;
        Ok(Self(Material::Pair(algorithm, key)))
    }

    /// A secret shared with the verifier, for `hmac-sha256`.
    ///
    /// # Errors
    /// When it is shorter than 32 bytes.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        shared(secret).map(Self)
    }

    /// What the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    /// Signs, in the form that goes into `Signature`.
    ///
    /// # Errors
    /// When the library fails, which no message makes it do.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        match &self.0 {
            Material::Secret(mac) => Ok(mac.clone().chain_update(message).finalize().into_bytes().to_vec()),
            Material::Pair(algorithm, key) => sign(*algorithm, key, message),
        }
    }
}

impl Material {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Pair(algorithm, _) => *algorithm,
            Self::Secret(_) => Algorithm::HmacSha256,
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.algorithm().name())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.algorithm().name())
    }
}

fn shared(secret: &[u8]) -> Result<Material, KeyError> {
    if secret.len() < SHORTEST_SECRET_BYTES {
        return Err(KeyError::ShortSecret);
    }
    // HMAC takes secrets of any length.
    Hmac::new_from_slice(secret).map(Material::Secret).map_err(|_| KeyError::ShortSecret)
}

fn check_kind<T: HasPublic>(algorithm: Algorithm, key: &PKeyRef<T>) -> Result<(), KeyError> {
    let fits = match algorithm {
        Algorithm::RsaPssSha512 | Algorithm::RsaV15Sha256 => key.id() == Id::RSA,
        Algorithm::EcdsaP256Sha256 => curve(key) == Some(Nid::X9_62_PRIME256V1),
        Algorithm::EcdsaP384Sha384 => curve(key) == Some(Nid::SECP384R1),
        Algorithm::Ed25519 => key.id() == Id::ED25519,
        Algorithm::HmacSha256 => false,
    };
    if !fits {
        return Err(KeyError::WrongKind(algorithm));
    }
    if key.id() == Id::RSA && !RSA_BITS.contains(&key.bits()) {
        return Err(KeyError::RsaSize(key.bits()));
    }
    Ok(())
}

fn curve<T: HasPublic>(key: &PKeyRef<T>) -> Option<Nid> {
    if key.id() != Id::EC {
        return None;
    }
    key.ec_key().ok()?.group().curve_name()
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

#[cfg(test)]
mod tests;
