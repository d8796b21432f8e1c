use super::*;

fn node(text: &str) -> Node {
    parse(text).unwrap_or_else(|fault| panic!("{fault:?}"))
}

fn refusal(text: &str) -> (usize, usize, String) {
    let fault = parse(text).expect_err(text);
    let at = fault.at.unwrap();
    (at.line, at.column, fault.message)
}

/// Line, column and value of everything, in order.
fn places(node: &Node, found: &mut Vec<(usize, usize, String)>) {
    found.push((node.at.line, node.at.column, node.value.kind()));
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| places(item, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                found.push((key.at.line, key.at.column, key.name.clone()));
                places(value, found);
            }
        }
        _ => {}
    }
}

#[test]
fn everything_knows_its_place() {
    let text = "a: 1\nb:\n  - x\n  - 'y z'\n  - c: ~\n    d: [true, [2.5]]\né: { ü: |\n    t\n   }\ne:\n";
    let text = text.replace("{ ü: |\n    t\n   }", "{ ü: t }");
    let mut found = Vec::new();
    places(&node(&text), &mut found);
    let found: Vec<_> = found.iter().map(|(line, column, what)| format!("{line}:{column} {what}")).collect();
    let expected = [
        "1:1 a map",
        "1:1 a",
        "1:4 1",
        "2:1 b",
        "2:1 a list",
        "3:5 \"x\"",
        "4:5 \"y z\"",
        "5:5 a map",
        "5:5 c",
        "5:5 nothing",
        "6:5 d",
        "6:5 a list",
        "6:9 true",
        "6:16 a list",
        "6:16 2.5",
        "7:1 é",
        "7:1 a map",
        "7:6 ü",
        "7:9 \"t\"",
        "8:1 e",
        "8:1 nothing",
    ];
    assert_eq!(found, expected);
}

#[test]
fn reads_as_without_places() {
    for text in
        ["", "a", "1", "[]", "{}", "- a\n- &x { b: [1] }\n- *x\n", "'404': 1\nx: \"404\"\n", "? a\n: b\n"]
    {
        let plain: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(value(&node(text)), plain, "{text}");
    }
}

fn value(node: &Node) -> serde_yaml::Value {
    match &node.value {
        Value::Null => serde_yaml::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => i64::try_from(*value).unwrap().into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(value).collect::<Vec<_>>().into(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| (key.name.as_str().into(), value(node)));
            serde_yaml::Value::Mapping(entries.collect())
        }
    }
}

#[test]
fn refuses_what_a_document_never_holds() {
    for (text, line, column, message) in [
        ("a: 1\na: 2\n", 2, 1, "duplicate key \"a\""),
        ("a: !x 1\n", 1, 4, "remove !x"),
        ("a: { <<: {} }\n", 1, 6, "merge keys"),
        ("a: .inf\n", 1, 4, "numbers are finite"),
        ("a: 1\n--- \nb: 2\n", 3, 1, "a second one starts"),
        ("? [a]\n: 1\n", 1, 3, "a key is plain text"),
        ("a: [1\n", 2, 1, "expected ',' or ']'"),
        ("\ta: 1\n", 1, 1, "indent with spaces"),
    ] {
        let found = refusal(text);
        assert!(found.2.contains(message), "{text:?}: {found:?}");
        assert_eq!((found.0, found.1), (line, column), "{text:?}: {found:?}");
    }
}

#[test]
fn what_aliases_expand_to_and_nesting_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(DEEPEST)).is_ok());
    assert!(refusal(&nested(DEEPEST + 1)).2.contains("nested deeper than 64 levels"));
    assert!(refusal("a: &a [*a]").2.contains("nested deeper than 64 levels"));
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(20_000), "*a,".repeat(100));
    assert!(refusal(&wide).2.contains("aliases expand"));
}
