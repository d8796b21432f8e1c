//! UTF-16 and UTF-32: rules see nothing in them, and some backends read on (Python's JSON, all that read XML).

/// The text of a body that begins as a document in one of them does: with a byte order mark, or with a character of ASCII
/// and its NULs (RFC 4627 section 3). What is no character is replaced.
pub fn decoded(body: &[u8]) -> Option<String> {
    let begins = |byte: u8| byte.is_ascii_whitespace() || b"{[\"</".contains(&byte);
    match *body {
        [0, 0, 0xfe, 0xff, ..] => Some(of_quads(body, u32::from_be_bytes)),
        [0xff, 0xfe, 0, 0, ..] => Some(of_quads(body, u32::from_le_bytes)),
        [0, 0, 0, first, ..] if begins(first) => Some(of_quads(body, u32::from_be_bytes)),
        [first, 0, 0, 0, ..] if begins(first) => Some(of_quads(body, u32::from_le_bytes)),
        [0xfe, 0xff, ..] => Some(of_pairs(body, u16::from_be_bytes)),
        [0xff, 0xfe, ..] => Some(of_pairs(body, u16::from_le_bytes)),
        [0, first, ..] if begins(first) => Some(of_pairs(body, u16::from_be_bytes)),
        [first, 0, ..] if begins(first) => Some(of_pairs(body, u16::from_le_bytes)),
        _ => None,
    }
}

fn of_pairs(body: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let units = body.as_chunks().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn of_quads(body: &[u8], code: impl Fn([u8; 4]) -> u32) -> String {
    let codes = body.as_chunks().0.iter().map(|quad| code(*quad));
    codes.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn documents_are_known_by_their_mark_or_their_first_character() {
        let text = "{\"a\": \"é😀\"}";
        let wide: Vec<u16> = text.encode_utf16().collect();
        let marked: Vec<u16> = std::iter::once(0xfeff).chain(wide.clone()).collect();
        let codes: Vec<u32> = text.chars().map(u32::from).collect();
        let with_mark: Vec<u32> = std::iter::once(0xfeff).chain(codes.clone()).collect();
        for (body, expected) in [
            (wide.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<u8>>(), text.to_owned()),
            (wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(), text.to_owned()),
            (codes.iter().flat_map(|code| code.to_be_bytes()).collect(), text.to_owned()),
            (codes.iter().flat_map(|code| code.to_le_bytes()).collect(), text.to_owned()),
            (marked.iter().flat_map(|unit| unit.to_be_bytes()).collect(), format!("\u{feff}{text}")),
            (marked.iter().flat_map(|unit| unit.to_le_bytes()).collect(), format!("\u{feff}{text}")),
            (with_mark.iter().flat_map(|code| code.to_be_bytes()).collect(), format!("\u{feff}{text}")),
            (with_mark.iter().flat_map(|code| code.to_le_bytes()).collect(), format!("\u{feff}{text}")),
            (b"<\0\0\xd8a\0b".to_vec(), "<\u{fffd}a".to_owned()),
        ] {
            assert_eq!(decoded(&body), Some(expected), "{body:?}");
        }
    }

    #[test]
    fn anything_else_is_left_as_it_is() {
        for body in [&b""[..], b"{", b"{\"", b"a\0b\0", b"\0a\0b", b"\xef\xbb\xbf{}", b"\0\0\0a"] {
            assert_eq!(decoded(body), None, "{body:?}");
        }
    }
}
