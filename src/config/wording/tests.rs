use super::*;

const KEYS: [&str; 5] = ["limit", "burst", "key", "rate_limit", "p2c_ewma"];

#[test]
fn names_the_nearest_or_else_all_that_are_right() {
    assert_eq!(unknown("key", "brust", &KEYS), r#"unknown key "brust", did you mean "burst"?"#);
    assert_eq!(unknown("value", "zzz", &["a1", "b2"]), r#"unknown value "zzz", expected one of a1, b2"#);
    assert_eq!(unknown("key", "zzz", &["only"]), r#"unknown key "zzz", expected only"#);
    assert_eq!(unknown("key", "zzz", &[]), r#"unknown key "zzz": there are none"#);
    assert_eq!(unknown("key", "zzz", &["name"; 41]), r#"unknown key "zzz""#);
}

#[test]
fn says_ranges_of_numbers() {
    for (serde, words) in [
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("a nonzero u32", "a whole number from 1 to 4294967295"),
        ("usize", "a whole number from 0 to 18446744073709551615"),
        ("i64", "a whole number of at most 64 bits"),
        ("a boolean", "true or false"),
        ("struct Spec", "a map"),
        ("a network such as 10.0.0.0/8", "a network such as 10.0.0.0/8"),
    ] {
        assert_eq!(expected(&serde), words);
    }
}

#[test]
fn advises_only_where_one_meaning_is_likely() {
    assert_eq!(advice("true or false", Unexpected::Str("Yes")).as_deref(), Some("write true without quotes"));
    assert_eq!(advice("true or false", Unexpected::Str("maybe")), None);
    assert_eq!(
        advice("a whole number from 0 to 9", Unexpected::Str("8")).as_deref(),
        Some("write 8 without quotes")
    );
    assert_eq!(advice("a whole number from 0 to 9", Unexpected::Str("many")), None);
    assert_eq!(advice("a list", Unexpected::Str("GET")).as_deref(), Some("write [GET]"));
    assert_eq!(advice("a list", Unexpected::Str("a, b")), None);
    assert_eq!(advice("a list", Unexpected::Str("b:80")).as_deref(), Some("write [\"b:80\"]"));
    assert_eq!(advice("a list", Unexpected::Map).as_deref(), Some("each item begins with `- `"));
    assert_eq!(advice("a list", Unexpected::Bool(true)), None);
}
