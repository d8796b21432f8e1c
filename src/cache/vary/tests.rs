use super::*;
use crate::cache::testing::fields;

fn selector(vary: &str) -> Selector {
    Selector::read(&fields(&format!("vary: {vary}"))).unwrap()
}

fn same(vary: &str, first: &str, second: &str) -> bool {
    let selector = selector(vary);
    selector.fingerprint(&fields(first)) == selector.fingerprint(&fields(second))
}

#[test]
fn a_star_or_what_is_no_name_fits_nothing() {
    // RFC 9111 §4.1: "A stored response with a Vary header field value containing a member "*" always fails to match."
    let names: Vec<_> = (0..=MAX_NAMES).map(|number| format!("x{number}")).collect();
    let many = names.join(",");
    for vary in ["*", "accept, *", "a b", "\"accept\"", "x:y", &many] {
        assert_eq!(Selector::read(&fields(&format!("vary: {vary}"))), None, "{vary}");
    }
    assert_eq!(Selector::read(&fields("vary: accept\nvary: *")), None);
    for vary in ["accept", "", ", accept,,", "Accept, ACCEPT"] {
        assert!(Selector::read(&fields(&format!("vary: {vary}"))).is_some(), "{vary}");
    }
    assert_eq!(selector("X-A, accept"), selector("accept,x-a, Accept"));
    assert_eq!(Selector::read(&fields("")), Some(Selector::default()));
}

#[test]
fn requests_match_in_all_fields_named_and_no_others() {
    assert!(same("x-a", "x-a: 1\nx-b: 1", "x-a: 1\nx-b: 2"));
    assert!(!same("x-a", "x-a: 1", "x-a: 2"));
    assert!(!same("x-a, x-b", "x-a: 1\nx-b: 1", "x-a: 1\nx-b: 2"));
    // "the field is also absent" (§4.1).
    assert!(same("x-a", "", "x-b: 1"));
    assert!(!same("x-a", "", "x-a:"));
    // Nothing moves from one field into the next.
    assert!(!same("x-a, x-b", "x-a: 12\nx-b: 3", "x-a: 1\nx-b: 23"));
    assert!(!same("x-a, x-b", "x-a: 1", "x-b: 1"));
    assert!(!same("x-a", "x-a: A", "x-a: a"));
}

#[test]
fn lines_and_space_mean_nothing() {
    // §4.1: whitespace where the syntax allows it, and lines that are combined.
    assert!(same("x-a", "x-a: 1, 2", "x-a: 1,2"));
    assert!(same("x-a", "x-a: 1\nx-a: 2", "x-a: 1 , 2"));
    assert!(!same("x-a", "x-a: 1, 2", "x-a: 2, 1"));
    assert!(!same("x-a", "x-a: 1 2", "x-a: 12"));
    assert!(!same("x-a", "x-a: \"1, 2\"", "x-a: \"1,2\""));
}

#[test]
fn cookies_are_no_list() {
    assert!(same("cookie", "cookie: a=1\ncookie: b=2", "cookie: a=1; b=2"));
    assert!(!same("cookie", "cookie: a=1\ncookie: b=2", "cookie: a=1,b=2"));
    assert!(!same("cookie", "cookie: a=1, 2", "cookie: a=1,2"));
    assert!(!same("cookie", "", "cookie:"));
}

#[test]
fn preferences_of_the_same_meaning_match() {
    for (name, first, second) in [
        ("accept-encoding", "gzip, br", "br,gzip"),
        ("accept-encoding", "GZIP", "x-gzip;q=1.0"),
        ("accept-encoding", "gzip;q=0.5, br", "br, gzip; q=0.500"),
        ("accept-encoding", "gzip, gzip", "gzip"),
        ("accept-language", "de-DE, en;q=0.8", "en;q=0.80,de-de"),
        ("accept", "Text/HTML, a/b;v=1", "a/b; v=1, text/html"),
    ] {
        let line = |value: &str| format!("{name}: {value}");
        assert!(same(name, &line(first), &line(second)), "{first} {second}");
    }
    for (name, first, second) in [
        ("accept-encoding", "gzip", "br"),
        ("accept-encoding", "gzip, br", "gzip"),
        ("accept-encoding", "gzip;q=0", "gzip"),
        ("accept-encoding", "gzip;q=0.5, br", "gzip, br"),
        ("accept-language", "de, en;q=0.8", "en, de;q=0.8"),
        ("accept-language", "de;q=2", "de"),
        ("accept", "a/b;v=1", "a/b;v=2"),
        ("accept", "a/b;v=a", "a/b;v=A"),
    ] {
        let line = |value: &str| format!("{name}: {value}");
        assert!(!same(name, &line(first), &line(second)), "{first} {second}");
    }
}

#[test]
fn a_long_list_is_compared_as_it_comes() {
    let list = |order: [&str; 2]| {
        let members: Vec<_> =
            (0..MAX_MEMBERS).map(|number| format!("x{number}")).chain(order.map(Into::into)).collect();
        format!("accept-language: {}", members.join(","))
    };
    assert!(same("accept-language", &list(["a", "b"]), &list(["a", "b"])));
    assert!(!same("accept-language", &list(["a", "b"]), &list(["b", "a"])));
}
