//! The keys that may sign, each with the one algorithm it is good for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::jose::{self, KeySet, Source};
use crate::auth::signature::key::{Algorithm, KeyError, VerifyingKey};
use crate::values::{Problem, Secret};

/// More than any public key needs.
const LARGEST_FILE_BYTES: u64 = 64 * 1024;
/// As large as a JWK Set may be.
const LARGEST_SET_BYTES: u64 = 1 << 20;
/// As long as a `keyid` may be.
const LONGEST_ID_BYTES: usize = 256;

/// A key, and whose it is. One of `public_key`, `public_key_file`, `jwk` and `secret`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignatureKey")]
pub struct KeySpec {
    /// The one algorithm the key is good for. RSA keys need 2048 bits. Default: what a `jwk` says by its `alg` or its curve;
    /// needed otherwise.
    pub algorithm: Option<AlgorithmSpec>,
    /// The public key in PEM.
    pub public_key: Option<String>,
    /// A file with it. Relative to the policy. Example: `/etc/edgeward/billing.pem`.
    pub public_key_file: Option<PathBuf>,
    /// The public key as a JWK (RFC 7517). Its `kid`, if it has one, is the key's name. Example: `{ kty: OKP, crv: Ed25519,
    /// x: JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs }`.
    pub jwk: Option<Map<String, Value>>,
    /// What is shared with the signer, at least 32 bytes, for `hmac-sha256`. Example: `{ env: BILLING_SECRET }`.
    pub secret: Option<Secret>,
    /// Who signs, in logs, expressions and limits. Default: the key's name.
    pub subject: Option<String>,
}

/// A JWK Set of public keys (RFC 7517 section 5). Each signs under its `kid`, which names the caller, too, and is for the
/// algorithm that its `alg`, or else its curve, says. Either `file` or `inline`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignatureJwks")]
pub struct JwksSpec {
    /// A file with it, read with the policy. Relative to the policy. Example: `partners.jwks.json`.
    pub file: Option<PathBuf>,
    /// The set itself. Example: `{ keys: […] }`.
    pub inline: Option<Map<String, Value>>,
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
    pub fn compile(
        specs: BTreeMap<String, KeySpec>,
        jwks: Option<JwksSpec>,
        base: &Path,
    ) -> Result<Self, Problem> {
        let mut keys = HashMap::new();
        for (id, spec) in specs {
            let known = Known::compile(&id, spec, base);
            let known = known.map_err(|problem| problem.under(&format!("keys[{id:?}]")))?;
            keys.insert(id, known);
        }
        if let Some(jwks) = jwks {
            jwks.add_to(&mut keys, base).map_err(|problem| problem.under("jwks"))?;
        }
        if keys.is_empty() {
            return Err(Problem::new("keys", "expected at least one key, here or in jwks"));
        }
        Ok(Self(keys))
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

impl JwksSpec {
    fn add_to(self, keys: &mut HashMap<String, Known>, base: &Path) -> Result<(), Problem> {
        let (at, text) = match (self.file, self.inline) {
            (Some(path), None) => ("file", read("file", &base.join(path), LARGEST_SET_BYTES)?),
            (None, Some(set)) => ("inline", Value::Object(set).to_string().into_bytes()),
            _ => return Err(Problem::whole("expected exactly one of `file` and `inline`")),
        };
        let (set, notes) = KeySet::parse(&text, Source::Public).map_err(|error| Problem::new(at, error))?;
        if let Some(note) = notes.first() {
            return Err(Problem::new(format!("{at}.keys[{}]", note.index), &note.oddity));
        }
        for key in set.keys() {
            let Some(id) = key.id() else {
                return Err(Problem::new(at, "a key without `kid`: no signature could name it"));
            };
            check_id(id).map_err(|problem| problem.under(at))?;
            let problem =
                |error: &dyn std::fmt::Display| Problem::new(at, format_args!("key {id:?}: {error}"));
            let verifying = VerifyingKey::from_jose(key.clone(), None).map_err(|error| problem(&error))?;
            let known = Known { key: verifying, subject: id.to_owned() };
            if keys.insert(id.to_owned(), known).is_some() {
                return Err(problem(&"there are two of this name"));
            }
        }
        Ok(())
    }
}

impl Known {
    fn compile(id: &str, spec: KeySpec, base: &Path) -> Result<Self, Problem> {
        check_id(id)?;
        let subject = spec.subject.unwrap_or_else(|| id.to_owned());
        if subject.is_empty() {
            return Err(Problem::new("subject", "expected a name"));
        }
        let named = spec.algorithm.map(AlgorithmSpec::algorithm);
        let needed =
            || named.ok_or_else(|| Problem::new("algorithm", "is needed: only a jwk says it itself"));
        let wrong = |at: &'static str| move |error: KeyError| Problem::new(at, error);
        let key = match (spec.public_key, spec.public_key_file, spec.jwk, spec.secret) {
            (Some(pem), None, None, None) => {
                VerifyingKey::from_pem(needed()?, pem.as_bytes()).map_err(wrong("public_key"))?
            }
            (None, Some(path), None, None) => {
                let pem = read("public_key_file", &base.join(path), LARGEST_FILE_BYTES)?;
                VerifyingKey::from_pem(needed()?, &pem).map_err(wrong("public_key_file"))?
            }
            (None, None, Some(jwk), None) => from_jwk(id, jwk, named)?,
            (None, None, None, Some(secret)) => {
                if needed()? != Algorithm::HmacSha256 {
                    return Err(Problem::new("secret", "a secret is for hmac-sha256: name a public key"));
                }
                let secret = secret.resolve(base).map_err(|error| Problem::new("secret", error))?;
                VerifyingKey::from_secret(secret.expose().as_bytes()).map_err(wrong("secret"))?
            }
            _ => return Err(Problem::whole("expected one of public_key, public_key_file, jwk and secret")),
        };
        Ok(Self { key, subject })
    }
}

fn check_id(id: &str) -> Result<(), Problem> {
    if id.is_empty() || id.len() > LONGEST_ID_BYTES {
        return Err(Problem::whole("a key's name has 1 to 256 bytes"));
    }
    Ok(())
}

fn from_jwk(id: &str, jwk: Map<String, Value>, named: Option<Algorithm>) -> Result<VerifyingKey, Problem> {
    let key = jose::Key::from_jwk(Value::Object(jwk).to_string().as_bytes());
    let key = key.map_err(|error| Problem::new("jwk", error))?;
    if let Some(other) = key.id().filter(|kid| *kid != id) {
        return Err(Problem::new("jwk.kid", format_args!("is {other:?}, and the key is called {id:?}")));
    }
    VerifyingKey::from_jose(key, named).map_err(|error| Problem::new("jwk", error))
}

fn read(at: &'static str, path: &Path, most_bytes: u64) -> Result<Vec<u8>, Problem> {
    let problem =
        |error: std::io::Error| Problem::new(at, format_args!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(problem)?.take(most_bytes + 1).read_to_end(&mut bytes).map_err(problem)?;
    Ok(bytes)
}
