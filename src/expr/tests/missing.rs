//! What is missing is neither true nor false, whatever is made of it.

use crate::expr::testing::{Sample, compiled, outcome};
use crate::expr::{Missing, Phase, Truth, Why};

const TRUE: &str = "ssl";
const FALSE: &str = "tls.client.verified";
const MISSING: &str = "jwt.claims.absent == 1";

fn truth(source: &str) -> char {
    match outcome(source, &Sample::new()).as_str() {
        "true" => 't',
        "false" => 'f',
        _ => 'm',
    }
}

#[test]
fn logic_is_that_of_kleene() {
    // Rows and columns are true, false, missing.
    let tables =
        [("and", ["tfm", "fff", "mfm"]), ("or", ["ttt", "tfm", "tmm"]), ("xor", ["ftm", "tfm", "mmm"])];
    for (operator, rows) in tables {
        for (left, row) in [TRUE, FALSE, MISSING].into_iter().zip(rows) {
            for (right, expected) in [TRUE, FALSE, MISSING].into_iter().zip(row.chars()) {
                let source = format!("{left} {operator} {right}");
                assert_eq!(truth(&source), expected, "{source}");
            }
        }
    }
    assert_eq!([TRUE, FALSE, MISSING].map(|source| truth(&format!("not {source}"))), ['f', 't', 'm']);
}

#[test]
fn comparisons_with_what_is_absent_are_missing_and_so_are_their_negations() {
    let absent = [
        (r#"jwt.claims.absent == "x""#, "jwt.claims.absent"),
        (r#"jwt.claims["absent"] != "x""#, "jwt.claims[\"absent\"]"),
        (r#"jwt.claims.realm.absent == "x""#, "jwt.claims.realm.absent"),
        (r#"jwt.claims.sub.deeper == "x""#, "jwt.claims.sub.deeper"),
        (r#"jwt.claims.groups[2] == "x""#, "jwt.claims.groups[2]"),
        (r#"jwt.claims.nothing == "x""#, "jwt.claims.nothing"),
        (r#""x" == consumer.name"#, "consumer.name"),
        (r#"consumer.name contains "x""#, "consumer.name"),
        (r#"consumer.name ~ "x""#, "consumer.name"),
        (r#"consumer.name in {"x"}"#, "consumer.name"),
        ("consumer.name in $people", "consumer.name"),
        (r#""x" in consumer.scopes"#, "consumer.scopes"),
        (r#""x" in jwt.claims.absent"#, "jwt.claims.absent"),
        (r#"any(http.request.headers["no"][*] == "x")"#, "http.request.headers[\"no\"]"),
        (r#"all(http.request.headers["no"][*] == "x")"#, "http.request.headers[\"no\"]"),
        (r#"http.request.headers["no"][0] == "x""#, "http.request.headers[\"no\"][0]"),
        (r#"http.request.headers["x-env"][2] == "x""#, "http.request.headers[\"x-env\"][2]"),
        (r#"len(http.request.headers["no"]) == 0"#, "http.request.headers[\"no\"]"),
        (r#"lower(consumer.name) == "x""#, "consumer.name"),
        (r#"concat("a", consumer.name) == "x""#, "consumer.name"),
        (r#"split("a,b", ",", 9)[2] == "x""#, "split(\"a,b\", \",\", 9)[2]"),
        (r#"starts_with(consumer.name, "x")"#, "consumer.name"),
        (r#"starts_with("x", consumer.name)"#, "consumer.name"),
        ("jwt.claims.absent", "jwt.claims.absent"),
    ];
    for (source, operand) in absent {
        let expected = format!("{operand} is absent");
        assert_eq!(outcome(source, &Sample::new()), expected, "{source}");
        assert_eq!(outcome(&format!("not ({source})"), &Sample::new()), expected, "not {source}");
    }
}

#[test]
fn json_compares_with_its_own_type_alone() {
    let unlike = [
        (r#"jwt.claims.level == "3""#, "jwt.claims.level"),
        ("jwt.claims.sub == 3", "jwt.claims.sub"),
        (r#"jwt.claims.admin == "true""#, "jwt.claims.admin"),
        ("jwt.claims.admin == 1", "jwt.claims.admin"),
        ("jwt.claims.half > 2", "jwt.claims.half"),
        ("jwt.claims.huge > 2", "jwt.claims.huge"),
        (r#"jwt.claims.groups == "dev""#, "jwt.claims.groups"),
        ("jwt.claims.realm != jwt.claims.realm", "jwt.claims.realm"),
        ("jwt.claims.level == jwt.claims.sub", "jwt.claims.level"),
        ("http.host == jwt.claims.level", "jwt.claims.level"),
        (r#"jwt.claims.level contains "3""#, "jwt.claims.level"),
        (r#"jwt.claims.level ~ "3""#, "jwt.claims.level"),
        (r#"jwt.claims.level in {"3"}"#, "jwt.claims.level"),
        ("jwt.claims.level in $people", "jwt.claims.level"),
        ("jwt.claims.sub in {1..9}", "jwt.claims.sub"),
        ("jwt.claims.sub", "jwt.claims.sub"),
        (r#""x" in jwt.claims.sub"#, "jwt.claims.sub"),
        (r#""name" in jwt.claims.realm"#, "jwt.claims.realm"),
        (r#""banned" in jwt.claims.mixed"#, "jwt.claims.mixed"),
        ("len(jwt.claims.realm) == 2", "jwt.claims.realm"),
        ("to_string(jwt.claims.groups) == \"\"", "jwt.claims.groups"),
        (r#"any(jwt.claims.sub[*] == "a")"#, "jwt.claims.sub"),
        (r#"any(jwt.claims.mixed[*] == "banned")"#, "jwt.claims.mixed[*]"),
        (r#"tls.version == "13""#, "tls.version"),
    ];
    for (source, operand) in unlike {
        let expected = format!("{operand} is of another type than it is used as");
        assert_eq!(outcome(source, &Sample::new()), expected, "{source}");
        assert_eq!(outcome(&format!("not ({source})"), &Sample::new()), expected, "not {source}");
    }
}

#[test]
fn quantifiers_are_chains_of_or_and_and() {
    let cases = [
        (r#"any(jwt.claims.groups[*] == "ops")"#, "true"),
        (r#"any(jwt.claims.groups[*] == "x")"#, "false"),
        (r#"all(jwt.claims.groups[*] != "x")"#, "true"),
        (r#"all(jwt.claims.groups[*] == "ops")"#, "false"),
        (r#"any(jwt.claims.empty[*] == "x")"#, "false"),
        (r#"all(jwt.claims.empty[*] == "x")"#, "true"),
        (r#"any(jwt.aud[*] == "x")"#, "false"),
        // One element decides, whatever the others are.
        (r#"any(jwt.claims.mixed[*] == "dev")"#, "true"),
        (r#"all(jwt.claims.mixed[*] == "x")"#, "false"),
        (r#"any(jwt.claims.people[*]["name"] == "bob")"#, "true"),
        (r#"all(jwt.claims.people[*]["name"] == "bob")"#, "false"),
    ];
    for (source, expected) in cases {
        assert_eq!(outcome(source, &Sample::new()), expected, "{source}");
    }
    // Nobody is called ann or bob in all of the list, as the third has no name.
    let open = r#"all(jwt.claims.people[*]["name"] in {"ann" "bob"})"#;
    assert_eq!(outcome(open, &Sample::new()), "jwt.claims.people[*][\"name\"] is absent");
}

#[test]
fn presence_is_asked_for_with_exists() {
    let here = [
        "jwt.sub",
        "jwt.claims.sub",
        "jwt.claims.groups[1]",
        "jwt.claims.realm.name",
        r#"http.request.headers["x-env"]"#,
        r#"http.request.headers["x-env"][1]"#,
        "path.order",
        "path",
        "jwt.aud",
        "jwt.claims.empty",
    ];
    let absent = [
        "consumer.name",
        "jwt.claims.absent",
        "jwt.claims.nothing",
        "jwt.claims.groups[2]",
        r#"http.request.headers["no"]"#,
        r#"http.request.headers["x-env"][2]"#,
        "path.nobody",
        "consumer.scopes",
    ];
    for (fields, expected) in [(&here[..], ["true", "false"]), (&absent[..], ["false", "true"])] {
        for field in fields {
            assert_eq!(outcome(&format!("exists({field})"), &Sample::new()), expected[0], "{field}");
            assert_eq!(outcome(&format!("not exists({field})"), &Sample::new()), expected[1], "{field}");
        }
    }
    assert_eq!(outcome("any(exists(jwt.claims.people[*][\"age\"]))", &Sample::new()), "true");
    assert_eq!(outcome("all(exists(jwt.claims.people[*][\"age\"]))", &Sample::new()), "false");
}

#[test]
fn without_a_token_no_rule_about_claims_opens_a_door() {
    let anonymous = Sample::new().claims(None);
    for source in [
        r#"not jwt.claims.role == "guest""#,
        r#"jwt.claims.role != "guest""#,
        r#"not "banned" in jwt.claims.groups"#,
        r#"not any(jwt.claims.groups[*] == "banned")"#,
        r#"all(jwt.claims.groups[*] != "banned")"#,
        "not jwt.sub in $people",
        "path.owner == jwt.sub",
        "path.owner != jwt.sub",
        "not jwt.claims.blocked",
    ] {
        let condition = compiled(source, Phase::RequestHead).unwrap();
        assert!(matches!(condition.evaluate(&anonymous), Truth::Missing(_)), "{source}");
    }
    assert_eq!(outcome("not exists(jwt.sub)", &anonymous), "true");
}

#[test]
fn the_first_missing_value_is_told() {
    let condition =
        compiled("ssl and consumer.name == \"x\" and jwt.claims.absent == 1", Phase::Response).unwrap();
    let missing = Missing { operand: "consumer.name", why: Why::Absent };
    assert_eq!(condition.evaluate(&Sample::new()), Truth::Missing(missing));
    assert!(!condition.evaluate(&Sample::new()).is_true() && !condition.evaluate(&Sample::new()).is_false());
}
