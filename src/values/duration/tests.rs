use super::*;

fn millis(text: &str) -> u128 {
    text.parse::<Duration>().unwrap().as_millis()
}

fn refusal(text: &str) -> String {
    text.parse::<Duration>().unwrap_err().to_string()
}

#[test]
fn reads_every_unit() {
    assert_eq!(millis("250ms"), 250);
    assert_eq!(millis("1s"), 1_000);
    assert_eq!(millis("5m"), 300_000);
    assert_eq!(millis("1h"), 3_600_000);
    assert_eq!(millis("30d"), 30 * 86_400_000);
}

#[test]
fn reads_compounds_with_the_largest_unit_first() {
    assert_eq!(millis("1m30s"), 90_000);
    assert_eq!(millis("1d2h3m4s5ms"), 93_784_005);
    assert!(refusal("30s1m").ends_with("write the largest unit first, each once"));
    assert!(refusal("1s1s").ends_with("write the largest unit first, each once"));
}

#[test]
fn refuses_a_number_without_a_unit() {
    assert_eq!(
        refusal("5"),
        r#"expected a duration such as 1s, found "5": it needs a unit, write 5s or 5ms"#
    );
    assert_eq!(
        refusal("1m30"),
        r#"expected a duration such as 1s, found "1m30": it needs a unit, write 1m30s or 1m30ms"#
    );
}

#[test]
fn refuses_unknown_units_and_shapes() {
    for text in ["5w", "5 s", "1.5s", "5S", "1y", "1µs"] {
        assert!(refusal(text).ends_with("the units are d, h, m, s and ms"), "{text}");
    }
    for text in ["", "s", "-1s", "+1s", " 1s", "never", "٣s"] {
        assert_eq!(refusal(text), format!("expected a duration such as 1s, found {text:?}"));
    }
}

#[test]
fn takes_zero_only_where_the_type_says_so() {
    assert_eq!(refusal("0s"), r#"expected a duration above zero such as 1s, found "0s""#);
    assert_eq!("0s".parse::<DurationOrZero>().unwrap(), DurationOrZero::ZERO);
    assert!("0".parse::<DurationOrZero>().is_err());
}

#[test]
fn refuses_more_than_ten_years_and_what_overflows() {
    assert_eq!(millis("3650d"), u128::from(LONGEST_MS));
    for text in ["3651d", "3650d1ms", "18446744073709551615d", "99999999999999999999ms"] {
        assert!(refusal(text).starts_with("expected a duration of at most 3650d"), "{text}");
    }
}

#[test]
fn prints_what_it_reads_in_the_largest_units() {
    for (written, printed) in
        [("90s", "1m30s"), ("1000ms", "1s"), ("24h", "1d"), ("250ms", "250ms"), ("1h1ms", "1h1ms")]
    {
        let duration: Duration = written.parse().unwrap();
        assert_eq!(duration.to_string(), printed);
        assert_eq!(printed.parse::<Duration>().unwrap(), duration);
    }
    assert_eq!(DurationOrZero::ZERO.to_string(), "0s");
}

#[test]
fn clamps_defaults_to_its_range() {
    assert_eq!(Duration::from_secs(5), "5s".parse().unwrap());
    assert_eq!(Duration::from_millis(0), "1ms".parse().unwrap());
    assert_eq!(Duration::from_secs(u64::MAX), "3650d".parse().unwrap());
    assert_eq!(DurationOrZero::from_secs(0), DurationOrZero::ZERO);
    assert_eq!(DurationOrZero::from_secs(u64::MAX), "3650d".parse().unwrap());
}

#[test]
fn serializes_as_it_is_written() {
    let duration: Duration = serde_json::from_str("\"1m30s\"").unwrap();
    assert_eq!(serde_json::to_string(&duration).unwrap(), "\"1m30s\"");
    assert!(
        serde_json::from_str::<Duration>("5")
            .unwrap_err()
            .to_string()
            .contains("expected a duration such as 1s")
    );
}

#[test]
fn the_pattern_for_editors_takes_what_the_parser_takes() {
    let pattern = regex::Regex::new(Duration::PATTERN).unwrap();
    assert!(["1s", "1m30s", "250ms", "30d"].into_iter().all(|text| pattern.is_match(text)));
    assert!(["5", "1.5s", "s", "5w"].into_iter().all(|text| !pattern.is_match(text)));
}
