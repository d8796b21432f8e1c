use super::*;

const TARGET: Target<'_> = Target { scheme: "https", host: "api.example.com", path: "/a", query: None };

fn key(target: Target<'_>) -> Key {
    Key::new(&target, b"route", &[])
}

#[test]
fn everything_that_makes_a_resource_is_in_the_key() {
    let with = |query| Target { query, ..TARGET };
    let keys = [
        key(TARGET),
        key(Target { scheme: "http", ..TARGET }),
        key(Target { host: "api.example.com:8443", ..TARGET }),
        key(Target { path: "/b", ..TARGET }),
        key(Target { path: "/A", ..TARGET }),
        key(with(Some(""))),
        key(with(Some("a"))),
        key(Target { path: "/a?a", ..TARGET }),
        Key::new(&TARGET, b"other", &[]),
        Key::new(&TARGET, b"route", &[b"corp", b"ann"]),
        Key::new(&TARGET, b"route", &[b"corp", b"bob"]),
        Key::new(&TARGET, b"route", &[b"corpann", b""]),
        Key::new(&TARGET, b"route", &[b"", b""]),
        Key::new(&TARGET, b"route", &[b""]),
        key(Target { host: "api.example.co", path: "m/a", ..TARGET }),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "{index}");
    }
    assert_eq!(key(TARGET), key(Target { path: &String::from("/a"), ..TARGET }));
}

#[test]
fn keys_mean_the_same_for_ever() {
    // Stores on disk are found by it after an upgrade.
    let key = key(Target { query: Some("b=1"), ..TARGET });
    assert_eq!(key.to_string(), "da84651b4af9561e9f52805ea02b1f8e");
    assert_eq!(Key::from_bytes(*key.as_bytes()), key);
}

#[test]
fn a_target_is_printed_as_its_url() {
    assert_eq!(TARGET.to_string(), "https://api.example.com/a");
    assert_eq!(Target { query: Some("b=1"), ..TARGET }.to_string(), "https://api.example.com/a?b=1");
}

fn names(patterns: &[&str]) -> Vec<Name> {
    patterns.iter().map(|pattern| Name::new(pattern)).collect()
}

#[test]
fn queries_are_kept_as_they_are_unless_told_otherwise() {
    for query in ["", "b=1&a=2", "a", "a&&b", "=&="] {
        assert!(matches!(Query::default().apply(query), Some(Cow::Borrowed(same)) if same == query));
    }
}

#[test]
fn queries_are_put_in_order_of_names_alone() {
    let sorted = Query { sort: true, ..Query::default() };
    assert_eq!(sorted.apply("b=2&a=9&b=1&a=1").unwrap(), "a=9&a=1&b=2&b=1");
    assert!(matches!(sorted.apply("a=2&a=1&b").unwrap(), Cow::Borrowed(_)));
    let many: String = (0..=MAX_SORTED).rev().map(|number| format!("{number:04}&")).collect();
    assert_eq!(sorted.apply(&many).unwrap(), many);
}

#[test]
fn parameters_are_dropped_by_name_with_all_they_carry() {
    let without = Query { sort: false, keep: Keep::Except(names(&["utm_*", "gclid"])) };
    assert_eq!(without.apply("a=1&utm_source=x;callback=evil&gclid&b").unwrap(), "a=1&b");
    assert_eq!(without.apply("utm_source=x&gclid=1"), None);
    assert_eq!(without.apply("xutm_=1&gclid2=1&UTM_a").unwrap(), "xutm_=1&gclid2=1&UTM_a");
    let only = Query { sort: true, keep: Keep::Only(names(&["id", "page*"])) };
    assert_eq!(only.apply("page_size=2&x=1&id=7&id=8").unwrap(), "id=7&id=8&page_size=2");
    assert_eq!(only.apply("x=1"), None);
    for query in ["page_size=2&x=1&id=7", "id&id", "id=1"] {
        let once = only.apply(query).unwrap();
        assert_eq!(only.apply(&once).unwrap(), once);
    }
}

#[test]
fn a_child_s_key_is_kept_apart_unless_it_is_the_same() {
    let (own, other) = (key(TARGET), key(Target { path: "/b", ..TARGET }));
    assert_eq!(own.for_child(&own), own);
    let keys = [own, own.for_child(&other), other.for_child(&own), own.for_child(&own.for_child(&other))];
    let purged = [None, Some("1-0"), Some("1-1")].map(|text| text.map(|text| text.parse().unwrap()));
    let all: Vec<_> = keys.into_iter().chain(purged.map(|purged| own.of_children(purged))).collect();
    for (index, key) in all.iter().enumerate() {
        assert!(!all[..index].contains(key), "{index}");
    }
}
