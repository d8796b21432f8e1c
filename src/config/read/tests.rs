use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::Document;
use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    a: u8,
    #[serde(default)]
    b: u8,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Limits")]
struct Checked;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    low: Option<u8>,
    high: Option<u8>,
}

impl TryFrom<Limits> for Checked {
    type Error = &'static str;

    fn try_from(limits: Limits) -> Result<Self, Self::Error> {
        limits.low.or(limits.high).map(|_| Self).ok_or("expected low or high")
    }
}

#[derive(Debug, Deserialize)]
struct Holder {
    parts: BTreeMap<String, Node>,
}

fn root(text: &str) -> Node {
    Document::parse("p.yaml", text.as_bytes()).unwrap().root().clone()
}

fn read_all<T: DeserializeOwned>(text: &str) -> (Option<T>, Vec<String>) {
    let (outcome, issues) = read(&root(text));
    (outcome.value(), issues.into_iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect())
}

#[test]
fn returns_the_value_alone_when_nothing_is_wrong() {
    let (value, issues) = read_all::<Pair>("{ a: 1, b: 2 }");
    assert_eq!(value.map(|pair| (pair.a, pair.b)), Some((1, 2)));
    assert!(issues.is_empty());
}

#[test]
fn returns_what_remains_beside_the_issues() {
    let (value, issues) = read_all::<Vec<u8>>("[1, x, 3, y, 300]");
    assert_eq!(value, Some(vec![1, 3]));
    let places: Vec<_> = issues.iter().map(|issue| &issue[..3]).collect();
    assert_eq!(places, ["[1]", "[3]", "[4]"]);
}

#[test]
fn a_key_reported_as_wrong_is_not_missing_too() {
    let (value, issues) = read_all::<Vec<Pair>>("[{ a: x, b: y }, { a: 1 }, { b: 1 }]");
    assert_eq!(value.map(|pairs| pairs.len()), Some(1));
    assert_eq!(issues.len(), 3, "{issues:?}");
    assert_eq!(issues[2], "[2]: missing key \"a\"");
}

#[test]
fn a_misspelt_key_is_not_missing_too() {
    let (_, issues) = read_all::<Limited>("{ limti: 1, b: 1 }");
    assert_eq!(
        issues,
        [r#"limti: unknown key "limti", did you mean "limit"?"#, r#"b: unknown key "b", expected limit"#]
    );
    let (value, issues) = read_all::<Limited>("{ limti: x }");
    assert!(value.is_none());
    assert_eq!(
        issues,
        [
            r#"limti: unknown key "limti", did you mean "limit"?"#,
            r#"limit: expected a whole number from 0 to 255, found "x""#
        ],
        "it is read as what was meant"
    );
    let (_, issues) = read_all::<Limited>("{ limit: 1, limti: x }");
    assert_eq!(issues, [r#"limti: unknown key "limti", did you mean "limit"?"#], "unless that is there too");
    let (_, issues) = read_all::<Limited>("{ other: 1 }");
    assert_eq!(issues, [r#"other: unknown key "other", expected limit"#, r#": missing key "limit""#]);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde")]
struct Limited {
    limit: u8,
}

#[test]
fn a_judgement_on_what_lacks_a_faulty_part_is_not_told() {
    assert!(read_all::<Checked>("{ low: 1 }").1.is_empty());
    assert_eq!(read_all::<Checked>("{}").1, [": expected low or high"]);
    assert_eq!(
        read_all::<Checked>("{ low: x }").1,
        [r#"low: expected a whole number from 0 to 255, found "x""#]
    );
}

#[test]
fn nothing_comes_back_when_nothing_is_left() {
    let (value, issues) = read_all::<Pair>("{ a: x }");
    assert!(value.is_none() && issues.len() == 1, "{issues:?}");
    assert!(read_all::<Pair>("5").0.is_none());
}

#[test]
fn stops_at_a_hundred_issues() {
    let (_, issues) = read_all::<Vec<u8>>(&format!("[{}]", "x, ".repeat(500)));
    assert_eq!(issues.len(), MOST_ISSUES + 1);
    assert_eq!(issues[MOST_ISSUES], ": more is wrong than these 100 issues");
}

#[test]
fn nodes_keep_their_value_and_their_place() {
    let (holder, issues) = read_all::<Holder>("parts: { x: { a: y, b: 2 }, z: [1] }");
    assert!(issues.is_empty());
    let parts = holder.unwrap().parts;
    assert_eq!(parts["z"].path().to_string(), "parts.z");
    let mut issues = Vec::new();
    assert!(parts["x"].read::<Pair>(&mut issues).is_none());
    assert_eq!(issues[0].path.to_string(), "parts.x.a");
    assert!(parts["z"].read::<Vec<u8>>(&mut issues).is_some_and(|list| list == [1]) && issues.len() == 1);
}

#[test]
fn nodes_inside_nodes_and_after_removed_neighbours_keep_their_place() {
    let nodes: Vec<Node> = {
        let (value, issues) = read_all::<(Vec<Node>, u8)>("[[{ k: [1, { deep: x }] }], 1]");
        assert!(issues.is_empty());
        value.unwrap().0
    };
    let entries = nodes[0].as_map().unwrap();
    let inner: Vec<Node> = entries[0].1.read(&mut Vec::new()).unwrap();
    assert_eq!((inner[1].path().to_string(), entries[0].0), ("[0][0].k[1]".to_owned(), "k"));
    let (rest, issues) =
        read_all::<Vec<BTreeMap<String, Vec<Wrapped>>>>("[5, { k: [{ v: 1 }, 2, { v: [3] }] }]");
    assert_eq!(issues.len(), 2);
    assert_eq!(rest.unwrap()[0]["k"][1].v.path().to_string(), "[1].k[2].v");
}

#[derive(Debug, Deserialize)]
struct Wrapped {
    v: Node,
}

#[test]
fn nodes_are_read_by_our_own_reader_only() {
    assert!(serde_json::from_str::<Node>("[[], 5]").is_err());
    assert!(serde_json::from_str::<Node>("{}").is_err());
    assert_eq!(serde_json::to_value(schemars::schema_for!(Vec<Node>)).unwrap()["items"], true);
}
