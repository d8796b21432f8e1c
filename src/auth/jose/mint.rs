//! Keys and tokens for tests, of this module and of those above it: good ones, and ones that no signer would make.

use std::sync::LazyLock;

use boring::ec::{EcGroup, EcKey};
use boring::pkey::{Id, PKey};
use boring::rsa::Rsa;
use serde_json::{Map, Value, json};

use super::{Algorithm, Key, KeySet, Rules, SigningKey, Verifier, base64url, curve::Curve};

/// The time in tests, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://id.example.com";
pub const AUDIENCE: &str = "orders-api";
pub const SECRET: [u8; 64] = [0x5a; 64];

static RSA_PEM: LazyLock<Vec<u8>> =
    LazyLock::new(|| Rsa::generate(2048).unwrap().private_key_to_pem().unwrap());

/// A key for the algorithm: for RSA always the same one, for it takes long to make; otherwise a new one.
pub fn signer(algorithm: Algorithm, id: Option<&str>) -> SigningKey {
    let ec = |curve: Curve| {
        let group = EcGroup::from_curve_name(curve.nid()).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        key.private_key_to_pem_pkcs8().unwrap()
    };
    let pem = match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
            return SigningKey::from_secret(&SECRET, algorithm, id).unwrap();
        }
        Algorithm::Es256 => ec(Curve::P256),
        Algorithm::Es384 => ec(Curve::P384),
        Algorithm::Es512 => ec(Curve::P521),
        Algorithm::EdDsa => PKey::generate(Id::ED25519).unwrap().private_key_to_pem_pkcs8().unwrap(),
        _ => RSA_PEM.clone(),
    };
    SigningKey::from_pem(&pem, algorithm, id).unwrap()
}

/// The key set of signers.
pub fn keys<'a>(signers: impl IntoIterator<Item = &'a SigningKey>) -> KeySet {
    let mut set = KeySet::default();
    for signer in signers {
        set.add(verifying(signer)).unwrap();
    }
    set
}

/// A key of its own for whoever verifies.
pub fn verifying(signer: &SigningKey) -> Key {
    signer.verifying().clone()
}

/// The PEM of the private RSA key.
pub fn rsa_private_pem() -> &'static [u8] {
    &RSA_PEM
}

/// The PEM of the public RSA key.
pub fn rsa_public_pem() -> Vec<u8> {
    PKey::private_key_from_pem(&RSA_PEM).unwrap().public_key_to_pem().unwrap()
}

/// Claims of a good access token, with these put in or, where `null`, taken out.
pub fn claims(changes: Value) -> Map<String, Value> {
    let base = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "iat": NOW - 10, "exp": NOW + 600, "jti": "t1",
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

/// A token with these changes to good claims, and a header of `alg`, `kid` and `typ: at+jwt`.
pub fn token(signer: &SigningKey, changes: Value) -> String {
    signer.sign(Some("at+jwt"), &claims(changes)).unwrap()
}

/// A token of whatever header and claims, with a good signature over them.
pub fn token_of(signer: &SigningKey, header: &str, claims: impl AsRef<[u8]>) -> String {
    signer.sign_parts(header.as_bytes(), claims.as_ref()).unwrap()
}

/// A token of whatever header, claims and signature.
pub fn forged(header: &str, claims: &Map<String, Value>, signature: &[u8]) -> String {
    let claims = serde_json::to_vec(claims).unwrap();
    let [header, claims, signature] = [header.as_bytes(), &claims, signature].map(base64url::encode);
    format!("{header}.{claims}.{signature}")
}

/// A verifier for the tokens made here.
pub fn verifier() -> Verifier {
    Verifier::new(Rules::new(ISSUER, AUDIENCE))
}
