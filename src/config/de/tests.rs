use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::{Document, read};

fn accepted<T: DeserializeOwned>(text: &str) -> T {
    let document = Document::parse("p.yaml", text.as_bytes()).unwrap();
    let (value, issues) = read(document.root());
    assert!(issues.is_empty(), "{issues:?}");
    value.value().unwrap()
}

fn refused<T: DeserializeOwned>(text: &str) -> Vec<String> {
    let document = Document::parse("p.yaml", text.as_bytes()).unwrap();
    let (_, issues) = read::<T>(document.root());
    issues.into_iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect()
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

#[derive(Debug, PartialEq, Deserialize)]
struct Newtype(Option<Vec<u8>>);

#[test]
fn reads_every_form_of_enum() {
    let shapes: Vec<Shape> = accepted("[unit, { newtype: 1 }, { tuple: [1, 2] }, { struct: { a: 3 } }]");
    assert_eq!(shapes, [Shape::Unit, Shape::Newtype(1), Shape::Tuple(1, 2), Shape::Struct { a: 3 }]);
}

#[test]
fn names_the_place_inside_every_form_of_enum() {
    assert_eq!(
        refused::<Vec<Shape>>("[{ newtype: x }]")[0],
        r#"[0].newtype: expected a whole number from 0 to 255, found "x""#
    );
    assert_eq!(
        refused::<Vec<Shape>>("[{ tuple: [1, x] }]")[0],
        r#"[0].tuple[1]: expected a whole number from 0 to 255, found "x""#
    );
    assert_eq!(refused::<Vec<Shape>>("[{ tuple: 1 }]")[0], "[0].tuple: expected a list of 2, found 1");
    assert_eq!(
        refused::<Vec<Shape>>("[{ struct: 1 }]")[0],
        "[0].struct: expected a map with the key a, found 1"
    );
}

#[test]
fn reads_through_newtypes_options_and_boxes() {
    assert_eq!(accepted::<Newtype>("[1, 2]"), Newtype(Some(vec![1, 2])));
    assert_eq!(accepted::<Box<Option<u8>>>("7"), Box::new(Some(7)));
    assert_eq!(refused::<Newtype>("[1, 300]"), ["[1]: expected a whole number from 0 to 255, found 300"]);
}

#[test]
fn reads_keys_as_the_types_of_a_map() {
    assert_eq!(accepted::<BTreeMap<u16, u8>>("{ 404: 1, '500': 2 }"), BTreeMap::from([(404, 1), (500, 2)]));
    assert_eq!(accepted::<BTreeMap<String, u8>>("{ 404: 1, true: 2 }").len(), 2);
    assert_eq!(
        refused::<BTreeMap<u8, u8>>("{ -1: 1 }"),
        [r#"-1: key "-1": expected a whole number from 0 to 255, found -1"#]
    );
}

#[test]
fn takes_whole_numbers_where_numbers_are_expected_but_no_text() {
    assert!((accepted::<f64>("2") - 2.0).abs() < f64::EPSILON);
    assert!((accepted::<f64>("2.5") - 2.5).abs() < f64::EPSILON);
    assert_eq!(refused::<f64>("'2'"), [r#": expected a number, found "2""#]);
}

#[test]
fn reads_numbers_up_to_their_limits() {
    assert_eq!(accepted::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(accepted::<i64>("-9223372036854775808"), i64::MIN);
    assert_eq!(accepted::<i128>("-9223372036854775809"), i128::from(i64::MIN) - 1);
    assert_eq!(refused::<u64>("18446744073709551616").len(), 1);
    assert_eq!(refused::<u8>("256"), [": expected a whole number from 0 to 255, found 256"]);
}

#[test]
fn refuses_a_struct_written_as_a_list() {
    #[derive(Debug, Deserialize)]
    struct Pair {
        _a: u8,
    }
    assert_eq!(refused::<Pair>("[1]"), [": expected a map with the key _a, found a list"]);
}

#[test]
fn tells_what_a_type_itself_says_word_for_word() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Even;
    impl TryFrom<String> for Even {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            if text.len().is_multiple_of(2) { Ok(Self) } else { Err(format!("{text} is odd: \"50%\" {{}}")) }
        }
    }
    assert_eq!(accepted::<Vec<Even>>("[ab]").len(), 1);
    assert_eq!(refused::<Vec<Even>>("[ab, abc]"), [r#"[1]: abc is odd: "50%" {}"#]);
}
