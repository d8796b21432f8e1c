use super::*;
use crate::cache::scalars::MAX_SECONDS;
use crate::cache::testing::fields;

fn response(lines: &str) -> ResponseDirectives {
    ResponseDirectives::read(&fields(lines))
}

fn cache_control(value: &str) -> ResponseDirectives {
    response(&format!("cache-control: {value}"))
}

fn request(value: &str) -> RequestDirectives {
    RequestDirectives::read(&fields(&format!("cache-control: {value}")))
}

fn names(scope: &Scope) -> Vec<&str> {
    scope.fields().iter().map(HeaderName::as_str).collect()
}

#[test]
fn reads_lifetimes_as_tokens_and_strings_in_any_case_and_line() {
    // RFC 9111 §5.2: "recipients ought to accept both forms".
    for value in
        ["max-age=60", "MAX-AGE=60", "Max-Age=\"60\"", "foo, max-age=60 ,", "a=\"b, max-age=1\", max-age=60"]
    {
        assert_eq!(cache_control(value).max_age, Some(60), "{value}");
    }
    let two_lines = response("cache-control: public\ncache-control: s-maxage=5,max-age=60");
    assert_eq!((two_lines.public, two_lines.s_maxage, two_lines.max_age), (true, Some(5), Some(60)));
    for value in ["", "max-age", "xmax-age=60", "foo=max-age=60", "foo=\"max-age=60\"", "\"max-age=60\""] {
        assert_ne!(cache_control(value).max_age, Some(60), "{value}");
    }
}

#[test]
fn a_lifetime_that_is_no_number_is_stale_and_a_huge_one_is_68_years() {
    // RFC 9111 §4.2.1: "caches are encouraged to consider responses that have invalid freshness information to be stale".
    for value in [
        "max-age",
        "max-age=",
        "max-age=a",
        "max-age=-1",
        "max-age=1.5",
        "max-age= 60",
        "max-age =60",
        "max-age='60'",
        "max-age=60;public",
        "max-age=\"\"",
        "max-age=60 foo",
    ] {
        assert_eq!(cache_control(value).max_age, Some(0), "{value}");
    }
    assert_eq!(cache_control("max-age=2147483649").max_age, Some(MAX_SECONDS));
    assert_eq!(cache_control("s-maxage=99999999999999999999").s_maxage, Some(MAX_SECONDS));
}

#[test]
fn of_two_lifetimes_the_first_counts() {
    // RFC 9111 §4.2.1: "either the first occurrence should be used or the response should be considered stale".
    assert_eq!(cache_control("max-age=1, max-age=3600").max_age, Some(1));
    assert_eq!(response("cache-control: max-age=3600\ncache-control: max-age=1").max_age, Some(3600));
    assert_eq!(cache_control("max-age=a, max-age=3600").max_age, Some(0));
}

#[test]
fn what_forbids_does_so_with_any_argument() {
    for value in
        ["no-store", "NO-STORE", "no-store=1", "no-store=\"a\"", "no-store =x", "max-age=60,no-store"]
    {
        assert!(cache_control(value).no_store, "{value}");
    }
    for value in ["no-stor", "foo=\"no-store\"", "foo=no-store", "\u{22}a\u{22}=no-store, x"] {
        let directives = cache_control(value);
        assert!(!directives.no_store || value.starts_with('"'), "{value}");
    }
    let all = cache_control("must-revalidate, proxy-revalidate, must-understand, public");
    assert!(all.must_revalidate && all.proxy_revalidate && all.must_understand && all.public);
    let none = cache_control("must-understand=1, public=x");
    assert!(!none.must_understand && !none.public);
}

#[test]
fn a_quoted_string_without_an_end_hides_nothing() {
    for value in
        ["foo=\"bar, no-store", "max-age=60, foo=\"", "foo=a\"b, private\"", "f\"oo, private\"", "a=\"b\"c\""]
    {
        assert!(cache_control(value).no_store, "{value}");
    }
    for value in ["foo=\"bar, no-store\"", "foo=\"\\\"no-store\""] {
        assert!(!cache_control(value).no_store, "{value}");
    }
}

#[test]
fn no_cache_and_private_may_name_fields() {
    // RFC 9111 §5.2.2.4 and §5.2.2.7.
    let directives = cache_control("no-cache=\"Set-Cookie, X-A\", private=\"x-b\", private=x-c");
    assert_eq!(names(&directives.no_cache), ["set-cookie", "x-a"]);
    assert_eq!(names(&directives.private), ["x-b", "x-c"]);
    for value in ["private", "private=\"\"", "private=\"a b\"", "private=", "private=\"x-a\", private"] {
        assert_eq!(cache_control(value).private, Scope::Response, "{value}");
    }
    let many: Vec<_> = (0..=MAX_FIELDS).map(|number| format!("x{number}")).collect();
    assert_eq!(cache_control(&format!("private=\"{}\"", many.join(","))).private, Scope::Response);
}

#[test]
fn the_first_valid_targeted_field_decides_alone() {
    // RFC 9213 §2.2.
    let both = "cache-control: no-store\ncdn-cache-control: max-age=10\nedgeward-cache-control: max-age=20";
    let directives = response(both);
    assert_eq!((directives.targeted, directives.max_age, directives.no_store), (true, Some(20), false));
    let directives = response("cache-control: no-store\ncdn-cache-control: max-age=10, must-revalidate");
    assert_eq!(
        (directives.max_age, directives.must_revalidate, directives.no_store),
        (Some(10), true, false)
    );
    // "'none' is not a registered cache directive; it is here to avoid sending a header field with an empty value".
    assert!(!response("cache-control: no-store\ncdn-cache-control: none").no_store);
    let other =
        response("cache-control: max-age=1\nsurrogate-control: max-age=9\nother-cache-control: max-age=9");
    assert_eq!((other.targeted, other.max_age), (false, Some(1)));
}

#[test]
fn a_targeted_field_with_any_fault_counts_for_nothing() {
    // RFC 9213 §2.1: "If a targeted field in a given response is empty, or a parsing error is encountered".
    for value in [
        "",
        "max-age=10,",
        "MAX-AGE=10",
        "max-age=10; ;",
        "max-age 10",
        "max-age=10, &",
        "no-store=\"a",
        "max-age=--1",
    ] {
        let directives = response(&format!("cache-control: max-age=1\ncdn-cache-control: {value}"));
        assert_eq!((directives.targeted, directives.max_age), (false, Some(1)), "{value}");
    }
    let falls_through = "cdn-cache-control: max-age=10\nedgeward-cache-control: max-age=,";
    assert_eq!(response(falls_through).max_age, Some(10));
    let two_lines = "cdn-cache-control: max-age=10\ncdn-cache-control: no-cache";
    assert_eq!(response(two_lines).no_cache, Scope::Response);
}

#[test]
fn targeted_values_of_the_wrong_type_give_no_lifetime() {
    // RFC 9213 §2.1: "Implementations SHOULD NOT consume values that violate these inferred constraints".
    for value in ["max-age=10.5", "max-age=\"10\"", "max-age", "max-age=-1", "max-age=(10)", "max-age=a"] {
        assert_eq!(response(&format!("cdn-cache-control: {value}")).max_age, Some(0), "{value}");
    }
    assert_eq!(response("cdn-cache-control: max-age=10;a=b").max_age, Some(10));
    assert_eq!(response("cdn-cache-control: max-age=999999999999").max_age, Some(MAX_SECONDS));
    assert_eq!(response("cdn-cache-control: max-age=1, max-age=10").max_age, Some(10));
    assert!(!response("cdn-cache-control: no-store=?0, max-age=1").no_store);
    assert!(response("cdn-cache-control: no-store=1").no_store);
    let scopes = response("cdn-cache-control: no-cache=\"a, b\", private=(a b)");
    assert_eq!(names(&scopes.no_cache), ["a", "b"]);
    assert_eq!(scopes.private, Scope::Response);
}

#[test]
fn reads_what_requests_ask_for() {
    let asked = request("max-age=10, min-fresh=5, max-stale=7, no-store, only-if-cached, stale-if-error=9");
    assert_eq!((asked.max_age, asked.min_fresh, asked.max_stale), (Some(10), 5, Some(7)));
    assert_eq!((asked.no_store, asked.only_if_cached, asked.stale_if_error), (true, true, Some(9)));
    assert!(!asked.no_cache);
    // RFC 9111 §5.2.1.2: without a value, "a stale response of any age".
    assert_eq!(request("max-stale").max_stale, Some(u32::MAX));
    assert_eq!(request("max-stale=a").max_stale, None);
    assert_eq!(request("max-age=a").max_age, Some(0));
    assert_eq!(request("min-fresh=a").min_fresh, u32::MAX);
    assert!(request("no-cache").no_cache && request("foo=\"").no_cache);
    assert_eq!(request("foo"), RequestDirectives::default());
}

#[test]
fn pragma_counts_only_without_cache_control() {
    // RFC 9111 §5.4.
    let no_cache = |lines: &str| RequestDirectives::read(&fields(lines)).no_cache;
    assert!(no_cache("pragma: No-Cache"));
    assert!(!no_cache("pragma: no-cache\ncache-control: max-age=10"));
    assert!(!no_cache("pragma: foo"));
    assert_eq!(response("pragma: no-cache\ncache-control: max-age=1").no_cache, Scope::Nothing);
}
