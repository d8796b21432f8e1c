use std::time::SystemTime;

use super::*;
use crate::http::fetch::testing::{Scripted, answer};

const TTL: Duration = Duration::from_secs(10);

fn about(method: &Method) -> About<'_> {
    About {
        method,
        scheme: "https",
        authority: b"api.example.com:8443",
        target: "/orders/7?a=b",
        client_ip: "::ffff:192.0.2.1".parse().unwrap(),
        request_id: "r1",
    }
}

fn authority(fetch: &Arc<Scripted>, method: Option<Method>) -> Authority {
    let url = "http://127.0.0.1:9091/verify?x=y".parse().unwrap();
    Authority { fetch: fetch.clone(), url, method, timeout: Duration::from_millis(300) }
}

fn shown(headers: HeaderMap) -> Shown {
    Shown { headers, body: Bytes::new(), partial: false }
}

async fn asked(status: u16, fields: &'static [(&'static str, &'static str)]) -> Result<Answer, Trouble> {
    let fetch = Arc::new(Scripted::new(move |_| Ok(answer(status, fields, "words"))));
    authority(&fetch, Some(Method::GET)).ask(&about(&Method::POST), shown(HeaderMap::new())).await
}

#[tokio::test]
async fn the_server_is_told_what_is_asked_for_and_by_whom() {
    let fetch = Arc::new(Scripted::new(|_| Ok(answer(200, &[], ""))));
    let mut sent = HeaderMap::new();
    sent.insert("cookie", "a=b".parse().unwrap());
    sent.insert("x-forwarded-for", "6.6.6.6".parse().unwrap());
    authority(&fetch, Some(Method::GET)).ask(&about(&Method::POST), shown(sent)).await.unwrap();
    let request = fetch.asked().remove(0);
    assert_eq!((request.method, request.url.target()), (Method::GET, "/verify?x=y"));
    assert_eq!(request.limits.deadline, Duration::from_millis(300));
    let mut told: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    told.sort_unstable();
    let expected = [
        ("cookie", "a=b"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "api.example.com:8443"),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", "/orders/7?a=b"),
        ("x-original-method", "POST"),
        ("x-original-url", "https://api.example.com:8443/orders/7?a=b"),
        ("x-request-id", "r1"),
    ];
    assert_eq!(told, expected);
    authority(&fetch, None).ask(&about(&Method::POST), shown(HeaderMap::new())).await.unwrap();
    assert_eq!(fetch.asked()[1].method, Method::POST);
}

#[tokio::test]
async fn the_server_is_shown_the_body_and_told_whether_there_is_more() {
    for partial in [false, true] {
        let fetch = Arc::new(Scripted::new(|_| Ok(answer(200, &[], ""))));
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_BODY_PARTIAL, "maybe".parse().unwrap());
        let shown = Shown { headers, body: Bytes::from_static(b"abc"), partial };
        authority(&fetch, None).ask(&about(&Method::POST), shown).await.unwrap();
        let request = fetch.asked().remove(0);
        assert_eq!(&*request.body, b"abc");
        let told = request.headers.get(X_FORWARDED_BODY_PARTIAL).map(HeaderValue::as_bytes);
        assert_eq!(told, partial.then_some(&b"true"[..]));
    }
}

#[tokio::test]
async fn only_2xx_is_a_yes() {
    for status in [200, 202, 204, 299] {
        assert!(matches!(asked(status, &[]).await, Ok(Answer::Pass(_))), "{status}");
    }
    for status in [401, 403] {
        let Ok(Answer::Refuse(words)) = asked(status, &[]).await else { panic!("{status}") };
        assert_eq!((words.status.as_u16(), &*words.body), (status, &b"words"[..]));
    }
    for status in [301, 302, 303, 307, 308] {
        assert!(matches!(asked(status, &[("location", "/login")]).await, Ok(Answer::Refuse(_))), "{status}");
        assert!(matches!(asked(status, &[]).await, Err(Trouble::NoLocation(_))), "{status}");
    }
    for status in [300, 304, 400, 404, 407, 418, 429, 500, 502, 503] {
        assert!(
            matches!(asked(status, &[("location", "/login")]).await, Err(Trouble::Status(_))),
            "{status}"
        );
    }
    let fetch = Arc::new(Scripted::new(|_| Err(Failure::Timeout(TTL))));
    let silent = authority(&fetch, None).ask(&about(&Method::GET), shown(HeaderMap::new())).await;
    assert_eq!(silent.unwrap_err(), Trouble::Fetch(Failure::Timeout(TTL)));
}

#[tokio::test]
async fn a_yes_is_kept_for_its_time_and_a_no_is_not() {
    let (clock, _hand) = Clock::manual(SystemTime::UNIX_EPOCH);
    let kept = async |status, fields| {
        let landing = landing(&asked(status, fields).await, TTL, &clock);
        match (landing.keep, landing.value) {
            (Keep::Until { ns, .. }, Shared::Pass(_)) => Some(ns / 1_000_000_000),
            (Keep::Not, Shared::AskYourself) => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kept(200, &[]).await, Some(10));
    assert_eq!(kept(200, &[("cache-control", "max-age=3")]).await, Some(3));
    assert_eq!(kept(200, &[("cache-control", "max-age=300")]).await, Some(10));
    assert_eq!(kept(200, &[("cache-control", "no-store")]).await, None);
    assert_eq!(kept(200, &[("set-cookie", "session=2")]).await, None, "it is one client's alone");
    assert_eq!(kept(401, &[]).await, None);
    assert_eq!(kept(302, &[("location", "/login")]).await, None);
    let none = landing(&Err(Trouble::Shared), TTL, &clock);
    assert!(matches!((none.value, none.keep), (Shared::Nothing, Keep::Not)));
}
