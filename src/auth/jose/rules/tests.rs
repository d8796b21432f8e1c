use serde_json::{Value, json};

use super::*;
use crate::auth::jose::algorithm::Algorithm;
use crate::auth::jose::mint::{AUDIENCE, ISSUER, NOW, claims};
use crate::auth::jose::thumbprint::Thumbprint;

fn rules() -> Rules {
    Rules::new(ISSUER, AUDIENCE)
}

fn verified(kind: Option<&str>, changes: Value) -> Verified {
    Verified {
        claims: Claims::read(claims(changes)).unwrap(),
        kind: kind.map(Into::into),
        algorithm: Algorithm::Es256,
        key: Thumbprint::of(b"key"),
        text: Thumbprint::of(b"token"),
    }
}

fn check(rules: &Rules, changes: Value) -> Result<(), Fault> {
    rules.check(&verified(None, changes), NOW)
}

#[test]
fn demands_an_expiry_that_is_not_over() {
    assert_eq!(check(&rules(), json!({ "exp": NOW + 1 })), Ok(()));
    assert_eq!(check(&rules(), json!({ "exp": NOW - 29 })), Ok(()));
    assert_eq!(check(&rules(), json!({ "exp": NOW - 30 })), Err(Fault::Expired));
    assert_eq!(check(&rules(), json!({ "exp": 0 })), Err(Fault::Expired));
    assert_eq!(check(&rules(), json!({ "exp": null })), Err(Fault::ExpiryMissing));
    let strict = Rules { leeway: 0, ..rules() };
    assert_eq!(check(&strict, json!({ "exp": NOW + 1 })), Ok(()));
    assert_eq!(check(&strict, json!({ "exp": NOW })), Err(Fault::Expired));
    assert_eq!(check(&strict, json!({ "exp": 1_800_000_000.9 })), Err(Fault::Expired));
}

#[test]
fn refuses_a_token_from_the_future() {
    assert_eq!(check(&rules(), json!({ "nbf": NOW + 30 })), Ok(()));
    assert_eq!(check(&rules(), json!({ "nbf": NOW + 31 })), Err(Fault::NotYetValid));
    assert_eq!(check(&rules(), json!({ "iat": NOW + 30 })), Ok(()));
    assert_eq!(check(&rules(), json!({ "iat": NOW + 31 })), Err(Fault::IssuedInFuture));
    assert_eq!(check(&rules(), json!({ "iat": null })), Ok(()));
}

#[test]
fn limits_a_tokens_age_where_the_policy_does() {
    let rules = Rules { max_age: Some(300), ..rules() };
    assert_eq!(check(&rules, json!({ "iat": NOW - 330 })), Ok(()));
    assert_eq!(check(&rules, json!({ "iat": NOW - 331 })), Err(Fault::TooOld));
    assert_eq!(check(&rules, json!({ "iat": null })), Err(Fault::IssuedAtMissing));
    assert_eq!(check(&Rules { max_age: None, ..rules }, json!({ "iat": NOW - 331 })), Ok(()));
}

#[test]
fn survives_the_ends_of_time() {
    let token = verified(None, json!({ "exp": 253_402_300_799_u64, "iat": 0, "nbf": 0 }));
    let rules = Rules { leeway: u64::MAX, max_age: Some(u64::MAX), ..rules() };
    assert_eq!(rules.check(&token, 0), Ok(()));
    assert_eq!(Rules { leeway: 30, ..rules }.check(&token, u64::MAX), Err(Fault::Expired));
}

#[test]
fn demands_one_of_its_issuers_byte_by_byte() {
    assert_eq!(check(&rules(), json!({})), Ok(()));
    for issuer in
        ["https://id.example.com/", "https://ID.example.com", "https://id.example.com.evil.example", ""]
    {
        assert_eq!(check(&rules(), json!({ "iss": issuer })), Err(Fault::IssuerWrong), "{issuer}");
    }
    assert_eq!(check(&rules(), json!({ "iss": null })), Err(Fault::IssuerMissing));
    let two = Rules { issuers: vec![ISSUER.to_owned(), "other".to_owned()], ..rules() };
    assert_eq!(check(&two, json!({ "iss": "other" })), Ok(()));
}

#[test]
fn demands_one_of_its_audiences_as_a_whole() {
    assert_eq!(check(&rules(), json!({ "aud": ["other", AUDIENCE] })), Ok(()));
    for audience in
        [json!("orders-api2"), json!("orders"), json!(["other"]), json!("orders-api other"), json!("")]
    {
        assert_eq!(check(&rules(), json!({ "aud": audience })), Err(Fault::AudienceWrong), "{audience}");
    }
    assert_eq!(check(&rules(), json!({ "aud": null })), Err(Fault::AudienceMissing));
    assert_eq!(check(&rules(), json!({ "aud": [] })), Err(Fault::AudienceMissing));
    let any = Rules { audience: Audience::DangerAny, ..rules() };
    assert_eq!(check(&any, json!({ "aud": null })), Ok(()));
    assert_eq!(check(&any, json!({ "aud": "other" })), Ok(()));
}

#[test]
fn demands_a_subject_and_a_name_where_the_policy_does() {
    let changes = json!({ "sub": null, "jti": null });
    assert_eq!(check(&rules(), changes.clone()), Ok(()));
    assert_eq!(check(&Rules { subject: true, ..rules() }, changes.clone()), Err(Fault::SubjectMissing));
    assert_eq!(check(&Rules { subject: true, ..rules() }, json!({ "sub": "" })), Err(Fault::SubjectMissing));
    assert_eq!(check(&Rules { subject: true, ..rules() }, json!({})), Ok(()));
    assert_eq!(check(&Rules { id: true, ..rules() }, changes), Err(Fault::IdMissing));
    assert_eq!(check(&Rules { id: true, ..rules() }, json!({})), Ok(()));
}

#[test]
fn takes_the_types_it_is_told_and_no_other_tokens_type() {
    let check = |kind: Kind, text| Rules { kind, ..rules() }.check(&verified(text, json!({})), NOW);
    let others = [
        "dpop+jwt",
        "secevent+jwt",
        "logout+jwt",
        "application/logout+jwt",
        "token-introspection+jwt",
        "x",
        "",
    ];
    for text in [None, Some("JWT"), Some("jwt"), Some("at+jwt"), Some("application/AT+jwt")] {
        assert_eq!(check(Kind::AccessOrUntyped, text), Ok(()), "{text:?}");
    }
    for text in [Some("at+jwt"), Some("application/at+JWT")] {
        assert_eq!(check(Kind::Access, text), Ok(()), "{text:?}");
    }
    for text in [None, Some("JWT")] {
        assert_eq!(check(Kind::Access, text), Err(Fault::TypeWrong), "{text:?}");
    }
    for text in others {
        assert_eq!(check(Kind::AccessOrUntyped, Some(text)), Err(Fault::TypeWrong), "{text:?}");
        assert_eq!(check(Kind::Access, Some(text)), Err(Fault::TypeWrong), "{text:?}");
    }
    assert_eq!(check(Kind::Exactly("logout+jwt"), Some("Logout+JWT")), Ok(()));
    assert_eq!(check(Kind::Exactly("logout+jwt"), Some("at+jwt")), Err(Fault::TypeWrong));
    assert_eq!(check(Kind::Exactly("logout+jwt"), None), Err(Fault::TypeWrong));
}

#[test]
fn an_id_token_has_the_type_of_one_or_none() {
    let rules = Rules { kind: Kind::Identity, ..rules() };
    for kind in [None, Some("JWT"), Some("application/jwt")] {
        assert_eq!(rules.check(&verified(kind, json!({})), NOW), Ok(()), "{kind:?}");
    }
    for kind in ["at+jwt", "application/at+jwt", "logout+jwt", ""] {
        assert_eq!(rules.check(&verified(Some(kind), json!({})), NOW), Err(Fault::TypeWrong), "{kind}");
    }
}
