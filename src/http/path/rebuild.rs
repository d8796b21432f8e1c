//! The slow path: takes a path apart, refuses what it must, and writes the normal form.

use super::{DuplicateSlashes, EncodedSlash, PathError, Rules, is_path_byte, is_unreserved, raw_fault};

/// Writes the normal form of a path that does not look normal.
pub(super) fn rebuild(path: &str, rules: Rules) -> Result<String, PathError> {
    let mut segments = path.strip_prefix('/').ok_or(PathError::NotOriginForm)?.split('/').peekable();
    let mut out = String::with_capacity(path.len() + 16);
    while let Some(segment) = segments.next() {
        let mark = out.len();
        let last = segments.peek().is_none();
        out.push('/');
        push_segment(&mut out, segment.as_bytes(), rules)?;
        let written = out.get(mark + 1..).unwrap_or_default();
        check_hidden_dots(written)?;
        match written {
            "" if !last => match rules.duplicate_slashes {
                DuplicateSlashes::Merge => out.truncate(mark),
                DuplicateSlashes::Keep => {}
                DuplicateSlashes::Refuse => return Err(PathError::DuplicateSlash),
            },
            "." | ".." => {
                let up = written == "..";
                out.truncate(mark);
                if up {
                    out.truncate(out.rfind('/').ok_or(PathError::AboveRoot)?);
                }
                if last {
                    out.push('/');
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

fn push_segment(out: &mut String, segment: &[u8], rules: Rules) -> Result<(), PathError> {
    let mut rest = segment;
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'%' {
            push_raw(out, *byte)?;
            rest = after;
            continue;
        }
        match escape_at(rest)? {
            b'/' if rules.encoded_slash == EncodedSlash::Refuse => return Err(PathError::EncodedSlash),
            byte if is_unreserved(byte) => out.push(char::from(byte)),
            byte => push_escape(out, byte),
        }
        rest = rest.get(3..).unwrap_or_default();
    }
    Ok(())
}

fn push_raw(out: &mut String, byte: u8) -> Result<(), PathError> {
    match byte {
        byte if is_path_byte(byte) => out.push(char::from(byte)),
        b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => push_escape(out, byte),
        byte => return Err(raw_fault(byte)),
    }
    Ok(())
}

fn push_escape(out: &mut String, byte: u8) {
    out.push_str(percent_encoding::percent_encode_byte(byte));
}

/// The byte behind the escape that the text starts with, if it is one that may stand in a path.
pub(super) fn escape_at(text: &[u8]) -> Result<u8, PathError> {
    let byte = decode(text).ok_or(PathError::BadEscape)?;
    match byte {
        0..b' ' | 0x7f => Err(PathError::Control),
        b'\\' => Err(PathError::Backslash),
        0xc0 | 0xc1 => Err(PathError::Overlong),
        // Three bytes and more are overlong when the second says that fewer would do. Five and six never were anything else.
        0xe0 | 0xf0 | 0xf8 | 0xfc => match (byte, text.get(3..).and_then(decode)) {
            (0xe0, Some(0x80..0xa0))
            | (0xf0, Some(0x80..0x90))
            | (0xf8, Some(0x80..0x88))
            | (0xfc, Some(0x80..0x84)) => Err(PathError::Overlong),
            _ => Ok(byte),
        },
        byte => Ok(byte),
    }
}

fn decode(text: &[u8]) -> Option<u8> {
    let (&[percent, high, low], _) = text.split_first_chunk()?;
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    (percent == b'%').then_some(())?;
    Some(digit(high)? << 4 | digit(low)?)
}

/// Dots that become a dot segment once a server strips `;parameters` or decodes `%2F`.
fn check_hidden_dots(segment: &str) -> Result<(), PathError> {
    if before_parameters(segment).is_some_and(is_dots) {
        return Err(PathError::DotParameters);
    }
    let hides_dots = |piece: &str| is_dots(before_parameters(piece).unwrap_or(piece));
    if segment.contains("%2F") && segment.split("%2F").any(hides_dots) {
        return Err(PathError::EncodedSlash);
    }
    Ok(())
}

/// What stands before the first semicolon, encoded or not, if there is one.
fn before_parameters(piece: &str) -> Option<&str> {
    let semicolons = [piece.find(';'), piece.find("%3B")];
    piece.get(..semicolons.into_iter().flatten().min()?)
}

fn is_dots(text: &str) -> bool {
    matches!(text, "." | "..")
}
