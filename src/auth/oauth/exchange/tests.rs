use serde_json::json;

use super::*;
use crate::auth::oauth::testing;
use crate::http::fetch::testing::{Scripted, answer};
use crate::state::clock::ClockHand;

fn exchange(fetch: &Arc<Scripted>, wanted: Wanted) -> (Exchange, ClockHand) {
    let (server, hand) = testing::server(fetch.clone(), "https://id.example/token");
    (Exchange { server, wanted, ttl: Duration::from_secs(300), answers: Arc::default(), actor: None }, hand)
}

fn of_caller() -> Wanted {
    let kind = "urn:ietf:params:oauth:token-type:access_token".to_owned();
    Wanted {
        subject: Some(Subject { kind, requested: None }),
        audiences: vec!["orders".into()],
        ..Wanted::default()
    }
}

fn says(status: u16, said: &Value) -> Arc<Scripted> {
    let said = said.to_string();
    Arc::new(Scripted::new(move |_| Ok(answer(status, &[], &said))))
}

fn good(more: &Value) -> Value {
    let mut said = json!({
        "access_token": "inner", "token_type": "Bearer", "expires_in": 300, "issued_token_type": ACCESS_TOKEN,
    });
    for (name, value) in more.as_object().unwrap() {
        said[name] = value.clone();
    }
    said
}

async fn given(exchange: &Exchange, caller: &str) -> Given {
    let key = exchange.key(Some(&Thumbprint::of(caller.as_bytes())));
    exchange.ask(&key, caller, exchange.server.clock.nanos()).await
}

fn body(fetch: &Scripted) -> String {
    String::from_utf8(fetch.asked().last().unwrap().body.to_vec()).unwrap()
}

#[tokio::test]
async fn asks_for_one_token_for_another_as_rfc_8693_says() {
    let fetch = says(200, &good(&json!({})));
    let mut wanted = of_caller();
    wanted.subject.as_mut().unwrap().requested = Some("urn:x".into());
    wanted.audiences.push("stock".into());
    wanted.resources.push("https://orders.internal/".parse().unwrap());
    wanted.scope = Some("a b".into());
    let (exchange, _hand) = exchange(&fetch, wanted);
    let token = given(&exchange, "outer").await.unwrap();
    assert_eq!(token, "Bearer inner");
    assert!(token.is_sensitive());
    let expected = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=outer\
        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&requested_token_type=urn%3Ax\
        &audience=orders&audience=stock&resource=https%3A%2F%2Forders.internal%2F&scope=a%20b";
    assert_eq!(body(&fetch), expected);
}

#[tokio::test]
async fn takes_the_kind_of_token_that_was_asked_for_and_access_tokens() {
    const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
    for (requested, issued, is_taken) in [
        (None, json!(ACCESS_TOKEN), true),
        (None, json!(JWT), true),
        (None, json!(ID_TOKEN), false),
        (None, json!(REFRESH_TOKEN), false),
        (None, json!("access_token"), false),
        (None, json!([ACCESS_TOKEN]), false),
        (None, json!(null), false),
        (Some(JWT), json!(JWT), true),
        (Some(JWT), json!(ACCESS_TOKEN), true),
        (Some(JWT), json!(ID_TOKEN), false),
        (Some(ACCESS_TOKEN), json!(JWT), false),
        (Some(ID_TOKEN), json!(ID_TOKEN), true),
        (Some(ID_TOKEN), json!(REFRESH_TOKEN), false),
    ] {
        let fetch = says(200, &good(&json!({ "issued_token_type": issued })));
        let mut wanted = of_caller();
        wanted.subject.as_mut().unwrap().requested = requested.map(ToOwned::to_owned);
        let (exchange, _hand) = exchange(&fetch, wanted);
        let given = given(&exchange, "outer").await;
        let expected =
            if is_taken { Ok("Bearer inner".try_into().unwrap()) } else { Err(NotGiven::Unavailable) };
        assert_eq!(given, expected, "{requested:?} {issued}");
    }
    // Of our own token nothing is said (RFC 6749 section 5.1).
    let fetch = says(200, &json!({ "access_token": "ours", "token_type": "Bearer" }));
    let (exchange, _hand) = exchange(&fetch, Wanted::default());
    assert_eq!(exchange.ask(&exchange.key(None), "", 0).await.unwrap(), "Bearer ours");
}

#[tokio::test]
async fn asks_for_a_token_of_our_own_where_there_is_no_caller() {
    let fetch = says(200, &good(&json!({})));
    let (exchange, _hand) = exchange(&fetch, Wanted { scope: Some("a".into()), ..Wanted::default() });
    assert!(exchange.ask(&exchange.key(None), "", 0).await.is_ok());
    assert_eq!(body(&fetch), "grant_type=client_credentials&scope=a");
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_it_expires() {
    for (expires_in, used_for) in [(json!(200), 170), (json!(40), 30), (json!(9999), 300), (json!(null), 60)]
    {
        let fetch = says(200, &good(&json!({ "expires_in": expires_in })));
        let (exchange, hand) = exchange(&fetch, of_caller());
        given(&exchange, "outer").await.unwrap();
        hand.advance(Duration::from_secs(used_for).checked_sub(Duration::from_nanos(1)).unwrap());
        given(&exchange, "outer").await.unwrap();
        assert_eq!(fetch.asked().len(), 1, "{expires_in}");
        hand.advance(Duration::from_nanos(1));
        given(&exchange, "outer").await.unwrap();
        assert_eq!(fetch.asked().len(), 2, "{expires_in}");
    }
    let fetch = says(200, &good(&json!({ "expires_in": 0 })));
    let (exchange, _hand) = exchange(&fetch, of_caller());
    for asked in 1..3 {
        given(&exchange, "outer").await.unwrap();
        assert_eq!(fetch.asked().len(), asked, "one that is over is for nobody else");
    }
}

#[tokio::test]
async fn a_token_is_for_one_caller_one_audience_and_one_server() {
    let fetch = says(200, &good(&json!({})));
    let (first, _hand) = exchange(&fetch, of_caller());
    let (mut second, _hand) = exchange(&fetch, Wanted { audiences: vec!["stock".into()], ..of_caller() });
    second.answers = Arc::clone(&first.answers);
    given(&first, "alice").await.unwrap();
    given(&first, "alice").await.unwrap();
    assert_eq!(fetch.asked().len(), 1);
    given(&first, "bob").await.unwrap();
    assert_eq!(fetch.asked().len(), 2);
    given(&second, "alice").await.unwrap();
    assert_eq!(fetch.asked().len(), 3);
    second.wanted = of_caller();
    given(&second, "alice").await.unwrap();
    assert_eq!(fetch.asked().len(), 3, "the same question");
    second.server.client.id = "other".into();
    given(&second, "alice").await.unwrap();
    assert_eq!(fetch.asked().len(), 4);
}

#[tokio::test]
async fn refusals_are_told_apart_from_failures() {
    let refused = async |status, code: &str| {
        let fetch = says(status, &json!({ "error": code, "error_description": "x" }));
        let (exchange, _hand) = exchange(&fetch, of_caller());
        given(&exchange, "outer").await.unwrap_err()
    };
    for code in ["invalid_grant", "invalid_request"] {
        assert_eq!(refused(400, code).await, NotGiven::Refused, "{code}");
        assert_eq!(refused(500, code).await, NotGiven::Unavailable, "{code}");
    }
    for code in ["access_denied", "invalid_target", "invalid_scope"] {
        assert_eq!(refused(403, code).await, NotGiven::Denied, "{code}");
    }
    for code in ["invalid_client", "unauthorized_client", "unsupported_grant_type", "", "a\r\nb"] {
        assert_eq!(refused(401, code).await, NotGiven::Unavailable, "{code}");
    }
    let fetch = says(400, &json!({ "error": "invalid_grant" }));
    let (ours, _hand) = exchange(&fetch, Wanted::default());
    assert_eq!(ours.ask(&ours.key(None), "", 0).await, Err(NotGiven::Unavailable), "no caller is to blame");
}

#[tokio::test]
async fn what_is_no_token_is_never_sent_anywhere() {
    for said in [
        json!({}),
        json!({ "access_token": "inner" }),
        good(&json!({ "token_type": "N_A" })),
        good(&json!({ "token_type": "DPoP" })),
        good(&json!({ "access_token": "" })),
        good(&json!({ "access_token": 7 })),
        good(&json!({ "access_token": "in ner" })),
        good(&json!({ "access_token": "inner\r\nx-admin: 1" })),
        good(&json!({ "access_token": "inn\u{e9}r" })),
        good(&json!({ "access_token": "x".repeat(MAX_TOKEN_BYTES + 1) })),
        good(&json!({ "expires_in": "soon" })),
        good(&json!({ "expires_in": -1 })),
    ] {
        let fetch = says(200, &said);
        let (exchange, _hand) = exchange(&fetch, of_caller());
        assert_eq!(given(&exchange, "outer").await, Err(NotGiven::Unavailable), "{said}");
        assert_eq!(given(&exchange, "outer").await, Err(NotGiven::Unavailable), "{said}");
        assert_eq!(fetch.asked().len(), 2, "a failure is not remembered");
    }
}

fn kept(name: &str, token: &'static str) -> Actor {
    let read = Arc::new(move || (!token.is_empty()).then(|| testing::secret(token)));
    Actor { kind: "urn:jwt".into(), token: ActorToken::Kept { name: name.into(), read } }
}

#[tokio::test]
async fn says_who_acts_for_the_caller() {
    let fetch = says(200, &good(&json!({})));
    let (mut exchange, _hand) = exchange(&fetch, of_caller());
    let nobody = exchange.key(None);
    exchange.actor = Some(kept("a", "edge-token"));
    assert!(given(&exchange, "outer").await.is_ok());
    assert!(body(&fetch).contains("&actor_token=edge-token&actor_token_type=urn%3Ajwt&"), "{}", body(&fetch));
    let one = exchange.key(None);
    exchange.actor = Some(kept("b", "edge-token"));
    assert!(one != nobody && one != exchange.key(None), "another actor's token is another one");
}

#[tokio::test]
async fn without_the_actors_token_nothing_is_exchanged() {
    for token in ["", "two words", "line\r\nbreak"] {
        let fetch = says(200, &good(&json!({})));
        let (mut exchange, _hand) = exchange(&fetch, of_caller());
        exchange.actor = Some(kept("a", token));
        assert_eq!(given(&exchange, "outer").await.unwrap_err(), NotGiven::Unavailable, "{token:?}");
        assert!(fetch.asked().is_empty());
    }
}

#[tokio::test]
async fn acts_with_a_token_of_our_own_which_is_asked_for_once() {
    let fetch = says(200, &good(&json!({})));
    let (mut exchange, _hand) = exchange(&fetch, of_caller());
    let (ours, _hand) = self::exchange(&fetch, Wanted { scope: Some("act".into()), ..Wanted::default() });
    exchange.actor = Some(Actor { kind: "urn:at".into(), token: ActorToken::Ours(Box::new(ours)) });
    for caller in ["outer", "other"] {
        assert!(given(&exchange, caller).await.is_ok());
        assert!(body(&fetch).contains("&actor_token=inner&actor_token_type=urn%3Aat&"));
    }
    let asked: Vec<_> =
        fetch.asked().iter().map(|one| String::from_utf8(one.body.to_vec()).unwrap()).collect();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], "grant_type=client_credentials&scope=act");
}
