use std::sync::Arc;

use super::*;

fn rules(mask: &[&str], remove: &[&str], allow: &[&str]) -> Arc<Rules> {
    let [mask, remove, allow] =
        [mask, remove, allow].map(|paths| paths.iter().map(|path| path.parse().unwrap()).collect());
    Arc::new(Rules::new(mask, remove, allow).unwrap())
}

fn rewrite_pieces(rules: &Arc<Rules>, pieces: &[&[u8]]) -> Result<(String, Done), Fault> {
    let mut rewriter = Rewriter::new(Arc::clone(rules), false);
    let mut out = Vec::new();
    for piece in pieces {
        rewriter.write(piece, &mut out).map_err(|(fault, _)| fault)?;
    }
    rewriter.finish(&mut out)?;
    Ok((String::from_utf8(out).unwrap(), rewriter.done()))
}

fn rewrite(rules: &Arc<Rules>, text: &str) -> Result<String, Fault> {
    rewrite_pieces(rules, &[text.as_bytes()]).map(|(text, _)| text)
}

const ORDER: &str = r#"{"id": 7, "user": {"name": "Al\u0069ce", "password": "p\n\u0041w", "age": -12.5},
 "items": [{"sku": "a", "cost": 1.5e3, "tags": ["x", true]}, {"cost": null, "sku": "b"}, 5], "ok": false}"#;

#[test]
fn masks_keep_the_length() {
    let rules = rules(&["/user", "/items/*/cost", "/items/*/tags/*", "/ok"], &[], &[]);
    let (masked, done) = rewrite_pieces(&rules, &[ORDER.as_bytes()]).unwrap();
    let expected = r#"{"id": 7, "user": {"name": "**********", "password": "**********", "age": 0    },
 "items": [{"sku": "a", "cost": 0    , "tags": ["*", null]}, {"cost": null, "sku": "b"}, 5], "ok": null }"#;
    assert_eq!(masked, expected);
    assert_eq!(done, Done { masked: 8, removed: 0 });
}

#[test]
fn what_is_removed_leaves_valid_json() {
    for (remove, text, expected) in [
        (&["/a"][..], r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        (&["/b"], r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        (&["/b"], "{\"a\":1,\n \"b\":{\"c\":[1,{}]},\n \"d\":3}", "{\"a\":1,\n \"d\":3}"),
        (&["/*"], r#" { "a" : 1 , "b" : [ 2 ] } "#, " {  } "),
        (&["/*"], "[1, [2], {}]", "[]"),
        (&["/*/x"], r#"[{"x":1}, {"y":2, "x":[]}, "x"]"#, r#"[{}, {"y":2}, "x"]"#),
        (&["/a~1b", "/c~0"], r#"{"a/b":1,"c~":2,"d":3}"#, r#"{"d":3}"#),
        (&["/p"], r#"{"\u0070":1,"p":2,"q":3,"p":4}"#, r#"{"q":3}"#),
        (&["/a/b"], r#"{"a":[{"b":1}],"b":2}"#, r#"{"a":[{"b":1}],"b":2}"#),
    ] {
        assert_eq!(rewrite(&rules(&[], remove, &[]), text).unwrap(), expected, "{text}");
    }
}

#[test]
fn an_allow_list_lets_out_nothing_else() {
    let allowed = rules(&["/user/name"], &["/items/*/sku/x"], &["/id", "/user/name", "/items/*/sku"]);
    let expected = r#"{"id": 7, "user": {"name": "**********"},
 "items": [{"sku": "a"}, { "sku": "b"}]}"#;
    assert_eq!(rewrite(&allowed, ORDER).unwrap(), expected);
    assert_eq!(
        rewrite(&allowed, r#"{"items":[{"sku":{"x":1,"y":[2]}}]}"#).unwrap(),
        r#"{"items":[{"sku":{"y":[2]}}]}"#
    );
    assert_eq!(rewrite(&allowed, r#"{"user":"secret","items":7}"#).unwrap(), "{}");
    assert_eq!(rewrite(&allowed, "\"secret\"").unwrap(), "\"******\"");
    assert_eq!(rewrite(&allowed, "[1,2]").unwrap(), "[]");
}

#[test]
fn the_same_comes_out_however_it_is_cut() {
    for rules in [
        rules(&["/user", "/items/*/cost"], &[], &[]),
        rules(&["/user/age"], &["/items/*/cost", "/id"], &[]),
        rules(&[], &[], &["/items/*/tags/*", "/user/password"]),
    ] {
        let whole = rewrite_pieces(&rules, &[ORDER.as_bytes()]).unwrap();
        serde_json::from_str::<serde_json::Value>(&whole.0).unwrap();
        for at in 0..=ORDER.len() {
            let (front, back) = ORDER.as_bytes().split_at(at);
            assert_eq!(rewrite_pieces(&rules, &[front, b"", back]).unwrap(), whole, "cut at {at}");
        }
        let single: Vec<_> = ORDER.as_bytes().chunks(1).collect();
        assert_eq!(rewrite_pieces(&rules, &single).unwrap(), whole);
    }
}

#[test]
fn what_is_json_is_left_as_it_is_where_no_rule_is_about_it() {
    for rules in [rules(&["/nowhere/x"], &[], &[]), rules(&[], &["/nowhere/x"], &[])] {
        for text in [
            "",
            " ",
            "null",
            "-0.5E+7 ",
            "[]",
            "{}",
            "[ [ ] , { } ]",
            "\"\\ud83d\\ude00\"",
            ORDER,
            "\u{feff}{}",
        ] {
            assert_eq!(rewrite(&rules, text).unwrap(), text);
        }
    }
}

#[test]
fn what_is_not_json_is_found_out() {
    let rules = rules(&[], &["/x"], &[]);
    for text in [
        "{",
        "[1,]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[1}",
        "{]",
        "01",
        "1.",
        "-",
        "1e",
        "tru",
        "truE",
        "\"\\x\"",
        "\"\\u00g0\"",
        "\"a\nb\"",
        "\"a",
        "{} {}",
        ")]}',\n{}",
        "<html>",
        "\u{feff}\u{feff}{}",
        "[\"\t\"]",
    ] {
        assert!(rewrite(&rules, text).is_err(), "{text}");
    }
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(rewrite(&rules, &deep(DEEPEST)).is_ok());
    assert_eq!(rewrite(&rules, &deep(DEEPEST + 1)), Err(Fault::Deep));
    let named = |bytes: usize| format!("{{\"{}\":1}}", "n".repeat(bytes));
    assert!(rewrite(&rules, &named(LONGEST_NAME)).is_ok());
    assert_eq!(rewrite(&rules, &named(LONGEST_NAME + 1)), Err(Fault::Name));
}

#[test]
fn documents_follow_each_other_where_they_may() {
    let mut rewriter = Rewriter::new(rules(&[], &["/a"], &[]), true);
    let mut out = Vec::new();
    rewriter.write(b"{\"a\":1}\n{\"b\":2}\n3\n", &mut out).unwrap();
    rewriter.finish(&mut out).unwrap();
    assert_eq!(out, b"{}\n{\"b\":2}\n3\n");
}

#[test]
fn what_waits_is_given_out_by_who_gives_up() {
    let mut rewriter = Rewriter::new(rules(&[], &["/a"], &[]), false);
    let mut out = Vec::new();
    assert_eq!(rewriter.write(b"{\"b\": oops", &mut out), Err((Fault::Malformed, 6)));
    rewriter.give_up(&mut out);
    assert_eq!(out, b"{\"b\": ");
}

#[test]
fn paths_are_as_they_should_be() {
    for text in ["/a", "/a/*/b", "/a~1b/~0", "/*"] {
        assert!(text.parse::<Path>().is_ok(), "{text}");
    }
    let long = format!("/{}", "n".repeat(257));
    let deep = "/a".repeat(DEEPEST);
    for text in ["", "/", "a", "/a/", "/a//b", "/a~2", "/a~", "$.a", &long, &deep] {
        assert!(text.parse::<Path>().is_err(), "{text}");
    }
    let many = vec!["/a".parse().unwrap(); 65];
    assert_eq!(Rules::new(many, Vec::new(), Vec::new()).unwrap_err(), TooMany);
}
