//! An issuer of tokens on this machine, whose keys the test changes as it likes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boring::bn::{BigNum, BigNumContext, BigNumRef};
use boring::ec::{EcGroup, EcKey};
use boring::nid::Nid;
use boring::pkey::{Id, PKey};
use boring::rsa::Rsa;
use edgeward::auth::jose::{Algorithm, SigningKey, Thumbprint};
use serde_json::{Map, Value, json};

use super::edge::Edge;
use super::message::Response;
use super::origin::{Origin, Reply};
use super::poll::{eventually, soon};

/// Whom tokens are for unless a test says otherwise.
pub const AUDIENCE: &str = "orders-api";

/// A key that signs, and what is published of it.
pub struct Signer {
    pub key: SigningKey,
    pub jwk: Value,
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key for the algorithm.
    pub fn new(algorithm: Algorithm, id: &str) -> Self {
        let (pair, mut jwk) = match algorithm {
            Algorithm::Es256 => elliptic(),
            Algorithm::EdDsa => edwards(),
            _ => rsa(),
        };
        jwk["kid"] = id.into();
        jwk["alg"] = algorithm.name().into();
        let pem = pair.private_key_to_pem_pkcs8().unwrap();
        Self { key: SigningKey::from_pem(&pem, algorithm, Some(id)).unwrap(), jwk }
    }

    /// One on P-256.
    pub fn es256(id: &str) -> Self {
        Self::new(Algorithm::Es256, id)
    }

    /// A good token of `issuer` with these changes to its claims; `null` takes one out.
    pub fn token(&self, issuer: &str, changes: Value) -> String {
        self.key.sign(Some("at+jwt"), &claims(issuer, changes)).unwrap()
    }

    /// A proof of possession for one request with a token, with these changes to its claims.
    pub fn proof(&self, method: &str, url: &str, token: &str, changes: Value) -> String {
        let mut jwk = self.jwk.clone();
        for member in ["kid", "alg"] {
            jwk.as_object_mut().unwrap().remove(member);
        }
        let header = json!({ "typ": "dpop+jwt", "alg": self.key.algorithm().name(), "jwk": jwk });
        let id = format!("{:x}", fastrand::u128(..));
        let mut claims = json!({ "jti": id, "htm": method, "htu": url, "iat": now() });
        if !token.is_empty() {
            claims["ath"] = Thumbprint::of(token.as_bytes()).to_string().into();
        }
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.sign_parts(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap()
    }

    /// What tokens that are bound to this key say: `cnf`.
    pub fn binding(&self) -> Value {
        json!({ "cnf": { "jkt": self.key.verifying().thumbprint().to_string() } })
    }
}

/// Claims of a good token with these changes.
pub fn claims(issuer: &str, changes: Value) -> Map<String, Value> {
    let now = now();
    let base = json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "user-1", "iat": now, "exp": now + 600, "jti": "t1",
        "scope": "orders:read orders:write", "client_id": "shop",
    });
    let Value::Object(mut claims) = base else { unreachable!() };
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.remove(name),
            value => claims.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A JWK Set of these keys.
pub fn key_set<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    let keys: Vec<_> = signers.into_iter().map(|signer| signer.jwk.clone()).collect();
    json!({ "keys": keys }).to_string()
}

fn elliptic() -> (PKey<boring::pkey::Private>, Value) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = BigNumContext::new().unwrap();
    key.public_key().affine_coordinates_gfp(&group, &mut x, &mut y, &mut context).unwrap();
    let text = |number: &BigNumRef| base64url(number.to_vec_padded(32).unwrap());
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": text(&x), "y": text(&y) });
    (PKey::from_ec_key(key).unwrap(), jwk)
}

fn edwards() -> (PKey<boring::pkey::Private>, Value) {
    let key = PKey::generate(Id::ED25519).unwrap();
    let mut public = [0; 32];
    key.raw_public_key(&mut public).unwrap();
    (key, json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(public) }))
}

fn rsa() -> (PKey<boring::pkey::Private>, Value) {
    let key = Rsa::generate(2048).unwrap();
    let jwk = json!({ "kty": "RSA", "n": base64url(key.n().to_vec()), "e": base64url(key.e().to_vec()) });
    (PKey::from_rsa(key).unwrap(), jwk)
}

/// Asks, while the issuer `corp` is down, until its keys are too old; up to then they let in. Gives the first refusal.
pub fn until_the_ceiling(edge: &Edge, max_stale: f64, ask: impl Fn() -> Response) -> Response {
    let of_corp = |metric: &str, more: &str| {
        edge.metrics().value(&format!("edgeward_issuer_{metric}{{issuer=\"corp\"{more}}}"))
    };
    // From then on nobody confirms the keys any more.
    let failures = || of_corp("fetches_total", ",outcome=\"status\"");
    soon("a failed fetch", || failures().is_some_and(|failures| failures > 0.0));
    eventually("the ceiling", || {
        let answer = Some(ask()).filter(|answer| answer.status != 200)?;
        // They are older by now than they were when it was asked.
        let age = of_corp("keys_age_seconds", "").unwrap();
        assert!(age > max_stale, "refused though the keys are {age} s old: {}", answer.text());
        Some(answer)
    })
}

/// What the issuer publishes, and whether it answers.
struct Published {
    keys: Mutex<String>,
    down: AtomicBool,
    max_age: Mutex<Option<u32>>,
}

/// The issuer; ends when dropped.
pub struct TokenIssuer {
    origin: Origin,
    published: Arc<Published>,
}

impl TokenIssuer {
    /// Publishes these keys at `/jwks`, and says so in its metadata.
    pub fn start<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Self {
        let published = Arc::new(Published {
            keys: Mutex::new(key_set(signers)),
            down: AtomicBool::new(false),
            max_age: Mutex::new(None),
        });
        let shared = published.clone();
        let origin =
            Origin::start(move |seen| shared.answer(seen.target(), seen.header("host").unwrap_or_default()));
        Self { origin, published }
    }

    /// Its name, a URL.
    pub fn name(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// Publishes other keys from now on.
    pub fn publish<'a>(&self, signers: impl IntoIterator<Item = &'a Signer>) {
        *self.published.keys.lock().unwrap() = key_set(signers);
    }

    /// Says how long its answers are good.
    pub fn say_max_age(&self, seconds: u32) {
        *self.published.max_age.lock().unwrap() = Some(seconds);
    }

    /// Answers with 503, or as it should again.
    pub fn set_down(&self, down: bool) {
        self.published.down.store(down, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub fn fetches(&self) -> usize {
        self.origin.requests().iter().filter(|seen| seen.target() == "/jwks").count()
    }
}

impl Published {
    fn answer(&self, target: &str, host: &str) -> Reply {
        if self.down.load(Ordering::SeqCst) {
            return Reply::status(503, &[], "");
        }
        let max_age = self.max_age.lock().unwrap().map(|seconds| format!("max-age={seconds}"));
        let headers: Vec<_> = max_age.iter().map(|value| ("cache-control", value.as_str())).collect();
        match target {
            "/jwks" => Reply::status(200, &headers, self.keys.lock().unwrap().as_str()),
            "/.well-known/openid-configuration" => {
                let metadata =
                    json!({ "issuer": format!("http://{host}"), "jwks_uri": format!("http://{host}/jwks") });
                Reply::status(200, &[], metadata.to_string())
            }
            _ => Reply::status(404, &[], ""),
        }
    }
}
