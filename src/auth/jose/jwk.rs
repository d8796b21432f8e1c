//! One JSON Web Key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2) as a public or secret key.
//!
//! Coordinates have the length of their curve, as the RFC demands. A modulus may have leading zeros, which some
//! libraries write (RFC 7518 section 6.3.1.1) and which change nothing. Members with certificates are not looked at.

use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::rsa::Rsa;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::base64url;
use super::curve::Curve;
use super::key::{Key, KeyError};

/// Members that only a private key has (RFC 7518 section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Longest number in a key: a modulus of 16,384 bits, so that an oversized one is measured and named in the error.
const MOST_BYTES: usize = 2048;

/// Reads a public key; a private one is taken for its public part.
pub(super) fn public(jwk: &Map<String, Value>) -> Result<Key, KeyError> {
    let (id, algorithm) = (id(jwk)?, algorithm(jwk)?);
    check_use(jwk, "verify")?;
    match text(jwk, "kty")? {
        "RSA" => {
            let key = Rsa::from_public_components(number(jwk, "n")?, number(jwk, "e")?)?;
            Key::rsa(&key, id, algorithm)
        }
        "EC" => Key::ec(ec_public(jwk, curve(jwk)?)?, id, algorithm),
        "OKP" => match text(jwk, "crv")? {
            "Ed25519" => Key::ed25519(&array(jwk, "x")?, id, algorithm),
            other => Err(KeyError::Curve(shortened(other))),
        },
        "oct" => Err(KeyError::PublicSecret),
        other => Err(KeyError::Type(shortened(other))),
    }
}

/// Reads a secret (`kty: oct`).
pub(super) fn secret(jwk: &Map<String, Value>) -> Result<Key, KeyError> {
    check_use(jwk, "verify")?;
    Key::secret(&bytes(jwk, "k")?, id(jwk)?, algorithm(jwk)?)
}

/// Whether it is a secret.
pub(super) fn is_secret(jwk: &Map<String, Value>) -> bool {
    jwk.get("kty").and_then(Value::as_str) == Some("oct")
}

/// Whether it holds more than its public part, so that everybody who reads it can sign.
pub(super) fn is_private(jwk: &Map<String, Value>) -> bool {
    PRIVATE.iter().any(|name| jwk.contains_key(*name))
}

pub(super) fn id(jwk: &Map<String, Value>) -> Result<Option<&str>, KeyError> {
    jwk.get("kid").map(|id| id.as_str().ok_or(KeyError::Member("kid"))).transpose()
}

pub(super) fn algorithm(jwk: &Map<String, Value>) -> Result<Option<Algorithm>, KeyError> {
    let Some(value) = jwk.get("alg") else { return Ok(None) };
    let name = value.as_str().ok_or(KeyError::Member("alg"))?;
    Algorithm::named(name).map(Some).ok_or_else(|| KeyError::Algorithm(shortened(name)))
}

/// Whether `use` (RFC 7517 section 4.2) and `key_ops` (section 4.3) let it do this.
pub(super) fn check_use(jwk: &Map<String, Value>, operation: &str) -> Result<(), KeyError> {
    let is_for_signatures = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = jwk.get("key_ops");
    let may = operations
        .is_none_or(|list| list.as_array().is_some_and(|list| list.iter().any(|op| op == operation)));
    if is_for_signatures && may { Ok(()) } else { Err(KeyError::Use) }
}

pub(super) fn curve(jwk: &Map<String, Value>) -> Result<Curve, KeyError> {
    let name = text(jwk, "crv")?;
    Curve::named(name).ok_or_else(|| KeyError::Curve(shortened(name)))
}

pub(super) fn ec_public(
    jwk: &Map<String, Value>,
    curve: Curve,
) -> Result<EcKey<boring::pkey::Public>, KeyError> {
    let coordinate = |name| match bytes(jwk, name)? {
        bytes if bytes.len() == curve.bytes() => Ok(BigNum::from_slice(&bytes)?),
        _ => Err(KeyError::Member(name)),
    };
    let group = EcGroup::from_curve_name(curve.nid())?;
    Ok(EcKey::from_public_key_affine_coordinates(&group, &*coordinate("x")?, &*coordinate("y")?)?)
}

pub(super) fn text<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, KeyError> {
    jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Member(name))
}

pub(super) fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let bytes = base64url::decode(text(jwk, name)?.as_bytes()).map_err(|_| KeyError::Member(name))?;
    if bytes.is_empty() || bytes.len() > MOST_BYTES { Err(KeyError::Member(name)) } else { Ok(bytes) }
}

pub(super) fn array(jwk: &Map<String, Value>, name: &'static str) -> Result<[u8; 32], KeyError> {
    bytes(jwk, name)?.try_into().map_err(|_| KeyError::Member(name))
}

pub(super) fn number(jwk: &Map<String, Value>, name: &'static str) -> Result<BigNum, KeyError> {
    Ok(BigNum::from_slice(&bytes(jwk, name)?)?)
}

/// As much of a stranger's text as a message repeats.
fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests;
