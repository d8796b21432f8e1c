//! Nothing that is written or sent makes the engine panic, overflow or run on.

use std::fmt::Write;

use crate::expr::testing::{Sample, compiled, expression, lists, outcome};
use crate::expr::{Condition, Context, MAX_DEPTH, MAX_LENGTH, Phase, Truth, Why, fields};
use crate::http::chance::Chance;

fn message(source: &str) -> String {
    compiled(source, Phase::Response).map_or_else(|errors| errors[0].to_string(), |_| String::new())
}

#[test]
fn sources_up_to_the_length_are_taken() {
    let padded = |length: usize| format!("ssl{}", " ".repeat(length - 3));
    assert_eq!(message(&padded(MAX_LENGTH)), "");
    assert_eq!(message(&padded(MAX_LENGTH + 1)), "longer than 4096 bytes: keep values in a named list");
}

#[test]
fn nesting_up_to_the_depth_is_taken() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, inner, close) in [("(", "ssl", ")"), ("not ", "ssl", ""), ("!(", "ssl", ")")] {
        let levels = if open == "!(" { 2 } else { 1 };
        let deepest = MAX_DEPTH / levels;
        let source = nested(open, inner, close, deepest);
        assert_eq!(outcome(&source, &Sample::new()), "true", "{open}");
        let message = message(&nested(open, inner, close, deepest + 1));
        assert_eq!(message, "nested deeper than 64 levels", "{open}");
    }
    let calls = |depth| format!("{} == \"a\"", nested("lower(", "\"A\"", ")", depth));
    assert_eq!(outcome(&calls(MAX_DEPTH), &Sample::new()), "true");
    assert_eq!(message(&calls(MAX_DEPTH + 1)), "nested deeper than 64 levels");
    let quantifiers = nested("any(", "jwt.claims.groups[*] == \"a\"", ")", 600);
    assert_eq!(message(&quantifiers), "nested deeper than 64 levels");
}

#[test]
fn a_chain_is_not_deep() {
    let chain = vec!["ssl"; 512].join(" and ");
    assert_eq!(outcome(&chain, &Sample::new()), "true");
    let keys = format!("jwt.claims{} == 1", "[\"a\"]".repeat(700));
    assert!(outcome(&keys, &Sample::new()).ends_with("is absent"));
}

#[test]
fn patterns_are_bounded_in_memory() {
    assert_eq!(message(r#"http.host ~ "a{1000}""#), "");
    assert_eq!(
        message(r#"http.host ~ "((a{100}){100}){100}""#),
        "pattern takes more than 262144 bytes of memory"
    );
}

#[test]
fn quantifiers_within_each_other_end() {
    let groups: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    let many = Sample::new().claims(Some(serde_json::json!({ "a": groups, "b": groups })));
    assert_eq!(outcome(r#"any(jwt.claims.a[*] == "2999")"#, &many), "true");
    let product = r#"any(any(jwt.claims.a[*] == "x") or jwt.claims.b[*] == "y")"#;
    let condition = compiled(product, Phase::Response).unwrap();
    let Truth::Missing(missing) = condition.evaluate(&many) else {
        panic!("looked at nine million elements")
    };
    assert_eq!(missing.why, Why::TooMuch);
    let product = "any(jwt.claims.a[*] in jwt.claims.b and false)";
    assert!(outcome(product, &many).ends_with("is more than is looked at"));
    // What is there is there, however much was looked at before.
    for here in ["exists(consumer.tags)", r#"exists(http.request.headers["x-env"][1])"#, "exists(path)"] {
        assert_eq!(outcome(&format!("{product} or {here}"), &many), "true", "{here}");
    }
}

#[test]
fn strings_that_grow_without_end_are_missing() {
    let long = Sample::new().header("x-long", "a".repeat(40_000).as_bytes());
    let twice = r#"len(concat(http.request.headers["x-long"][0], http.request.headers["x-long"][0])) > 0"#;
    assert_eq!(outcome(twice, &long), "concat() is more than is looked at");
    let hidden = r#"not exists(split(concat(http.request.headers["x-long"][0], http.request.headers["x-long"][0]), "b", 9)[1])"#;
    assert_eq!(outcome(hidden, &long), "concat() is more than is looked at");
    let once = r#"len(concat(http.request.headers["x-long"][0], "b")) == 40001"#;
    assert_eq!(outcome(once, &long), "true");
    let joined = r#"len(join(split(http.request.headers["x-long"][0], "a", 128), "0123456789")) > 0"#;
    assert_eq!(outcome(joined, &long), "true");
}

/// Pieces of which some expressions that compile and many that nearly do are made.
const PIECES: [&[u8]; 64] = [
    b" ",
    b" ",
    b" ",
    b"(",
    b")",
    b"[",
    b"]",
    b"[*]",
    b"[0]",
    b"[\"a\"]",
    b"{",
    b"}",
    b"..",
    b",",
    b"\"",
    b"\\",
    b"r#\"",
    b"\"#",
    b"$corp",
    b"$nobody",
    b"ssl",
    b"ssl",
    b"http.host",
    b"ip.src",
    b"jwt.claims",
    b"jwt.claims.a",
    b"jwt.claims.groups",
    b"consumer.tags",
    b"http.request.headers[\"x-env\"]",
    b"path.order",
    b"http.response.code",
    b" and ",
    b" or ",
    b" xor ",
    b"not ",
    b"!",
    b" == ",
    b" != ",
    b" < ",
    b" >= ",
    b" in ",
    b" contains ",
    b" matches ",
    b" wildcard ",
    b"\"a\"",
    b"\"GET\"",
    b"\"^a*$\"",
    b"1",
    b"-1",
    b"9223372036854775808",
    b"10.0.0.1",
    b"10.0.0.0/8",
    b"::1",
    b"any(",
    b"all(",
    b"len(",
    b"lower(",
    b"exists(",
    b"split(",
    b"concat(",
    b"to_string(",
    b"true",
    b"\xc3\xa9",
    b"\n",
];

#[test]
fn whatever_is_written_is_compiled_or_told_with_a_place() {
    let mut chance = Chance::new(7);
    let (sample, lists) = (Sample::new(), lists());
    let context = Context { scheme: &fields::SCHEME, lists: &lists, phase: Phase::Response, closed: None };
    let mut compiled = 0;
    for _ in 0..20_000 {
        let source = String::from_utf8_lossy(&chance.glue(&PIECES, 12)).into_owned();
        match Condition::compile(&source, &context) {
            Ok(condition) => {
                compiled += 1;
                let _any = condition.evaluate(&sample);
            }
            Err(errors) => {
                assert!(!errors.is_empty(), "{source}");
                for error in errors {
                    assert!(source.get(error.span.start..error.span.end).is_some(), "{source:?} {error:?}");
                    assert!(error.render(&source).lines().count() == 3, "{}", error.render(&source));
                }
            }
        }
    }
    assert!(compiled > 20, "only {compiled} compile: the pieces are badly chosen");
}

/// A random condition that is well formed, though its types may not meet.
fn condition(chance: &mut Chance, depth: usize) -> String {
    if depth == 0 {
        let operands = [
            "http.host",
            "jwt.sub",
            "jwt.claims.level",
            "jwt.claims.absent",
            "consumer.name",
            "\"a\"",
            "3",
            "ip.src",
            "path.order",
            "ssl",
            "jwt.claims.sub",
            "lower(http.host)",
            "jwt.claims.groups[0]",
        ];
        let operators = ["==", "!=", "<", ">=", "contains"];
        let (one, operator, other) =
            (chance.pick(&operands), chance.pick(&operators), chance.pick(&operands));
        return format!("{one} {operator} {other}");
    }
    match chance.below(5) {
        0 => format!("not {}", condition(chance, depth - 1)),
        1 => format!("({})", condition(chance, depth - 1)),
        2 => format!("any({} and jwt.claims.groups[*] != \"x\")", condition(chance, depth - 1)),
        _ => {
            let mut all = condition(chance, depth - 1);
            let operator = *chance.pick(&["and", "or", "xor"]);
            for _ in 0..chance.below(3) {
                write!(all, " {operator} {}", condition(chance, depth - 1)).unwrap();
            }
            all
        }
    }
}

#[test]
fn a_condition_and_its_negation_never_both_hold() {
    let mut chance = Chance::new(11);
    let (sample, lists) = (Sample::new(), lists());
    let context = Context { scheme: &fields::SCHEME, lists: &lists, phase: Phase::Response, closed: None };
    let mut seen = [0; 3];
    for round in 0..5_000 {
        let source = condition(&mut chance, round % 3);
        let (Ok(one), Ok(other)) =
            (Condition::compile(&source, &context), Condition::compile(&format!("not ({source})"), &context))
        else {
            continue;
        };
        let kind = match (one.evaluate(&sample), other.evaluate(&sample)) {
            (Truth::True, Truth::False) => 0,
            (Truth::False, Truth::True) => 1,
            (Truth::Missing(one), Truth::Missing(other)) if one == other => 2,
            both => panic!("{source}: {both:?}"),
        };
        seen[kind] += 1;
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}: the pieces are badly chosen");
    assert!(expression("").is_err());
}
