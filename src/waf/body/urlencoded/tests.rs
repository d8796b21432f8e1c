use super::super::testing::{cpu_seconds, limits, named, texts};
use super::super::{Limit, Limits};
use super::*;

fn arguments(input: &[u8]) -> Vec<(String, String)> {
    named(input, |arena, sink| parse(input, b'&', arena, &limits(), sink).map(drop)).unwrap()
}

#[test]
fn decodes_names_and_values() {
    for (input, expected) in [
        ("", vec![]),
        ("a=b", vec![("a", "b")]),
        ("a=b=c&d", vec![("a", "b=c"), ("d", "")]),
        ("a&&b&", vec![("a", ""), ("b", "")]),
        ("=x&=&y=", vec![("", "x"), ("", ""), ("y", "")]),
        ("a+b=%41%42+c%2b", vec![("a b", "AB c+")]),
        ("a=1;b=2", vec![("a", "1;b=2")]),
        ("%61%3d=%26", vec![("a=", "&")]),
        ("a=1&a=2", vec![("a", "1"), ("a", "2")]),
    ] {
        assert_eq!(texts(&arguments(input.as_bytes())), expected, "{input}");
    }
}

#[test]
fn keeps_and_counts_invalid_escapes() {
    for (input, value, count) in [
        ("a=%", "%", 1),
        ("a=%4", "%4", 1),
        ("a=%zz%4g%41", "%zz%4gA", 2),
        ("a=%%41", "%A", 1),
        ("a=%u0041", "%u0041", 1),
        ("a=%41", "A", 0),
    ] {
        let mut invalid = 0;
        let found = named(input.as_bytes(), |arena, sink| {
            invalid = parse(input.as_bytes(), b'&', arena, &limits(), sink)?;
            Ok(())
        });
        assert_eq!(texts(&found.unwrap()), [("a", value)], "{input}");
        assert_eq!(invalid, count, "{input}");
    }
}

#[test]
fn borrows_what_needs_no_decoding_and_splits_where_told() {
    let input = b"a=1;b=2;c=%33";
    let mut arena = Arena::default();
    let mut found = Vec::new();
    parse(input, b';', &mut arena, &limits(), &mut |item: super::super::Item| found.push(item.value))
        .unwrap();
    assert_eq!(found, [Text::Input(2, 3), Text::Input(6, 7), Text::Arena(0, 1)]);
    assert_eq!(arena.text(input, found[2]), b"3");
    let raw: Vec<_> = pairs(input, b';').map(|(_, value)| arena.text(input, value)).collect();
    assert_eq!(raw, [&b"1"[..], b"2", b"%33"]);
}

#[test]
fn stops_at_its_limits() {
    let limits = Limits { items: 2, name_bytes: 2, value_bytes: 3, arena_bytes: 4, ..limits() };
    for (input, expected) in [
        ("aa=bbb&c=d", Ok(0)),
        ("a&b&&c", Err(Limit::Items.into())),
        ("aaa=b", Err(Limit::NameBytes.into())),
        ("a=bbbb", Err(Limit::ValueBytes.into())),
        ("a=+++&b=+", Ok(0)),
        ("a=+++&b=++", Err(Limit::ArenaBytes.into())),
    ] {
        let outcome = parse(input.as_bytes(), b'&', &mut Arena::default(), &limits, &mut |_| {});
        assert_eq!(outcome, expected, "{input}");
    }
}

#[test]
fn reads_a_million_separators_in_a_moment() {
    for piece in ["&", "a&", "=&", "%&", "+"] {
        let input = piece.repeat(1_000_000);
        let seconds = cpu_seconds(|| {
            _ = parse(input.as_bytes(), b'&', &mut Arena::default(), &limits(), &mut |_| {});
        });
        assert!(seconds < 2, "{piece}");
    }
}
