use super::*;

fn bytes(text: &str) -> u64 {
    text.parse::<Size>().unwrap().bytes()
}

fn refusal(text: &str) -> String {
    text.parse::<Size>().unwrap_err().to_string()
}

#[test]
fn reads_binary_and_decimal_units() {
    assert_eq!(bytes("512B"), 512);
    assert_eq!(bytes("64KiB"), 65_536);
    assert_eq!(bytes("10MiB"), 10_485_760);
    assert_eq!(bytes("1GiB"), 1_073_741_824);
    assert_eq!(bytes("64KB"), 64_000);
    assert_eq!(bytes("10MB"), 10_000_000);
    assert_eq!(bytes("1GB"), 1_000_000_000);
    assert_eq!(bytes("0B"), 0);
}

#[test]
fn refuses_a_number_without_a_unit() {
    assert_eq!(
        refusal("4096"),
        r#"expected a size such as 64KiB, found "4096": it needs a unit, write 4096B or 4096KiB"#
    );
}

#[test]
fn refuses_unknown_units_and_shapes() {
    for text in ["64K", "64kb", "64kib", "64 KiB", "1.5MiB", "1TiB", "64KiB1B"] {
        assert!(
            refusal(text).ends_with("the units are B, KiB, MiB, GiB and the decimal KB, MB, GB"),
            "{text}"
        );
    }
    for text in ["", "KiB", "-1B", " 1B"] {
        assert_eq!(refusal(text), format!("expected a size such as 64KiB, found {text:?}"));
    }
}

#[test]
fn refuses_more_than_a_tebibyte_and_what_overflows() {
    assert_eq!(bytes("1024GiB"), LARGEST);
    for text in ["1025GiB", "18446744073709551615GiB", "99999999999999999999B"] {
        assert_eq!(refusal(text), format!("expected a size of at most 1024GiB, found {text:?}"));
    }
}

#[test]
fn prints_in_the_largest_unit_that_fits_whole() {
    for (written, printed) in
        [("1024KiB", "1MiB"), ("64KB", "64KB"), ("1025B", "1025B"), ("0B", "0B"), ("1000B", "1KB")]
    {
        assert_eq!(written.parse::<Size>().unwrap().to_string(), printed);
        assert_eq!(bytes(printed), bytes(written));
    }
}

#[test]
fn clamps_defaults_to_its_range() {
    assert_eq!(Size::from_kib(64), "64KiB".parse().unwrap());
    assert_eq!(Size::from_mib(10), "10MiB".parse().unwrap());
    assert_eq!(Size::from_mib(u64::MAX).bytes(), LARGEST);
    assert_eq!(Size::from_kib(1).as_usize(), 1024);
}

#[test]
fn serializes_as_it_is_written() {
    let size: Size = serde_json::from_str("\"64KiB\"").unwrap();
    assert_eq!(serde_json::to_string(&size).unwrap(), "\"64KiB\"");
    assert!(
        serde_json::from_str::<Size>("65536")
            .unwrap_err()
            .to_string()
            .contains("expected a size such as 64KiB")
    );
}

#[test]
fn the_pattern_for_editors_takes_what_the_parser_takes() {
    let pattern = regex::Regex::new(Size::PATTERN).unwrap();
    assert!(["1B", "64KiB", "64KB", "1GiB", "0B"].into_iter().all(|text| pattern.is_match(text)));
    assert!(["64", "64K", "64kb", "B"].into_iter().all(|text| !pattern.is_match(text)));
}
