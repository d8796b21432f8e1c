use super::*;

fn refusal(text: &str) -> String {
    text.parse::<Rate>().unwrap_err().to_string()
}

#[test]
fn reads_a_count_and_a_period() {
    let rate: Rate = "100/1m".parse().unwrap();
    assert_eq!(rate.count().get(), 100);
    assert_eq!(rate.period(), std::time::Duration::from_secs(60));
    assert_eq!("1000/1m30s".parse::<Rate>().unwrap().period(), std::time::Duration::from_secs(90));
}

#[test]
fn refuses_other_shapes() {
    for text in ["100", "", "/1s", "-1/1s", "+5/1s", "a/1s", " 5/1s", "100 per 1m", "1.5/1s"] {
        assert_eq!(refusal(text), format!("expected a rate such as 100/1m, found {text:?}"));
    }
}

#[test]
fn refuses_a_count_of_zero_or_beyond_its_range() {
    for text in ["0/1s", "4294967296/1s"] {
        assert!(refusal(text).ends_with("the count is from 1 to 4294967295"), "{text}");
    }
    assert_eq!("4294967295/1s".parse::<Rate>().unwrap().count(), NonZeroU32::MAX);
}

#[test]
fn shows_how_to_write_a_period_without_a_number() {
    assert_eq!(refusal("100/m"), r#"expected a rate such as 100/1m, found "100/m": write 100/1m"#);
}

#[test]
fn says_what_is_wrong_with_the_period() {
    assert_eq!(
        refusal("5/0s"),
        r#"expected a rate such as 100/1m, found "5/0s": expected a duration above zero such as 1s, found "0s""#
    );
    assert!(refusal("5/60").ends_with(r#"found "60": it needs a unit, write 60s or 60ms"#));
}

#[test]
fn prints_and_serializes_as_it_is_written() {
    let rate: Rate = serde_json::from_str("\"100/60s\"").unwrap();
    assert_eq!(rate.to_string(), "100/1m");
    assert_eq!(serde_json::to_string(&rate).unwrap(), "\"100/1m\"");
}

#[test]
fn the_pattern_for_editors_takes_what_the_parser_takes() {
    let pattern = regex::Regex::new(Rate::PATTERN).unwrap();
    assert!(["100/1m", "5/1m30s"].into_iter().all(|text| pattern.is_match(text)));
    assert!(["100", "100/m", "/1s"].into_iter().all(|text| !pattern.is_match(text)));
}
