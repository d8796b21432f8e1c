use serde_json::{Value, json};

use super::*;
use crate::filters::testing::{compile, compile_error, read_error};

fn spec(more: Value) -> Value {
    let mut spec = json!({ "url": "http://127.0.0.1:9/verify" });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

fn error(more: Value) -> String {
    compile_error::<Spec>(spec(more))
}

#[test]
fn vouches_for_what_tells_the_upstream_who_calls() {
    let filter = compile::<Spec>(spec(json!({ "copy_headers": ["X-User", "authorization", "x-groups"] })));
    assert_eq!(filter.vouches_for(), ["x-user", "x-groups"]);
    assert_eq!(filter.phases(), Phases::REQUEST);
    let filter = compile::<Spec>(spec(json!({ "response_headers": ["set-cookie"] })));
    assert_eq!(filter.phases(), Phases::REQUEST.and(Phases::RESPONSE));
}

#[test]
fn the_url_is_secure_or_on_this_machine() {
    for url in ["https://auth.internal/", "http://localhost:1/", "http://127.0.0.1/", "http://[::1]/"] {
        compile::<Spec>(json!({ "url": url }));
    }
    let plain = json!({ "url": "http://auth.internal/" });
    assert!(compile_error::<Spec>(plain.clone()).starts_with("url: expected https"));
    compile::<Spec>(json!({ "url": plain["url"], "danger_http": true }));
    assert!(error(json!({ "tls": {} })).starts_with("tls: means nothing"));
    assert!(compile_error::<Spec>(json!({ "url": "https://10.0.0.1/" })).starts_with("tls.sni: "));
    compile::<Spec>(json!({ "url": "https://10.0.0.1/", "tls": { "sni": "auth.internal" } }));
    assert!(
        compile_error::<Spec>(json!({ "url": "https://a/", "tls": { "ca": "nowhere" } }))
            .starts_with("tls.ca")
    );
}

#[test]
fn names_of_headers_are_checked() {
    for (key, at) in [
        ("forward_headers", "forward_headers[0]: "),
        ("copy_headers", "copy_headers[0]: "),
        ("refusal_headers", "refusal_headers[0]: "),
        ("response_headers", "response_headers[0]: "),
    ] {
        for name in ["content-length", "host", "a b", "x-forwarded-for", "X-Original-URL", "connection"] {
            assert!(error(json!({ key: [name] })).starts_with(at), "{key} {name}");
        }
        compile::<Spec>(spec(json!({ key: ["x-good"] })));
        assert!(error(json!({ key: ["x-a", "X-A"] })).contains("listed twice"));
    }
    assert!(error(json!({ "subject_header": "a b" })).starts_with("subject_header: "));
    let both = error(json!({ "copy_headers": ["x-b", "x-a"], "forward_headers": ["x-a"] }));
    assert!(both.starts_with("copy_headers[1]: is in forward_headers, too"), "{both}");
    compile::<Spec>(spec(json!({ "copy_headers": ["authorization"] })));
}

#[test]
fn expressions_of_the_key_are_checked() {
    compile::<Spec>(spec(json!({ "cache": { "ttl": "1s", "key": ["http.host", "http.request.uri.path"] } })));
    assert!(error(json!({ "cache": { "ttl": "1s", "key": ["http.hots"] } })).starts_with("cache.key[0]: "));
    assert!(
        error(json!({ "cache": { "ttl": "1s", "key": vec!["http.host"; 17] } })).starts_with("cache.key: ")
    );
    assert!(read_error::<Spec>(spec(json!({ "cache": {} }))).contains("ttl"));
    assert!(read_error::<Spec>(spec(json!({ "copy_header": [] }))).contains("copy_header"));
}

#[test]
fn cookies_are_shown_in_one_field() {
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, "a=1".parse().unwrap());
    headers.append(COOKIE, "b=2".parse().unwrap());
    join_cookies(&mut headers);
    assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
}
