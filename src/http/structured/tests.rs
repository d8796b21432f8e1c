use sfv::{Dictionary, FieldType, Item, List};

use super::{Limits, Unreadable, read};

const MAX: Limits = Limits { bytes: 256, parts: 16 };

/// What the lines say, written the one way there is to write it.
fn rewritten<T: FieldType>(lines: &[&str]) -> Result<Option<String>, Unreadable> {
    let value = read::<T>(lines.iter().map(|line| line.as_bytes()), MAX)?;
    Ok(value.and_then(|value| value.serialize().into()))
}

fn dictionary(lines: &[&str]) -> Result<String, Unreadable> {
    rewritten::<Dictionary>(lines).map(Option::unwrap_or_default)
}

fn list(lines: &[&str]) -> Result<String, Unreadable> {
    rewritten::<List>(lines).map(Option::unwrap_or_default)
}

fn item(line: &str) -> Result<String, Unreadable> {
    rewritten::<Item>(&[line]).map(Option::unwrap_or_default)
}

#[test]
fn reads_every_kind_of_value() {
    for exact in [
        "1",
        "-999999999999999",
        "999999999999999",
        "1.5",
        "-123456789012.125",
        "\"a \\\"b\\\\\"",
        "tok/en:*",
        ":AQID:",
        "?1",
        "?0",
        "@1659578233",
        "%\"f%c3%bc\"",
        "a;b;c=1;d=\"x\"",
    ] {
        assert_eq!(item(exact).as_deref(), Ok(exact));
    }
    assert_eq!(list(&["a,  (b \"c\");d=1 ,e"]).as_deref(), Ok("a, (b \"c\");d=1, e"));
    assert_eq!(dictionary(&["a=1,b , c=();d"]).as_deref(), Ok("a=1, b, c=();d"));
}

#[test]
fn refuses_what_is_almost_a_value() {
    for wrong in [
        "",
        "1000000000000000",
        "1.",
        "1.1234",
        "1234567890123.1",
        "--1",
        "\"open",
        "\"\u{e9}\"",
        "\"\\x\"",
        ":a b:",
        ":AQID",
        "?2",
        "@1.5",
        "%\"%C3\"",
        "%\"%c3\"",
        "a;B=1",
        "a b",
        "é",
        "a;=1",
        "(a)",
        "a, b",
        "\ta",
    ] {
        assert_eq!(item(wrong), Err(Unreadable::Malformed), "{wrong}");
    }
    for wrong in ["a,", ",a", "a,,b", "a=1", "(a", "((a))", "(a,b)", "a\u{b}"] {
        assert_eq!(list(&[wrong]), Err(Unreadable::Malformed), "{wrong}");
    }
    for wrong in ["A=1", "1=1", "a=", "a = 1", "a=1 b=2", "a=1;"] {
        assert_eq!(dictionary(&[wrong]), Err(Unreadable::Malformed), "{wrong}");
    }
}

#[test]
fn the_last_of_several_members_of_one_name_counts_and_stays_where_the_first_was() {
    assert_eq!(dictionary(&["a=1, b=2, a=(3);x"]).as_deref(), Ok("a=(3);x, b=2"));
    assert_eq!(item("a;x=1;y;x=2").as_deref(), Ok("a;x=2;y"));
}

#[test]
fn reads_several_lines_as_one_value() {
    assert_eq!(dictionary(&["a=1", "b, a=2"]).as_deref(), Ok("a=2, b"));
    assert_eq!(list(&["a", "b, c"]).as_deref(), Ok("a, b, c"));
    assert_eq!(list(&["a", "", "c"]), Err(Unreadable::Malformed));
    assert_eq!(list(&["\"a", "b\""]).as_deref(), Ok("\"a, b\""));
    assert_eq!(rewritten::<Item>(&["a", "b"]), Err(Unreadable::Malformed));
}

#[test]
fn tells_a_field_that_is_missing_from_one_that_is_empty() {
    assert_eq!(read::<List>([], MAX), Ok(None));
    assert_eq!(read::<List>([&b""[..]], MAX), Ok(Some(List::new())));
    assert_eq!(read::<Dictionary>([&b"  "[..]], MAX), Ok(Some(Dictionary::new())));
}

#[test]
fn parses_no_more_than_the_caller_allows() {
    let line = "a".repeat(127);
    assert_eq!(list(&[&line, &line]).map(|value| value.len()), Ok(MAX.bytes));
    let longer = format!("{line}a");
    assert_eq!(list(&[&line, &longer]), Err(Unreadable::TooLong));
    assert_eq!(list(&[&"a".repeat(MAX.bytes + 1)]), Err(Unreadable::TooLong));
    for (separator, most) in [(", ", 8), (",", 16), (" , ", 6)] {
        assert!(list(&[&vec!["a"; most].join(separator)]).is_ok(), "{separator:?}");
        assert_eq!(list(&[&vec!["a"; most + 1].join(separator)]), Err(Unreadable::TooLong), "{separator:?}");
    }
    assert!(item(&format!("a{}", ";b".repeat(15))).is_ok());
    assert_eq!(item(&format!("a{}", ";b".repeat(16))), Err(Unreadable::TooLong));
    assert_eq!(list(&[&format!("({})", vec!["a"; 17].join(" "))]), Err(Unreadable::TooLong));
}
