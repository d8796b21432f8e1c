//! Keys of HTTP message signatures, each pinned to one algorithm (RFC 9421 §3.3).
//!
//! The algorithm belongs to the key and never to the request, so no request can have a public key read as a shared
//! secret, or choose the weaker of two paddings. Weak keys are refused when the policy is read: RSA below 2048 bits,
//! secrets shorter than the 32 bytes that HMAC-SHA-256 gives out (RFC 2104 §3). What verifies is the key of a token under
//! another name of its algorithm: each of these makes the signatures of one in JOSE.

use std::fmt;

use crate::auth::jose;

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
    #[error("the key is not one for {}", .0.name())]
    WrongKind(Algorithm),
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

    /// What tells it from all other keys (RFC 7638).
    pub fn thumbprint(&self) -> jose::Thumbprint {
        self.key.thumbprint()
    }

    /// Whether `signature` is one of `message` by this key. A MAC is compared in constant time.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verifies(self.algorithm.in_jose(), message, signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.algorithm().name())
    }
}

#[cfg(test)]
mod sign;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub use sign::SigningKey;
