//! What an author is told: all of it at once, each with its place and the nearest right name.

use crate::expr::Phase;
use crate::expr::testing::{compiled, rendered};

fn messages(source: &str, phase: Phase) -> Vec<String> {
    compiled(source, phase).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Each source with its one message and the part of the source that it is about.
fn refuse(cases: &[(&str, &str, &str)]) {
    for (source, marked, message) in cases {
        let errors = compiled(source, Phase::Response).err().unwrap_or_default();
        let found: Vec<_> =
            errors.iter().map(|error| (error.span.of(source), error.message.as_str())).collect();
        assert_eq!(found, [(*marked, *message)], "{source}");
    }
}

#[test]
fn shows_the_line_and_marks_the_place() {
    assert_eq!(
        rendered(r#"http.request.metod == "GET""#, Phase::Response),
        r#"unknown field "http.request.metod", did you mean "http.request.method"?
    1 | http.request.metod == "GET"
      | ^^^^^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        rendered("ssl\n  and ip.src in $crop\n\tand not tls.sni == 5", Phase::Response),
        r#"unknown list "crop", did you mean "corp"?
    2 |   and ip.src in $crop
      |                 ^^^^^
a string never equals a number
    3 |  and not tls.sni == 5
      |          ^^^^^^^^^^^^"#
    );
    assert_eq!(
        rendered("http.host == \"caf\u{e9}\" or", Phase::Response),
        "expected a field or a value, found the end\n    1 | http.host == \"caf\u{e9}\" or\n      |                       ^"
    );
}

#[test]
fn cuts_long_lines_around_the_place() {
    let source = format!("{}nobody and {}", "ssl and ".repeat(40), "ssl and ".repeat(40) + "ssl");
    let shown = rendered(&source, Phase::Response);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "unknown field \"nobody\"");
    let place = lines[2].find('^').unwrap();
    let line: String = lines[1].chars().skip(lines[2][..place].chars().count()).take(6).collect();
    assert_eq!(line, "nobody");
    assert!(lines[1].contains('…') && lines[1].ends_with('…') && lines[1].chars().count() < 120);
}

#[test]
fn a_rendering_moves_nothing_on_a_terminal() {
    let shown = rendered("http.host == \"\x1b[2J\x07\u{9b}\" and nobody", Phase::Response);
    assert!(shown.contains("nobody"));
    assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
    let shown = rendered("http.host == \u{1b}", Phase::Response);
    assert!(shown.chars().all(|character| character == '\n' || !character.is_control()), "{shown}");
}

#[test]
fn tells_all_errors_of_an_expression() {
    let source =
        r#"nobody == 1 and (http.host == 5 or starts_with(ip.src, "a")) and ssl and http.host ~ "(""#;
    assert_eq!(
        messages(source, Phase::Response),
        [
            "unknown field \"nobody\"",
            "a string never equals a number",
            "expected a string, found an IP address",
            "invalid pattern: unclosed group",
        ]
    );
    let many = vec!["nobody"; 100].join(" or ");
    assert_eq!(messages(&many, Phase::Response).len(), 16);
}

#[test]
fn unknown_names_come_with_the_nearest() {
    refuse(&[
        (
            "jwt.subject == \"a\"",
            "jwt.subject",
            "unknown field \"jwt.subject\", did you mean \"auth.subject\"?",
        ),
        ("Ssl", "Ssl", "unknown field \"Ssl\", did you mean \"ssl\"?"),
        ("colour == 1", "colour", "unknown field \"colour\""),
        ("path..a == \"a\"", "path..a", "unknown field \"path..a\", did you mean path[\".a\"]?"),
        (
            "http.request.headers.x == \"a\"",
            "http.request.headers.x",
            "unknown field \"http.request.headers.x\", did you mean http.request.headers[\"x\"]?",
        ),
        (
            "http.request.headers.name[0] == \"a\"",
            "http.request.headers.name",
            "unknown field \"http.request.headers.name\", did you mean http.request.headers.names?",
        ),
        ("jwt.sub.a == \"a\"", "jwt.sub.a", "unknown field \"jwt.sub.a\", did you mean \"jwt.sub\"?"),
        (
            "start_with(http.host, \"a\")",
            "start_with",
            "unknown function \"start_with\", did you mean \"starts_with\"?",
        ),
        ("wat(http.host)", "wat", "unknown function \"wat\""),
        ("ip.src in $corpp", "$corpp", "unknown list \"corpp\", did you mean \"corp\"?"),
        ("ip.src in $x", "$x", "unknown list \"x\": `lists` has none of this name"),
        ("http.host equals \"a\"", "equals", "unknown operator \"equals\""),
        ("http.host EQ \"a\"", "EQ", "unknown operator \"EQ\", did you mean \"eq\"?"),
        ("http.host = \"a\"", "=", "unknown operator \"=\", did you mean \"==\"?"),
        ("http.host starts_with \"a\"", "starts_with", "\"starts_with\" is a function: write starts_with(…)"),
        (
            "http.request.method == purge",
            "purge",
            "unknown field \"purge\": a string stands in double quotes",
        ),
        ("ssl & ssl", "&", "unknown operator \"&\", did you mean \"&&\"?"),
    ]);
}

#[test]
fn types_that_do_not_meet_are_refused() {
    refuse(&[
        ("http.request.method == 5", "http.request.method == 5", "a string never equals a number"),
        ("ip.src == \"10.0.0.1\"", "ip.src == \"10.0.0.1\"", "an IP address never equals a string"),
        ("ssl == \"true\"", "ssl == \"true\"", "a boolean never equals a string"),
        ("path.order == ip.src", "path.order == ip.src", "a string never equals an IP address"),
        (
            "jwt.claims.ip == 10.0.0.1",
            "jwt.claims.ip == 10.0.0.1",
            "a JSON value never equals an IP address: JSON has none, compare to_string(…)",
        ),
        ("ssl < true", "ssl < true", "a boolean is not less or greater than another"),
        ("ip.src > 10.0.0.0", "ip.src > 10.0.0.0", "an IP address is not less or greater than another"),
        ("http.host in {1 2}", "{1 2}", "a string never equals a number"),
        ("ip.src in {1 10.0.0.1}", "{1 10.0.0.1}", "the items of a set are of one type"),
        ("http.host in $corp", "$corp", "a string is never in a list of IP addresses"),
        ("ip.src in $people", "$people", "an IP address is never in a list of strings"),
        ("jwt.claims.ip in $corp", "$corp", "a JSON value is never in a list of IP addresses"),
        ("1 in consumer.tags", "consumer.tags", "a number never equals a string"),
        ("\"a\" in http.host", "http.host", "expected an array, found a string"),
        ("\"a\" in path", "path", "expected an array, found a map of strings"),
        ("ip.src contains \"1\"", "ip.src", "expected a string, found an IP address"),
        ("http.host contains 1", "1", "expected a string, found a number"),
        ("ssl ~ \"a\"", "ssl", "expected a string, found a boolean"),
        ("http.host", "http.host", "a string is no condition, compare it with something"),
        ("not ip.src", "ip.src", "an IP address is no condition, compare it with something"),
        ("consumer.tags", "consumer.tags", "an array of strings is no condition, compare it with something"),
        (
            "http.request.headers == \"a\"",
            "http.request.headers",
            "a map of arrays of strings has many values: take one by its key",
        ),
        (
            "http.request.headers[\"a\"] == \"a\"",
            "http.request.headers[\"a\"]",
            "an array of strings has many values: take one by [0], or ask all with any(http.request.headers[\"a\"][*] …)",
        ),
        ("http.host[\"a\"] == \"a\"", "[\"a\"]", "a string has no keys"),
        ("http.host[0] == \"a\"", "[0]", "a string has no elements by number"),
        ("consumer.tags[\"a\"] == \"a\"", "[\"a\"]", "an array of strings has no keys"),
        ("path[0] == \"a\"", "[0]", "a map of strings has no elements by number"),
    ]);
}

#[test]
fn calls_are_checked() {
    refuse(&[
        (
            "starts_with(http.host)",
            "starts_with(http.host)",
            "wrong number of arguments, expected starts_with(String, String): Boolean",
        ),
        ("lower(ip.src) == \"a\"", "ip.src", "expected a string, found an IP address"),
        ("len(ssl) == 1", "ssl", "expected a string, found a boolean"),
        ("substring(http.host, \"a\") == \"a\"", "\"a\"", "expected a number, found a string"),
        ("cidr(http.host, 8, 8) == 10.0.0.0", "http.host", "expected an IP address, found a string"),
        ("cidr(ip.src, 33, 8) == 10.0.0.0", "33", "expected a number from 1 to 32"),
        ("cidr(ip.src, 8, 0) == 10.0.0.0", "0", "expected a number from 1 to 128"),
        ("split(http.host, \"\", 2)[0] == \"a\"", "\"\"", "expected a separator, found an empty string"),
        ("split(http.host, \",\", 129)[0] == \"a\"", "129", "expected a number from 1 to 128"),
        ("split(http.host, http.host, 2)[0] == \"a\"", "http.host", "expected a string in quotes"),
        ("has_key(path, jwt.sub)", "jwt.sub", "expected a string in quotes"),
        ("has_key(http.host, \"a\")", "http.host", "a string has no keys"),
        ("exists(\"a\")", "\"a\"", "expected a field, an entry or an array"),
        ("exists(http.request.headers)", "http.request.headers", "expected a field, an entry or an array"),
        ("join(http.host, \",\") == \"a\"", "http.host", "expected an array, found a string"),
    ]);
}

#[test]
fn unpacking_stands_within_a_quantifier() {
    refuse(&[
        ("consumer.tags[*] == \"a\"", "[*]", "[*] stands within any() or all() only"),
        (
            "any(http.host == \"a\")",
            "any(http.host == \"a\")",
            "nothing is unpacked: expected an array with [*] behind it",
        ),
        (
            "any(consumer.tags[*] == consumer.scopes[*])",
            "[*]",
            "any() and all() unpack one array at a time, this one consumer.tags[*]",
        ),
        ("any(http.host[*] == \"a\")", "http.host", "expected an array, found a string"),
        ("any(consumer.tags[*])", "consumer.tags[*]", "a string is no condition, compare it with something"),
        (
            "any(consumer.tags[*] == lower(http.host)[*])",
            "lower(http.host)",
            "expected an array, found a string",
        ),
        (
            "any(any(consumer.tags[*] == \"a\"))",
            "any(any(consumer.tags[*] == \"a\"))",
            "nothing is unpacked: expected an array with [*] behind it",
        ),
        (
            "any(http.request.headers[*] == \"a\")",
            "http.request.headers",
            "expected an array, found a map of arrays of strings",
        ),
    ]);
}

#[test]
fn fields_are_known_from_their_phase_on() {
    let fields = [
        ("http.request.method == \"GET\"", Phase::RequestHead, ""),
        ("http.response.code == 200", Phase::Response, "http.response.code is known only with the response"),
    ];
    for (source, known, message) in fields {
        for phase in [Phase::RequestHead, Phase::Response] {
            let expected = if phase < known { vec![message.to_owned()] } else { Vec::new() };
            assert_eq!(messages(source, phase), expected, "{source} in {phase:?}");
        }
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    refuse(&[
        ("", "", "expected a field or a value, found the end"),
        ("ssl ssl", "ssl", "unknown operator \"ssl\""),
        ("(ssl", "", "expected and, or, xor or ), found the end"),
        ("ssl)", ")", "expected and, or, xor or the end, found )"),
        ("ssl and", "", "expected a field or a value, found the end"),
        ("and ssl", "and", "expected a field or a value, found \"and\""),
        ("(jwt.sub) == path.a", "==", "expected and, or, xor or the end, found =="),
        ("ip.src not in {10.0.0.1}", "not", "\"not\" stands before a comparison: not FIELD in {…}"),
        ("ip.src in {}", "{}", "empty set: nothing is ever in it"),
        ("http.host in {\"a\", \"b\"}", ",", "the items of a set have spaces between them, not commas"),
        ("http.response.code in {5..1}", "5..1", "the range ends before it starts"),
        ("ip.src in {10.0.0.2..10.0.0.1}", "10.0.0.2..10.0.0.1", "the range ends before it starts"),
        ("ip.src in {10.0.0.1..::1}", "10.0.0.1..::1", "the range ends before it starts"),
        ("ip.src in {10.0.0.1..5}", "10.0.0.1..5", "a range has two numbers or two addresses"),
        (
            "ip.src in 10.0.0.0/8",
            "10.0.0.0/8",
            "expected a set such as {\"a\" \"b\"}, a list such as $name, or an array, found a network",
        ),
        ("ip.src == 10.0.0.0/8", "10.0.0.0/8", "a network stands in a set: in {10.0.0.0/8}"),
        ("ip.src == $corp", "$corp", "a list stands behind in: FIELD in $corp"),
        ("ip.src == {10.0.0.1}", "{", "a set stands behind in: FIELD in {…}"),
        ("ip.src in $", "$", "expected the name of a list behind $"),
        (
            "ip.src in {10.0.0.0/33}",
            "10.0.0.0/33",
            "invalid CIDR: expected a network such as 10.0.0.0/8 or 2001:db8::/32",
        ),
        ("ip.src == 10.0.0", "10.0.0", "invalid IP address: expected one such as 192.0.2.1 or 2001:db8::1"),
        (
            "ip.src == fe80:::1",
            "fe80:::1",
            "invalid IP address: expected one such as 192.0.2.1 or 2001:db8::1",
        ),
        ("http.response.code == 0x1f", "0x1f", "invalid number: expected decimal digits alone"),
        ("http.response.code == 007", "007", "invalid number: it may not start with 0"),
        ("http.response.code == 9223372036854775808", "9223372036854775808", "number of more than 64 bits"),
        ("http.host == 'a'", "'", "strings are written in double quotes"),
        ("http.host == \"a", "\"", "string without an end"),
        ("http.host == r#\"a\"", "r#\"", "raw string without an end: expected \"#"),
        ("http.host == \u{e9}", "\u{e9}", "unexpected character 'é'"),
        ("consumer.tags[-1] == \"a\"", "-1", "an index is 0 or more"),
        ("path[a] == \"a\"", "a", "expected a key in quotes, an index or *, found \"a\""),
        ("path[\"\\xff\"] == \"a\"", "\"\\xff\"", "a key that is not UTF-8"),
        ("http.host ~ jwt.sub", "jwt.sub", "expected a pattern in quotes, found \"jwt.sub\""),
        ("http.host strict \"a\"", "\"a\"", "expected wildcard, found a string"),
        (
            "http.host == \"a\\d\"",
            "\\d",
            "unknown escape: expected \\\", \\\\, \\n, \\r, \\t or \\xHH; a raw string r\"…\" has none",
        ),
        (
            "http.host == \"\\x4\"",
            "\\x",
            "unknown escape: expected \\\", \\\\, \\n, \\r, \\t or \\xHH; a raw string r\"…\" has none",
        ),
    ]);
}

#[test]
fn patterns_that_are_none_are_refused() {
    refuse(&[
        ("http.host ~ \"a(\"", "\"a(\"", "invalid pattern: unclosed group"),
        (
            "http.host ~ r\"(?=a)\"",
            "r\"(?=a)\"",
            "invalid pattern: look-around, including look-ahead and look-behind, is not supported",
        ),
        ("http.host ~ \"(a)\\1\"", "\"(a)\\1\"", "invalid pattern: backreferences are not supported"),
        ("http.host wildcard \"a**\"", "\"a**\"", "two * in a row"),
        (
            "http.host wildcard r\"a\\b\"",
            "r\"a\\b\"",
            "expected \\* or \\\\ behind a backslash; in double quotes, write each \\ twice",
        ),
    ]);
}
