//! A key that verifies: what it is made of, which algorithms it is for, and its name.
//!
//! What always holds: the material is sound (RFC 8725 section 3.4): an RSA modulus is long enough and its exponent no
//! trick, a point is on its curve and not one for which anybody can sign, a secret is as long as its hash. The
//! algorithms are those the material can do, so a public key can never be taken for a secret, whatever a token says.

use boring::bn::BigNumRef;
use boring::ec::EcKey;
use boring::error::ErrorStack;
use boring::pkey::{Id, PKey, Public};
use boring::rsa::Rsa;
use boring::x509::X509;

use super::algorithm::{Algorithm, Algorithms};
use super::base64url;
use super::curve::Curve;
use super::json;
use super::jwk;
use super::thumbprint::Thumbprint;

/// Fewer can be factored (RFC 7518 section 3.3).
const LEAST_RSA_BITS: u32 = 2048;
/// More would make each token expensive: 8192 bits already take sixteen times as long as 2048.
const MOST_RSA_BITS: u32 = 8192;
/// As BoringSSL and Windows have it; a longer exponent is slow, and of no use.
const MOST_EXPONENT_BITS: i32 = 32;

/// The fixed start of an Ed25519 `SubjectPublicKeyInfo` (RFC 8410 section 4); the 32 bytes of the key follow.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The points of small order (RFC 8032 section 5.1): both of order eight, those of lower order, and their second spellings;
/// the sign of `x` is in the last bit.
const ED25519_SMALL: [[u8; 32]; 7] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    near_prime(0xec),
    near_prime(0xed),
    near_prime(0xee),
];

/// 2^255 - 256 and this more.
const fn near_prime(first: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = first;
    bytes[31] = 0x7f;
    bytes
}

/// Why something is not a key that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A member is missing, of another type, or not base64url.
    #[error("`{0}` is missing or malformed")]
    Member(&'static str),
    /// `kty` is none of RSA, EC, OKP and oct.
    #[error("unsupported key type `{0}`")]
    Type(String),
    /// `crv` is not P-256, P-384, P-521 or Ed25519.
    #[error("unsupported curve `{0}`")]
    Curve(String),
    /// `alg` is no signature algorithm known here.
    #[error("unsupported algorithm `{0}`")]
    Algorithm(String),
    /// `alg` is for keys of another type, curve or length.
    #[error("the key cannot be used with {}", .0.name())]
    AlgorithmOfOtherKey(Algorithm),
    /// `use` or `key_ops` says that it does not verify signatures.
    #[error("not a key for signatures")]
    Use,
    /// Too short to be safe, or too long to be borne.
    #[error("an RSA modulus of {0} bits, expected {LEAST_RSA_BITS} to {MOST_RSA_BITS}")]
    Modulus(u32),
    /// Even, below 3 or above 32 bits, or the modulus is even.
    #[error("an RSA key that is none")]
    Exponent,
    /// Off its curve, or not a private key of its public one.
    #[error("the key's numbers do not fit together")]
    Inconsistent,
    /// An Ed25519 key for which there are signatures that nobody has made.
    #[error("an Ed25519 key by which anybody can sign")]
    SmallOrder,
    /// A secret in a set that everybody can read.
    #[error("a secret key in a public set")]
    PublicSecret,
    /// Shorter than the hash of any algorithm (RFC 7518 section 3.2).
    #[error("a secret of {0} bytes, at least 32 are needed")]
    Secret(usize),
    /// Two keys of the set have this name already.
    #[error("more than two keys named alike")]
    Name,
    /// Not a JSON object, or a member occurs twice.
    #[error("not a JSON object, or one with a member twice")]
    Json,
    /// Everybody who reads it can sign.
    #[error("a private key: the public part of it is enough, and may be read by others")]
    Private,
    /// Neither `PUBLIC KEY`, `RSA PUBLIC KEY` nor `CERTIFICATE`.
    #[error("expected a PEM block `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`")]
    Pem,
    /// One of these, with something else in it.
    #[error("the PEM block holds no key")]
    Empty,
}

impl From<ErrorStack> for KeyError {
    fn from(_: ErrorStack) -> Self {
        Self::Inconsistent
    }
}

/// A key that verifies tokens. Clones share its numbers.
#[derive(Clone)]
pub struct Key {
    id: Option<Box<str>>,
    algorithms: Algorithms,
    material: Material,
    thumbprint: Thumbprint,
}

/// Without the thumbprint, by which a short secret could be guessed.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.material {
            Material::Rsa { .. } => "RSA",
            Material::Ec { .. } => "EC",
            Material::Ed25519(_) => "Ed25519",
            Material::Secret(_) => "oct",
        };
        formatter.debug_struct(kind).field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a key is made of.
#[derive(Clone)]
pub(super) enum Material {
    Rsa { key: PKey<Public>, bytes: usize },
    Ec { key: EcKey<Public>, algorithm: Algorithm },
    Ed25519(PKey<Public>),
    Secret(Box<[u8]>),
}

impl Key {
    /// A public key. Without `algorithm` it is for all that keys of its type can do.
    ///
    /// # Errors
    /// When the key is weak or broken, of a type not supported, or cannot be used with the algorithm.
    pub fn public(
        key: &PKey<Public>,
        id: Option<&str>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        match key.id() {
            Id::RSA => Self::rsa(&key.rsa()?, id, algorithm),
            Id::EC => Self::ec(key.ec_key()?, id, algorithm),
            Id::ED25519 => {
                let mut bytes = [0; 32];
                key.raw_public_key(&mut bytes)?;
                Self::ed25519(&bytes, id, algorithm)
            }
            other => Err(KeyError::Type(format!("{other:?}"))),
        }
    }

    /// The public key of the first block of a PEM text: `PUBLIC KEY`, `RSA PUBLIC KEY`, or a `CERTIFICATE`, of which
    /// nothing but the key is looked at.
    ///
    /// # Errors
    /// As [`Self::public`]; [`KeyError::Pem`] for blocks of other kinds, private keys among them.
    pub fn from_pem(pem: &[u8], id: Option<&str>, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let starts = |label: &str| {
            let begin = format!("-----BEGIN {label}-----");
            pem.trim_ascii_start().starts_with(begin.as_bytes())
        };
        let key = if starts("PUBLIC KEY") {
            PKey::public_key_from_pem(pem)
        } else if starts("RSA PUBLIC KEY") {
            Rsa::public_key_from_pem_pkcs1(pem).and_then(PKey::from_rsa)
        } else if starts("CERTIFICATE") {
            X509::from_pem(pem).and_then(|certificate| certificate.public_key())
        } else {
            return Err(KeyError::Pem);
        };
        Self::public(&key.map_err(|_| KeyError::Empty)?, id, algorithm)
    }

    /// A public key from a JWK (RFC 7517) that is ours to keep: one with its private part, which has no business here, is
    /// refused.
    ///
    /// # Errors
    /// As [`Self::public`]; [`KeyError::Json`], [`KeyError::Private`], and [`KeyError::PublicSecret`] for `oct`.
    pub fn from_jwk(text: &[u8]) -> Result<Self, KeyError> {
        let jwk = json::object(text).map_err(|_| KeyError::Json)?;
        if jwk::is_private(&jwk) { Err(KeyError::Private) } else { jwk::public(&jwk) }
    }

    /// A secret from a JWK of type `oct`, for one that has bytes which are no text.
    ///
    /// # Errors
    /// As [`Self::secret`]; [`KeyError::Json`], and [`KeyError::Type`] for keys of another type.
    pub fn secret_from_jwk(text: &[u8]) -> Result<Self, KeyError> {
        let jwk = json::object(text).map_err(|_| KeyError::Json)?;
        if jwk::is_secret(&jwk) {
            jwk::secret(&jwk)
        } else {
            Err(KeyError::Type("other than oct".to_owned()))
        }
    }

    pub(super) fn rsa(
        key: &Rsa<Public>,
        id: Option<&str>,
        pinned: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let (n, e) = (key.n(), key.e());
        let bits = u32::try_from(n.num_bits()).unwrap_or(u32::MAX);
        if !(LEAST_RSA_BITS..=MOST_RSA_BITS).contains(&bits) {
            return Err(KeyError::Modulus(bits));
        }
        if !n.is_odd() || !e.is_odd() || !(2..=MOST_EXPONENT_BITS).contains(&e.num_bits()) {
            return Err(KeyError::Exponent);
        }
        let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n));
        // A key of its own, for public keys of a certificate or a pair share theirs.
        let key = PKey::from_rsa(Rsa::from_public_components(n.to_owned()?, e.to_owned()?)?)?;
        let material = Material::Rsa { key, bytes: usize::try_from(n.num_bytes()).unwrap_or(usize::MAX) };
        Self::new(id, Algorithms::RSA, pinned, material, &canonical)
    }

    pub(super) fn ec(
        key: EcKey<Public>,
        id: Option<&str>,
        pinned: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        key.check_key()?;
        let curve = key.group().curve_name().and_then(Curve::of_nid);
        let curve = curve.ok_or_else(|| KeyError::Curve("of another kind".to_owned()))?;
        let (mut x, mut y) = (boring::bn::BigNum::new()?, boring::bn::BigNum::new()?);
        let mut context = boring::bn::BigNumContext::new()?;
        key.public_key().affine_coordinates_gfp(key.group(), &mut x, &mut y, &mut context)?;
        let encode = |number: &BigNumRef| Ok(base64url::encode(&number.to_vec_padded(curve.bytes())?));
        let coordinates: Result<_, ErrorStack> = encode(&x).and_then(|x| Ok((x, encode(&y)?)));
        let (x, y) = coordinates?;
        let canonical = format!(r#"{{"crv":"{}","kty":"EC","x":"{x}","y":"{y}"}}"#, curve.name());
        let algorithm = curve.algorithm();
        Self::new(id, Algorithms::only(algorithm), pinned, Material::Ec { key, algorithm }, &canonical)
    }

    pub(super) fn ed25519(
        key: &[u8; 32],
        id: Option<&str>,
        pinned: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let mut unsigned = *key;
        unsigned[31] &= 0x7f;
        if ED25519_SMALL.contains(&unsigned) {
            return Err(KeyError::SmallOrder);
        }
        let info = [&ED25519_SPKI[..], key].concat();
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(key));
        let material = Material::Ed25519(PKey::public_key_from_der(&info)?);
        Self::new(id, Algorithms::only(Algorithm::EdDsa), pinned, material, &canonical)
    }

    /// A secret shared with the issuer, for the algorithms whose hash is no longer than it. Only what is known to be
    /// secret may come here.
    ///
    /// # Errors
    /// [`KeyError::Secret`] for less than 32 bytes, and when it is too short for the algorithm.
    pub fn secret(secret: &[u8], id: Option<&str>, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let fits = |algorithm: &Algorithm| {
            Algorithms::SYMMETRIC.contains(*algorithm) && algorithm.hash().bytes() <= secret.len()
        };
        let algorithms: Algorithms = Algorithm::ALL.into_iter().filter(fits).collect();
        if algorithms.is_empty() {
            return Err(KeyError::Secret(secret.len()));
        }
        let canonical = format!(r#"{{"k":"{}","kty":"oct"}}"#, base64url::encode(secret));
        Self::new(id, algorithms, algorithm, Material::Secret(secret.into()), &canonical)
    }

    fn new(
        id: Option<&str>,
        able: Algorithms,
        pinned: Option<Algorithm>,
        material: Material,
        canonical: &str,
    ) -> Result<Self, KeyError> {
        let algorithms = match pinned {
            Some(algorithm) if able.contains(algorithm) => Algorithms::only(algorithm),
            Some(algorithm) => return Err(KeyError::AlgorithmOfOtherKey(algorithm)),
            None => able,
        };
        Ok(Self {
            id: id.map(Into::into),
            algorithms,
            material,
            thumbprint: Thumbprint::of(canonical.as_bytes()),
        })
    }

    /// Its name, as `kid` gives it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it may be used with.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// What tells it from every other key (RFC 7638), computed from its numbers, however they were spelled. Of a
    /// secret it is not for others to see: short ones could be guessed by it.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    pub(super) fn material(&self) -> &Material {
        &self.material
    }
}

fn encode(number: &BigNumRef) -> String {
    base64url::encode(&number.to_vec())
}

#[cfg(test)]
mod tests;
