use serde_json::json;

use super::*;
use crate::auth::jose::algorithm::Algorithms;

const P256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const P256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

/// The base with these members put in or, where `null`, taken out.
fn changed(base: Value, changes: Value) -> Map<String, Value> {
    let Value::Object(mut jwk) = base else { panic!() };
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => jwk.remove(name),
            value => jwk.insert(name.clone(), value.clone()),
        };
    }
    jwk
}

fn ec(changes: Value) -> Result<Key, KeyError> {
    public(&changed(json!({ "kty": "EC", "crv": "P-256", "x": P256_X, "y": P256_Y }), changes))
}

fn rsa(changes: Value) -> Result<Key, KeyError> {
    public(&changed(json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }), changes))
}

fn okp(changes: Value) -> Result<Key, KeyError> {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    public(&changed(json!({ "kty": "OKP", "crv": "Ed25519", "x": x }), changes))
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    // RFC 7638 section 3.1, RFC 8037 appendix A.3, RFC 9449 section 6.1
    let print = |key: Result<Key, KeyError>| key.unwrap().thumbprint().to_string();
    assert_eq!(print(rsa(json!({ "kid": "2011-04-29" }))), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(print(okp(json!({}))), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let (x, y) =
        ("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");
    assert_eq!(print(ec(json!({ "x": x, "y": y }))), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn another_spelling_of_a_modulus_is_the_same_key() {
    let padded = base64url::encode(&[&[0][..], &base64url::decode(RSA_N.as_bytes()).unwrap()].concat());
    assert_eq!(rsa(json!({ "n": padded })).unwrap().thumbprint(), rsa(json!({})).unwrap().thumbprint());
}

#[test]
fn takes_the_algorithms_that_a_key_says_it_is_for() {
    assert_eq!(rsa(json!({})).unwrap().algorithms(), Algorithms::RSA);
    assert_eq!(rsa(json!({ "alg": "PS384" })).unwrap().algorithms(), Algorithms::only(Algorithm::Ps384));
    assert_eq!(okp(json!({ "alg": "Ed25519" })).unwrap().algorithms(), Algorithms::only(Algorithm::EdDsa));
    let error = |key: Result<Key, KeyError>| key.unwrap_err();
    assert_eq!(error(rsa(json!({ "alg": "RSA-OAEP" }))), KeyError::Algorithm("RSA-OAEP".to_owned()));
    assert_eq!(error(rsa(json!({ "alg": "none" }))), KeyError::Algorithm("none".to_owned()));
    assert_eq!(error(rsa(json!({ "alg": "HS256" }))), KeyError::AlgorithmOfOtherKey(Algorithm::Hs256));
    assert_eq!(error(ec(json!({ "alg": "ES384" }))), KeyError::AlgorithmOfOtherKey(Algorithm::Es384));
    assert_eq!(error(ec(json!({ "alg": 1 }))), KeyError::Member("alg"));
}

#[test]
fn leaves_out_keys_that_are_not_for_signatures() {
    for changes in
        [json!({ "use": "sig" }), json!({ "key_ops": ["verify"] }), json!({ "key_ops": ["sign", "verify"] })]
    {
        assert!(ec(changes).is_ok());
    }
    for changes in [
        json!({ "use": "enc" }),
        json!({ "use": 1 }),
        json!({ "key_ops": [] }),
        json!({ "key_ops": ["sign"] }),
        json!({ "key_ops": "verify" }),
        json!({ "use": "enc", "key_ops": ["verify"] }),
    ] {
        assert_eq!(ec(changes.clone()).unwrap_err(), KeyError::Use, "{changes}");
    }
}

#[test]
fn refuses_points_off_their_curve_and_coordinates_of_another_length() {
    assert!(ec(json!({})).is_ok());
    assert_eq!(ec(json!({ "y": P256_X })).unwrap_err(), KeyError::Inconsistent);
    let zero = base64url::encode(&[0; 32]);
    assert_eq!(ec(json!({ "x": zero, "y": zero })).unwrap_err(), KeyError::Inconsistent);
    let above = base64url::encode(&[0xff; 32]);
    assert_eq!(ec(json!({ "x": above })).unwrap_err(), KeyError::Inconsistent);
    let x = base64url::decode(P256_X.as_bytes()).unwrap();
    let longer = base64url::encode(&[&[0][..], &x].concat());
    assert_eq!(ec(json!({ "x": longer })).unwrap_err(), KeyError::Member("x"));
    assert_eq!(ec(json!({ "x": base64url::encode(&x[1..]) })).unwrap_err(), KeyError::Member("x"));
    assert_eq!(ec(json!({ "crv": "P-384" })).unwrap_err(), KeyError::Member("x"));
}

#[test]
fn refuses_members_that_are_missing_or_malformed() {
    for (name, value) in
        [("x", json!(null)), ("y", json!(null)), ("x", json!(1)), ("x", json!("")), ("y", json!("?"))]
    {
        assert!(matches!(ec(json!({ name: value })), Err(KeyError::Member(_))), "{name}");
    }
    for (name, value) in [("n", json!(null)), ("e", json!(null)), ("e", json!("AQAB=")), ("n", json!([1]))] {
        assert!(matches!(rsa(json!({ name: value })), Err(KeyError::Member(_))), "{name}");
    }
    assert_eq!(ec(json!({ "kid": 7 })).unwrap_err(), KeyError::Member("kid"));
    assert_eq!(ec(json!({ "kty": null })).unwrap_err(), KeyError::Member("kty"));
    let long = base64url::encode(&vec![0xff; 100_000]);
    assert_eq!(rsa(json!({ "n": long })).unwrap_err(), KeyError::Member("n"));
}

#[test]
fn refuses_weak_and_unsupported_keys() {
    assert_eq!(rsa(json!({ "n": base64url::encode(&[0xff; 128]) })).unwrap_err(), KeyError::Modulus(1024));
    assert_eq!(rsa(json!({ "e": "AQ" })).unwrap_err(), KeyError::Exponent);
    assert_eq!(ec(json!({ "crv": "secp256k1" })).unwrap_err(), KeyError::Curve("secp256k1".to_owned()));
    assert_eq!(okp(json!({ "crv": "Ed448" })).unwrap_err(), KeyError::Curve("Ed448".to_owned()));
    assert_eq!(okp(json!({ "crv": "X25519" })).unwrap_err(), KeyError::Curve("X25519".to_owned()));
    assert_eq!(okp(json!({ "x": "AAAA" })).unwrap_err(), KeyError::Member("x"));
    assert_eq!(ec(json!({ "kty": "AKP" })).unwrap_err(), KeyError::Type("AKP".to_owned()));
    assert_eq!(ec(json!({ "kty": "x".repeat(1000) })).unwrap_err(), KeyError::Type("x".repeat(32)));
}

#[test]
fn a_secret_is_read_only_where_secrets_are() {
    let jwk = changed(json!({ "kty": "oct", "k": base64url::encode(&[7; 32]) }), json!({}));
    assert_eq!(public(&jwk).unwrap_err(), KeyError::PublicSecret);
    assert_eq!(secret(&jwk).unwrap().algorithms(), Algorithms::only(Algorithm::Hs256));
    assert!(is_secret(&jwk) && !is_private(&jwk));
}
