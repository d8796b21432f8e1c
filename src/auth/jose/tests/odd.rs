//! Keys and tokens that are odd and legal, which work, and those that are only nearly so, which do not.

use boring::bn::BigNum;
use boring::hash::MessageDigest;
use boring::pkey::{PKey, Private};
use boring::rsa::{Padding, Rsa};
use boring::sign::{RsaPssSaltlen, Signer};
use serde_json::{Map, Value, json};

use super::super::mint::{claims, keys, signer, token_of};
use super::super::{Algorithm, Fault, KeySet, Source, base64url};
use super::check;

struct Pair {
    private: PKey<Private>,
    jwk: Map<String, Value>,
}

fn rsa(bits: u32, exponent: u32) -> Pair {
    let exponent = BigNum::from_u32(exponent).unwrap();
    let key = Rsa::generate_with_e(bits, &exponent).unwrap();
    let jwk = json!({
        "kty": "RSA", "kid": "k", "n": base64url::encode(&key.n().to_vec()), "e": base64url::encode(&key.e().to_vec()),
    });
    Pair { jwk: jwk.as_object().unwrap().clone(), private: PKey::from_rsa(key).unwrap() }
}

fn set(jwk: &Map<String, Value>, changes: &Value) -> KeySet {
    let mut jwk = jwk.clone();
    jwk.extend(changes.as_object().unwrap().clone());
    KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), Source::Public).unwrap().0
}

/// A good token, signed with RSA: by PSS with a salt of so many bytes, or by PKCS #1 without.
fn signed(pair: &Pair, algorithm: &str, digest: MessageDigest, salt: Option<i32>) -> String {
    let header = json!({ "alg": algorithm, "kid": "k" }).to_string();
    let claims = Value::Object(claims(json!({}))).to_string();
    let text = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
    let mut signer = Signer::new(digest, &pair.private).unwrap();
    if let Some(salt) = salt {
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        signer.set_rsa_mgf1_md(digest).unwrap();
    }
    let signature = signer.sign_oneshot_to_vec(text.as_bytes()).unwrap();
    format!("{text}.{}", base64url::encode(&signature))
}

fn all(pair: &Pair) -> Vec<(&'static str, String)> {
    let digests = [MessageDigest::sha256(), MessageDigest::sha384(), MessageDigest::sha512()];
    let plain =
        ["RS256", "RS384", "RS512"].into_iter().zip(digests).map(|(name, digest)| (name, digest, None));
    let salted = ["PS256", "PS384", "PS512"].into_iter().zip(digests);
    let salted = salted.map(|(name, digest)| (name, digest, i32::try_from(digest.size()).ok()));
    plain.chain(salted).map(|(name, digest, salt)| (name, signed(pair, name, digest, salt))).collect()
}

#[test]
fn rsa_keys_of_every_legal_length_and_exponent_verify() {
    for (bits, exponent) in [(2048, 3), (2176, 65537), (3072, 17)] {
        let pair = rsa(bits, exponent);
        let number = |name: &str| base64url::decode(pair.jwk[name].as_str().unwrap().as_bytes()).unwrap();
        let zeros = |name: &str| base64url::encode(&[&[0, 0][..], &number(name)].concat());
        for changes in
            [json!({}), json!({ "n": zeros("n"), "e": zeros("e"), "use": "sig", "key_ops": ["verify"] })]
        {
            for (name, token) in all(&pair) {
                assert_eq!(check(&set(&pair.jwk, &changes), token), Ok(()), "{bits} {exponent} {name}");
            }
        }
    }
}

#[test]
fn a_key_for_one_algorithm_verifies_no_other() {
    let pair = rsa(2048, 65537);
    for (pinned, _) in all(&pair) {
        for (name, token) in all(&pair) {
            let expected = if name == pinned { Ok(()) } else { Err(Fault::AlgorithmNotOfKey) };
            assert_eq!(check(&set(&pair.jwk, &json!({ "alg": pinned })), token), expected, "{pinned} {name}");
        }
    }
}

/// RFC 7518 section 3.5: the salt is as long as the hash, and both hashes are the algorithm's.
#[test]
fn a_salt_of_another_length_is_none() {
    let pair = rsa(2048, 65537);
    let set = set(&pair.jwk, &json!({}));
    for salt in [0, 20, 31, 33, 64, 222] {
        let token = signed(&pair, "PS256", MessageDigest::sha256(), Some(salt));
        assert_eq!(check(&set, token), Err(Fault::SignatureInvalid), "{salt}");
    }
    for digest in [MessageDigest::sha1(), MessageDigest::sha384(), MessageDigest::sha512()] {
        for salt in [None, Some(32)] {
            let name = if salt.is_some() { "PS256" } else { "RS256" };
            assert_eq!(check(&set, signed(&pair, name, digest, salt)), Err(Fault::SignatureInvalid));
        }
    }
}

#[test]
fn headers_are_json_in_whatever_spelling() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let claims = Value::Object(claims(json!({}))).to_string();
    for header in [
        r#"{"alg":"ES256","kid":"k"}"#,
        "\r\n\t{ \"kid\" :\n\"k\" , \"alg\"\t: \"ES256\" }\n",
        r#"{"\u0061lg":"\u0045S256","kid":"\u006b"}"#,
        r#"{"alg":"ES256","kid":"k","typ":"application/at+JWT","x":{"y":[1e3,null]},"\ud83d\ude00":true}"#,
    ] {
        assert_eq!(check(&set, token_of(&ours, header, &claims)), Ok(()), "{header}");
    }
    for (header, fault) in [
        (r#"{"alg":"ES256","\u0061lg":"ES256","kid":"k"}"#, Fault::DuplicateHeader),
        (r#"{"alg":"ES256","kid":"K"}"#, Fault::KeyUnknown),
        (r#"{"alg":"ES256","kid":""}"#, Fault::KeyUnknown),
        (r#"{"alg":"es256","kid":"k"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"ES256 ","kid":"k"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":["ES256"],"kid":"k"}"#, Fault::HeaderMalformed),
        (r#"{"alg":"ES256","kid":"k","crit":[]}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","b64":false,"crit":["b64"]}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","b64":false}"#, Fault::Unencoded),
    ] {
        assert_eq!(check(&set, token_of(&ours, header, &claims)), Err(fault), "{header}");
    }
}

#[test]
fn claims_are_an_object_with_times_that_are_times() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let asked = |claims: &str| check(&set, token_of(&ours, r#"{"alg":"ES256","kid":"k"}"#, claims));
    let with = |exp: &str| {
        let claims = Value::Object(claims(json!({ "exp": null }))).to_string();
        asked(&format!("{{\"exp\":{exp},{}", &claims[1..]))
    };
    for exp in ["1e10", "10000000000", "1.0e10", "9999999999.5", "253402300799"] {
        assert_eq!(with(exp), Ok(()), "{exp}");
    }
    for exp in ["0", "-0", "-0.0", "1e-300"] {
        assert_eq!(with(exp), Err(Fault::Expired), "{exp}");
    }
    for exp in
        ["-1", "1e300", "1e13", "18446744073709551616", "\"9999999999\"", "null", "[9999999999]", "true"]
    {
        assert_eq!(with(exp), Err(Fault::TimeInvalid), "{exp}");
    }
    for payload in ["", "null", "[]", "\"{}\"", "1", "{", "{}}"] {
        assert_eq!(asked(payload), Err(Fault::ClaimsMalformed), "{payload}");
    }
    assert_eq!(asked("{}"), Err(Fault::ExpiryMissing));
}
