use super::*;
use crate::cache::testing::{at, fields, http_date, received};

fn with_rules(status: u16, lines: &str, rules: &Rules) -> Freshness {
    let headers = fields(lines);
    Freshness::new(&received(status, &headers), &ResponseDirectives::read(&headers), rules)
}

fn fresh(lines: &str) -> Freshness {
    with_rules(200, lines, &Rules::default())
}

fn ask(value: &str) -> RequestDirectives {
    RequestDirectives::read(&fields(&format!("cache-control: {value}")))
}

const NOTHING: RequestDirectives = RequestDirectives {
    max_age: None,
    min_fresh: 0,
    max_stale: None,
    no_cache: false,
    no_store: false,
    only_if_cached: false,
    stale_if_error: None,
};

#[test]
fn explicit_lifetimes_have_the_order_of_rfc_9111_4_2_1() {
    let later = http_date(30);
    for (lines, lifetime) in [
        ("cache-control: s-maxage=10, max-age=20".to_owned(), 10),
        (format!("cache-control: max-age=20\nexpires: {later}"), 20),
        (format!("expires: {later}"), 30),
        (format!("expires: {later}\ndate: {}", http_date(10)), 20),
        (format!("expires: {later}\ndate: nonsense"), 30),
        (format!("expires: {later}\nexpires: {}", http_date(90)), 30),
        // §5.3: "especially the value "0", as representing a time in the past".
        ("expires: 0".to_owned(), 0),
        ("expires: -1".to_owned(), 0),
        (format!("expires: {}", http_date(-30)), 0),
        (format!("expires: {later}, {later}"), 0),
        (format!("expires: 0\nexpires: {later}"), 0),
        (format!("cache-control: max-age=a\nexpires: {later}"), 0),
        // RFC 9213 §2.2: with a targeted field, Expires and Cache-Control count for nothing.
        (format!("cdn-cache-control: none\nexpires: {later}\ncache-control: max-age=20"), 0),
        (format!("cdn-cache-control: max-age=5\nexpires: {later}"), 5),
    ] {
        assert_eq!(fresh(&lines).ttl(at(0)), lifetime, "{lines}");
    }
}

#[test]
fn heuristics_take_a_tenth_up_to_a_cap_where_nothing_is_said() {
    // RFC 9111 §4.2.2.
    let modified = format!("last-modified: {}", http_date(-1000));
    assert_eq!(fresh(&modified).ttl(at(0)), 100);
    let old = format!("last-modified: {}", http_date(-100_000_000));
    assert_eq!(fresh(&old).ttl(at(0)), 86_400);
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(with_rules(status, &modified, &Rules::default()).ttl(at(0)), 100, "{status}");
    }
    for status in [201, 202, 302, 307, 400, 403, 500, 503, 599] {
        assert_eq!(with_rules(status, &modified, &Rules::default()).ttl(at(0)), 0, "{status}");
    }
    let public = format!("{modified}\ncache-control: public");
    assert_eq!(with_rules(302, &public, &Rules::default()).ttl(at(0)), 100);
    for none in [
        format!("{modified}\nexpires: 0"),
        format!("{modified}\ncache-control: max-age=0"),
        format!("last-modified: {}", http_date(1000)),
        "last-modified: x".to_owned(),
    ] {
        assert_eq!(fresh(&none).ttl(at(0)), 0, "{none}");
    }
    let never = Rules { heuristic_max: 0, ..Rules::default() };
    assert_eq!(with_rules(200, &modified, &never).ttl(at(0)), 0);
}

#[test]
fn default_lifetimes_are_for_responses_that_say_nothing() {
    let rules = Rules { default_lifetimes: vec![(404..=404, 10), (500..=599, 1)], ..Rules::default() };
    assert_eq!(with_rules(404, "", &rules).ttl(at(0)), 10);
    assert_eq!(with_rules(503, "", &rules).ttl(at(0)), 1);
    assert_eq!(with_rules(404, "cache-control: max-age=3", &rules).ttl(at(0)), 3);
    assert_eq!(with_rules(200, "", &rules).ttl(at(0)), 0);
    // A class would have the 401 of one client be that of all, whatever credentials they have.
    let rules = |statuses| Rules { default_lifetimes: vec![(statuses, 10)], ..Rules::default() };
    assert_eq!([401, 402].map(|status| with_rules(status, "", &rules(400..=499)).ttl(at(0))), [0, 10]);
    assert_eq!(with_rules(401, "", &rules(401..=401)).ttl(at(0)), 10);
    assert_eq!(with_rules(401, "cache-control: max-age=3", &rules(400..=499)).ttl(at(0)), 3);
}

#[test]
fn age_is_counted_as_rfc_9111_4_2_3_says() {
    for (lines, age) in [
        ("", 2),             // the delay of the response
        ("age: 10", 12),     // and what it was old when it came
        ("age: 10, 90", 12), // §5.1: the first member of a list
        ("age: 10\nage: 90", 12),
        ("age: -1", 2), // "a cache SHOULD ignore the field"
        ("age: 1.5", 2),
        ("age: a, 10", 2),
        ("age: \"10\"", 2),
        ("age: 99999999999", i64::from(MAX_SECONDS) + 2),
    ] {
        let headers = fields(lines);
        let response = Received { received_at: at(2), ..received(200, &headers) };
        let freshness = Freshness::new(&response, &ResponseDirectives::default(), &Rules::default());
        assert_eq!(freshness.age(at(2)).as_secs(), u64::try_from(age).unwrap(), "{lines}");
        assert_eq!(freshness.age(at(7)).as_secs(), u64::try_from(age + 5).unwrap(), "{lines}");
    }
    let dated = fresh(&format!("date: {}", http_date(-30)));
    assert_eq!((dated.age(at(0)).as_secs(), dated.age(at(5)).as_secs()), (30, 35));
    let both = fresh(&format!("date: {}\nage: 50", http_date(-30)));
    assert_eq!(both.age(at(0)).as_secs(), 50);
    let ahead = fresh(&format!("date: {}", http_date(30)));
    assert_eq!(ahead.age(at(0)).as_secs(), 0);
    // A clock that is set back.
    assert_eq!(fresh("age: 3").age(at(-100)).as_secs(), 3);
}

#[test]
fn a_response_is_fresh_until_its_age_is_its_lifetime() {
    // RFC 9111 §4.2: "response_is_fresh = (freshness_lifetime > current_age)".
    let response = fresh("cache-control: max-age=10\nage: 4");
    assert_eq!(response.judge(&NOTHING, at(5)), Verdict::Fresh);
    assert_eq!(response.judge(&NOTHING, at(6)), Verdict::Validate(Why::Stale));
    assert_eq!((response.ttl(at(0)), response.ttl(at(9))), (6, -3));
    let always = fresh("cache-control: max-age=10, no-cache");
    assert_eq!(always.judge(&NOTHING, at(0)), Verdict::Validate(Why::Stale));
    let fields_alone = fresh("cache-control: max-age=10, no-cache=\"x-a\"");
    assert_eq!(fields_alone.judge(&NOTHING, at(0)), Verdict::Fresh);
}

#[test]
fn requests_may_want_more() {
    // RFC 9111 §5.2.1.
    let response = fresh("cache-control: max-age=10");
    for (asked, now, verdict) in [
        ("max-age=5", 5, Verdict::Fresh),
        ("max-age=5", 6, Verdict::Validate(Why::Request)),
        ("max-age=0", 0, Verdict::Validate(Why::Request)),
        ("min-fresh=5", 5, Verdict::Fresh),
        ("min-fresh=5", 6, Verdict::Validate(Why::Request)),
        ("no-cache", 0, Verdict::Validate(Why::Request)),
        ("max-stale=5", 15, Verdict::Stale),
        ("max-stale=5", 16, Verdict::Validate(Why::Stale)),
        ("max-stale", 1_000_000, Verdict::Stale),
        ("max-stale=5, max-age=12", 12, Verdict::Stale),
        ("max-stale=5, max-age=12", 13, Verdict::Validate(Why::Stale)),
        ("max-stale=5, no-cache", 12, Verdict::Validate(Why::Stale)),
        ("max-stale=5, min-fresh=1", 12, Verdict::Validate(Why::Stale)),
        ("only-if-cached", 12, Verdict::Validate(Why::Stale)),
    ] {
        assert_eq!(response.judge(&ask(asked), at(now)), verdict, "{asked} at {now}");
    }
}

#[test]
fn stale_responses_are_served_while_one_asks_for_a_new_one() {
    // RFC 5861 §3.
    let response = fresh("cache-control: max-age=10, stale-while-revalidate=5");
    assert_eq!(response.judge(&NOTHING, at(10)), Verdict::StaleWhileRevalidate);
    assert_eq!(response.judge(&NOTHING, at(14)), Verdict::StaleWhileRevalidate);
    assert_eq!(response.judge(&NOTHING, at(15)), Verdict::Validate(Why::Stale));
    assert_eq!(response.judge(&ask("max-age=60"), at(12)), Verdict::Validate(Why::Stale));
    let rules = Rules { stale_while_revalidate: 5, ..Rules::default() };
    let by_rule = with_rules(200, "cache-control: max-age=10", &rules);
    assert_eq!(by_rule.judge(&NOTHING, at(14)), Verdict::StaleWhileRevalidate);
    let told = with_rules(200, "cache-control: max-age=10, stale-while-revalidate=0", &rules);
    assert_eq!(told.judge(&NOTHING, at(10)), Verdict::Validate(Why::Stale));
}

#[test]
fn nothing_stale_is_served_where_that_is_forbidden() {
    // RFC 9111 §4.2.4.
    for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"] {
        let stale =
            format!("cache-control: max-age=10, {forbids}, stale-while-revalidate=99, stale-if-error=99");
        let response = fresh(&stale);
        assert_eq!(response.judge(&ask("max-stale"), at(11)), Verdict::Validate(Why::Stale), "{forbids}");
        assert_eq!(response.judge(&NOTHING, at(11)), Verdict::Validate(Why::Stale), "{forbids}");
        assert!(!response.stands_in_for_an_error(&ask("stale-if-error=99"), 0, at(11)), "{forbids}");
        assert_eq!(response.stands_in_for_an_error(&NOTHING, 0, at(1)), forbids != "no-cache", "{forbids}");
    }
}

#[test]
fn stale_responses_stand_in_for_errors_where_anyone_says_so() {
    // RFC 5861 §4: in a response or a request.
    let response = fresh("cache-control: max-age=10, stale-if-error=5");
    assert!(response.stands_in_for_an_error(&NOTHING, 0, at(14)));
    assert!(!response.stands_in_for_an_error(&NOTHING, 0, at(15)));
    assert!(response.stands_in_for_an_error(&ask("stale-if-error=9"), 0, at(15)));
    assert!(!fresh("cache-control: max-age=10").stands_in_for_an_error(&NOTHING, 0, at(10)));
    let rules = Rules { stale_if_error: 5, ..Rules::default() };
    assert!(with_rules(200, "cache-control: max-age=10", &rules).stands_in_for_an_error(&NOTHING, 0, at(14)));
    let failures = (100..600).filter(|code| is_failure(StatusCode::from_u16(*code).unwrap()));
    assert_eq!(failures.collect::<Vec<_>>(), [500, 502, 503, 504]);
}

#[test]
fn a_response_that_is_expired_by_hand_is_stale_from_then_on() {
    let response = fresh("cache-control: max-age=100, stale-while-revalidate=5").expired_at(at(10));
    assert_eq!(response.judge(&NOTHING, at(9)), Verdict::Fresh);
    assert_eq!(response.judge(&NOTHING, at(12)), Verdict::StaleWhileRevalidate);
    assert_eq!(response.judge(&NOTHING, at(15)), Verdict::Validate(Why::Stale));
    let stale_already = fresh("cache-control: max-age=1").expired_at(at(10));
    assert_eq!(stale_already.ttl(at(10)), -9);
}

#[test]
fn knows_what_can_never_be_reused() {
    assert!(fresh("cache-control: max-age=10").is_ever_reusable());
    assert!(fresh("cache-control: max-age=0, stale-if-error=10").is_ever_reusable());
    for never in [
        "",
        "cache-control: max-age=0",
        "cache-control: max-age=10\nage: 10",
        "cache-control: no-cache, max-age=9",
    ] {
        assert!(!fresh(never).is_ever_reusable(), "{never}");
    }
}
