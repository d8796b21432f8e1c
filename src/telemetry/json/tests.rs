use serde_json::{Value, json};

use super::*;

fn line(write: impl FnOnce(&mut JsonLine<'_>)) -> String {
    let mut out = Vec::new();
    let mut line = JsonLine::new(&mut out);
    write(&mut line);
    line.finish();
    String::from_utf8(out).expect("lines are UTF-8")
}

fn parsed(write: impl FnOnce(&mut JsonLine<'_>)) -> Value {
    serde_json::from_str(&line(write)).expect("lines are JSON")
}

#[test]
fn writes_every_kind_of_value_in_call_order() {
    let text = line(|line| {
        line.str("a", "x").u64("b", 42).bool("c", true).bool("d", false).f64_ms("e", 12_345).time("f", 0);
        line.ip("g", "192.0.2.1".parse().unwrap());
        line.list("h").display(format_args!("i:{}", 1), 100).display(format_args!("[j]"), 1);
        line.list("i");
        line.display("k", format_args!("{}-{}", 1, 2), 100);
    });
    assert_eq!(
        text,
        r#"{"a":"x","b":42,"c":true,"d":false,"e":12.345,"f":"1970-01-01T00:00:00.000Z","g":"192.0.2.1","h":["i:1","[…"],"i":[],"k":"1-2"}"#
    );
}

#[test]
fn writes_objects_within_an_object() {
    let text = line(|line| {
        let mut objects = line.objects("a");
        for text in ["x", "["] {
            let mut object = objects.object();
            object.str("b", text);
            object.finish();
        }
        objects.object().finish();
        drop(objects);
        line.objects("c");
        line.u64("d", 1);
    });
    assert_eq!(text, r#"{"a":[{"b":"x"},{"b":"["},{}],"c":[],"d":1}"#);
}

#[test]
fn writes_an_object_without_fields() {
    assert_eq!(line(|_| ()), "{}");
}

#[test]
fn separates_fields_even_behind_a_value_that_is_a_brace() {
    assert_eq!(parsed(|line| _ = line.str("a", "{").str("b", "}")), json!({"a": "{", "b": "}"}));
}

#[test]
fn writes_milliseconds_with_three_decimals() {
    for (micros, expected) in
        [(0, "0.000"), (7, "0.007"), (999, "0.999"), (1000, "1.000"), (60_000_012, "60000.012")]
    {
        assert_eq!(line(|line| _ = line.f64_ms("t", micros)), format!("{{\"t\":{expected}}}"));
    }
}

#[test]
fn gives_back_every_character_it_was_given() {
    for code in (0..=0x0011_0000).filter_map(char::from_u32).step_by(7).chain('\0'..'\u{2100}') {
        let value = format!("a{code}b");
        assert_eq!(
            parsed(|line| push_string(line.escaped_key(&value), value.as_bytes())),
            json!({ value.clone(): value })
        );
    }
}

#[test]
fn finds_a_byte_that_needs_escaping_wherever_it_stands() {
    for byte in 0..=u8::MAX {
        let plain = matches!(byte, 0x20..0x7f) && byte != b'"' && byte != b'\\';
        for place in 0..20 {
            for neighbour in [b' ', b'!', b'#', b'[', b']', b'~'] {
                let mut bytes = [neighbour; 20];
                bytes[place] = byte;
                assert_eq!(is_plain(&bytes), plain, "{byte:#x} at {place} among {neighbour:#x}");
            }
        }
    }
}

#[test]
fn leaves_no_control_character_in_a_line() {
    let hostile: String = ('\0'..='\u{9f}').collect();
    let text = line(|line| _ = line.str("a", &hostile).display("b", format_args!("{hostile}"), 1000));
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.contains(r"\u001b") && text.contains(r"\u009b") && text.contains(r"\n"));
}

#[test]
fn replaces_each_invalid_sequence_as_the_standard_library_does() {
    for bytes in [
        b"\xff".as_slice(),
        b"a\xc3",
        b"\xe2\x82",
        b"ok\xf0\x9f\x92\xffok\"\n",
        b"\xed\xa0\x80",
        "é€😀".as_bytes(),
    ] {
        let expected = String::from_utf8_lossy(bytes);
        assert_eq!(parsed(|line| _ = line.bytes_lossy("a", bytes)), json!({ "a": expected }));
    }
}

#[test]
fn cuts_printed_text_at_its_bound_and_says_so() {
    assert_eq!(parsed(|line| _ = line.display("a", format_args!("12345"), 5)), json!({"a": "12345"}));
    assert_eq!(
        parsed(|line| _ = line.display("a", format_args!("{}{}", 123, 456), 5)),
        json!({"a": "12345…"})
    );
    assert_eq!(parsed(|line| _ = line.display("a", format_args!("ab€"), 4)), json!({"a": "ab…"}));
}

#[test]
fn clips_bytes_between_characters_only() {
    let text = "aé€😀z";
    for limit in 0..=text.len() + 1 {
        let clipped = clip(text.as_bytes(), limit);
        assert!(clipped.len() <= limit);
        assert!(limit - clipped.len() < 4 || clipped.len() == text.len());
        assert!(text.starts_with(std::str::from_utf8(clipped).expect("whole characters")));
    }
}

#[test]
fn clips_bytes_that_are_no_text_exactly_at_the_limit() {
    assert_eq!(clip(&[0x80; 10], 6), &[0x80; 6]);
    assert_eq!(clip(&[b'a'; 10], 6), &[b'a'; 6]);
}

#[test]
fn appends_behind_what_the_buffer_holds() {
    let mut out = b"before ".to_vec();
    let mut line = JsonLine::new(&mut out);
    line.u64("n", 1);
    line.finish();
    assert_eq!(out, b"before {\"n\":1}");
}
