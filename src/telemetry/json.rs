//! One JSON object (RFC 8259) written field by field onto the end of a byte buffer, as log lines need it: no tree,
//! no allocation but the buffer's growth. Whatever bytes go in, what comes out is one line of valid UTF-8 in which
//! every control character (C0, DEL and C1) is escaped, so a value can neither end its line nor drive a terminal.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::timestamp;
use crate::values::digits;

/// An open JSON object at the end of a buffer. Keys are written in call order, and are not checked for repetition. They
/// are names from the code: printable ASCII without quotes and backslashes, and not escaped.
pub struct JsonLine<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> JsonLine<'a> {
    /// Opens an object behind what `out` holds already.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out }
    }

    /// A string.
    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        self.bytes_lossy(key, value.as_bytes())
    }

    /// A string from bytes of any kind; each maximal invalid sequence becomes U+FFFD.
    pub fn bytes_lossy(&mut self, key: &str, value: &[u8]) -> &mut Self {
        push_string(self.key(key), value);
        self
    }

    /// A string from anything that prints, cut after `limit_bytes` with an ellipsis.
    pub fn display(&mut self, key: &str, value: fmt::Arguments<'_>, limit_bytes: usize) -> &mut Self {
        push_display(self.key(key), value, limit_bytes);
        self
    }

    /// Opens an array of strings; it is closed when the value returned is dropped.
    pub fn list(&mut self, key: &str) -> JsonList<'_> {
        let out = self.key(key);
        out.push(b'[');
        JsonList { out }
    }

    /// Opens an array of objects; it is closed when the value returned is dropped.
    pub fn objects(&mut self, key: &str) -> JsonObjects<'_> {
        let out = self.key(key);
        out.push(b'[');
        JsonObjects { out }
    }

    /// A whole number. Readers that keep numbers as doubles lose digits above 2^53.
    pub fn u64(&mut self, key: &str, value: u64) -> &mut Self {
        digits::push(self.key(key), value);
        self
    }

    /// A duration given in microseconds, as milliseconds with three decimals: `12345` becomes `12.345`.
    pub fn f64_ms(&mut self, key: &str, micros: u64) -> &mut Self {
        let out = self.key(key);
        digits::push(out, micros / 1000);
        out.push(b'.');
        digits::push_padded(out, micros % 1000, 3);
        self
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// An address, as a string.
    pub fn ip(&mut self, key: &str, value: IpAddr) -> &mut Self {
        let out = self.key(key);
        out.push(b'"');
        digits::push_ip(out, value);
        out.push(b'"');
        self
    }

    /// A moment in milliseconds since the Unix epoch, as an RFC 3339 string.
    pub fn time(&mut self, key: &str, unix_ms: u64) -> &mut Self {
        let out = self.key(key);
        out.push(b'"');
        timestamp::push_rfc3339(out, unix_ms);
        out.push(b'"');
        self
    }

    /// Closes the object. No line end is written.
    pub fn finish(self) {
        self.out.push(b'}');
    }

    /// Writes a key that needs no escaping, and returns the buffer for its value. A key that ends in a colon is rendered
    /// already, quotes and all: a line of every request is made of such keys.
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.separate();
        if key.as_bytes().last() == Some(&b':') {
            self.out.extend_from_slice(key.as_bytes());
            return self.out;
        }
        debug_assert!(is_plain(key.as_bytes()), "key {key:?} needs escaping");
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a key of any kind, and returns the buffer for its value.
    pub(super) fn escaped_key(&mut self, key: &str) -> &mut Vec<u8> {
        self.separate();
        push_string(self.out, key.as_bytes());
        self.out.push(b':');
        self.out
    }

    fn separate(&mut self) {
        // No value ends in a brace, so one here means that this is the first field.
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
    }
}

/// An open JSON array of strings, closed when dropped.
pub struct JsonList<'a> {
    out: &'a mut Vec<u8>,
}

impl JsonList<'_> {
    /// A string from anything that prints, cut after `limit_bytes` with an ellipsis.
    pub fn display(&mut self, value: fmt::Arguments<'_>, limit_bytes: usize) -> &mut Self {
        // No string ends in a bracket, so one here means that this is the first.
        if self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
        push_display(self.out, value, limit_bytes);
        self
    }
}

impl Drop for JsonList<'_> {
    fn drop(&mut self) {
        self.out.push(b']');
    }
}

/// An open JSON array of objects, closed when dropped.
pub struct JsonObjects<'a> {
    out: &'a mut Vec<u8>,
}

impl JsonObjects<'_> {
    /// Opens the next object. It is to be finished before another is opened.
    #[must_use]
    pub fn object(&mut self) -> JsonLine<'_> {
        // No object ends in a bracket.
        if self.out.last() != Some(&b'[') {
            self.out.push(b',');
        }
        JsonLine::new(self.out)
    }
}

impl Drop for JsonObjects<'_> {
    fn drop(&mut self) {
        self.out.push(b']');
    }
}

/// Appends a quoted JSON string.
pub(super) fn push_string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    if is_plain(value) {
        out.extend_from_slice(value);
    } else {
        for chunk in value.utf8_chunks() {
            push_escaped(out, chunk.valid());
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Appends a quoted JSON string of what `value` prints, cut after `limit_bytes` with an ellipsis.
pub(super) fn push_display(out: &mut Vec<u8>, value: fmt::Arguments<'_>, limit_bytes: usize) {
    out.push(b'"');
    push_display_bare(out, value, limit_bytes);
    out.push(b'"');
}

/// As [`push_display`], without quotes around.
pub(super) fn push_display_bare(out: &mut Vec<u8>, value: fmt::Arguments<'_>, limit_bytes: usize) {
    let mut escaper = Escaper { out, left_bytes: limit_bytes };
    if escaper.write_fmt(value).is_err() {
        out.extend_from_slice("…".as_bytes());
    }
}

/// Appends text with quotes, backslashes and control characters escaped, without quotes around.
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        return out.extend_from_slice(text.as_bytes());
    }
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            control if control.is_control() => push_unicode_escape(out, control),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// The longest prefix of at most `limit` bytes that does not cut a UTF-8 sequence in two.
pub(super) fn clip(bytes: &[u8], limit: usize) -> &[u8] {
    let Some(&first_cut) = bytes.get(limit) else { return bytes };
    let head = bytes.get(..limit).unwrap_or(bytes);
    if !is_continuation(first_cut) {
        return head;
    }
    // A sequence has at most three continuation bytes; a longer run is not UTF-8, and may be cut anywhere.
    match head.iter().rev().take(3).position(|&byte| !is_continuation(byte)) {
        Some(back) => head.get(..limit - back - 1).unwrap_or(head),
        None => head,
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Whether the bytes can stand in a JSON string as they are, as nearly all do. Looks at eight at a time.
fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| is_plain_word(u64::from_le_bytes(*word)))
        && rest.iter().all(|&byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\')
}

/// The same of eight bytes, by the classic test for a zero byte (Mycroft 1987): a borrow reaches the top bit of a byte
/// whose own value was too small. A borrow may spread to bytes above, so of several faults only the first is
/// exact; that there is one is.
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    let any_below = |word: u64, bound: u64| word.wrapping_sub(bound * ONES) & !word & TOPS;
    let any_equal = |byte: u8| any_below(word ^ (u64::from(byte) * ONES), 1);
    (word & TOPS) | any_below(word, 0x20) | any_equal(b'"') | any_equal(b'\\') | any_equal(0x7f) == 0
}

fn push_unicode_escape(out: &mut Vec<u8>, control: char) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let code = u32::from(control);
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(HEX.get((code >> shift & 0xf) as usize));
    }
}

/// Escapes what a formatter writes as it comes, up to a bound.
struct Escaper<'a> {
    out: &'a mut Vec<u8>,
    left_bytes: usize,
}

impl fmt::Write for Escaper<'_> {
    /// An error means that the bound is reached; the part that fits is written.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fitting = clip(text.as_bytes(), self.left_bytes).len();
        self.left_bytes -= fitting;
        push_escaped(self.out, text.get(..fitting).unwrap_or_default());
        if fitting < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
