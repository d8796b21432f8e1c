//! Tokens and keys that somebody made to be let in with: by another spelling, a number out of range, a type that is
//! compared loosely elsewhere. Each with what is wrong with it.

use boring::bn::BigNum;
use boring::rsa::Rsa;
use serde_json::{Map, Value, json};

use super::super::jwks::Oddity;
use super::super::key::KeyError;
use super::super::mint::{self, ISSUER, NOW, SECRET, claims, keys, signer, token, token_of, verifier};
use super::super::rules::Kind;
use super::super::signature::mac;
use super::super::{Algorithm, Fault, KeySet, Rules, Source, Verifier, base64url};
use super::{check, check_lenient};

const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

/// Those of a table that end otherwise than it says.
fn surprises<'a, T: PartialEq + std::fmt::Debug>(
    table: impl IntoIterator<Item = (&'a str, T, T)>,
) -> Vec<String> {
    let wrong = table.into_iter().filter(|(_, found, expected)| found != expected);
    wrong.map(|(what, found, expected)| format!("{what}: {found:?} and not {expected:?}")).collect()
}

#[test]
fn headers_that_ask_for_something_are_refused_though_they_are_signed() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let text = Value::Object(claims(json!({}))).to_string();
    let asked = |header: &str| check_lenient(&set, &token_of(&ours, header, &text));
    assert_eq!(asked(HEADER), Ok(()));
    let table = [
        (r#"{"alg":"ES256","kid":"k","crit":["b64"],"b64":true}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","crit":["exp"],"exp":1}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","crit":"alg"}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","crit":{}}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","\u0063rit":["x"]}"#, Fault::CriticalHeader),
        (r#"{"alg":"ES256","kid":"k","b64":"false"}"#, Fault::Unencoded),
        (r#"{"alg":"ES256","kid":"k","b64":null}"#, Fault::Unencoded),
        (r#"{"alg":"ES256","kid":"k","zip":null}"#, Fault::Compressed),
        (r#"{"alg":"ES256","kid":"k","x5c":[]}"#, Fault::KeyInHeader),
        (r#"{"alg":"ES256","kid":"k","jku":null}"#, Fault::KeyInHeader),
        (r#"{"alg":"ES256","kid":"k","jwk":null}"#, Fault::HeaderMalformed),
        (r#"{"alg":"ES256","kid":"k","enc":null}"#, Fault::Encrypted),
        (r#"{"alg":"ES256","kid":"k","cty":"Application/JWT"}"#, Fault::Nested),
        (r#"{"alg":"ES256","kid":null}"#, Fault::HeaderMalformed),
        (r#"{"alg":"ES256","kid":{"k":1}}"#, Fault::HeaderMalformed),
        (r#"{"alg":"ES256","kid":""}"#, Fault::KeyUnknown),
        (r#"{"alg":"ES256","kid":"k\u0000"}"#, Fault::KeyUnknown),
        (r#"{"alg":"ES256","kid":"k\n"}"#, Fault::KeyUnknown),
        (r#"{"alg":"ES256","kid":"\ufeffk"}"#, Fault::KeyUnknown),
        (r#"{"alg":"Es256","kid":"k"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"ES256\u0000","kid":"k"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"ES\u017f256","kid":"k"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"ES384","kid":"k"}"#, Fault::AlgorithmNotOfKey),
        (r#"{"alg":"EdDSA","kid":"k"}"#, Fault::AlgorithmNotOfKey),
        (r#"{"alg":"HS256","kid":"k"}"#, Fault::AlgorithmNotOfKey),
        (r#"{"alg":"NONE","kid":"k"}"#, Fault::AlgorithmNone),
        (r#"{"ALG":"ES256","kid":"k"}"#, Fault::HeaderMalformed),
        (r#"{"alg":"ES256","kid":"k","typ":["JWT"]}"#, Fault::HeaderMalformed),
        (r#"{"alg":"ES256","kid":"k","x":{"a":1,"a":1}}"#, Fault::DuplicateHeader),
        ("\u{feff}{\"alg\":\"ES256\",\"kid\":\"k\"}", Fault::HeaderMalformed),
        ("{\"alg\":\"ES256\",\"kid\":\"k\"}\0", Fault::HeaderMalformed),
        ("{\"alg\":\"ES256\",\"kid\":\"k\",}", Fault::HeaderMalformed),
        ("{'alg':'ES256','kid':'k'}", Fault::HeaderMalformed),
        ("/**/{\"alg\":\"ES256\",\"kid\":\"k\"}", Fault::HeaderMalformed),
        ("{\"alg\":\"ES256\",\"kid\":\"k\u{1}\"}", Fault::HeaderMalformed),
    ];
    let table = table.map(|(header, fault)| (header, asked(header), Err(fault)));
    assert_eq!(surprises(table), [""; 0]);
}

#[test]
fn claims_that_are_compared_loosely_elsewhere_are_refused_though_they_are_signed() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let asked = |claims: &str| check(&set, token_of(&ours, HEADER, claims));
    // These members are taken out of good claims, and these written in their place.
    let with = |names: &[&str], members: &str| {
        let mut claims = claims(json!({}));
        claims.retain(|name, _| !names.contains(&name.as_str()));
        format!("{{{members},{}", &Value::Object(claims).to_string()[1..])
    };
    let (later, good) = (NOW + 60, Value::Object(claims(json!({}))).to_string());
    assert_eq!(asked(&with(&["exp"], &format!("\"exp\":{later}.5"))), Ok(()));
    let table = [
        (with(&["exp"], &format!("\"exp\":\"{later}\"")), Fault::TimeInvalid),
        (with(&["exp"], &format!("\"exp\":{later}000")), Fault::TimeInvalid),
        (with(&["exp"], "\"exp\":-1e9"), Fault::TimeInvalid),
        (with(&["exp"], "\"exp\":18446744073709551617"), Fault::TimeInvalid),
        (with(&["exp"], "\"exp\":0x7fffffff"), Fault::ClaimsMalformed),
        (with(&["exp"], "\"exp\":01900000000"), Fault::ClaimsMalformed),
        (with(&["exp"], "\"exp\":+1900000000"), Fault::ClaimsMalformed),
        (with(&["exp"], &format!("\"Exp\":{later}")), Fault::ExpiryMissing),
        (with(&["exp"], &format!("\"exp\\u0000\":{later}")), Fault::ExpiryMissing),
        (with(&[], &format!("\"ex\\u0070\":{later}")), Fault::DuplicateClaim),
        (with(&[], "\"nbf\":\"0\""), Fault::TimeInvalid),
        (with(&[], "\"nbf\":false"), Fault::TimeInvalid),
        (with(&[], &format!("\"nbf\":{later}.1")), Fault::NotYetValid),
        (with(&["iat"], "\"iat\":[]"), Fault::TimeInvalid),
        (with(&["aud"], "\"aud\":[[\"orders-api\"]]"), Fault::AudienceInvalid),
        (with(&["aud"], "\"aud\":[null,\"orders-api\"]"), Fault::AudienceInvalid),
        (with(&["aud"], "\"aud\":{\"orders-api\":true}"), Fault::AudienceInvalid),
        (with(&["aud"], "\"aud\":[]"), Fault::AudienceMissing),
        (with(&["aud"], "\"aud\":\"orders-api \""), Fault::AudienceWrong),
        (with(&["aud"], "\"aud\":\"other orders-api\""), Fault::AudienceWrong),
        (with(&["aud"], "\"aud\":\"ORDERS-API\""), Fault::AudienceWrong),
        (with(&["aud"], "\"aud\":\"orders-api\\u0000\""), Fault::AudienceWrong),
        (with(&["iss"], &format!("\"iss\":[\"{ISSUER}\"]")), Fault::TextInvalid),
        (with(&["iss"], &format!("\"iss\":\"{ISSUER}/\"")), Fault::IssuerWrong),
        (with(&["iss"], &format!("\"iss\":\"{ISSUER}.evil.example\"")), Fault::IssuerWrong),
        (with(&["iss"], &format!("\"iss\":\"{}\"", ISSUER.to_uppercase())), Fault::IssuerWrong),
        (with(&["sub"], "\"sub\":1"), Fault::TextInvalid),
        (with(&["jti"], "\"jti\":{}"), Fault::TextInvalid),
        (with(&["scope"], "\"scope\":{\"admin\":true}"), Fault::ScopeInvalid),
        (with(&[], "\"cnf\":null"), Fault::ConfirmationUnknown),
        (with(&[], "\"cnf\":{}"), Fault::ConfirmationUnknown),
        (with(&[], "\"cnf\":{\"jkt\":\"\"}"), Fault::ConfirmationUnknown),
        (with(&[], "\"a\":{\"b\":[{\"c\":1,\"\\u0063\":1}]}"), Fault::DuplicateClaim),
        (format!("\u{feff}{good}"), Fault::ClaimsMalformed),
        (format!("{good}\0"), Fault::ClaimsMalformed),
        (format!("{good}{good}"), Fault::ClaimsMalformed),
        (format!("[{good}]"), Fault::ClaimsMalformed),
        (format!("{good}//"), Fault::ClaimsMalformed),
    ];
    let table = table.map(|(claims, fault)| (asked(&claims), Err(fault), claims));
    assert_eq!(
        surprises(table.iter().map(|(found, fault, claims)| (claims.as_str(), *found, *fault))),
        [""; 0]
    );
}

#[test]
fn an_access_token_says_that_it_is_one_where_that_is_asked() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let rules = Rules { kind: Kind::Access, ..verifier().rules };
    let strict = Verifier { rules, ..verifier() };
    let claims = Value::Object(claims(json!({}))).to_string();
    let asked =
        |header: &str| strict.verify(token_of(&ours, header, &claims).as_bytes(), &set, NOW).map(drop);
    assert_eq!(asked(r#"{"alg":"ES256","kid":"k","typ":"AT+jwt"}"#), Ok(()));
    assert_eq!(asked(HEADER), Err(Fault::TypeWrong), "none");
    for kind in ["", "JWT", "jwt", "at", "at jwt", "at+jwt ", "at+jwt;v=1", "at+jwt\\u0000", "text/at+jwt"] {
        let header = format!(r#"{{"alg":"ES256","kid":"k","typ":"{kind}"}}"#);
        assert_eq!(asked(&header), Err(Fault::TypeWrong), "{kind}");
    }
}

#[test]
fn there_is_one_spelling_of_a_token() {
    let ours = signer(Algorithm::Es256, Some("k"));
    let set = keys([&ours]);
    let good = token(&ours, json!({}));
    assert_eq!(check(&set, &good), Ok(()));
    let parts: Vec<_> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    let json = format!(r#"{{"payload":"{claims}","protected":"{header}","signature":"{signature}"}}"#);
    // 64 bytes take 86 letters, and the last one has four bits that say nothing.
    let (rest, last) = signature.split_at(85);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sloppy = &letters[letters.find(last).unwrap() + 1..][..1];
    let table = [
        (format!("\u{feff}{good}"), Fault::Malformed),
        (format!(" {good}"), Fault::Malformed),
        (format!("{good}\0"), Fault::Malformed),
        (format!("{good}%00"), Fault::Malformed),
        (format!("\"{good}\""), Fault::Malformed),
        (format!("{good},{good}"), Fault::Encrypted),
        (format!(".{good}"), Fault::Malformed),
        (format!("{good}."), Fault::Malformed),
        (format!("{header}.{claims}"), Fault::Malformed),
        (format!("{header}..{signature}"), Fault::ClaimsMalformed),
        (format!("{header}..{signature}.x.y"), Fault::Encrypted),
        (format!("{header}.{claims}.{rest}{sloppy}"), Fault::Malformed),
        (format!("{header}.{claims}.{signature}AAA"), Fault::Malformed),
        (format!("{header}.{claims}.{signature}=="), Fault::Malformed),
        (format!("{header}.{claims}.{}+", &signature[..85]), Fault::Malformed),
        (format!("{header}.{claims}.{rest}\n{last}"), Fault::Malformed),
        (format!("{header}.{claims}\u{200b}.{signature}"), Fault::Malformed),
        (json, Fault::JsonSerialised),
        ("..".to_owned(), Fault::HeaderMalformed),
        ("....".to_owned(), Fault::Encrypted),
    ];
    let table = table.map(|(text, fault)| (check(&set, &text), Err(fault), text));
    assert_eq!(surprises(table.iter().map(|(found, fault, text)| (text.as_str(), *found, *fault))), [""; 0]);
}

/// The same token with another signature.
fn resigned(token: &str, signature: &[u8]) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", base64url::encode(signature))
}

fn signature(token: &str) -> Vec<u8> {
    base64url::decode(token.rsplit_once('.').unwrap().1.as_bytes()).unwrap()
}

/// RFC 8032 section 5.1.7: `S` is below the order of the group, or there would be a second signature for each.
#[test]
fn an_ed25519_signature_has_the_least_of_its_numbers() {
    let ours = signer(Algorithm::EdDsa, Some("k"));
    let (set, good) = (keys([&ours]), token(&ours, json!({})));
    assert_eq!(check(&set, &good), Ok(()));
    let bytes = signature(&good);
    let order =
        BigNum::from_hex_str("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed").unwrap();
    let mut s = BigNum::from_slice(&bytes[32..].iter().rev().copied().collect::<Vec<_>>()).unwrap();
    for round in 0..7 {
        s = &s + &order;
        let little: Vec<_> = s.to_vec_padded(32).unwrap().into_iter().rev().collect();
        let other = resigned(&good, &[&bytes[..32], &little].concat());
        assert_eq!(check(&set, other), Err(Fault::SignatureInvalid), "{round}");
    }
    let zero = resigned(&good, &[&bytes[..32], &[0; 32]].concat());
    assert_eq!(check(&set, zero), Err(Fault::SignatureInvalid));
}

/// For a key of small order `R` of the neutral element and an `S` of zero sign one message of eight, or all of them.
#[test]
fn a_key_by_which_anybody_can_sign_is_none() {
    let point = |start: &[u8], rest: u8, end: u8| {
        let mut point = [rest; 32];
        point[..start.len()].copy_from_slice(start);
        point[31] = end;
        point
    };
    let spelled = |point: [u8; 32]| base64url::encode(&point);
    for x in [
        spelled(point(&[0], 0, 0)),
        spelled(point(&[1], 0, 0)),
        spelled(point(&[1], 0, 0x80)),
        spelled(point(&[0xec], 0xff, 0x7f)),
        spelled(point(&[0xec], 0xff, 0xff)),
        spelled(point(&[0xed], 0xff, 0x7f)),
        spelled(point(&[0xee], 0xff, 0x7f)),
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU".to_owned(),
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o".to_owned(),
    ] {
        assert_eq!(
            left_out(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x })),
            Some(KeyError::SmallOrder),
            "{x}"
        );
    }
    assert_eq!(left_out(&json!({ "kty": "OKP", "crv": "Ed25519", "x": spelled(point(&[3], 0, 0)) })), None);
}

#[test]
fn a_mac_is_whole_and_of_its_own_algorithm() {
    let ours = signer(Algorithm::Hs256, Some("k"));
    let (set, good) = (keys([&ours]), token(&ours, json!({})));
    assert_eq!(check_lenient(&set, &good), Ok(()));
    let (signed, _) = good.rsplit_once('.').unwrap();
    let bytes = signature(&good);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let of = |algorithm| mac(&SECRET, algorithm, signed.as_bytes()).unwrap();
    let table: [(&str, &[u8]); 9] = [
        ("half of it", &bytes[..16]),
        ("without its last byte", &bytes[..31]),
        ("with a byte more", &[&bytes[..], &[0]].concat()),
        ("twice", &[&bytes[..], &bytes[..]].concat()),
        ("in hexadecimal digits", hex.as_bytes()),
        ("of HS384", &of(Algorithm::Hs384)),
        ("of HS512", &of(Algorithm::Hs512)),
        ("of HS512, cut", &of(Algorithm::Hs512)[..32]),
        ("under no secret", &mac(b"", Algorithm::Hs256, signed.as_bytes()).unwrap()),
    ];
    for (what, other) in table {
        assert_eq!(check_lenient(&set, &resigned(&good, other)), Err(Fault::SignatureInvalid), "{what}");
    }
}

/// RFC 8017 section 8.2.2: a signature is below the modulus.
#[test]
fn an_rsa_signature_is_below_its_modulus() {
    let ours = signer(Algorithm::Rs256, Some("k"));
    let set = keys([&ours]);
    let modulus = Rsa::public_key_from_pem(&mint::rsa_public_pem()).unwrap().n().to_owned().unwrap();
    let beyond = (0..200).find_map(|number| {
        let token = token(&ours, json!({ "jti": number.to_string() }));
        let sum = &BigNum::from_slice(&signature(&token)).unwrap() + &modulus;
        Some(resigned(&token, &sum.to_vec_padded(256).ok()?))
    });
    // Of a modulus near 2^2048 no sum has as many bits.
    if let Some(beyond) = beyond {
        assert_eq!(check(&set, beyond), Err(Fault::SignatureInvalid));
    }
    assert_eq!(
        check(&set, resigned(&token(&ours, json!({})), &modulus.to_vec())),
        Err(Fault::SignatureInvalid)
    );
}

/// Why a key of a published set is left out.
fn left_out(jwk: &Value) -> Option<KeyError> {
    let (set, notes) =
        KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), Source::Public).unwrap();
    match (set.keys().len(), &notes[..]) {
        (1, []) => None,
        (0, [note]) => match &note.oddity {
            Oddity::LeftOut(why) => Some(why.clone()),
            Oddity::PrivatePublished => panic!("used"),
        },
        _ => panic!("{notes:?}"),
    }
}

/// The key but for these members; one that is `-` is taken out.
fn changed(jwk: &Value, changes: &Value) -> Value {
    let mut jwk: Map<String, Value> = jwk.as_object().unwrap().clone();
    jwk.extend(changes.as_object().unwrap().clone());
    jwk.retain(|_, value| *value != "-");
    Value::Object(jwk)
}

fn left_out_if(good: &Value, table: &[(Value, KeyError)]) {
    assert_eq!(left_out(good), None);
    for (changes, why) in table {
        assert_eq!(left_out(&changed(good, changes)).as_ref(), Some(why), "{changes}");
    }
}

#[test]
fn rsa_keys_that_are_none_are_left_out() {
    let key = Rsa::public_key_from_pem(&mint::rsa_public_pem()).unwrap();
    let n = key.n().to_vec();
    let even = [&n[..255], &[n[255] & 0xfe]].concat();
    let good = json!({ "kty": "RSA", "kid": "k", "e": "AQAB", "n": base64url::encode(&n) });
    let member = KeyError::Member;
    left_out_if(
        &good,
        &[
            (json!({ "n": base64url::encode(&[&[0x80], &n[1..128]].concat()) }), KeyError::Modulus(1024)),
            (json!({ "n": base64url::encode(&[&[0x40], &n[1..]].concat()) }), KeyError::Modulus(2047)),
            (json!({ "n": base64url::encode(&even) }), KeyError::Exponent),
            (json!({ "n": base64url::encode(&[&[1][..], &n.repeat(5)].concat()) }), KeyError::Modulus(10241)),
            (json!({ "n": "" }), member("n")),
            (json!({ "n": "-" }), member("n")),
            (json!({ "n": 65537 }), member("n")),
            (json!({ "n": format!("{}=", base64url::encode(&n)) }), member("n")),
            (json!({ "e": "AQ" }), KeyError::Exponent),
            (json!({ "e": "AA" }), KeyError::Exponent),
            (json!({ "e": "Ag" }), KeyError::Exponent),
            (json!({ "e": "AQAA" }), KeyError::Exponent),
            (json!({ "e": "AQAAAAE" }), KeyError::Exponent),
            (json!({ "e": "AQAB\n" }), member("e")),
            (json!({ "e": "65537" }), member("e")),
            (json!({ "kty": "rsa" }), KeyError::Type("rsa".to_owned())),
            (json!({ "kty": "RSA " }), KeyError::Type("RSA ".to_owned())),
            (json!({ "kty": ["RSA"] }), member("kty")),
            (json!({ "kty": "-" }), member("kty")),
            (json!({ "kid": 7 }), member("kid")),
            (json!({ "alg": "none" }), KeyError::Algorithm("none".to_owned())),
            (json!({ "alg": "RSA-OAEP" }), KeyError::Algorithm("RSA-OAEP".to_owned())),
            (json!({ "alg": "HS256" }), KeyError::AlgorithmOfOtherKey(Algorithm::Hs256)),
            (json!({ "alg": null }), member("alg")),
            (json!({ "use": "enc" }), KeyError::Use),
            (json!({ "use": "SIG" }), KeyError::Use),
            (json!({ "use": ["sig"] }), KeyError::Use),
            (json!({ "key_ops": ["sign"] }), KeyError::Use),
            (json!({ "key_ops": "verify" }), KeyError::Use),
            (json!({ "kty": "oct", "k": base64url::encode(&SECRET) }), KeyError::PublicSecret),
        ],
    );
    for jwk in [json!(null), json!([]), json!("key"), json!({})] {
        assert_eq!(left_out(&jwk), Some(KeyError::Member("kty")), "{jwk}");
    }
}

#[test]
fn elliptic_keys_that_are_none_are_left_out() {
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    let bytes = |text: &str| base64url::decode(text.as_bytes()).unwrap();
    let member = KeyError::Member;
    let good = json!({ "kty": "EC", "kid": "k", "crv": "P-256", "x": x, "y": y });
    left_out_if(
        &good,
        &[
            (json!({ "crv": "p-256" }), KeyError::Curve("p-256".to_owned())),
            (json!({ "crv": "secp256k1" }), KeyError::Curve("secp256k1".to_owned())),
            (json!({ "crv": "P-384" }), member("x")),
            (json!({ "x": y, "y": x }), KeyError::Inconsistent),
            (
                json!({ "x": base64url::encode(&[0; 32]), "y": base64url::encode(&[0; 32]) }),
                KeyError::Inconsistent,
            ),
            (json!({ "x": base64url::encode(&[0xff; 32]) }), KeyError::Inconsistent),
            (json!({ "y": "-" }), member("y")),
            (json!({ "x": base64url::encode(&bytes(x)[1..]) }), member("x")),
            (json!({ "x": base64url::encode(&[&[0], &bytes(x)[..]].concat()) }), member("x")),
            (json!({ "alg": "ES384" }), KeyError::AlgorithmOfOtherKey(Algorithm::Es384)),
        ],
    );
    let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    left_out_if(
        &good,
        &[
            (json!({ "crv": "X25519" }), KeyError::Curve("X25519".to_owned())),
            (json!({ "crv": "ed25519" }), KeyError::Curve("ed25519".to_owned())),
            (json!({ "x": base64url::encode(&[7; 31]) }), member("x")),
            (json!({ "x": base64url::encode(&[7; 33]) }), member("x")),
        ],
    );
}
