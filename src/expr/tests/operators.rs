//! Each operator with something that it accepts and something that it does not, and how they bind.

use crate::expr::testing::{Sample, outcome};

/// Asserts that each source comes to true, and its negation to false.
fn hold(sources: &[&str]) {
    for source in sources {
        assert_eq!(outcome(source, &Sample::new()), "true", "{source}");
        assert_eq!(outcome(&format!("not ({source})"), &Sample::new()), "false", "not ({source})");
    }
}

fn fail(sources: &[&str]) {
    for source in sources {
        assert_eq!(outcome(source, &Sample::new()), "false", "{source}");
        assert_eq!(outcome(&format!("!({source})"), &Sample::new()), "true", "!({source})");
    }
}

#[test]
fn equality_compares_strings_numbers_addresses_and_booleans() {
    hold(&[
        r#"http.request.method == "GET""#,
        r#"http.request.method eq "GET""#,
        r#"http.request.method != "get""#,
        r#"http.request.method ne "GE""#,
        "http.response.code == 200",
        "http.response.code ne -200",
        "ip.src == 10.1.2.3",
        "ip.src != 10.1.2.4",
        "ssl == true",
        "ssl != tls.client.verified",
        r#""GET" == http.request.method"#,
        "7 == 7",
    ]);
    fail(&[
        r#"http.request.method == "get""#,
        r#"http.request.method == """#,
        r#"http.request.method != "GET""#,
        "http.response.code eq 201",
        "ip.src == ::1",
        "ssl == false",
    ]);
}

#[test]
fn order_is_that_of_numbers_and_of_bytes() {
    hold(&[
        "http.response.code lt 201",
        "http.response.code < 201",
        "http.response.code le 200",
        "http.response.code <= 200",
        "http.response.code gt -1",
        "http.response.code > 199",
        "http.response.code ge 200",
        "http.response.code >= 200",
        r#"http.request.method < "POST""#,
        r#"http.request.method >= "GET""#,
        "jwt.claims.level >= 3",
        r#"jwt.sub < "bob""#,
    ]);
    fail(&[
        "http.response.code lt 200",
        "http.response.code <= 199",
        "http.response.code > 200",
        "http.response.code ge 201",
        r#"http.request.method > "POST""#,
        "jwt.claims.level < 3",
    ]);
}

#[test]
fn contains_finds_bytes_anywhere() {
    hold(&[
        r#"http.request.uri.path contains "ders/""#,
        r#"http.request.uri.path contains """#,
        r#"http.user_agent contains "\xe9""#,
        "http.request.uri.path contains path.order",
    ]);
    fail(&[r#"http.request.uri.path contains "Orders""#, "http.request.uri.path contains jwt.sub"]);
}

#[test]
fn patterns_match_bytes_anywhere_unless_anchored() {
    hold(&[
        r#"http.request.uri.path matches "^/orders/[0-9]+$""#,
        r#"http.request.uri.path ~ "rders""#,
        r#"http.request.uri.path ~ "^/orders/\d$""#,
        r#"http.request.uri.path matches r"^/orders/\d$""#,
        r#"http.request.uri.path matches r"^/orders/\d$""#,
        r#"http.user_agent matches "^caf./1""#,
        r#"http.user_agent ~ "^.*$""#,
        r#""a\"b" ~ "a\"b""#,
    ]);
    fail(&[
        r#"http.request.uri.path matches "^orders""#,
        r#"http.request.uri.path ~ "^/ORDERS""#,
        r#"http.user_agent ~ "\w{4}""#,
    ]);
}

#[test]
fn wildcards_match_the_whole_value() {
    hold(&[
        r#"http.host wildcard "*.example.com""#,
        r#"http.host wildcard "*.EXAMPLE.com""#,
        r#"http.host strict wildcard "api.*""#,
        r#"http.host wildcard "*api.example.com*""#,
        r#""a*b\\c" strict wildcard r"a\*b\\c""#,
        r#"http.user_agent wildcard "caf*)""#,
        r#""x\ny" wildcard "x*y""#,
    ]);
    fail(&[
        r#"http.host wildcard "example.com""#,
        r#"http.host wildcard "api.example""#,
        r#"http.host strict wildcard "*.EXAMPLE.com""#,
        r#"http.host wildcard "api?example*""#,
        r#""aXb" strict wildcard r"a\*b""#,
    ]);
}

#[test]
fn sets_hold_strings_numbers_ranges_and_networks() {
    hold(&[
        r#"http.request.method in {"GET" "HEAD"}"#,
        r#"http.request.method in {r"GET"}"#,
        "http.response.code in {404 200..299}",
        "http.response.code in {200..200}",
        "ip.src in {10.0.0.0/8}",
        "ip.src in {192.0.2.1 10.1.2.3}",
        "ip.src in {10.1.2.1..10.1.2.3}",
        "ip.src in {2001:db8::/32 fd00::1 10.1.0.0/16}",
        r#"jwt.claims.sub in {"alice"}"#,
        "jwt.claims.level in {1..3}",
    ]);
    fail(&[
        r#"http.request.method in {"get" "GETS"}"#,
        "http.response.code in {201..299}",
        "ip.src in {10.2.0.0/16 ::/0}",
        "ip.src in {10.1.2.4..10.1.2.9}",
        "jwt.claims.level in {4 5}",
    ]);
}

#[test]
fn named_lists_are_asked_for_their_own_kind() {
    hold(&[
        "ip.src in $corp",
        "jwt.sub in $people",
        "jwt.claims.sub in $people",
        "jwt.claims.level in $ports",
    ]);
    fail(&["http.host in $people", "http.response.code in $ports"]);
}

#[test]
fn a_value_is_looked_for_in_arrays() {
    hold(&[
        r#""ops" in jwt.claims["groups"]"#,
        r#""gold" in consumer.tags"#,
        r#""prod" in http.request.headers["X-Env"]"#,
        r#""b" in split("a,b", ",", 9)"#,
        r#""dev" in jwt.claims.mixed"#,
        "path.order in split(http.request.uri.path, \"/\", 9)",
    ]);
    fail(&[
        r#""admin" in jwt.claims["groups"]"#,
        r#""op" in jwt.claims["groups"]"#,
        r#""silver" in consumer.tags"#,
        r#""x" in jwt.aud"#,
        r#""x" in jwt.claims.empty"#,
    ]);
}

#[test]
fn not_binds_first_then_and_xor_or() {
    // Each pair differs only in how it is grouped.
    let truth = [
        ("not false or true", "true"),
        ("not (false or true)", "false"),
        ("true or true and false", "true"),
        ("(true or true) and false", "false"),
        ("true xor true and false", "true"),
        ("(true xor true) and false", "false"),
        ("true or true xor true", "true"),
        ("(true or true) xor true", "false"),
        ("not true == false", "true"),
        ("not false and false", "false"),
        ("!false && false || true ^^ false", "true"),
        ("true xor true xor true", "true"),
        ("not not true", "true"),
        ("! ! ! true", "false"),
    ];
    for (source, expected) in truth {
        assert_eq!(outcome(source, &Sample::new()), expected, "{source}");
    }
}

#[test]
fn booleans_stand_for_themselves() {
    hold(&["ssl", "(ssl)", "true", "jwt.claims.admin", "ssl and not tls.client.verified"]);
    fail(&["tls.client.verified", "false", "jwt.claims.guest"]);
}

#[test]
fn fields_compare_with_fields() {
    hold(&[
        "path.owner == jwt.sub",
        "jwt.sub == jwt.claims.sub",
        "jwt.claims.two == 2",
        "jwt.claims.sub == path.owner",
    ]);
    fail(&["path.order == jwt.sub", "jwt.claims.sub != path.owner"]);
}

#[test]
fn names_with_dots_are_keys_where_keys_are_open() {
    hold(&[
        r#"path["order"] == "7""#,
        r#"path.order == "7""#,
        r#"jwt.claims.realm.name == "main""#,
        r#"jwt.claims["realm"]["name"] == jwt.claims.realm["name"]"#,
        r#"jwt.claims["7"] == "seven""#,
        r#"jwt.claims.realm.roles[1] == "r2""#,
        r#"jwt.claims.people[1]["name"] == "bob""#,
    ]);
}

#[test]
fn names_of_headers_have_no_case() {
    hold(&[
        r#"http.request.headers["x-env"][0] == "test""#,
        r#"http.request.headers["X-ENV"][1] == "prod""#,
        r#"has_key(http.request.headers, "X-Env")"#,
    ]);
}

#[test]
fn mapped_ipv4_addresses_are_ipv4() {
    let mapped = Sample::new().ip("::ffff:10.1.2.3");
    for source in
        ["ip.src == 10.1.2.3", "ip.src in {10.0.0.0/8}", "ip.src in $corp", "cidr(ip.src, 8, 8) == 10.0.0.0"]
    {
        assert_eq!(outcome(source, &mapped), "true", "{source}");
    }
    assert_eq!(outcome("ip.src in {10.1.2.3}", &Sample::new().ip("10.1.2.4")), "false");
}

#[test]
fn quoted_strings_have_escapes_and_raw_strings_have_none() {
    hold(&[
        r#""\x41\n\r\t\"\\" == "A\x0a\x0d\x09\x22\x5c""#,
        r#"len("\xff\x00") == 2"#,
        r#"r"\x41" == "\\x41""#,
        r###"r##"a"#b"## == "a\"#b""###,
        "\"caf\u{e9}\" == \"caf\\xc3\\xa9\"",
        "len(r\"\") == 0",
    ]);
}
