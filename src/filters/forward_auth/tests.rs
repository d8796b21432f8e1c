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

/// A body that comes in these pieces, or as far as it can be read.
struct Pieces(Vec<&'static str>, bool);

impl crate::filters::Arriving for Pieces {
    fn read(&mut self, most: u64) -> crate::filters::Reading<'_> {
        let mut bytes = Vec::new();
        let mut pieces = self.0.iter();
        while bytes.len() as u64 <= most
            && let Some(piece) = pieces.next()
        {
            bytes.extend_from_slice(piece.as_bytes());
        }
        let whole = self.1 && pieces.next().is_none();
        Box::pin(async move { Ok(Beginning { bytes: bytes.into(), whole }) })
    }
}

async fn shown(spec: Value, length: Option<&str>, mut pieces: Pieces) -> Result<(String, bool), u16> {
    let spec: body::Spec = serde_json::from_value(spec).unwrap();
    let mut sample = crate::filters::exchange::Sample::get("/", &[]);
    if let Some(length) = length {
        sample.request.insert_header("content-length", length).unwrap();
    }
    let read = spec.build().unwrap().read(&mut sample.exchange().with_body(&mut pieces)).await;
    let read = read.map_err(|refusal| refusal.status.as_u16())?;
    Ok((String::from_utf8(read.bytes.to_vec()).unwrap(), read.whole))
}

#[tokio::test]
async fn a_body_is_shown_up_to_its_limit() {
    let pieces = |whole| Pieces(vec!["ab", "cd", "ef"], whole);
    let max = |max: &str| json!({ "max": max });
    assert_eq!(shown(max("6B"), None, pieces(true)).await, Ok(("abcdef".to_owned(), true)));
    assert_eq!(shown(max("5B"), None, pieces(true)).await, Err(413));
    assert_eq!(shown(max("5B"), Some("6"), Pieces(Vec::new(), true)).await, Err(413), "it is announced");
    assert_eq!(shown(max("9B"), None, pieces(false)).await, Err(411), "it cannot be read to its end");
    let partial = |max: &str| json!({ "max": max, "over_limit": "partial" });
    assert_eq!(shown(partial("6B"), Some("6"), pieces(true)).await, Ok(("abcdef".to_owned(), true)));
    assert_eq!(shown(partial("5B"), Some("6"), pieces(true)).await, Ok(("abcde".to_owned(), false)));
    assert_eq!(shown(partial("9B"), None, pieces(false)).await, Ok(("abcdef".to_owned(), false)));
}

#[test]
fn what_is_said_of_the_body_is_checked() {
    for body in [json!({}), json!({ "max": "16MiB", "over_limit": "partial" })] {
        compile::<Spec>(spec(json!({ "body": body })));
        compile::<Spec>(spec(json!({ "body": body, "method": "original" })));
        assert!(error(json!({ "body": body, "method": "get" })).starts_with("method: a GET has no body"));
    }
    for max in ["0B", "17MiB"] {
        assert!(error(json!({ "body": { "max": max } })).starts_with("body.max: "), "{max}");
    }
}
