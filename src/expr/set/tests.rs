use super::*;

fn strings(strings: &[&str]) -> StringSet {
    StringSet::new(strings.iter().map(|string| string.as_bytes().to_vec()).collect())
}

#[test]
fn finds_every_string_and_none_beside() {
    let set = strings(&["GET", "HEAD", "", "PUT", "a", "GET", "zz", "PATCH"]);
    assert_eq!(set.len(), 7);
    for inside in ["GET", "HEAD", "", "PUT", "a", "zz", "PATCH"] {
        assert!(set.contains(inside.as_bytes()), "{inside}");
    }
    for outside in ["get", "GE", "GETS", "HEA", "z", "aa", "zzz", "POST", "PATCHES"] {
        assert!(!set.contains(outside.as_bytes()), "{outside}");
    }
}

#[test]
fn finds_each_of_many_strings_of_one_length() {
    let even: Vec<_> = (0..2000).step_by(2).map(|number| format!("{number:05}").into_bytes()).collect();
    let set = StringSet::new(even.clone());
    assert!(even.iter().all(|string| set.contains(string)));
    assert!((1..2000).step_by(2).all(|number| !set.contains(format!("{number:05}").as_bytes())));
}

#[test]
fn the_empty_string_set_contains_nothing() {
    assert!(strings(&[]).len() == 0 && !strings(&[]).contains(b""));
    assert!(!strings(&["a"]).contains(b"") && strings(&[""]).contains(b""));
}

#[test]
fn ranges_hold_both_their_ends() {
    let set =
        IntSet::new(vec![(5, 7), (1, 2), (3, 3), (20, 10), (i64::MAX - 1, i64::MAX), (i64::MIN, i64::MIN)]);
    for inside in [1, 2, 3, 5, 6, 7, i64::MAX, i64::MAX - 1, i64::MIN] {
        assert!(set.contains(inside), "{inside}");
    }
    for outside in [0, 4, 8, 10, 15, 20, i64::MAX - 2, i64::MIN + 1, -1] {
        assert!(!set.contains(outside), "{outside}");
    }
    assert_eq!(set.len(), 4, "neighbours merge");
    assert!(!IntSet::new(vec![(2, 1)]).contains(1));
}

#[test]
fn an_address_range_becomes_networks() {
    let range = |first: &str, last: &str| networks(first.parse().unwrap(), last.parse().unwrap());
    let set: IpSet = range("10.0.0.3", "10.0.1.4").unwrap().into_iter().collect();
    for inside in ["10.0.0.3", "10.0.0.255", "10.0.1.4", "::ffff:10.0.1.0"] {
        assert!(set.contains(inside.parse().unwrap()), "{inside}");
    }
    for outside in ["10.0.0.2", "10.0.1.5", "::a00:3"] {
        assert!(!set.contains(outside.parse().unwrap()), "{outside}");
    }
    let all: IpSet = range("0.0.0.0", "255.255.255.255").unwrap().into_iter().collect();
    assert!(all.contains([255, 255, 255, 255].into()));
    assert!(range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").is_some());
    assert_eq!(range("10.0.0.2", "10.0.0.1"), None);
    assert_eq!(range("10.0.0.2", "::1"), None);
}
