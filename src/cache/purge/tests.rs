use http::HeaderMap;

use super::*;
use crate::cache::testing::at;

fn record(url: &str, tags: &[&str]) -> Record {
    let tags: Vec<_> = tags.iter().map(|text| tag(text.as_bytes())).collect();
    Record::new(url, &tags, &HeaderMap::new()).unwrap()
}

fn tagged(text: &str) -> Scope {
    Scope::Tag(tag(text.as_bytes()))
}

const URL: &str = "https://a/orders/7?b";

/// What a purge of `scope` makes of a response with tags `red` and `big`.
fn fate_after(scope: Scope) -> Fate {
    let purges = Purges::default();
    let (record, standing) = (record(URL, &["red", "big"]), Standing::new(purges.epoch()));
    assert_eq!(purges.fate(&record, &standing), Fate::Holds);
    purges.purge(&[scope], How::Hard);
    let fate = purges.fate(&record, &standing);
    assert_eq!(purges.fate(&record, &standing), fate);
    fate
}

#[test]
fn purges_by_tag_url_prefix_and_all() {
    for scope in [
        Scope::All,
        tagged("red"),
        tagged("big"),
        Scope::Url(URL.to_owned()),
        Scope::Prefix("https://a/orders/".to_owned()),
        Scope::Prefix(String::new()),
    ] {
        assert_eq!(fate_after(scope.clone()), Fate::Gone, "{scope:?}");
    }
    for scope in [
        tagged("Red"),
        tagged(URL),
        Scope::Url("https://a/orders/7".to_owned()),
        Scope::Prefix("https://b/".to_owned()),
        Scope::Prefix("orders".to_owned()),
    ] {
        assert_eq!(fate_after(scope.clone()), Fate::Holds, "{scope:?}");
    }
}

#[test]
fn what_was_asked_for_before_a_purge_is_purged_when_it_comes() {
    let purges = Purges::default();
    let (before, record) = (purges.epoch(), record(URL, &["red"]));
    purges.purge(&[tagged("red")], How::Hard);
    assert_eq!(purges.fate(&record, &Standing::new(before)), Fate::Gone);
    assert_eq!(purges.fate(&record, &Standing::new(purges.epoch())), Fate::Holds);
}

#[test]
fn a_soft_purge_makes_stale_and_a_hard_one_takes_away() {
    let purges = Purges::default();
    let (record, standing) = (record(URL, &["red"]), Standing::new(purges.epoch()));
    purges.purge(&[tagged("red")], How::Soft(at(5)));
    assert_eq!(purges.fate(&record, &standing), Fate::Expired(at(5)));
    purges.purge(&[tagged("blue")], How::Hard);
    assert_eq!(purges.fate(&record, &standing), Fate::Expired(at(5)));
    purges.purge(&[Scope::All], How::Soft(at(9)));
    assert_eq!(purges.fate(&record, &standing), Fate::Expired(at(9)));
    purges.purge(&[tagged("red"), Scope::Url("x".to_owned())], How::Hard);
    assert_eq!(purges.fate(&record, &standing), Fate::Gone);
    let fresh = Standing::new(purges.epoch());
    assert_eq!(purges.fate(&record, &fresh), Fate::Holds);
    fresh.end();
    assert_eq!(purges.fate(&record, &fresh), Fate::Gone);
}

#[test]
fn a_sweep_forgets_the_marks_and_nothing_else() {
    let purges = Purges::default();
    let record = record(URL, &["red"]);
    let other = Record::new("https://a/", &[], &HeaderMap::new()).unwrap();
    let (late, soft, holds) =
        (Standing::new(purges.epoch()), Standing::new(purges.epoch()), Standing::new(purges.epoch()));
    purges.purge(&[tagged("red")], How::Soft(at(5)));
    assert_eq!(purges.marks(), 1);
    purges.sweep(Epoch::LAST, || {
        assert_eq!(purges.fate(&record, &soft), Fate::Expired(at(5)));
        assert_eq!(purges.fate(&other, &holds), Fate::Holds);
        // In the middle of it.
        purges.purge(&[tagged("blue")], How::Hard);
    });
    assert_eq!(purges.marks(), 1);
    purges.sweep(Epoch::LAST, || {
        assert_eq!(purges.fate(&record, &soft), Fate::Expired(at(5)));
        assert_eq!(purges.fate(&other, &holds), Fate::Holds);
    });
    assert_eq!(purges.marks(), 0);
    assert_eq!(purges.fate(&record, &soft), Fate::Expired(at(5)));
    assert_eq!(purges.fate(&other, &holds), Fate::Holds);
    // It arrives when nobody knows any more what was purged.
    assert_eq!(purges.fate(&record, &late), Fate::Gone);
    assert_eq!(purges.fate(&record, &Standing::new(purges.epoch())), Fate::Holds);
}

#[test]
fn too_many_prefixes_purge_everything() {
    let purges = Purges::default();
    let (record, standing) = (record(URL, &[]), Standing::new(purges.epoch()));
    let prefixes: Vec<_> = (0..MAX_PREFIXES).map(|number| Scope::Prefix(format!("x{number}"))).collect();
    purges.purge(&prefixes, How::Hard);
    assert_eq!(purges.fate(&record, &standing), Fate::Holds);
    purges.purge(&[Scope::Prefix("y".to_owned())], How::Hard);
    assert_eq!((purges.marks(), purges.fate(&record, &standing)), (MAX_PREFIXES, Fate::Gone));
}
