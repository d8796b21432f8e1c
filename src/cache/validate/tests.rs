use super::*;
use crate::cache::testing::{at, fields, http_date};

fn not_modified(request: &str, stored: &str) -> bool {
    is_not_modified(&fields(request), StatusCode::OK, &fields(stored), at(0))
}

fn about(status: u16, answer: &str, stored: &str) -> Outcome {
    outcome(StatusCode::from_u16(status).unwrap(), &fields(answer), &fields(stored))
}

#[test]
fn entity_tags_are_compared_weakly_for_a_304() {
    // RFC 9110 §13.1.2.
    for (request, stored, answer) in [
        (r#""a""#, r#""a""#, true),
        (r#"W/"a""#, r#""a""#, true),
        (r#""a""#, r#"W/"a""#, true),
        (r#""b", W/"a""#, r#""a""#, true),
        (r#""a,b""#, r#""a,b""#, true),
        ("*", r#""a""#, true),
        (r#""b""#, r#""a""#, false),
        (r#""A""#, r#""a""#, false),
        ("a", r#""a""#, false),
        (r#""a"#, r#""a""#, false),
        ("", r#""a""#, false),
    ] {
        let (request, stored) = (format!("if-none-match: {request}"), format!("etag: {stored}"));
        assert_eq!(not_modified(&request, &stored), answer, "{request} {stored}");
    }
    assert!(not_modified("if-none-match: \"b\"\nif-none-match: \"a\"", "etag: \"a\""));
    assert!(not_modified("if-none-match: *", ""));
    assert!(!not_modified("if-none-match: \"a\"", ""));
}

#[test]
fn dates_decide_where_no_tag_is_asked_for() {
    // RFC 9110 §13.1.3; RFC 9111 §4.3.2 where there is no Last-Modified.
    let since = |seconds: i64| format!("if-modified-since: {}", http_date(seconds));
    let modified = format!("last-modified: {}", http_date(-10));
    assert!(not_modified(&since(-10), &modified));
    assert!(not_modified(&since(-9), &modified));
    assert!(!not_modified(&since(-11), &modified));
    assert!(!not_modified("if-modified-since: yesterday", &modified));
    assert!(!not_modified(&format!("{}\n{}", since(0), since(0)), &modified));
    let dated = format!("date: {}", http_date(-5));
    assert!(not_modified(&since(-5), &dated) && !not_modified(&since(-6), &dated));
    assert!(not_modified(&since(0), "") && !not_modified(&since(-1), ""));
    // "A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field".
    let both = format!("if-none-match: \"b\"\n{}", since(0));
    assert!(!not_modified(&both, &format!("etag: \"a\"\n{modified}")));
}

#[test]
fn conditions_do_not_apply_to_errors_and_redirects() {
    let (request, stored) = (fields("if-none-match: \"a\""), fields("etag: \"a\""));
    for (status, expected) in
        [(200, true), (203, true), (204, true), (301, false), (404, false), (500, false)]
    {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(is_not_modified(&request, status, &stored, at(0)), expected, "{status}");
    }
}

#[test]
fn preconditions_of_writers_go_to_the_origin() {
    assert!(is_for_the_origin(&fields("if-match: \"a\"")));
    assert!(is_for_the_origin(&fields("if-unmodified-since: x")));
    assert!(!is_for_the_origin(&fields("if-none-match: \"a\"\nif-modified-since: x\nif-range: \"a\"")));
}

#[test]
fn a_304_has_the_fields_of_rfc_9110_15_4_5() {
    let mut stored = fields(
        "etag: \"a\"\nlast-modified: x\ncontent-type: a/b\ncontent-length: 3\ncontent-encoding: gzip\ncontent-language: de
        cache-control: max-age=1\ncontent-location: /a\ndate: x\nexpires: x\nvary: accept\ncontent-security-policy: a",
    );
    reduce_to_not_modified(&mut stored);
    let mut names: Vec<_> = stored.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let kept =
        ["cache-control", "content-location", "content-security-policy", "date", "etag", "expires", "vary"];
    assert_eq!(names, kept);
    let mut untagged = fields("last-modified: x\ncontent-type: a/b");
    reduce_to_not_modified(&mut untagged);
    assert_eq!(untagged.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["last-modified"]);
}

#[test]
fn asks_the_origin_about_the_stored_response_alone() {
    // RFC 9111 §4.3.1.
    let clients =
        "if-none-match: \"client\"\nif-modified-since: x\nrange: bytes=0-1\nif-range: \"c\"\naccept: a/b";
    let modified = http_date(-10);
    let mut request = fields(clients);
    assert!(make_conditional(&mut request, &fields(&format!("etag: W/\"s\"\nlast-modified: {modified}"))));
    let expected = fields(&format!("accept: a/b\nif-none-match: W/\"s\"\nif-modified-since: {modified}"));
    assert_eq!(request, expected);
    let mut request = fields(clients);
    assert!(!make_conditional(&mut request, &fields("last-modified: yesterday\netag: ")));
    assert_eq!(request, fields("accept: a/b"));
}

#[test]
fn a_304_confirms_what_has_its_validator() {
    // RFC 9111 §4.3.4.
    for (answer, stored, expected) in [
        ("etag: \"a\"", "etag: \"a\"", Outcome::Confirmed),
        ("etag: \"b\"", "etag: \"a\"", Outcome::Mismatch),
        ("etag: \"a\"", "etag: W/\"a\"", Outcome::Mismatch),
        ("etag: W/\"a\"", "etag: \"a\"", Outcome::Confirmed),
        ("etag: W/\"b\"", "etag: \"a\"", Outcome::Mismatch),
        ("etag: \"a\"", "last-modified: x", Outcome::Mismatch),
        ("last-modified: x", "last-modified: x", Outcome::Confirmed),
        ("last-modified: x", "etag: \"a\"", Outcome::Mismatch),
        ("", "etag: \"a\"", Outcome::Confirmed),
        ("", "last-modified: x", Outcome::Confirmed),
    ] {
        assert_eq!(about(304, answer, stored), expected, "{answer} {stored}");
    }
    let date = |seconds| format!("last-modified: {}", http_date(seconds));
    assert_eq!(about(304, &date(-9), &date(-9)), Outcome::Confirmed);
    assert_eq!(about(304, &date(-8), &date(-9)), Outcome::Mismatch);
    for status in [500, 502, 503, 504] {
        assert_eq!(about(status, "", "etag: \"a\""), Outcome::Failed, "{status}");
    }
    for status in [200, 206, 301, 404, 410, 501] {
        assert_eq!(about(status, "etag: \"a\"", "etag: \"a\""), Outcome::Replaced, "{status}");
    }
}

#[test]
fn a_304_updates_all_fields_but_those_of_the_stored_bytes() {
    // RFC 9111 §3.2.
    let stored = fields(
        "etag: \"a\"\nx-old: 1\nx-both: 1\nx-both: 2\ncontent-encoding: gzip\ncontent-type: a/b\nage: 9\ndate: x
        expires: 0\ncontent-location: /a",
    );
    let answer = fields(
        "etag: \"a\"\nx-new: 3\nx-both: 4\ncontent-encoding: br\ncontent-length: 0\ncontent-range: a\ncontent-type: c/d
        cache-control: max-age=9",
    );
    let expected = fields(
        "etag: \"a\"\nx-old: 1\nx-both: 4\ncontent-encoding: gzip\ncontent-type: c/d\nexpires: 0\ncontent-location: /a
        x-new: 3\ncache-control: max-age=9",
    );
    assert_eq!(freshened(&stored, &answer), expected);
    let answer = fields("age: 2\ndate: y\nx-a: 1\nx-a: 2");
    let updated = freshened(&stored, &answer);
    assert_eq!((&updated["age"], &updated["date"]), (&answer["age"], &answer["date"]));
    assert_eq!(updated.get_all("x-a").iter().count(), 2);
    // What ends at this hop takes nothing from what is stored.
    let hop = fields("connection: x-old\nx-old: 2\nkeep-alive: a\nproxy-authenticate: b");
    let kept = freshened(&stored, &hop);
    assert_eq!((&kept["x-old"], kept.contains_key("keep-alive")), (&stored["x-old"], false));
}

#[test]
fn a_head_freshens_what_it_agrees_with() {
    // RFC 9111 §4.3.5.
    let stored = fields("etag: \"a\"\nlast-modified: x");
    for (answer, expected) in [
        ("", true),
        ("etag: \"a\"", true),
        ("etag: \"a\"\nlast-modified: x\ncontent-length: 3", true),
        ("etag: \"b\"", false),
        ("etag: W/\"a\"", false),
        ("last-modified: y", false),
        ("content-length: 4", false),
        ("content-length: a", false),
    ] {
        assert_eq!(head_agrees(&fields(answer), &stored, 3), expected, "{answer}");
    }
    assert!(!head_agrees(&fields("etag: \"a\""), &fields(""), 3));
}
