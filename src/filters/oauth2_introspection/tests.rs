use serde_json::json;

use super::*;
use crate::filters::testing::{compile_error, read_error};

#[test]
fn only_what_looks_like_a_token_is_asked_about() {
    for token in ["a", "a.b.c", "AZaz09-._~+/", "abc=", "abc=="] {
        assert_eq!(text(token.as_bytes()), Ok(token));
    }
    for token in ["", "=", "a b", "a,b", "a\tb", "a\"", "a=b", "a\u{e9}", "a;b", "a\0"] {
        assert_eq!(text(token.as_bytes()), Err(Fault::Malformed), "{token:?}");
    }
    assert!(text(&vec![b'a'; MAX_TOKEN_BYTES]).is_ok());
    assert_eq!(text(&vec![b'a'; MAX_TOKEN_BYTES + 1]), Err(Fault::TooLarge));
}

#[test]
fn says_what_is_wrong_with_a_spec() {
    let with = |key: &str, value: Value| {
        let client = json!({ "id": "e", "secret": { "env": "PATH" } });
        let mut spec = json!({ "url": "https://id.example/i", "client": client });
        spec[key] = value;
        compile_error::<Spec>(spec)
    };
    assert!(with("claims", json!({ "": "x" })).starts_with("claims[\"\"]: "));
    assert!(with("claims", json!({ "a": [] })).starts_with("claims[\"a\"]: "));
    assert!(with("to_headers", json!({ "host": "sub" })).starts_with("to_headers[\"host\"]: "));
    assert!(with("realm", json!("")).starts_with("realm: "));
    assert!(with("from", json!({ "cookie": "a b" })).starts_with("from.cookie: "));
    assert!(read_error::<Spec>(json!({ "url": "https://a/" })).contains("client"));
}
