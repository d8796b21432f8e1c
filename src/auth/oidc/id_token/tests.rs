use serde_json::{Value, json};

use super::*;
use crate::auth::Memory;
use crate::auth::issuer::Keys;
use crate::auth::jose::{Fault, SigningKey, mint};
use crate::state::Clock;

const CLIENT: &str = "edge";

fn id_tokens(signer: &SigningKey) -> IdTokens {
    let memory = Arc::new(Memory::new(Clock::system()).unwrap());
    let keys = Keys::Fixed(mint::keys([signer]));
    IdTokens::new(Arc::new(Issuer::new("corp", mint::verifier(), keys, memory)), CLIENT)
}

fn token_with(signer: &SigningKey, kind: Option<&str>, changes: Value) -> String {
    let base = json!({ "aud": CLIENT, "nonce": "n", "scope": null, "client_id": null, "jti": null });
    let (Value::Object(mut all), Value::Object(changes)) = (base, changes) else { unreachable!() };
    all.extend(changes);
    signer.sign(kind, &mint::claims(Value::Object(all))).unwrap()
}

const EXPECTED: Expected<'_> =
    Expected { nonce: Nonce::Is("n"), subject: None, access_token: "access", max_age: None };

async fn checked(changes: Value, expected: Expected<'_>) -> Result<(), IdFault> {
    let signer = mint::signer(Algorithm::Es256, Some("k"));
    id_tokens(&signer).check(&token_with(&signer, None, changes), expected, mint::NOW).await
}

async fn fault(changes: Value) -> IdFault {
    checked(changes, EXPECTED).await.unwrap_err()
}

#[tokio::test]
async fn takes_the_token_of_this_login() {
    assert_eq!(checked(json!({}), EXPECTED).await, Ok(()));
    assert_eq!(checked(json!({ "azp": CLIENT }), EXPECTED).await, Ok(()));
    assert_eq!(checked(json!({ "aud": [CLIENT] }), EXPECTED).await, Ok(()));
}

#[tokio::test]
async fn refuses_a_token_of_another_login() {
    for nonce in [json!(null), json!(""), json!("N"), json!("nn"), json!(7), json!(["n"])] {
        assert_eq!(fault(json!({ "nonce": nonce })).await, IdFault::Nonce, "{nonce}");
    }
}

#[tokio::test]
async fn refuses_a_token_for_another_client() {
    assert_eq!(fault(json!({ "aud": "orders-api" })).await, IdFault::Token(Fault::AudienceWrong));
    assert_eq!(fault(json!({ "aud": null })).await, IdFault::Token(Fault::AudienceMissing));
    assert_eq!(fault(json!({ "azp": "other" })).await, IdFault::AuthorizedParty);
    assert_eq!(fault(json!({ "aud": [CLIENT, "other"] })).await, IdFault::AuthorizedParty);
    assert_eq!(checked(json!({ "aud": [CLIENT, "other"], "azp": CLIENT }), EXPECTED).await, Ok(()));
}

#[tokio::test]
async fn refuses_a_token_of_another_issuer_time_or_of_nobody() {
    let token = IdFault::Token;
    assert_eq!(fault(json!({ "iss": "https://evil.example" })).await, token(Fault::IssuerWrong));
    assert_eq!(fault(json!({ "exp": mint::NOW - 60 })).await, token(Fault::Expired));
    assert_eq!(fault(json!({ "exp": null })).await, token(Fault::ExpiryMissing));
    assert_eq!(fault(json!({ "iat": mint::NOW + 60 })).await, token(Fault::IssuedInFuture));
    assert_eq!(fault(json!({ "iat": null })).await, IdFault::IssuedAtMissing);
    assert_eq!(fault(json!({ "sub": null })).await, token(Fault::SubjectMissing));
    assert_eq!(fault(json!({ "sub": "" })).await, token(Fault::SubjectMissing));
}

#[tokio::test]
async fn refuses_a_signature_that_is_not_the_issuers() {
    let signer = mint::signer(Algorithm::Es256, Some("k"));
    let ids = id_tokens(&signer);
    let forger = mint::signer(Algorithm::Es256, Some("k"));
    let check = async |token: String| ids.check(&token, EXPECTED, mint::NOW).await;
    assert_eq!(check(token_with(&signer, None, json!({}))).await, Ok(()));
    let forged = token_with(&forger, None, json!({}));
    assert_eq!(check(forged).await, Err(IdFault::Token(Fault::SignatureInvalid)));
    let unknown = token_with(&mint::signer(Algorithm::Es256, Some("x")), None, json!({}));
    assert_eq!(check(unknown).await, Err(IdFault::Token(Fault::KeyUnknown)));
    // By the client's secret, which a client could be talked into.
    let secret = SigningKey::from_secret(&mint::SECRET, Algorithm::Hs256, Some("k")).unwrap();
    let refused = check(token_with(&secret, None, json!({}))).await;
    assert_eq!(refused, Err(IdFault::Token(Fault::AlgorithmNotAllowed)));
    let none = mint::forged(r#"{"alg":"none"}"#, &mint::claims(json!({ "aud": CLIENT, "nonce": "n" })), b"");
    assert_eq!(check(none).await, Err(IdFault::Token(Fault::AlgorithmNone)));
}

#[tokio::test]
async fn refuses_other_kinds_of_token() {
    let signer = mint::signer(Algorithm::Es256, Some("k"));
    let ids = id_tokens(&signer);
    for (kind, expected) in [
        (None, Ok(())),
        (Some("JWT"), Ok(())),
        (Some("at+jwt"), Err(IdFault::Token(Fault::TypeWrong))),
        (Some("logout+jwt"), Err(IdFault::Token(Fault::TypeWrong))),
    ] {
        let token = token_with(&signer, kind, json!({}));
        assert_eq!(ids.check(&token, EXPECTED, mint::NOW).await, expected, "{kind:?}");
    }
}

#[tokio::test]
async fn refuses_an_access_token_that_is_not_the_id_tokens() {
    // OpenID Connect Core, appendix A.3.
    let expected = Expected { access_token: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", ..EXPECTED };
    assert_eq!(checked(json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), expected).await, Ok(()));
    for wrong in [json!("77QmUPtjPfzWtF2AnpK9RR"), json!("77QmUPtjPfzWtF2AnpK9RQ=="), json!(""), json!(7)] {
        let refused = checked(json!({ "at_hash": wrong }), expected).await;
        assert_eq!(refused, Err(IdFault::AccessTokenHash), "{wrong}");
    }
}

#[tokio::test]
async fn the_hash_is_that_of_the_algorithm() {
    for (algorithm, bytes) in [(Algorithm::Es256, 16), (Algorithm::Es384, 24), (Algorithm::EdDsa, 32)] {
        let half = left_half(algorithm, "access").unwrap();
        assert_eq!(base64url::decode(half.as_bytes()).unwrap().len(), bytes);
        let signer = mint::signer(algorithm, Some("k"));
        let token = token_with(&signer, None, json!({ "at_hash": half }));
        assert_eq!(id_tokens(&signer).check(&token, EXPECTED, mint::NOW).await, Ok(()));
    }
}

#[tokio::test]
async fn how_long_ago_the_user_proved_who_they_are_counts_where_asked_for() {
    let expected = Expected { max_age: Some(300), ..EXPECTED };
    let ago = async |time: Value| checked(json!({ "auth_time": time }), expected).await;
    assert_eq!(ago(json!(mint::NOW - 300)).await, Ok(()));
    for wrong in [json!(mint::NOW - 331), json!(mint::NOW + 60), json!(null), json!("now"), json!(-1)] {
        assert_eq!(ago(wrong.clone()).await, Err(IdFault::AuthenticationAge), "{wrong}");
        assert_eq!(checked(json!({ "auth_time": wrong }), EXPECTED).await, Ok(()));
    }
}

#[tokio::test]
async fn after_a_refresh_it_is_the_same_user_and_no_other_nonce() {
    let again = |nonce| Expected { nonce: Nonce::IsOrMissing(nonce), subject: Some("user-1"), ..EXPECTED };
    assert_eq!(checked(json!({}), again(Some("n"))).await, Ok(()));
    assert_eq!(checked(json!({ "nonce": null }), again(Some("n"))).await, Ok(()));
    assert_eq!(checked(json!({ "nonce": "x" }), again(Some("n"))).await, Err(IdFault::Nonce));
    assert_eq!(checked(json!({}), again(None)).await, Err(IdFault::Nonce));
    let other = checked(json!({ "sub": "user-2" }), again(Some("n"))).await;
    assert_eq!(other, Err(IdFault::SubjectChanged));
}
