//! What a login does where nobody means ill.

use super::*;

#[tokio::test]
async fn somebody_logs_in_and_gets_where_they_wanted() {
    let world = world();
    let mut browser = Browser::default();
    let sent = world.party.begin(ORIGIN, "/orders?a=b", &browser.headers(), NOW).await.unwrap();
    assert!(sent.location.starts_with("https://id.example.com/authorize?tenant=1&response_type=code&"));
    browser.take(&sent.cookies);
    let asked = parameters(&sent.location);
    assert_eq!(asked["client_id"], "edge");
    assert_eq!(asked["redirect_uri"], "https://app.example.com/oauth2/callback");
    assert_eq!((&*asked["scope"], &*asked["code_challenge_method"]), ("openid email", "S256"));
    assert!(matches!(world.look(&browser, NOW), Look::Nobody { over: false }));
    world.gives(world.tokens(&asked["nonce"], json!({})));
    let query = format!("code=the%2Fcode&state={}&session_state=x", asked["state"]);
    assert_eq!(world.back(&mut browser, &query).await, Ok("/orders?a=b".to_owned()));
    let asked_for = world.token_requests().remove(0);
    let form = parameters(&format!("?{}", std::str::from_utf8(&asked_for.body).unwrap()));
    assert_eq!((&*form["grant_type"], &*form["code"]), ("authorization_code", "the/code"));
    assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
    let hashed = boring::sha::sha256(form["code_verifier"].as_bytes());
    assert_eq!(crate::auth::jose::base64url::encode(&hashed), asked["code_challenge"]);
    assert_eq!(browser.names(), ["__Host-app"]);
    let guest = world.guest(&browser, NOW);
    assert_eq!(guest.session.claims().unwrap().subject(), Some("user-1"));
    assert!(!guest.tell);
}

#[tokio::test]
async fn tabs_log_in_side_by_side_and_in_any_order() {
    let world = world();
    let mut browser = Browser::default();
    let mut tabs = Vec::new();
    for path in ["/a", "/b", "/c"] {
        tabs.push((path, world.begin(&mut browser, path).await));
    }
    for (path, asked) in tabs.into_iter().rev() {
        world.gives(world.tokens(&asked["nonce"], json!({})));
        let back = world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await;
        assert_eq!(back, Ok(path.to_owned()));
    }
    assert_eq!(browser.names(), ["__Host-app"]);
}

#[tokio::test]
async fn attempts_of_one_browser_are_bounded_and_the_oldest_goes() {
    let world = world();
    let mut browser = Browser::default();
    let mut tabs = Vec::new();
    for number in 0..7 {
        let sent = world.party.begin(ORIGIN, "/", &browser.headers(), NOW + number).await.unwrap();
        browser.take(&sent.cookies);
        tabs.push(parameters(&sent.location));
        assert!(browser.names().len() <= 4, "{:?}", browser.names());
    }
    let oldest = world.back(&mut browser, &format!("code=c&state={}", tabs[2]["state"])).await;
    assert_eq!(oldest, Err(Fault::AttemptUnknown));
    world.gives(world.tokens(&tabs[3]["nonce"], json!({})));
    let kept = world.back(&mut browser, &format!("code=c&state={}", tabs[3]["state"])).await;
    assert_eq!(kept, Ok("/".to_owned()));
}

#[tokio::test]
async fn attempts_that_are_over_or_of_no_use_are_taken_back() {
    let world = world();
    let mut browser = Browser::default();
    world.begin(&mut browser, "/").await;
    browser.0.insert("__Host-app.login.abcdefghijklmnop".into(), "rubbish".into());
    let sent = world.party.begin(ORIGIN, "/", &browser.headers(), NOW + 601).await.unwrap();
    browser.take(&sent.cookies);
    assert_eq!(browser.names().len(), 1);
}

#[tokio::test]
async fn the_request_says_what_the_operator_wants_said() {
    let change = |settings: &mut Settings| {
        settings.max_age = Some(300);
        settings.extra =
            vec![("prompt".into(), "select_account".into()), ("ui_locales".into(), "de fr".into())];
    };
    let world = world_with(change, &metadata(json!({})));
    let asked = world.begin(&mut Browser::default(), "/").await;
    assert_eq!((&*asked["max_age"], &*asked["prompt"]), ("300", "select_account"));
    assert_eq!(asked["ui_locales"], "de fr");
}

#[tokio::test]
async fn max_age_is_not_only_asked_for() {
    let world = world_with(|settings| settings.max_age = Some(300), &metadata(json!({})));
    for (time, expected) in
        [(NOW - 10, Ok("/".to_owned())), (NOW - 1000, Err(Fault::IdToken(IdFault::AuthenticationAge)))]
    {
        let mut browser = Browser::default();
        world.answers(|_| Ok(answer(200, &[], &metadata(json!({})).to_string())));
        let asked = world.begin(&mut browser, "/").await;
        let id_token = world.id_token(&asked["nonce"], json!({ "auth_time": time }));
        world.gives(world.tokens(&asked["nonce"], json!({ "id_token": id_token })));
        let back = world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await;
        assert_eq!(back, expected);
    }
}

#[tokio::test]
async fn what_the_issuer_says_instead_of_a_code_is_told_apart() {
    for (code, fault) in [
        ("access_denied", Fault::Denied),
        ("login_required", Fault::InteractionRequired),
        ("interaction_required", Fault::InteractionRequired),
        ("temporarily_unavailable", Fault::ProviderUnavailable),
        ("server_error", Fault::ProviderUnavailable),
        ("invalid_request", Fault::ProviderRefused),
        ("unauthorized_client", Fault::ProviderRefused),
        ("whatever", Fault::ProviderRefused),
    ] {
        let world = world();
        let mut browser = Browser::default();
        let asked = world.begin(&mut browser, "/").await;
        let query = format!("error={code}&error_description=no&state={}", asked["state"]);
        assert_eq!(world.back(&mut browser, &query).await, Err(fault), "{code}");
        assert!(browser.0.is_empty(), "the attempt is used up");
        assert!(world.token_requests().is_empty());
    }
}

#[tokio::test]
async fn what_the_token_endpoint_says_is_told_apart() {
    let refused = |status: u16, body: &'static str| move |_: &Request| Ok(answer(status, &[], body));
    let world = world();
    let mut browser = Browser::default();
    let failing = async |browser: &mut Browser, asked: &BTreeMap<String, String>| {
        world.back(browser, &format!("code=c&state={}", asked["state"])).await
    };
    for (status, body, fault) in [
        (400, r#"{"error":"invalid_grant"}"#, Fault::CodeRefused),
        (401, r#"{"error":"invalid_client"}"#, Fault::ClientRefused),
        (400, r#"{"error":"unauthorized_client"}"#, Fault::ClientRefused),
        (400, r#"{"error":"temporarily_unavailable"}"#, Fault::ProviderUnavailable),
        (404, "", Fault::ClientRefused),
        (500, "", Fault::ProviderUnavailable),
        (200, "", Fault::TokensMalformed),
        (200, r#"{"access_token":"a","token_type":"Bearer"}"#, Fault::IdToken(IdFault::Missing)),
    ] {
        let asked = world.begin(&mut browser, "/").await;
        world.answers(refused(status, body));
        assert_eq!(failing(&mut browser, &asked).await, Err(fault), "{status} {body}");
        assert!(browser.0.is_empty());
    }
    let asked = world.begin(&mut browser, "/").await;
    world.answers(|_| Err(Failure::Timeout(Duration::from_secs(5))));
    assert_eq!(failing(&mut browser, &asked).await, Err(Fault::ProviderUnavailable));
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_again_after_a_while_and_missed_only_then() {
    let world = world();
    world.answers(|_| Err(Failure::Connect("refused".into())));
    let begin = async || world.party.begin(ORIGIN, "/", &HeaderMap::new(), NOW).await.map(|_| ());
    assert_eq!(begin().await, Err(Fault::ProviderUnavailable));
    let asked = world.fetch.asked().len();
    assert_eq!(begin().await, Err(Fault::ProviderUnavailable));
    assert_eq!(world.fetch.asked().len(), asked, "left alone for a moment");
    assert!(world.logged()[0].starts_with("discovery: "), "{:?}", world.logged());
    world.hand.advance(Duration::from_secs(2));
    world.answers(|_| Ok(answer(200, &[], &metadata(json!({})).to_string())));
    assert_eq!(begin().await, Ok(()));
    world.answers(|_| Err(Failure::Connect("refused".into())));
    world.hand.advance(Duration::from_secs(23 * 3600));
    assert_eq!(begin().await, Ok(()), "what it said a day ago is used on");
    world.hand.advance(Duration::from_secs(3600));
    assert_eq!(begin().await, Err(Fault::ProviderUnavailable));
}

#[tokio::test]
async fn a_session_that_browsers_would_not_keep_is_refused() {
    let world = world();
    let mut browser = Browser::default();
    let asked = world.begin(&mut browser, "/").await;
    let groups: Vec<_> = (0..1000).map(|number| format!("group-{number}")).collect();
    let id_token = world.id_token(&asked["nonce"], json!({ "groups": groups }));
    world.gives(world.tokens(&asked["nonce"], json!({ "id_token": id_token })));
    let back = world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await;
    assert_eq!(back, Err(Fault::SessionTooLarge));
    let few: Vec<_> = (0..300).map(|number| format!("group-{number}")).collect();
    let asked = world.begin(&mut browser, "/").await;
    let id_token = world.id_token(&asked["nonce"], json!({ "groups": few }));
    world.gives(world.tokens(&asked["nonce"], json!({ "id_token": id_token })));
    world.back(&mut browser, &format!("code=c&state={}", asked["state"])).await.unwrap();
    assert!(browser.names().len() > 1, "spread over {:?}", browser.names());
    assert!(world.guest(&browser, NOW).session.claims().unwrap().all().contains_key("groups"));
}

#[tokio::test]
async fn nothing_secret_is_told_to_the_log() {
    let world = world();
    let mut browser = Browser::default();
    let asked = world.begin(&mut browser, "/").await;
    world.gives(world.tokens("other", json!({})));
    let back = world.back(&mut browser, &format!("code=hush&state={}", asked["state"])).await;
    assert_eq!(back, Err(Fault::IdToken(IdFault::Nonce)));
    let logged = world.logged().join("\n");
    assert_eq!(logged, "id token: id_token_nonce");
}
