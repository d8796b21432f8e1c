//! Makes tokens: assertions by which we prove ourselves to an authorisation server (RFC 7523), and those that tests need.
//!
//! A key signs by one algorithm, which fits it. Whoever verifies our tokens may be as strict as we are.

use boring::ecdsa::EcdsaSig;
use boring::error::ErrorStack;
use boring::pkey::{PKey, Private};
use boring::rsa::Padding;
use boring::sha;
use boring::sign::{RsaPssSaltlen, Signer};
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Hash};
use super::base64url;
use super::json;
use super::jwk;
use super::key::{Key, KeyError};
use super::private_key;
use super::signature::{ecdsa_half, mac};

/// A key that signs tokens.
pub struct SigningKey {
    material: Material,
    algorithm: Algorithm,
    /// The same key for whoever verifies.
    verifying: Key,
}

enum Material {
    Pair(PKey<Private>),
    Secret(Box<[u8]>),
}

impl SigningKey {
    /// From PEM: `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`, unencrypted.
    ///
    /// # Errors
    /// When the key is weak or broken, or is not for the algorithm.
    pub fn from_pem(pem: &[u8], algorithm: Algorithm, id: Option<&str>) -> Result<Self, KeyError> {
        Self::pair(private_key::from_pem(pem)?, algorithm, id)
    }

    /// From a JWK, private or `oct`, with its own `kid`. Its `alg`, if it has one, is the one that is asked for.
    ///
    /// # Errors
    /// As [`Self::from_pem`].
    pub fn from_jwk(json: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let jwk = json::object(json).map_err(|_| KeyError::Member("kty"))?;
        jwk::check_use(&jwk, "sign")?;
        if jwk::algorithm(&jwk)?.is_some_and(|pinned| pinned != algorithm) {
            return Err(KeyError::AlgorithmOfOtherKey(algorithm));
        }
        let id = jwk::id(&jwk)?;
        if jwk::is_secret(&jwk) {
            return Self::from_secret(&jwk::bytes(&jwk, "k")?, algorithm, id);
        }
        Self::pair(private_key::from_jwk(&jwk)?, algorithm, id)
    }

    /// From a secret.
    ///
    /// # Errors
    /// When it is shorter than the algorithm's hash, or the algorithm is an asymmetric one.
    pub fn from_secret(secret: &[u8], algorithm: Algorithm, id: Option<&str>) -> Result<Self, KeyError> {
        let verifying = Key::secret(secret, id, Some(algorithm))?;
        Ok(Self { material: Material::Secret(secret.into()), algorithm, verifying })
    }

    fn pair(key: PKey<Private>, algorithm: Algorithm, id: Option<&str>) -> Result<Self, KeyError> {
        let verifying = Key::public(&private_key::public(&key)?, id, Some(algorithm))?;
        Ok(Self { material: Material::Pair(key), algorithm, verifying })
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key for whoever verifies.
    #[must_use]
    pub fn verifying(&self) -> &Key {
        &self.verifying
    }

    /// Signs a token of these claims. Its header holds `alg`, `kid` if the key has a name, and `typ` if it is told.
    ///
    /// # Errors
    /// When BoringSSL cannot sign.
    pub fn sign(&self, kind: Option<&str>, claims: &Map<String, Value>) -> Result<String, ErrorStack> {
        let members = [("alg", Some(self.algorithm.name())), ("kid", self.verifying.id()), ("typ", kind)];
        let header: Map<String, Value> =
            members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
        let json = |map: &Map<String, Value>| serde_json::to_vec(map).unwrap_or_default();
        self.sign_parts(&json(&header), &json(claims))
    }

    /// Signs a header and claims, whatever they are: for tests of who verifies.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_parts(&self, header: &[u8], claims: &[u8]) -> Result<String, ErrorStack> {
        let mut token = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(token)
    }

    fn signature(&self, signed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        match (&self.material, self.algorithm) {
            (Material::Secret(secret), algorithm) => mac(secret, algorithm, signed),
            (Material::Pair(key), Algorithm::EdDsa) => {
                Signer::new_without_digest(key)?.sign_oneshot_to_vec(signed)
            }
            (Material::Pair(key), Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512) => {
                ecdsa(key, self.algorithm, signed)
            }
            (Material::Pair(key), algorithm) => rsa(key, algorithm, signed),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("verifying", &self.verifying).finish_non_exhaustive()
    }
}

fn ecdsa(key: &PKey<Private>, algorithm: Algorithm, signed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let key = key.ec_key()?;
    let signature = match algorithm.hash() {
        Hash::Sha256 => EcdsaSig::sign(&sha::sha256(signed), &key)?,
        Hash::Sha384 => EcdsaSig::sign(&sha::sha384(signed), &key)?,
        Hash::Sha512 => EcdsaSig::sign(&sha::sha512(signed), &key)?,
    };
    let half = ecdsa_half(algorithm);
    Ok([signature.r().to_vec_padded(half)?, signature.s().to_vec_padded(half)?].concat())
}

fn rsa(key: &PKey<Private>, algorithm: Algorithm, signed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let digest = algorithm.hash().digest();
    let mut signer = Signer::new(digest, key)?;
    if algorithm.is_pss() {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        signer.set_rsa_mgf1_md(digest)?;
    }
    signer.sign_oneshot_to_vec(signed)
}

#[cfg(test)]
mod tests;
