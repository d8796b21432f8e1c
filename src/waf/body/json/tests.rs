use super::super::Item;
use super::super::testing::{cpu_seconds, found, limits, named, texts};
use super::*;
use crate::http::chance::Chance;

fn members(input: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    named(input, |arena, sink| parse(input, arena, &limits(), sink))
}

#[test]
fn names_members_by_their_path() {
    for (input, expected) in [
        (r#"{"a":1}"#, vec![("json.a", "1")]),
        (r#" { "a" : { "b" : "c" } , "d" : [ ] } "#, vec![("json.a.b", "c"), ("json.d", "")]),
        (r#"{"list":["x",{"y":true}]}"#, vec![("json.list.array_0", "x"), ("json.list.array_1.y", "true")]),
        (
            r"[[1,[2]],{},3]",
            vec![
                ("json.array_0.array_0", "1"),
                ("json.array_0.array_1.array_0", "2"),
                ("json.array_1", ""),
                ("json.array_2", "3"),
            ],
        ),
        (r#"{"":"e","a":{"":{"":0}}}"#, vec![("json.empty-key", "e"), ("json.a.empty-key.empty-key", "0")]),
        (r#"{"a":1,"a":[2],"\u0061":"3"}"#, vec![("json.a", "1"), ("json.a.array_0", "2"), ("json.a", "3")]),
        (r#"{"n":null,"t":true,"f":false}"#, vec![("json.n", ""), ("json.t", "true"), ("json.f", "false")]),
        (r#""x""#, vec![("json", "x")]),
        ("-0.5E+10", vec![("json", "-0.5E+10")]),
        ("{}", vec![]),
        ("[ ]", vec![]),
        ("", vec![]),
        ("\u{feff}{\"a\":1}", vec![("json.a", "1")]),
    ] {
        assert_eq!(texts(&members(input.as_bytes()).unwrap()), expected, "{input}");
    }
}

#[test]
fn decodes_strings() {
    for (input, expected) in [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""a\u0065\u00E9\u20ac\ud83d\ude00\u0000z""#, "aeé€😀\0z"),
        (r#""a\ud83d""#, "a\u{fffd}"),
        (r#""\ud83d\u0041\ud83d\ud83d\ude00\ude00""#, "\u{fffd}A\u{fffd}😀\u{fffd}"),
        ("\"é€😀\u{7f}\"", "é€😀\u{7f}"),
        (r#""""#, ""),
        (r#""\\""#, "\\"),
    ] {
        assert_eq!(texts(&members(input.as_bytes()).unwrap()), [("json", expected)], "{input}");
    }
}

#[test]
fn refuses_what_is_no_json() {
    for (input, what, at) in [
        (&b" "[..], "unexpected end", 1),
        (b"\xef\xbb\xbf", "unexpected end", 3),
        (b"{", "expected a member's name", 1),
        (b"[", "unexpected end", 1),
        (b"[1", "unexpected end", 2),
        (b"{\"a\":1", "unexpected end", 6),
        (b"\"a", "unexpected end", 2),
        (b"\"a\\", "invalid escape", 2),
        (b"[1,]", "expected a value", 3),
        (b"{\"a\":1,}", "expected a member's name", 7),
        (b"{a:1}", "expected a member's name", 1),
        (b"{'a':1}", "expected a member's name", 1),
        (b"{\"a\" 1}", "expected a colon", 5),
        (b"{\"a\":1]", "expected a comma or the object's end", 6),
        (b"[1}", "expected a comma or the array's end", 2),
        (b"[1 2]", "expected a comma or the array's end", 3),
        (b"{} {}", "data after the document", 3),
        (b"1 ;", "data after the document", 2),
        (b"{}\0", "data after the document", 2),
        (b"01", "data after the document", 1),
        (b"-", "expected a digit", 1),
        (b"1.", "expected a digit", 2),
        (b"1.e1", "expected a digit", 2),
        (b"1e", "expected a digit", 2),
        (b"+1", "expected a value", 0),
        (b".5", "expected a value", 0),
        (b"NaN", "expected a value", 0),
        (b"nul", "expected a value", 0),
        (b"TRUE", "expected a value", 0),
        (b"// x\n1", "expected a value", 0),
        (b"\"a\nb\"", "control character in a string", 2),
        (b"\"\0\"", "control character in a string", 1),
        (b"{\"a\tb\":1}", "control character in a string", 3),
        (b"\"\\x41\"", "invalid escape", 1),
        (b"\"\\u12\"", "invalid escape", 1),
        (b"\"\\u+123\"", "invalid escape", 1),
        (b"[\"\xff\"]", "invalid utf-8", 2),
        (b"[1]\xff", "invalid utf-8", 3),
        (b"\"\xc0\xaf\"", "invalid utf-8", 1),
        (b"\xff\xfe[\x001\x00]\x00", "invalid utf-8", 0),
        (b"\xef\xbb\xbf\xef\xbb\xbf1", "expected a value", 3),
    ] {
        let Err(Fault::Malformed { what: found, at: place }) = members(input) else {
            panic!("{}", input.escape_ascii())
        };
        assert_eq!((found, place), (format!("json: {what}").as_str(), at), "{}", input.escape_ascii());
    }
}

#[test]
fn hands_over_what_comes_before_a_fault() {
    let (items, outcome) = found(br#"{"a":"<x>","b":oops"#, |arena, sink| {
        parse(br#"{"a":"<x>","b":oops"#, arena, &limits(), sink)
    });
    assert_eq!(items, [(Kind::Argument, "json.a".to_owned(), "<x>".to_owned())]);
    assert_eq!(outcome, Err(malformed("json: expected a value", 15)));
}

#[test]
fn stops_at_its_limits() {
    let limits = Limits { items: 2, name_bytes: 14, value_bytes: 3, arena_bytes: 24, depth: 2, files: 0 };
    for (input, expected) in [
        (r#"{"a":[1]}"#, Ok(())),
        (r#"{"a":[[]]}"#, Err(Limit::Depth.into())),
        (r#"{"a":{"b":{"c":1}}}"#, Err(Limit::Depth.into())),
        (r#"{"a":1,"b":2}"#, Ok(())),
        (r#"{"a":1,"b":2,"c":3}"#, Err(Limit::Items.into())),
        (r#"{"abcdefghi":1}"#, Ok(())),
        (r#"{"abcdefghij":1}"#, Err(Limit::NameBytes.into())),
        (r#"{"a":"bbb"}"#, Ok(())),
        (r#"{"a":"bbbb"}"#, Err(Limit::ValueBytes.into())),
        (r#"{"abcde":1,"abcdf":"\n\n\n"}"#, Ok(())),
        (r#"{"abcde":"\n\n","abcdf":"\n\n\n"}"#, Err(Limit::ArenaBytes.into())),
    ] {
        let outcome = parse(input.as_bytes(), &mut Arena::default(), &limits, &mut |_| {});
        assert_eq!(outcome, expected, "{input}");
    }
}

#[test]
fn agrees_with_another_parser_on_what_is_json() {
    let pieces: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"a\"",
        b"\"\"",
        b"1",
        b"-0.1",
        b"true",
        b"null",
        b" ",
        b"\\u00",
        b"\"",
        b"\"\\ud83d\\ude00\"",
        b"0",
        b"\xc3\xa9",
        b"\xff",
        b"{\"k\":",
        b"[1,",
        b"}",
        b"]",
    ];
    let mut chance = Chance::new(7);
    let mut good = 0;
    for _ in 0..100_000 {
        let input = chance.glue(pieces, 8);
        let theirs = serde_json::from_slice::<serde_json::Value>(&input).is_ok();
        assert_eq!(members(&input).is_ok(), theirs || input.is_empty(), "{}", input.escape_ascii());
        good += usize::from(theirs);
    }
    assert!(good > 2_000, "{good}");
}

#[test]
fn reads_large_documents_in_linear_time() {
    let half = 500_000;
    for input in [
        "[".repeat(half),
        "[".repeat(60) + &"1,".repeat(half),
        "{\"a\":".repeat(60) + &"\"\\n\",".repeat(half),
        "[".to_owned() + &"\"\\u0041\",".repeat(half),
        "\"".to_owned() + &"\\\\".repeat(half),
        "[".to_owned() + &"{\"a\":[]},".repeat(half),
        "{\"".to_owned() + &"a".repeat(100_000) + "\":[" + &"1,".repeat(half),
        " ".repeat(half),
    ] {
        let seconds = cpu_seconds(|| {
            _ = parse(input.as_bytes(), &mut Arena::default(), &limits(), &mut |_: Item| {});
        });
        assert!(seconds < 3, "{}", &input[..20]);
    }
}

#[test]
fn documents_may_follow_each_other_where_they_are_many() {
    let many = |input: &str| {
        let read =
            named(input.as_bytes(), |arena, sink| parse_many(input.as_bytes(), arena, &limits(), sink));
        read.map(|pairs| pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
    };
    assert_eq!(many("{\"a\":1}\n[2]3 {}\n").unwrap(), ["json.a=1", "json.array_0=2", "json=3"]);
    assert!(many("{}}").is_err() && many("{},{}").is_err());
    assert!(members(b"{}{}").is_err());
}
