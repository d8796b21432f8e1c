use serde_json::{Value, json};

use super::*;
use crate::filters::exchange::Sample;

fn places(from: Value) -> Result<Places, String> {
    let from: KeyPlaces = serde_json::from_value(from).map_err(|error| error.to_string())?;
    Places::compile(from).map_err(|problem| problem.to_string())
}

fn found(from: Value, path: &str, headers: &[(&'static str, &str)]) -> Option<Result<String, ()>> {
    let sample = Sample::get(path, headers);
    match places(from).unwrap().find(&sample.request) {
        Presented::Nothing => None,
        Presented::Key(text) => Some(Ok(String::from_utf8_lossy(&text).into_owned())),
        Presented::Several => Some(Err(())),
    }
}

#[test]
fn empty_places_hold_no_key() {
    assert_eq!(found(json!({ "header": "k" }), "/", &[("k", "")]), None);
    assert_eq!(found(json!({ "authorization": "Bearer" }), "/", &[("authorization", "Bearer ")]), None);
    assert_eq!(found(json!({ "cookie": "k" }), "/", &[("cookie", "k=; a")]), None);
    assert_eq!(found(json!({ "danger_query": "k" }), "/?k&k=", &[]), None);
}

#[test]
fn the_same_key_twice_is_one_key_and_different_ones_are_none() {
    let from = || json!([{ "header": "k" }, { "cookie": "k" }, { "danger_query": "k" }]);
    assert_eq!(found(from(), "/?k=a", &[("k", "a"), ("cookie", "k=a")]), Some(Ok("a".into())));
    for (path, header, cookie) in
        [("/?k=b", "a", "k=a"), ("/?k=a&k=b", "a", "k=a"), ("/?k=a", "b", "k=a"), ("/", "a", "k=a; k=b")]
    {
        assert_eq!(found(from(), path, &[("k", header), ("cookie", cookie)]), Some(Err(())), "{path}");
    }
    assert_eq!(found(json!({ "header": "k" }), "/", &[("k", "a"), ("k", "b")]), Some(Err(())));
}

#[test]
fn parameters_are_decoded() {
    assert_eq!(found(json!({ "danger_query": "k" }), "/?%6b=a%2Bb+c%20d", &[]), Some(Ok("a+b+c d".into())));
}

#[test]
fn hiding_leaves_everything_else_as_it_is() {
    let all =
        json!([{ "header": "k" }, { "authorization": "Bearer" }, { "cookie": "k" }, { "danger_query": "k" }]);
    let mut sample = Sample::get(
        "/a%20b?x=1&k=s&y=%26&%6b=s&&z",
        &[
            ("k", "s"),
            ("authorization", "bearer s"),
            ("cookie", "a=1; k=s"),
            ("cookie", "k=s"),
            ("cookie", "b=2"),
        ],
    );
    places(all.clone()).unwrap().take(&mut sample.request, true);
    let headers = &sample.request.headers;
    assert!(!headers.contains_key("k") && !headers.contains_key("authorization"));
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(sample.request.uri, "/a%20b?x=1&y=%26&&z");
    let mut other = Sample::get("/?kk=1", &[("authorization", "Basic YQ=="), ("cookie", "kk=1;  b")]);
    places(all).unwrap().take(&mut other.request, true);
    assert_eq!(other.request.uri, "/?kk=1");
    assert_eq!(other.request.headers["authorization"], "Basic YQ==");
    assert_eq!(other.request.headers["cookie"], "kk=1;  b");
}

#[test]
fn refuses_places_that_are_none() {
    for (from, expected) in [
        (json!([]), "from: expected 1 to 8 places, found 0"),
        (json!({ "header": "a b" }), "from.header: expected a header name such as x-api-key"),
        (json!({ "header": "Cookie" }), "from.header: cookie has a place of its own: { cookie: NAME }"),
        (
            json!([{ "header": "a" }, { "cookie": "a;b" }]),
            "from[1].cookie: expected a cookie name such as api_key",
        ),
        (json!({ "authorization": "" }), "from.authorization: expected a scheme such as Bearer or ApiKey"),
        (json!({ "danger_query": "a=b" }), "from.danger_query: expected a parameter's name such as api_key"),
    ] {
        assert_eq!(places(from).err().unwrap(), expected);
    }
    assert!(places(json!({ "query": "k" })).is_err());
}
