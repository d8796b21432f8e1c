//! Two requests have one key only if they are one in every part; what a query's rules leave is left by them again; and a
//! reference never leads to another origin.
#![no_main]

use edgeward::cache::invalidate::invalidated;
use edgeward::cache::key::{Keep, Key, Name, Query, Target};
use edgeward::http::path::Rules;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.splitn(10, '\n');
    let mut next = || parts.next().unwrap_or_default();
    let first = [next(), next(), next(), next()];
    let second = [next(), next(), next(), next()];
    let key = |[host, path, query, subject]: [&str; 4]| {
        let target = Target { scheme: "https", host, path, query: query.strip_prefix('?') };
        Key::new(&target, b"", &[subject.as_bytes()])
    };
    let same = |[host, path, query, subject]: [&str; 4]| {
        (host.to_owned(), path.to_owned(), query.strip_prefix('?').map(str::to_owned), subject.to_owned())
    };
    assert_eq!(key(first) == key(second), same(first) == same(second));

    let names = || vec![Name::new("utm_*"), Name::new("a")];
    for keep in [Keep::All, Keep::Except(names()), Keep::Only(names())] {
        for sort in [false, true] {
            let rules = Query { sort, keep: keep.clone() };
            if let Some(once) = rules.apply(first[2]) {
                assert_eq!(rules.apply(&once).as_deref(), Some(&*once));
            }
        }
    }

    let target = Target { scheme: "https", host: "a.example", path: "/b/c", query: None };
    let mut fields = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(next()) {
        fields.insert("location", value);
    }
    for resource in invalidated(&Method::POST, &target, StatusCode::OK, &fields, Rules::default()) {
        assert!(resource.path.starts_with('/') && !resource.path.contains(['?', '#', '\\']));
    }
});
