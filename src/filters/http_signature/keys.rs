//! The keys that may sign, each with the one algorithm it is good for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::auth::signature::key::{Algorithm, KeyError, VerifyingKey};
use crate::values::{Problem, Secret};

/// More than any public key needs.
const LARGEST_FILE_BYTES: u64 = 64 * 1024;
/// As long as a `keyid` may be.
const LONGEST_ID_BYTES: usize = 256;

/// A key, and whose it is. One of `public_key`, `public_key_file` and `secret`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignatureKey")]
pub struct KeySpec {
    /// The one algorithm the key is good for. RSA keys need 2048 bits.
    pub algorithm: AlgorithmSpec,
    /// The public key in PEM.
    pub public_key: Option<String>,
    /// A file with it. Relative to the policy. Example: `/etc/edgeward/billing.pem`.
    pub public_key_file: Option<PathBuf>,
    /// What is shared with the signer, at least 32 bytes, for `hmac-sha256`. Example: `{ env: BILLING_SECRET }`.
    pub secret: Option<Secret>,
    /// Who signs, in logs, expressions and limits. Default: the key's name.
    pub subject: Option<String>,
}

/// An algorithm, by its name in the registry of RFC 9421.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "SignatureAlgorithm")]
pub enum AlgorithmSpec {
    /// `EdDSA` with curve 25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// ECDSA with P-384 and SHA-384.
    #[serde(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

impl AlgorithmSpec {
    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::Ed25519,
            Self::EcdsaP256Sha256 => Algorithm::EcdsaP256Sha256,
            Self::EcdsaP384Sha384 => Algorithm::EcdsaP384Sha384,
            Self::RsaPssSha512 => Algorithm::RsaPssSha512,
            Self::RsaV15Sha256 => Algorithm::RsaV15Sha256,
            Self::HmacSha256 => Algorithm::HmacSha256,
        }
    }
}

/// All keys, at least one.
pub(super) struct Keys(HashMap<String, Known>);

struct Known {
    key: VerifyingKey,
    subject: String,
}

impl Keys {
    pub fn compile(specs: BTreeMap<String, KeySpec>, base: &Path) -> Result<Self, Problem> {
        if specs.is_empty() {
            return Err(Problem::new("keys", "expected at least one key"));
        }
        let keys = specs.into_iter().map(|(id, spec)| {
            let known =
                Known::compile(&id, spec, base).map_err(|problem| problem.under(&format!("keys[{id:?}]")))?;
            Ok((id, known))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The key of that name, or the only one for a signature that names none.
    pub fn find(&self, id: Option<&str>) -> Option<&VerifyingKey> {
        self.known(id).map(|known| &known.key)
    }

    /// Whose that key is.
    pub fn subject(&self, id: Option<&str>) -> &str {
        self.known(id).map_or("", |known| &known.subject)
    }

    fn known(&self, id: Option<&str>) -> Option<&Known> {
        match id {
            Some(id) => self.0.get(id),
            None if self.0.len() == 1 => self.0.values().next(),
            None => None,
        }
    }
}

impl Known {
    fn compile(id: &str, spec: KeySpec, base: &Path) -> Result<Self, Problem> {
        if id.is_empty() || id.len() > LONGEST_ID_BYTES {
            return Err(Problem::whole("a key's name has 1 to 256 bytes"));
        }
        let subject = spec.subject.unwrap_or_else(|| id.to_owned());
        if subject.is_empty() {
            return Err(Problem::new("subject", "expected a name"));
        }
        let algorithm = spec.algorithm.algorithm();
        let wrong = |at: &'static str| move |error: KeyError| Problem::new(at, error);
        let key = match (spec.public_key, spec.public_key_file, spec.secret) {
            (Some(pem), None, None) => {
                VerifyingKey::from_pem(algorithm, pem.as_bytes()).map_err(wrong("public_key"))?
            }
            (None, Some(path), None) => {
                let pem = read(&base.join(path))?;
                VerifyingKey::from_pem(algorithm, &pem).map_err(wrong("public_key_file"))?
            }
            (None, None, Some(secret)) => {
                if algorithm != Algorithm::HmacSha256 {
                    return Err(Problem::new("secret", "a secret is for hmac-sha256: name a public key"));
                }
                let secret = secret.resolve(base).map_err(|error| Problem::new("secret", error))?;
                VerifyingKey::from_secret(secret.expose().as_bytes()).map_err(wrong("secret"))?
            }
            _ => return Err(Problem::whole("expected one of public_key, public_key_file and secret")),
        };
        Ok(Self { key, subject })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let problem = |error: std::io::Error| {
        Problem::new("public_key_file", format_args!("cannot read {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(problem)?.take(LARGEST_FILE_BYTES).read_to_end(&mut bytes).map_err(problem)?;
    Ok(bytes)
}
