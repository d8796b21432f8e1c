//! The keys that may sign, each with the one algorithm it is good for: those that the policy names, and those that an
//! issuer publishes by now.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::KIND;
use crate::auth::issuer;
use crate::auth::jose;
use crate::auth::keyset::{self, Current, Refreshed};
use crate::auth::replay::Seen;
use crate::auth::signature::http::Signatory;
use crate::auth::signature::key::{Algorithm, KeyError, VerifyingKey};
use crate::filters::Site;
use crate::values::{Problem, Secret};

/// More than any public key needs.
const LARGEST_FILE_BYTES: u64 = 64 * 1024;
/// As long as a `keyid` may be.
const LONGEST_ID_BYTES: usize = 256;
/// Nonces that are remembered, of a key by itself or of all of an issuer; a 64th of it by one key.
const MAX_NONCES: NonZeroUsize = NonZeroUsize::new(1 << 21).expect("it is not zero");

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

/// All keys, or where they are.
pub(super) struct Keys {
    named: HashMap<String, Known>,
    published: Option<Published>,
}

/// Those that an issuer publishes.
struct Published {
    keys: Arc<PublishedKeys>,
    seen: Arc<Seen>,
}

type PublishedKeys = keyset::KeySet<issuer::Published>;

struct Known {
    signatory: Signatory,
    subject: String,
}

/// The keys at one moment.
pub(super) struct Present<'k> {
    named: &'k HashMap<String, Known>,
    /// `None` while there is none of the issuer's.
    published: Option<Arc<Current<issuer::Published>>>,
    /// Of the issuer's, which may have published more by now.
    seen: Option<&'k Arc<Seen>>,
    /// Whether a key was asked for that nobody knows.
    missed: Cell<bool>,
}

impl Keys {
    pub fn compile(
        specs: BTreeMap<String, KeySpec>,
        issuer: Option<&str>,
        lifetime: i64,
        site: &Site<'_>,
    ) -> Result<Self, Problem> {
        // What is found by key or issuer is found by all routes: what one has accepted, another must not.
        let seen = |whose: &str| {
            let name = format!("{KIND} {whose}");
            let seen = site.state.kept.find_or(&name, || Seen::new(MAX_NONCES));
            seen.accept_for(lifetime);
            seen
        };
        let mut named = HashMap::new();
        for (id, spec) in specs {
            let known = Known::compile(&id, spec, site.base, seen);
            let known = known.map_err(|problem| problem.under(&format!("keys[{id:?}]")))?;
            named.insert(id, known);
        }
        let published = issuer.map(|name| {
            let keys = published(name, site)?;
            Ok(keys.map(|keys| Published { keys, seen: seen(&format!("issuer {name}")) }))
        });
        let published = published.transpose()?;
        if named.is_empty() && published.is_none() {
            return Err(Problem::new("keys", "expected at least one key, here or of an `issuer`"));
        }
        Ok(Self { named, published: published.flatten() })
    }

    /// Those that are there now.
    pub fn present(&self) -> Present<'_> {
        Present {
            named: &self.named,
            published: self.published.as_ref().and_then(|published| published.keys.current()),
            seen: self.published.as_ref().map(|published| &published.seen),
            missed: Cell::new(false),
        }
    }

    /// Asks the issuer, where there is one, for a key that was missed at a moment.
    pub async fn ask(&self, seen: u64) -> Refreshed {
        match &self.published {
            Some(published) => published.keys.refresh_for_unknown(seen).await,
            None => Refreshed::Same,
        }
    }
}

/// What an issuer publishes. `None` of one that was written wrongly, which is told where it stands.
fn published(name: &str, site: &Site<'_>) -> Result<Option<Arc<PublishedKeys>>, Problem> {
    match site.issuer("issuer", name)?.keys() {
        issuer::Keys::Published(set) => Ok(Some(Arc::clone(set))),
        issuer::Keys::Fixed(keys) if keys.keys().is_empty() => Ok(None),
        issuer::Keys::Fixed(_) => {
            Err(Problem::new("issuer", "has a `secret` in place of public keys: write it under `keys`"))
        }
    }
}

impl Present<'_> {
    /// The keys of that name, of which an issuer may have several, or the only one for a signature that names none.
    pub fn find(&self, id: Option<&str>) -> Vec<Signatory> {
        let published = self.published.as_ref().map_or(&[][..], |current| current.keys.keys());
        let of = |key: &jose::Key| {
            let key = VerifyingKey::from_jose(key.clone(), None).ok().map(Arc::new)?;
            Some(Signatory { key, seen: Arc::clone(self.seen?) })
        };
        let Some(id) = id else {
            let mut named = self.named.values();
            return match (named.next(), named.next(), published) {
                (Some(only), None, []) => vec![only.signatory.clone()],
                (None, None, [only]) if only.id().is_some() => of(only).into_iter().collect(),
                _ => Vec::new(),
            };
        };
        if let Some(known) = self.named.get(id) {
            return vec![known.signatory.clone()];
        }
        let mut found = published.iter().filter(|key| key.id() == Some(id)).peekable();
        self.missed.set(self.missed.get() || found.peek().is_none());
        found.filter_map(of).collect()
    }

    /// Whose that key is.
    pub fn subject<'s>(&'s self, id: Option<&'s str>) -> &'s str {
        let known = match id {
            Some(id) => self.named.get(id),
            None => self.named.values().next(),
        };
        let published = || self.published.as_ref()?.keys.keys().first()?.id();
        known.map(|known| known.subject.as_str()).or(id).or_else(published).unwrap_or_default()
    }

    /// Which of the issuer's keys were looked through in vain, if it may have others by now.
    pub fn missed(&self) -> Option<u64> {
        (self.seen.is_some() && self.missed.get())
            .then(|| self.published.as_ref().map_or(0, |current| current.generation))
    }
}

impl Known {
    fn compile(
        id: &str,
        spec: KeySpec,
        base: &Path,
        seen: impl Fn(&str) -> Arc<Seen>,
    ) -> Result<Self, Problem> {
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
                let pem = read("public_key_file", &base.join(path))?;
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
        let seen = seen(&format!("key {}", key.thumbprint()));
        Ok(Self { signatory: Signatory { key: Arc::new(key), seen }, subject })
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

fn read(at: &'static str, path: &Path) -> Result<Vec<u8>, Problem> {
    let problem =
        |error: std::io::Error| Problem::new(at, format_args!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(problem)?
        .take(LARGEST_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(problem)?;
    Ok(bytes)
}
