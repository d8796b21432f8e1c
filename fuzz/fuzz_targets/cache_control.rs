//! Whatever heads say, judging them ends, forbidding counts, and an unreadable lifetime gives no freshness.
#![no_main]

use std::time::{Duration, SystemTime};

use edgeward::cache::directives::Scope;
use edgeward::cache::freshness::{Received, Rules};
use edgeward::cache::range::{Multipart, Parts};
use edgeward::cache::store::{Asked, Audience, may_store, stored_fields};
use edgeward::cache::vary::Selector;
use edgeward::cache::{Freshness, RequestDirectives, ResponseDirectives, Verdict, validate};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;

const REQUEST: [&str; 10] = [
    "cache-control",
    "pragma",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "range",
    "accept",
    "accept-encoding",
    "accept-language",
    "x-a",
];
const RESPONSE: [&str; 12] = [
    "cache-control",
    "cdn-cache-control",
    "edgeward-cache-control",
    "expires",
    "date",
    "age",
    "last-modified",
    "etag",
    "vary",
    "connection",
    "set-cookie",
    "content-type",
];

fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |byte| *byte == 0);
    let (request, response) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let (request, response) = (fields(request, &REQUEST), fields(response, &RESPONSE));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let received =
        Received { status: StatusCode::OK, headers: &response, requested_at: now, received_at: now };
    let (directives, wants) = (ResponseDirectives::read(&response), RequestDirectives::read(&request));
    let rules = Rules::default();
    let freshness = Freshness::new(&received, &directives, &rules);
    let verdict = freshness.judge(&wants, now);
    assert!(verdict != Verdict::Fresh || (freshness.ttl(now) > 0 && directives.no_cache != Scope::Response));
    assert!(verdict != Verdict::Fresh || !wants.no_cache);

    let asked = Asked {
        method: &Method::GET,
        headers: &request,
        has_content: false,
        has_credentials: false,
        audience: Audience::Anyone,
    };
    let stored = stored_fields(&received, &directives);
    assert!(!stored.contains_key("set-cookie") && !stored.contains_key("age") && stored.contains_key("date"));
    if may_store(&asked, &wants, &received, &directives, &rules).is_ok() {
        assert!(!wants.no_store && directives.private != Scope::Response);
        assert!(!directives.no_store || directives.must_understand);
        let selector = Selector::read(&response).expect("it varies by something");
        assert_eq!(selector.fingerprint(&request), selector.fingerprint(&request.clone()));
    }
    let _ = validate::is_not_modified(&request, StatusCode::OK, &stored, now);
    let _ = validate::outcome(StatusCode::NOT_MODIFIED, &response, &stored);
    let length = 1000;
    match Parts::select(&request, StatusCode::OK, &stored, length) {
        Parts::Whole | Parts::Unsatisfiable => {}
        Parts::One(part) => assert!(part.start < part.end && part.end <= length),
        Parts::Many(parts) => {
            assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
            assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= length);
            assert_eq!(Multipart::new(&parts, &stored, length, 1).parts.len(), parts.len());
        }
    }
});

/// Each line begins with a byte that chooses its name.
fn fields(text: &[u8], names: &'static [&'static str]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n').take(32) {
        let Some((choice, value)) = line.split_first() else { continue };
        let name = HeaderName::from_static(names[usize::from(*choice) % names.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            fields.append(name, value);
        }
    }
    fields
}
