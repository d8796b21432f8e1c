use serde_json::json;

use super::*;

fn read(claims: Value) -> Result<Claims, Fault> {
    Claims::read(claims.as_object().unwrap().clone())
}

#[test]
fn reads_registered_claims_and_keeps_all_of_them() {
    let claims = read(json!({
        "iss": "i", "sub": "s", "aud": ["a", "b"], "exp": 20, "nbf": 10, "iat": 10, "jti": "j", "client_id": "c",
        "azp": "z", "tenant": { "id": 7 },
    }))
    .unwrap();
    assert_eq!((claims.issuer(), claims.subject(), claims.id()), (Some("i"), Some("s"), Some("j")));
    assert_eq!(claims.audiences().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((claims.expires(), claims.not_before(), claims.issued_at()), (Some(20), Some(10), Some(10)));
    assert_eq!(claims.client(), Some("c"));
    assert_eq!(claims.all().get("tenant"), Some(&json!({ "id": 7 })));
    assert_eq!(read(json!({ "azp": "z" })).unwrap().client(), Some("z"));
}

#[test]
fn refuses_texts_that_are_none() {
    for name in ["iss", "sub", "jti", "client_id", "azp"] {
        assert!(read(json!({ name: "" })).is_ok());
        for value in [json!(1), json!(null), json!(["a"]), json!({}), json!(true)] {
            assert_eq!(read(json!({ name: value })).unwrap_err(), Fault::TextInvalid, "{name}");
        }
    }
}

#[test]
fn takes_one_audience_or_a_list() {
    let audiences = |value: Value| read(json!({ "aud": value })).map(|claims| claims.audiences().count());
    assert_eq!(audiences(json!("a")), Ok(1));
    assert_eq!(audiences(json!(["a", "b"])), Ok(2));
    assert_eq!(audiences(json!([])), Ok(0));
    for value in [json!(1), json!(null), json!({ "a": 1 }), json!(["a", 1]), json!([["a"]]), json!(true)] {
        assert_eq!(audiences(value), Err(Fault::AudienceInvalid));
    }
}

#[test]
fn takes_scopes_as_words_or_as_a_list() {
    let scopes = |claims: Value| -> Result<Vec<String>, Fault> {
        read(claims).map(|claims| claims.scopes().map(ToOwned::to_owned).collect())
    };
    assert_eq!(scopes(json!({ "scope": "a:read  b " })).unwrap(), ["a:read", "b"]);
    assert_eq!(scopes(json!({ "scp": ["a:read", "b c", ""] })).unwrap(), ["a:read", "b c"]);
    assert_eq!(scopes(json!({ "scp": "a b" })).unwrap(), ["a", "b"]);
    assert_eq!(scopes(json!({ "scope": "a", "scp": ["b"] })).unwrap(), ["a"]);
    assert_eq!(scopes(json!({ "scope": "a\tb\nc" })).unwrap(), ["a\tb\nc"], "a space alone separates");
    assert!(scopes(json!({})).unwrap().is_empty());
    for value in [json!(1), json!(null), json!(["a", 1]), json!({})] {
        assert_eq!(scopes(json!({ "scope": value })), Err(Fault::ScopeInvalid));
        assert_eq!(scopes(json!({ "scp": value })), Err(Fault::ScopeInvalid));
    }
}

#[test]
fn times_are_seconds_from_1970_to_9999_and_fractions_go_to_the_stricter_side() {
    let time = |name: &str, text: &str| {
        let claims: Value = serde_json::from_str(&format!("{{\"{name}\":{text}}}")).unwrap();
        read(claims).map(|claims| claims.expires().or(claims.not_before()).or(claims.issued_at()).unwrap())
    };
    for (text, floor, ceil) in [
        ("0", 0, 0),
        ("1300819380", 1_300_819_380, 1_300_819_380),
        ("1300819380.5", 1_300_819_380, 1_300_819_381),
        ("1.5e3", 1500, 1500),
        ("253402300799", 253_402_300_799, 253_402_300_799),
    ] {
        assert_eq!(time("exp", text), Ok(floor), "{text}");
        assert_eq!(time("nbf", text), Ok(ceil), "{text}");
        assert_eq!(time("iat", text), Ok(ceil), "{text}");
    }
    for text in [
        "\"1300819380\"",
        "null",
        "true",
        "[1]",
        "{}",
        "-1",
        "-0.5",
        "253402300800",
        "1700000000000",
        "1e300",
        "18446744073709551615",
        "99999999999999999999999999",
    ] {
        for name in ["exp", "nbf", "iat"] {
            assert_eq!(time(name, text), Err(Fault::TimeInvalid), "{name}: {text}");
        }
    }
}

#[test]
fn reads_what_a_token_is_bound_to() {
    let thumbprint = Thumbprint::of(b"key");
    let text = thumbprint.to_string();
    let bound = |value: Value| read(json!({ "cnf": value })).map(|claims| claims.confirmation());
    let key = Confirmation { key: Some(thumbprint), certificate: None };
    assert_eq!(bound(json!({ "jkt": text })), Ok(key));
    let both = Confirmation { certificate: Some(thumbprint), ..key };
    assert_eq!(bound(json!({ "jkt": text, "x5t#S256": text })), Ok(both));
    assert_eq!(read(json!({})).unwrap().confirmation(), Confirmation::default());
}

#[test]
fn refuses_a_binding_that_cannot_be_checked() {
    let text = Thumbprint::of(b"key").to_string();
    for value in [
        json!({}),
        json!(null),
        json!("jkt"),
        json!([]),
        json!({ "jkt": 1 }),
        json!({ "jkt": "" }),
        json!({ "jkt": format!("{text}=") }),
        json!({ "jwk": {} }),
        json!({ "kid": "k" }),
        json!({ "jkt": text, "kid": "k" }),
        json!({ "x5t": text }),
        json!({ "JKT": text }),
    ] {
        assert_eq!(read(json!({ "cnf": value })).unwrap_err(), Fault::ConfirmationUnknown, "{value}");
    }
}

#[test]
fn reads_claims_that_nobody_signed_as_strictly() {
    assert_eq!(Claims::parse(br#"{"sub":"s"}"#).unwrap().subject(), Some("s"));
    assert_eq!(Claims::parse(b"[]").unwrap_err(), Fault::ClaimsMalformed);
    assert_eq!(Claims::parse(br#"{"sub":"s","sub":"t"}"#).unwrap_err(), Fault::DuplicateClaim);
    assert_eq!(Claims::parse(br#"{"sub":7}"#).unwrap_err(), Fault::TextInvalid);
}
