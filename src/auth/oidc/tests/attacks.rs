//! What a login refuses: RFC 9700 §4, `OpenID` Connect Core §16, RFC 6749 §10.

use super::*;

/// One who began a login, with what the issuer was asked for.
async fn begun(world: &World) -> (Browser, BTreeMap<String, String>) {
    let mut browser = Browser::default();
    let asked = world.begin(&mut browser, "/").await;
    world.gives(world.tokens(&asked["nonce"], json!({})));
    (browser, asked)
}

#[tokio::test]
async fn nobody_completes_what_another_browser_began() {
    // Login CSRF (RFC 6749 §10.12): the attacker's code and state, in the victim's browser.
    let world = world();
    let (_attacker, asked) = begun(&world).await;
    let query = format!("code=attackers&state={}", asked["state"]);
    let mut victim = Browser::default();
    assert_eq!(world.back(&mut victim, &query).await, Err(Fault::AttemptUnknown));
    world.answers(|_| Ok(answer(200, &[], &metadata(json!({})).to_string())));
    let own = world.begin(&mut victim, "/").await;
    assert_eq!(world.back(&mut victim, &query).await, Err(Fault::AttemptUnknown));
    // The name of its cookie alone is not enough.
    let mixed = format!("{}{}", &own["state"][..16], &asked["state"][16..]);
    let query = format!("code=attackers&state={mixed}");
    assert_eq!(world.back(&mut victim, &query).await, Err(Fault::AttemptUnknown));
    assert!(world.token_requests().is_empty(), "no code was spent");
    assert_eq!(victim.names().len(), 1, "its own attempt goes on");
}

#[tokio::test]
async fn an_attempt_is_good_once() {
    let world = world();
    let (mut browser, asked) = begun(&world).await;
    let query = format!("code=c&state={}", asked["state"]);
    assert_eq!(world.back(&mut browser, &query).await, Ok("/".to_owned()));
    assert_eq!(world.back(&mut browser, &query).await, Err(Fault::AttemptUnknown));
    // Also where it failed.
    let (mut browser, asked) = begun(&world).await;
    world.refuses("invalid_grant");
    let query = format!("code=c&state={}", asked["state"]);
    assert_eq!(world.back(&mut browser, &query).await, Err(Fault::CodeRefused));
    assert_eq!(world.back(&mut browser, &query).await, Err(Fault::AttemptUnknown));
}

#[tokio::test]
async fn an_attempt_ends_after_ten_minutes() {
    let world = world();
    let (browser, asked) = begun(&world).await;
    let query = format!("code=c&state={}", asked["state"]);
    let complete = async |now| world.party.complete(ORIGIN, &query, &browser.headers(), now).await;
    assert_eq!(complete(NOW + 601).await.unwrap_err().fault, Fault::AttemptExpired);
    assert!(world.token_requests().is_empty());
    assert_eq!(complete(NOW + 20).await.unwrap().location, "/");
}

#[tokio::test]
async fn a_code_of_another_issuer_is_not_taken() {
    // Mix-up (RFC 9207 §1).
    let world = world();
    let (mut browser, asked) = begun(&world).await;
    let query = format!("code=c&state={}&iss=https%3A%2F%2Fevil.example", asked["state"]);
    assert_eq!(world.back(&mut browser, &query).await, Err(Fault::IssuerMismatch));
    for (more, result) in
        [("", Err(Fault::IssuerMismatch)), ("&iss=https%3A%2F%2Fid.example.com", Ok("/".to_owned()))]
    {
        let always = metadata(json!({ "authorization_response_iss_parameter_supported": true }));
        let world = world_with(|_| {}, &always);
        let (mut browser, asked) = begun(&world).await;
        let query = format!("code=c&state={}{more}", asked["state"]);
        assert_eq!(world.back(&mut browser, &query).await, result);
    }
    assert!(world.token_requests().is_empty(), "no code went to the wrong issuer");
}

#[tokio::test]
async fn a_token_of_another_login_is_not_taken() {
    // Replay of an ID token (OpenID Connect Core §15.5.2).
    let world = world();
    let (_, other) = begun(&world).await;
    world.answers(|_| Ok(answer(200, &[], &metadata(json!({})).to_string())));
    let (mut browser, asked) = begun(&world).await;
    world.gives(world.tokens(&other["nonce"], json!({})));
    let back = world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await;
    assert_eq!(back, Err(Fault::IdToken(IdFault::Nonce)));
    assert!(browser.0.is_empty(), "nobody is logged in");
}

#[tokio::test]
async fn nothing_leads_to_another_host() {
    let world = world();
    for wanted in ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "evil"] {
        world.answers(|_| Ok(answer(200, &[], &metadata(json!({})).to_string())));
        let mut browser = Browser::default();
        let asked = world.begin(&mut browser, wanted).await;
        world.gives(world.tokens(&asked["nonce"], json!({})));
        let back = world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await;
        assert_eq!(back, Ok("/".to_owned()), "{wanted:?}");
    }
}

#[tokio::test]
async fn nobody_is_sent_back_to_the_callback() {
    let world = world();
    let mut browser = Browser::default();
    let asked = world.begin(&mut browser, "/oauth2/callback?code=x&state=y").await;
    world.gives(world.tokens(&asked["nonce"], json!({})));
    let back = world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await;
    assert_eq!(back, Ok("/".to_owned()));
}

#[tokio::test]
async fn the_redirect_uri_is_the_same_all_along() {
    let world = world();
    let (browser, asked) = begun(&world).await;
    let query = format!("code=c&state={}", asked["state"]);
    for origin in ["https://other.example.com", "http://app.example.com", "https://app.example.com:8443"] {
        let back = world.party.complete(origin, &query, &browser.headers(), NOW).await;
        assert_eq!(back.unwrap_err().fault, Fault::AttemptUnknown, "{origin}");
    }
}

#[tokio::test]
async fn every_login_makes_a_session_of_its_own() {
    // Session fixation: whatever a browser had before is of no use afterwards.
    let world = world();
    let mut browser = Browser::default();
    world.log_in(&mut browser, json!({})).await;
    let planted = browser.clone();
    world.answers(|_| Ok(answer(200, &[], &metadata(json!({})).to_string())));
    world.log_in(&mut browser, json!({})).await;
    let (before, after) = (world.guest(&planted, NOW), world.guest(&browser, NOW));
    assert_ne!(before.session.id, after.session.id);
    world.party.end(ORIGIN, "/", false, &planted.headers(), NOW).await;
    assert!(matches!(world.look(&browser, NOW), Look::In(_)), "another session does not end with it");
}

#[tokio::test]
async fn what_is_sealed_opens_for_its_purpose_alone() {
    let world = world();
    let mut browser = Browser::default();
    world.begin(&mut browser, "/").await;
    let attempt = browser.0.values().next().unwrap().clone();
    let as_session = Browser(BTreeMap::from([("__Host-app".to_owned(), format!("1.{attempt}"))]));
    assert!(matches!(world.look(&as_session, NOW), Look::Nobody { over: false }));
    let mut browser = Browser::default();
    world.log_in(&mut browser, json!({})).await;
    let session = browser.0["__Host-app"].clone();
    assert!(matches!(world.look(&browser, NOW), Look::In(_)));
    // Of another client, cookie or issuer, with the same secret.
    let client = world_with(|settings| settings.client.id = "other".into(), &metadata(json!({})));
    assert!(matches!(client.look(&browser, NOW), Look::Nobody { over: false }));
    let named = world_with(|settings| settings.names = Names::new("other"), &metadata(json!({})));
    let moved = Browser(BTreeMap::from([("__Host-other".to_owned(), session.clone())]));
    assert!(matches!(named.look(&moved, NOW), Look::Nobody { over: false }));
    let fourth = world_with(|_| {}, &metadata(json!({})));
    assert!(matches!(fourth.look(&browser, NOW), Look::In(_)), "any process with the secret knows it");
}

#[tokio::test]
async fn a_session_that_was_changed_is_none() {
    let world = world();
    let mut browser = Browser::default();
    world.log_in(&mut browser, json!({})).await;
    let value = browser.0["__Host-app"].clone();
    for place in (0..value.len()).step_by(7) {
        let mut changed = value.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let forged = Browser(BTreeMap::from([("__Host-app".to_owned(), changed)]));
        assert!(matches!(world.look(&forged, NOW), Look::Nobody { over: false }), "at {place}");
    }
    for value in ["", "1.", "1.AAAA", "2.AAAA", "x", &value[..value.len() - 1], &format!("{value}A")] {
        let forged = Browser(BTreeMap::from([("__Host-app".to_owned(), value.to_owned())]));
        assert!(matches!(world.look(&forged, NOW), Look::Nobody { over: false }), "{value}");
    }
}

#[tokio::test]
async fn secrets_change_without_anybody_noticing() {
    let (before, during) = (
        world_with(|settings| settings.seals = Seals::new([OLD_SECRET]).unwrap(), &metadata(json!({}))),
        world(),
    );
    let mut browser = Browser::default();
    before.log_in(&mut browser, json!({})).await;
    let guest = during.guest(&browser, NOW);
    assert!(guest.tell, "it is sealed anew");
    let present = during.party.names().present(&browser.headers());
    browser.take(&during.party.cookies(&guest.session, present, NOW));
    assert!(!during.guest(&browser, NOW).tell);
    let after = world_with(|settings| settings.seals = Seals::new([SECRET]).unwrap(), &metadata(json!({})));
    assert!(matches!(after.look(&browser, NOW), Look::In(_)));
    assert!(matches!(before.look(&browser, NOW), Look::Nobody { over: false }));
}
