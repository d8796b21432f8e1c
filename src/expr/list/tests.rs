use std::net::IpAddr;

use super::*;
use crate::expr::Scalar;

fn parsed(kind: ListKind, content: &str) -> Result<Entries, Vec<FileError>> {
    parsed_bytes(kind, content.as_bytes())
}

fn parsed_bytes(kind: ListKind, content: &[u8]) -> Result<Entries, Vec<FileError>> {
    let mut entries = EntriesBuilder::new(kind);
    entries.push_file(content)?;
    Ok(entries.finish())
}

fn has(list: &Entries, value: impl Into<Scalar<'static>>) -> bool {
    list.contains(&value.into()) == Some(true)
}

#[test]
fn a_file_has_one_entry_a_line_and_comments() {
    let content = "# people\nalice\n\n  bob smith \t\r\ncarol # since May\n#dave\n\t# eve\nf#g\n";
    let list = parsed(ListKind::String, content).unwrap();
    assert_eq!(list.len(), 4);
    for name in ["alice", "bob smith", "carol", "f#g"] {
        assert!(has(&list, name), "{name}");
    }
    for name in ["Alice", "bob", "dave", "#dave", "", "f", "carol # since May"] {
        assert!(!has(&list, name), "{name}");
    }
}

#[test]
fn strings_need_not_be_utf8() {
    let list = parsed_bytes(ListKind::String, b"caf\xe9\n").unwrap();
    assert_eq!(list.contains(&Scalar::from(b"caf\xe9".as_slice())), Some(true));
    assert!(parsed_bytes(ListKind::Ip, b"caf\xe9\n").is_err());
}

#[test]
fn networks_and_ranges_are_entries() {
    let addresses = parsed(ListKind::Ip, "10.0.0.0/8\n2001:db8::1\n192.0.2.1..192.0.2.9").unwrap();
    let has_address = |address: &str| has(&addresses, address.parse::<IpAddr>().unwrap());
    assert!(["10.9.9.9", "2001:db8::1", "192.0.2.9", "::ffff:10.0.0.1"].into_iter().all(has_address));
    assert!(!["11.0.0.0", "2001:db8::2", "192.0.2.10"].into_iter().any(has_address));
    let numbers = parsed(ListKind::Int, "8000..8080\n-5\n443").unwrap();
    assert!(has(&numbers, 8080) && has(&numbers, -5) && has(&numbers, 443));
    assert!(!has(&numbers, 8081) && !has(&numbers, 5));
}

#[test]
fn wrong_lines_are_told_with_their_numbers() {
    let told = |kind, content: &str| -> Vec<String> {
        parsed(kind, content).unwrap_err().iter().map(ToString::to_string).collect()
    };
    let expected = "expected an address, a network such as 10.0.0.0/8 or a range such as 10.0.0.1..10.0.0.9";
    assert_eq!(
        told(ListKind::Ip, "10.0.0.1\n10.0.0.256\n# fine\n10.0.0.0/33\n10.0.0.2..10.0.0.1\nexample.com"),
        [
            format!("line 2: {expected}, found \"10.0.0.256\""),
            format!("line 4: {expected}, found \"10.0.0.0/33\""),
            format!("line 5: {expected}, found \"10.0.0.2..10.0.0.1\""),
            format!("line 6: {expected}, found \"example.com\""),
        ]
    );
    assert_eq!(
        told(ListKind::Int, "1.5\n5..1"),
        [
            "line 1: expected a whole number or a range such as 8000..8080, found \"1.5\"",
            "line 2: expected a whole number or a range such as 8000..8080, found \"5..1\"",
        ]
    );
    assert_eq!(told(ListKind::Int, &"x\n".repeat(1000)).len(), 20);
}

#[test]
fn lists_are_bounded() {
    let long = "a".repeat(MAX_ENTRY);
    assert!(parsed(ListKind::String, &long).is_ok());
    assert_eq!(
        parsed(ListKind::String, &format!("b\n{long}a")).unwrap_err(),
        [FileError::Line { line: 2, error: EntryError::TooLong }]
    );
    let full = "1\n".repeat(MAX_ENTRIES);
    assert!(parsed(ListKind::Int, &full).is_ok());
    let too_many = FileError::Line { line: MAX_ENTRIES + 1, error: EntryError::TooMany };
    assert_eq!(parsed(ListKind::Int, &format!("{full}1\n1\n")).unwrap_err(), [too_many]);
    let file = vec![b'\n'; MAX_FILE + 1];
    assert_eq!(parsed_bytes(ListKind::Int, &file).unwrap_err(), [FileError::TooLong]);
}
