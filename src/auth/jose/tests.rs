//! The practices of RFC 8725, a test a row, and tokens that a forger would make.

mod hostile;
mod odd;

use boring::bn::BigNum;
use serde_json::{Value, json};

use super::mint::{
    self, AUDIENCE, ISSUER, NOW, SECRET, claims, forged, keys, signer, token, token_of, verifier,
};
use super::rules::Kind;
use super::*;

fn check(set: &KeySet, token: impl AsRef<[u8]>) -> Result<(), Fault> {
    verifier().verify(token.as_ref(), set, NOW).map(drop)
}

/// Allows everything that exists, so that nothing but the key stands against a forger.
fn check_lenient(set: &KeySet, token: &str) -> Result<(), Fault> {
    let verifier = Verifier { algorithms: Algorithm::ALL.into_iter().collect(), ..verifier() };
    verifier.verify(token.as_bytes(), set, NOW).map(drop)
}

fn rsa_keys() -> KeySet {
    let mut set = KeySet::default();
    set.add(Key::from_pem(&mint::rsa_public_pem(), Some("k"), None).unwrap()).unwrap();
    set
}

#[test]
fn rfc8725_3_1_the_algorithm_is_the_keys_and_the_policys() {
    let (ours, pem) = (signer(Algorithm::Rs256, Some("k")), mint::rsa_public_pem());
    let set = keys([&ours]);
    assert_eq!(check(&set, token(&ours, json!({}))), Ok(()));
    // The one RSA key signs by another algorithm than it is for.
    assert_eq!(
        check(&set, token(&signer(Algorithm::Ps256, Some("k")), json!({}))),
        Err(Fault::AlgorithmNotOfKey)
    );
    // The public key as a secret, in every spelling a verifier might hash.
    let trimmed = pem.trim_ascii_end().to_vec();
    let der = boring::pkey::PKey::public_key_from_pem(&pem).unwrap().public_key_to_der().unwrap();
    for secret in [pem, trimmed, der] {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            let forger = SigningKey::from_secret(&secret, algorithm, Some("k")).unwrap();
            let forged = token(&forger, json!({}));
            assert_eq!(check(&set, &forged), Err(Fault::AlgorithmNotAllowed));
            assert_eq!(check_lenient(&set, &forged), Err(Fault::AlgorithmNotOfKey));
            assert_eq!(check_lenient(&rsa_keys(), &forged), Err(Fault::AlgorithmNotOfKey));
        }
    }
}

#[test]
fn rfc8725_3_2_there_is_no_weak_algorithm_and_none_is_none() {
    let set = keys([&signer(Algorithm::Es256, Some("k"))]);
    for name in ["none", "None", "NONE", "nOnE", "noNe"] {
        for signature in [&b""[..], b"x", &[0; 64]] {
            let forged = forged(&format!(r#"{{"alg":"{name}","kid":"k"}}"#), &claims(json!({})), signature);
            assert_eq!(check_lenient(&set, &forged), Err(Fault::AlgorithmNone));
        }
    }
    for name in ["RSA1_5", "HS1", "RS1", "ES256K", "", "none\u{0}", " none"] {
        let header = json!({ "alg": name, "kid": "k" }).to_string();
        assert_eq!(
            check_lenient(&set, &forged(&header, &claims(json!({})), b"x")),
            Err(Fault::AlgorithmUnknown)
        );
    }
}

#[test]
fn rfc8725_3_3_every_signature_is_checked_and_one_failure_refuses_all() {
    let (ours, thief) = (signer(Algorithm::Es256, Some("k")), signer(Algorithm::Es256, Some("k")));
    let set = keys([&ours]);
    assert_eq!(check(&set, token(&thief, json!({}))), Err(Fault::SignatureInvalid));
    // A token in a token is not unpacked, so that there is no inner signature to forget.
    let nested = token_of(&ours, r#"{"alg":"ES256","kid":"k","cty":"JWT"}"#, token(&ours, json!({})));
    assert_eq!(check(&set, nested), Err(Fault::Nested));
}

#[test]
fn rfc8725_3_4_keys_and_signatures_are_checked_before_they_are_used() {
    let off_curve = json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "kid": "k", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    }]});
    let (set, notes) = KeySet::parse(off_curve.to_string().as_bytes(), Source::Public).unwrap();
    assert!(set.keys().is_empty() && notes.len() == 1);
}

#[test]
fn rfc8725_3_5_secrets_are_as_long_as_their_hash() {
    assert!(Key::secret(b"correct horse battery staple", None, None).is_err());
    assert!(Key::secret(&SECRET[..47], None, Some(Algorithm::Hs384)).is_err());
    assert!(Key::secret(&SECRET[..48], None, Some(Algorithm::Hs384)).is_ok());
}

#[test]
fn rfc8725_3_6_nothing_compressed_is_taken() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let header = |zip: &str| format!(r#"{{"alg":"ES256","kid":"k"{zip}}}"#);
    let claims = Value::Object(claims(json!({}))).to_string();
    assert_eq!(check(&keys([&ours]), token_of(&ours, &header(""), &claims)), Ok(()));
    let compressed = token_of(&ours, &header(r#","zip":"DEF""#), &claims);
    assert_eq!(check(&keys([&ours]), compressed), Err(Fault::Compressed));
}

#[test]
fn rfc8725_3_7_json_is_utf_8() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let text = Value::Object(claims(json!({ "name": "Zoë" }))).to_string();
    assert_eq!(check(&keys([&ours]), token_of(&ours, header, &text)), Ok(()));
    let latin1: Vec<u8> = text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    assert_eq!(check(&keys([&ours]), token_of(&ours, header, latin1)), Err(Fault::ClaimsMalformed));
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(check(&keys([&ours]), token_of(&ours, header, utf16)), Err(Fault::ClaimsMalformed));
}

#[test]
fn rfc8725_3_8_issuer_and_subject_are_validated() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    assert_eq!(check(&set, token(&ours, json!({ "iss": "https://evil.example" }))), Err(Fault::IssuerWrong));
    assert_eq!(check(&set, token(&ours, json!({ "iss": null }))), Err(Fault::IssuerMissing));
    let strict = Verifier { rules: Rules { subject: true, ..verifier().rules }, ..verifier() };
    let nobody = token(&ours, json!({ "sub": null }));
    assert_eq!(strict.verify(nobody.as_bytes(), &set, NOW).map(drop), Err(Fault::SubjectMissing));
}

#[test]
fn rfc8725_3_9_the_audience_is_ours() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    assert_eq!(check(&set, token(&ours, json!({ "aud": ["other", AUDIENCE] }))), Ok(()));
    assert_eq!(check(&set, token(&ours, json!({ "aud": "other" }))), Err(Fault::AudienceWrong));
    assert_eq!(check(&set, token(&ours, json!({ "aud": null }))), Err(Fault::AudienceMissing));
}

#[test]
fn rfc8725_3_10_nothing_in_a_header_leads_anywhere() {
    let (ours, thief) = (signer(Algorithm::Es256, Some("k")), signer(Algorithm::Es256, Some("k")));
    let (set, claims) = (keys([&ours]), Value::Object(claims(json!({}))).to_string());
    for member in [
        r#""jku":"http://169.254.169.254/""#,
        r#""x5u":"https://evil.example/c.pem""#,
        r#""x5c":["MIIB"]"#,
        r#""jwk":{"kty":"EC"}"#,
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k",{member}}}"#);
        assert_eq!(check(&set, token_of(&thief, &header, &claims)), Err(Fault::KeyInHeader), "{member}");
        assert_eq!(check(&set, token_of(&ours, &header, &claims)), Err(Fault::KeyInHeader), "{member}");
    }
    let long = "k".repeat(10_000);
    for id in ["../../../../dev/null", "/etc/passwd", "k' OR '1'='1", "k\0", "k|whoami", "K", " k", &long] {
        let header = json!({ "alg": "ES256", "kid": id }).to_string();
        assert_eq!(check(&set, token_of(&thief, &header, &claims)), Err(Fault::KeyUnknown), "{id}");
    }
}

#[test]
fn rfc8725_3_11_tokens_of_another_type_are_refused() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let typed = |kind: &str| ours.sign(Some(kind), &claims(json!({}))).unwrap();
    assert_eq!(check(&set, typed("at+jwt")), Ok(()));
    for kind in ["dpop+jwt", "secevent+jwt", "logout+jwt", "token-introspection+jwt", "oauth-authz-req+jwt"] {
        assert_eq!(check(&set, typed(kind)), Err(Fault::TypeWrong), "{kind}");
    }
    let strict = Verifier { rules: Rules { kind: Kind::Access, ..verifier().rules }, ..verifier() };
    assert_eq!(strict.verify(typed("JWT").as_bytes(), &set, NOW).map(drop), Err(Fault::TypeWrong));
    assert_eq!(strict.verify(typed("at+jwt").as_bytes(), &set, NOW).map(drop), Ok(()));
}

#[test]
fn rfc8725_3_12_rules_for_kinds_of_tokens_exclude_each_other() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let kinds = [Kind::Access, Kind::Exactly("logout+jwt"), Kind::Exactly("dpop+jwt")];
    for (place, name) in ["at+jwt", "logout+jwt", "dpop+jwt"].iter().enumerate() {
        let token = ours.sign(Some(name), &claims(json!({}))).unwrap();
        for (other, kind) in kinds.iter().enumerate() {
            let rules = Rules { kind: kind.clone(), ..Rules::new(ISSUER, AUDIENCE) };
            let verdict = Verifier { rules, ..verifier() }.verify(token.as_bytes(), &set, NOW);
            assert_eq!(verdict.is_ok(), place == other, "{name} as {kind:?}");
        }
    }
}

#[test]
fn refuses_signatures_that_are_none() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
        Algorithm::Rs256,
        Algorithm::Ps256,
    ] {
        let set = keys([&signer(algorithm, Some("k"))]);
        let header = format!(r#"{{"alg":"{}","kid":"k"}}"#, algorithm.name());
        let forge = |signature: &[u8]| check(&set, forged(&header, &claims(json!({})), signature));
        assert_eq!(forge(b""), Err(Fault::SignatureMissing), "{algorithm:?}");
        for length in [1, 32, 63, 64, 65, 96, 132, 255, 256, 257, 5000] {
            for byte in [0, 1, 0xff] {
                assert_eq!(
                    forge(&vec![byte; length]),
                    Err(Fault::SignatureInvalid),
                    "{algorithm:?} {length} {byte}"
                );
            }
        }
    }
}

/// `r` or `s` of zero verify for every message where the range is not checked (CVE-2022-21449), and so do values of
/// the order for those who reduce them first.
#[test]
fn refuses_signatures_of_numbers_out_of_range() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let order =
        BigNum::from_hex_str("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let (zero, one, order) =
        ([0; 32], BigNum::from_u32(1).unwrap().to_vec_padded(32).unwrap(), order.to_vec());
    let numbers = [&zero[..], &one, &order, &[0xff; 32]];
    for r in numbers {
        for s in numbers {
            let forged = forged(r#"{"alg":"ES256","kid":"k"}"#, &claims(json!({})), &[r, s].concat());
            assert_eq!(check(&set, forged), Err(Fault::SignatureInvalid));
        }
    }
}

#[test]
fn refuses_another_spelling_of_a_good_signature() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let good = token(&ours, json!({}));
    assert_eq!(check(&set, &good), Ok(()));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature.as_bytes()).unwrap();
    let (r, s) = bytes.split_at(32);
    let number = |bytes: &[u8]| BigNum::from_slice(bytes).unwrap();
    let der =
        boring::ecdsa::EcdsaSig::from_private_components(number(r), number(s)).unwrap().to_der().unwrap();
    let padded = [&[0][..], r, &[0], s].concat();
    for other in [der, padded, bytes[..63].to_vec(), [&bytes[..], &[0]].concat(), [s, r].concat()] {
        let token = format!("{signed}.{}", base64url::encode(&other));
        assert_eq!(check(&set, token), Err(Fault::SignatureInvalid));
    }
    for text in
        [format!("{good}="), format!("{good}\n"), format!("{good} "), format!("{signed}..{signature}")]
    {
        assert_eq!(check(&set, &text), Err(Fault::Malformed), "{text:?}");
    }
    let rsa = signer(Algorithm::Rs256, Some("k"));
    let (signed, signature) =
        token(&rsa, json!({})).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let bytes = base64url::decode(signature.as_bytes()).unwrap();
    for other in [[&[0][..], &bytes].concat(), bytes[1..].to_vec(), bytes[..255].to_vec()] {
        let token = format!("{signed}.{}", base64url::encode(&other));
        assert_eq!(check(&keys([&rsa]), token), Err(Fault::SignatureInvalid));
    }
}

#[test]
fn refuses_claims_of_other_types_though_the_issuer_signed_them() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let signed = |claims: &str| check(&set, token_of(&ours, r#"{"alg":"ES256","kid":"k"}"#, claims));
    let with = |members: &str| {
        format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{},{members}}}"#, NOW + 60).replace(",}", "}")
    };
    assert_eq!(signed(&with("")), Ok(()));
    let exp = |exp: &str| signed(&with("").replace(&(NOW + 60).to_string(), exp));
    for (text, fault) in [
        ("\"1900000000\"", Fault::TimeInvalid),
        ("1e400", Fault::ClaimsMalformed),
        ("NaN", Fault::ClaimsMalformed),
        ("Infinity", Fault::ClaimsMalformed),
        ("1e300", Fault::TimeInvalid),
        ("-1", Fault::TimeInvalid),
        ("99999999999999999999999999999999", Fault::TimeInvalid),
        ("9223372036854775808", Fault::TimeInvalid),
        ("null", Fault::TimeInvalid),
        ("[1900000000]", Fault::TimeInvalid),
    ] {
        assert_eq!(exp(text), Err(fault), "{text}");
    }
    assert_eq!(signed(&with(r#""exp":1900000000"#)), Err(Fault::DuplicateClaim));
    assert_eq!(signed(&with(r#""sub":"\ud800""#)), Err(Fault::ClaimsMalformed));
    assert_eq!(signed(&with(r#""sub":"\ud83d\ude00""#)), Ok(()));
    assert_eq!(
        signed(&with(&format!(r#""x":{}1{}"#, "[".repeat(100), "]".repeat(100)))),
        Err(Fault::TooDeep)
    );
    for aud in ["7", "null", "{}", r#"["orders-api",7]"#] {
        let text = with("").replace(&format!("\"{AUDIENCE}\""), aud);
        assert_eq!(signed(&text), Err(Fault::AudienceInvalid), "{aud}");
    }
    assert_eq!(signed(&with(r#""cnf":{"kid":"x"}"#)), Err(Fault::ConfirmationUnknown));
}

/// A connection on the same thread would find errors that are none of its own.
#[test]
fn a_refused_token_leaves_no_error_behind() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256] {
        let good = signer(algorithm, Some("k"));
        let set = keys([&good]);
        let token = token(&good, json!({}));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = base64url::decode(signature.as_bytes()).unwrap();
        bytes[3] ^= 1;
        assert_eq!(
            check(&set, format!("{signed}.{}", base64url::encode(&bytes))),
            Err(Fault::SignatureInvalid)
        );
        assert!(boring::error::ErrorStack::get().errors().is_empty(), "{algorithm:?}");
    }
    let junk = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) }] });
    KeySet::parse(junk.to_string().as_bytes(), Source::Public).unwrap();
    assert!(boring::error::ErrorStack::get().errors().is_empty());
}
