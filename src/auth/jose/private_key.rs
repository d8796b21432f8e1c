//! Private keys from PEM and JWK: what [`SigningKey`](super::sign::SigningKey) signs with. One whose numbers do not fit
//! together is refused, for its signatures would give it away.

use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::pkey::{Id, PKey, Private, Public};
use boring::rsa::Rsa;
use serde_json::{Map, Value};

use super::curve::Curve;
use super::jwk;
use super::key::KeyError;

/// The fixed start of an Ed25519 PKCS #8 key (RFC 8410 section 7); the 32 bytes of the seed follow.
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Reads `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`, unencrypted.
pub(super) fn from_pem(pem: &[u8]) -> Result<PKey<Private>, KeyError> {
    let key = PKey::private_key_from_pem(pem)?;
    match key.id() {
        Id::RSA if !key.rsa()?.check_key()? => return Err(KeyError::Inconsistent),
        Id::EC => key.ec_key()?.check_key()?,
        _ => {}
    }
    Ok(key)
}

/// Reads a private JWK (RFC 7518 section 6, RFC 8037 section 2). RSA keys have all their factors.
pub(super) fn from_jwk(jwk: &Map<String, Value>) -> Result<PKey<Private>, KeyError> {
    match jwk::text(jwk, "kty")? {
        "RSA" => Ok(PKey::from_rsa(rsa(jwk)?)?),
        "EC" => Ok(PKey::from_ec_key(ec(jwk, jwk::curve(jwk)?)?)?),
        "OKP" if jwk::text(jwk, "crv")? == "Ed25519" => {
            let seed: [u8; 32] = jwk::array(jwk, "d")?;
            let key = PKey::private_key_from_der(&[&ED25519_PKCS8[..], &seed].concat())?;
            let mut public = [0; 32];
            key.raw_public_key(&mut public)?;
            if public == jwk::array(jwk, "x")? { Ok(key) } else { Err(KeyError::Inconsistent) }
        }
        other => Err(KeyError::Type(other.chars().take(32).collect())),
    }
}

/// The public part.
pub(super) fn public(key: &PKey<Private>) -> Result<PKey<Public>, KeyError> {
    Ok(PKey::public_key_from_der(&key.public_key_to_der()?)?)
}

fn rsa(jwk: &Map<String, Value>) -> Result<Rsa<Private>, KeyError> {
    let number = |name| jwk::number(jwk, name);
    let key = Rsa::from_private_components(
        number("n")?,
        number("e")?,
        number("d")?,
        number("p")?,
        number("q")?,
        number("dp")?,
        number("dq")?,
        number("qi")?,
    )?;
    if key.check_key()? { Ok(key) } else { Err(KeyError::Inconsistent) }
}

fn ec(jwk: &Map<String, Value>, curve: Curve) -> Result<EcKey<Private>, KeyError> {
    let public = jwk::ec_public(jwk, curve)?;
    let secret: BigNum = jwk::number(jwk, "d")?;
    let group = EcGroup::from_curve_name(curve.nid())?;
    let key = EcKey::from_private_components(&group, &secret, public.public_key())?;
    key.check_key()?;
    Ok(key)
}
