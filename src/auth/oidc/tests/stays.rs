//! From login to logout.

use super::*;

/// Somebody who is logged in, at an issuer that gives these tokens from now on.
async fn logged_in(changes: Value) -> (World, Browser) {
    let world = world();
    let mut browser = Browser::default();
    world.log_in(&mut browser, changes).await;
    (world, browser)
}

fn due(world: &World, browser: &Browser, now: u64) -> Guest {
    match world.look(browser, now) {
        Look::Due(guest) => guest,
        other => panic!("not due: {other:?}"),
    }
}

fn refreshed(number: u32) -> Value {
    json!({
        "access_token": format!("access-{number}"), "token_type": "Bearer", "expires_in": 300,
        "refresh_token": format!("refresh-{number}"),
    })
}

/// What the browser has after an answer to a request of this guest.
fn told(world: &World, browser: &mut Browser, guest: &Guest, now: u64) {
    let present = world.party.names().present(&browser.headers());
    browser.take(&world.party.cookies(&guest.session, present, now));
}

#[tokio::test]
async fn a_session_lasts_as_long_as_it_is_used_and_no_longer_than_its_life() {
    let (world, mut browser) = logged_in(json!({ "refresh_token": null, "expires_in": null })).await;
    assert!(!world.guest(&browser, NOW + 359).tell);
    assert!(matches!(world.look(&browser, NOW + 3600), Look::Nobody { over: true }));
    let mut now = NOW;
    while now + 3500 < NOW + 43_200 {
        now += 3500;
        let guest = world.guest(&browser, now);
        assert!(guest.tell);
        told(&world, &mut browser, &guest, now);
    }
    assert!(matches!(world.look(&browser, NOW + 43_199), Look::In(_)));
    assert!(matches!(world.look(&browser, NOW + 43_200), Look::Nobody { over: true }));
}

#[tokio::test]
async fn is_renewed_before_its_token_ends_once_for_all_requests() {
    let (world, mut browser) = logged_in(json!({})).await;
    world.guest(&browser, NOW + 269);
    let before = world.token_requests().len();
    world.gives(refreshed(1));
    let now = NOW + 270;
    let renewals = (0..20).map(|_| {
        let (party, guest) = (world.party.clone(), due(&world, &browser, now));
        tokio::spawn(async move { party.renew(guest, now).await })
    });
    let renewals: Vec<_> = renewals.collect();
    let mut guest = None;
    for renewal in renewals {
        let renewed = renewal.await.unwrap().unwrap();
        assert_eq!((renewed.session.generation, renewed.tell), (1, true));
        guest = Some(renewed);
    }
    assert_eq!(world.token_requests().len(), before + 1);
    let asked = world.token_requests().pop().unwrap();
    assert_eq!(asked.body, "grant_type=refresh_token&refresh_token=refresh-0&client_id=edge");
    // One that comes with the old cookie after that.
    let late = world.guest(&browser, now);
    assert_eq!((late.session.generation, late.tell), (1, true));
    told(&world, &mut browser, &guest.unwrap(), now);
    assert_eq!(world.guest(&browser, now).session.refresh_token.as_deref(), Some("refresh-1"));
    assert!(!world.guest(&browser, now).tell);
    // And so on.
    world.gives(refreshed(2));
    let guest = due(&world, &browser, now + 270);
    assert_eq!(world.party.renew(guest, now + 270).await.unwrap().session.generation, 2);
}

#[tokio::test]
async fn a_client_that_goes_away_cuts_no_renewal_off() {
    let (world, browser) = logged_in(json!({})).await;
    world.gives(refreshed(1));
    let now = NOW + 270;
    {
        let renewal = world.party.renew(due(&world, &browser, now), now);
        let mut renewal = Box::pin(renewal);
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(renewal.as_mut().poll(context).is_pending())
        });
        assert!(polled.await, "it waits, and then nobody does");
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.guest(&browser, now).session.generation, 1);
}

#[tokio::test]
async fn an_answer_on_its_way_brings_no_old_session_back() {
    let (world, mut browser) = logged_in(json!({})).await;
    // A slow request, begun before the renewal.
    let slow = world.guest(&browser, NOW + 200);
    world.gives(refreshed(1));
    let now = NOW + 270;
    let renewed = world.party.renew(due(&world, &browser, now), now).await.unwrap();
    told(&world, &mut browser, &renewed, now);
    told(&world, &mut browser, &slow, now + 1);
    assert_eq!(world.guest(&browser, now + 1).session.generation, 1);
    // And one begun before the logout.
    let ended = world.party.end(ORIGIN, "/", false, &browser.headers(), now).await;
    browser.take(&ended.cookies);
    told(&world, &mut browser, &slow, now + 2);
    assert!(browser.0.is_empty(), "{:?}", browser.names());
}

#[tokio::test]
async fn ends_when_the_issuer_says_so() {
    for code in ["invalid_grant", "invalid_client", "unauthorized_client"] {
        let (world, browser) = logged_in(json!({})).await;
        world.refuses(code);
        let guest = due(&world, &browser, NOW + 270);
        assert!(matches!(world.party.renew(guest, NOW + 270).await, Err(Renewal::Refused)), "{code}");
        let asked = world.token_requests().len();
        assert!(matches!(world.look(&browser, NOW + 270), Look::Nobody { over: true }));
        assert_eq!(world.token_requests().len(), asked, "it is not asked again");
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_locks_nobody_out_before_their_token_ends() {
    let (world, browser) = logged_in(json!({})).await;
    world.answers(|_| Err(Failure::Connect("refused".into())));
    let renew = async |now| world.party.renew(due(&world, &browser, now), now).await;
    assert!(renew(NOW + 270).await.is_ok());
    let asked = world.fetch.asked().len();
    assert!(renew(NOW + 271).await.is_ok());
    assert_eq!(world.fetch.asked().len(), asked, "it is left alone for a while");
    world.hand.advance(Duration::from_secs(5));
    assert!(matches!(renew(NOW + 300).await, Err(Renewal::Unavailable)));
    assert_eq!(world.fetch.asked().len(), asked + 1);
    world.hand.advance(Duration::from_secs(5));
    world.gives(refreshed(1));
    assert_eq!(renew(NOW + 305).await.unwrap().session.generation, 1, "and is back when it is");
}

#[tokio::test]
async fn a_renewed_id_token_is_of_the_same_user() {
    for (changes, is_taken) in [
        (json!({ "name": "new" }), true),
        (json!({ "nonce": null }), true),
        (json!({ "sub": "user-2" }), false),
        (json!({ "nonce": "other" }), false),
        (json!({ "aud": "other" }), false),
    ] {
        let (world, browser) = logged_in(json!({})).await;
        let nonce = world.guest(&browser, NOW).session.claims().unwrap().text("nonce").unwrap().to_owned();
        let mut tokens = refreshed(1);
        tokens["id_token"] = world.id_token(&nonce, changes.clone()).into();
        world.gives(tokens);
        let now = NOW + 270;
        let renewed = world.party.renew(due(&world, &browser, now), now).await;
        assert_eq!(renewed.is_ok(), is_taken, "{changes}");
        if let Ok(guest) = renewed {
            let claims = guest.session.claims().unwrap();
            assert_eq!(claims.text("name"), changes["name"].as_str());
        }
    }
}

#[tokio::test]
async fn upstreams_get_a_good_access_token_or_nobody_gets_in() {
    let forwarding = || world_with(|settings| settings.forwards = true, &metadata(json!({})));
    let world = forwarding();
    let mut browser = Browser::default();
    world.log_in(&mut browser, json!({ "refresh_token": null })).await;
    assert_eq!(world.guest(&browser, NOW).session.access_token(), Some("access-0"));
    assert!(matches!(world.look(&browser, NOW + 299), Look::In(_)));
    assert!(matches!(world.look(&browser, NOW + 300), Look::Nobody { over: true }));
    // A session made where none is forwarded has none.
    let (_, browser) = logged_in(json!({})).await;
    assert!(matches!(forwarding().look(&browser, NOW), Look::Nobody { over: true }));
}

#[tokio::test]
async fn logging_out_ends_it_here_and_at_the_issuer() {
    let (world, mut browser) = logged_in(json!({})).await;
    let stolen = browser.clone();
    let id_token = world.guest(&browser, NOW).session.id_token.clone();
    let ended = world.party.end(ORIGIN, "/bye", true, &browser.headers(), NOW).await;
    browser.take(&ended.cookies);
    assert!(browser.0.is_empty());
    assert!(ended.location.starts_with("https://id.example.com/end?"));
    let asked = parameters(&ended.location);
    assert_eq!(asked["id_token_hint"], *id_token);
    assert_eq!(asked["post_logout_redirect_uri"], "https://app.example.com/bye");
    assert_eq!(asked["client_id"], "edge");
    assert!(matches!(world.look(&stolen, NOW + 1), Look::Nobody { over: true }), "a copy of the cookie");
    world.hand.advance(Duration::from_secs(43_199));
    assert!(
        matches!(world.look(&stolen, NOW + 1), Look::Nobody { over: true }),
        "for as long as it might live"
    );
}

#[tokio::test]
async fn logging_out_works_without_the_issuer_and_without_a_session() {
    let (world, browser) = logged_in(json!({})).await;
    let ended = world.party.end(ORIGIN, "/bye", false, &browser.headers(), NOW).await;
    assert_eq!((&*ended.location, ended.cookies.len()), ("/bye", 1));
    let ended = world.party.end(ORIGIN, "/bye", true, &HeaderMap::new(), NOW).await;
    assert_eq!((&*ended.location, ended.cookies.len()), ("/bye", 0));
    let nowhere = metadata(json!({ "end_session_endpoint": null }));
    let world = world_with(|_| {}, &nowhere);
    let mut browser = Browser::default();
    world.log_in(&mut browser, json!({})).await;
    let ended = world.party.end(ORIGIN, "/bye", true, &browser.headers(), NOW).await;
    assert_eq!((&*ended.location, ended.cookies.len()), ("/bye", 1));
}
