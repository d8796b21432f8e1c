use std::time::SystemTime;

use http::Method;
use serde_json::json;

use super::*;
use crate::auth::discovery::Endpoint;
use crate::auth::oauth::server::Place;
use crate::auth::oauth::testing;
use crate::http::fetch::Failure;
use crate::http::fetch::testing::{Scripted, answer};
use crate::state::clock::ClockHand;

const TTL: Duration = Duration::from_secs(60);

fn introspection(fetch: &Arc<Scripted>) -> (Introspection, ClockHand) {
    let (server, hand) = testing::server(fetch.clone(), "https://id.example/introspect");
    (Introspection { server, ttl: TTL, answers: Arc::default() }, hand)
}

fn says(answer_of: Value) -> Arc<Scripted> {
    Arc::new(Scripted::new(move |_| Ok(answer(200, &[], &answer_of.to_string()))))
}

async fn worth(introspection: &Introspection, token: &str) -> Worth {
    let key = introspection.key(&Thumbprint::of(token.as_bytes()));
    introspection.ask(&key, token, introspection.server.clock.nanos()).await
}

fn claims(value: Value) -> Claims {
    Claims::read(value.as_object().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn asks_as_rfc_7662_says() {
    let fetch = says(json!({ "active": true, "sub": "alice", "scope": "a b" }));
    let (introspection, _hand) = introspection(&fetch);
    let claims = worth(&introspection, "to+ken/=").await.unwrap();
    assert_eq!((claims.subject(), claims.all().get("active")), (Some("alice"), None));
    let request = fetch.asked().remove(0);
    assert_eq!((&request.method, request.url.as_str()), (&Method::POST, "https://id.example/introspect"));
    assert_eq!(&request.body[..], b"token=to%2Bken%2F%3D&token_type_hint=access_token");
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers["authorization"], "Basic ZWRnZTpodXNo", "edge:hush");
    assert!(!format!("{request:?}").contains("ZWRnZTpodXNo"), "no log shows it");
}

#[tokio::test]
async fn an_active_token_is_remembered_for_its_time_and_not_past_its_expiry() {
    for (exp, known_for) in [(None, 60), (Some(1_000), 60), (Some(1_000_020), 20)] {
        let mut said = json!({ "active": true });
        if let Some(exp) = exp {
            said["exp"] = json!(if exp == 1_000 { 2_000_000 } else { exp });
        }
        let fetch = says(said);
        let (introspection, hand) = introspection(&fetch);
        hand.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        worth(&introspection, "t").await.unwrap();
        hand.advance(Duration::from_secs(known_for).checked_sub(Duration::from_nanos(1)).unwrap());
        worth(&introspection, "t").await.unwrap();
        assert_eq!(fetch.asked().len(), 1, "{exp:?}");
        worth(&introspection, "other").await.unwrap();
        assert_eq!(fetch.asked().len(), 2, "another token");
        hand.advance(Duration::from_nanos(1));
        worth(&introspection, "t").await.unwrap();
        assert_eq!(fetch.asked().len(), 3, "{exp:?}");
    }
}

#[tokio::test]
async fn an_inactive_token_is_remembered_for_a_moment() {
    let fetch = says(json!({ "active": false }));
    let (introspection, hand) = introspection(&fetch);
    for _ in 0..2 {
        assert_eq!(worth(&introspection, "t").await.unwrap_err(), Worthless::Fault(Fault::Inactive));
    }
    assert_eq!(fetch.asked().len(), 1);
    fetch.answers(|_| Ok(answer(200, &[], r#"{"active":true}"#)));
    hand.advance(LONGEST_REFUSAL);
    assert!(worth(&introspection, "t").await.is_ok());
}

#[tokio::test]
async fn what_is_no_answer_lets_nobody_in_and_is_asked_again() {
    let fetch = says(json!({}));
    let (introspection, _hand) = introspection(&fetch);
    let bodies = [
        "",
        "[]",
        "null",
        "{}",
        "<html>",
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":null}"#,
        r#"{"active":false,"active":true}"#,
        r#"{"active":true}x"#,
        r#"{"active":true,"sub":"a","sub":"b"}"#,
    ];
    for (asked, body) in bodies.into_iter().enumerate() {
        fetch.answers(move |_| Ok(answer(200, &[], body)));
        assert_eq!(worth(&introspection, "t").await.unwrap_err(), Worthless::Unknown, "{body}");
        assert_eq!(fetch.asked().len(), asked + 1);
    }
    for status in [201, 204, 302, 400, 401, 403, 404, 500] {
        fetch.answers(move |_| Ok(answer(status, &[], r#"{"active":true}"#)));
        assert_eq!(worth(&introspection, "t").await.unwrap_err(), Worthless::Unknown, "{status}");
    }
    fetch.answers(|_| Err(Failure::Timeout(TTL)));
    assert_eq!(worth(&introspection, "t").await.unwrap_err(), Worthless::Unknown);
}

#[tokio::test]
async fn claims_that_cannot_be_believed_are_the_tokens_fault() {
    for (said, fault) in [
        (json!({ "exp": "soon" }), Fault::TimeInvalid),
        (json!({ "sub": 7 }), Fault::TextInvalid),
        (json!({ "aud": 7 }), Fault::AudienceInvalid),
        (json!({ "cnf": { "kid": "k" } }), Fault::ConfirmationUnknown),
        (json!({ "cnf": null }), Fault::ConfirmationUnknown),
    ] {
        let mut said = said;
        said["active"] = json!(true);
        let (introspection, _hand) = introspection(&says(said.clone()));
        assert_eq!(worth(&introspection, "t").await.unwrap_err(), Worthless::Fault(fault), "{said}");
    }
}

#[tokio::test]
async fn an_endpoint_is_looked_for_once() {
    let fetch = Arc::new(Scripted::new(|request| {
        let metadata = r#"{"issuer":"https://id.example","introspection_endpoint":"https://id.example/i"}"#;
        let is_question = request.url.target() == "/i";
        Ok(answer(200, &[], if is_question { r#"{"active":true}"# } else { metadata }))
    }));
    let (mut introspection, _hand) = introspection(&fetch);
    let issuer = "https://id.example".parse().unwrap();
    let clock = introspection.server.clock.clone();
    introspection.server.place = Place::of_issuer(issuer, Endpoint::Introspection, clock);
    worth(&introspection, "a").await.unwrap();
    worth(&introspection, "b").await.unwrap();
    let targets: Vec<_> = fetch.asked().iter().map(|request| request.url.target().to_owned()).collect();
    assert_eq!(targets, ["/.well-known/openid-configuration", "/i", "/i"]);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_found_is_looked_for_again() {
    let fetch = Arc::new(Scripted::new(|_| Err(Failure::Timeout(TTL))));
    let (mut introspection, hand) = introspection(&fetch);
    let issuer = "https://id.example".parse().unwrap();
    let clock = introspection.server.clock.clone();
    introspection.server.place = Place::of_issuer(issuer, Endpoint::Introspection, clock);
    for asked in 1..3 {
        // Whoever comes with another token does not wait for it once more.
        for token in ["a", "b"] {
            assert_eq!(worth(&introspection, token).await.unwrap_err(), Worthless::Unknown);
            assert_eq!(fetch.asked().len(), asked);
        }
        hand.advance(Duration::from_secs(2));
    }
}

#[test]
fn a_token_is_for_whom_its_server_says_it_is() {
    let rules =
        Rules { issuer: Some("https://id.example".into()), audiences: vec!["orders".into(), "stock".into()] };
    let check = |value: Value| rules.check(&claims(value), 1000);
    assert_eq!(check(json!({ "aud": "orders" })), Ok(()));
    assert_eq!(check(json!({ "aud": ["x", "stock"], "iss": "https://id.example" })), Ok(()));
    assert_eq!(check(json!({})), Err(Fault::AudienceMissing));
    assert_eq!(check(json!({ "aud": "order" })), Err(Fault::AudienceWrong));
    assert_eq!(check(json!({ "aud": "orders", "iss": "https://id.example/" })), Err(Fault::IssuerWrong));
    assert_eq!(Rules::default().check(&claims(json!({ "iss": "x", "aud": "y" })), 1000), Ok(()));
}

#[test]
fn a_token_has_its_time_whatever_its_server_says() {
    let check = |value: Value| Rules::default().check(&claims(value), 1000);
    assert_eq!(check(json!({ "exp": 971, "nbf": 1030 })), Ok(()));
    assert_eq!(check(json!({ "exp": 970 })), Err(Fault::Expired));
    assert_eq!(check(json!({ "nbf": 1031 })), Err(Fault::NotYetValid));
}
