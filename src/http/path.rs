//! One normalised path, which routing, filters, cache and upstream all see.
//!
//! Two spellings of one resource must not reach two rules (RFC 3986 §6.2.2), and a spelling that servers read
//! differently must not get in at all. So percent-encoded unreserved characters are decoded, other escapes
//! are written in upper case, dot segments are removed (`%2e` included), and bytes that no URI holds but
//! browsers send raw (``[ ] ^ ` { | }``) are percent-encoded. Refused: what [`PathError`] lists. A normal
//! path is borrowed, not copied; normalising twice changes nothing.
//!
//! **The query** is passed on as it is, like other proxies do: its syntax is the application's (`?q=100%` and
//! `%00` are in real use), so only bytes that no request target may hold are refused.

mod rebuild;

use std::borrow::Cow;

use rebuild::{escape_at, rebuild};
use schemars::JsonSchema;
use serde::Deserialize;

/// What to do with `//`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateSlashes {
    /// Read them as one, as nginx does.
    #[default]
    Merge,
    /// Leave them: object stores know keys such as `a//b`.
    Keep,
    /// 400.
    Refuse,
}

/// What to do with `%2F`, which servers read as a slash or as a character of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlash {
    /// 400.
    #[default]
    Refuse,
    /// Leave it encoded. A backend that decodes it sees another path than the rules did. `..%2F` is refused
    /// still.
    DangerKeep,
}

/// How paths are normalised before anything looks at them. The defaults are the safe ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PathRules")]
pub struct Rules {
    /// What becomes of `//`: `merge` (default), `keep` or `refuse`.
    pub duplicate_slashes: DuplicateSlashes,
    /// What becomes of `%2F`: `refuse` (default) or `danger_keep`.
    pub encoded_slash: EncodedSlash,
}

/// Why a target is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It does not start with a slash: not origin-form.
    NotOriginForm,
    /// `%` without two hexadecimal digits.
    BadEscape,
    /// `%2F`, or `%2F` beside a dot segment where encoded slashes are kept.
    EncodedSlash,
    /// `\` or `%5C`: a slash to some servers.
    Backslash,
    /// A control character, NUL included, raw or encoded.
    Control,
    /// A raw space, `"`, `<` or `>`.
    BadByte,
    /// A raw byte above 127.
    NonAscii,
    /// An escape that starts an overlong UTF-8 form (`%C0%AF` is a slash to lax decoders).
    Overlong,
    /// `#`: fragments are never sent.
    Fragment,
    /// `..` at the root.
    AboveRoot,
    /// `..;x` or `.;x`: a dot segment to servers that strip path parameters first (Tomcat, Spring).
    DotParameters,
    /// `//` where the rules refuse it.
    DuplicateSlash,
}

impl PathError {
    /// The stable reason for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotOriginForm => "path_not_origin_form",
            Self::BadEscape => "path_bad_escape",
            Self::EncodedSlash => "path_encoded_slash",
            Self::Backslash => "path_backslash",
            Self::Control => "path_control",
            Self::BadByte => "path_bad_byte",
            Self::NonAscii => "path_non_ascii",
            Self::Overlong => "path_overlong_utf8",
            Self::Fragment => "path_fragment",
            Self::AboveRoot => "path_above_root",
            Self::DotParameters => "path_dot_parameters",
            Self::DuplicateSlash => "path_duplicate_slash",
        }
    }
}

impl std::fmt::Display for PathError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.reason())
    }
}

impl std::error::Error for PathError {}

/// A path that is safe to compare, and the query that came with it. Both are ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a> {
    path: Cow<'a, str>,
    query: Option<&'a str>,
}

impl<'a> NormalPath<'a> {
    /// The path: starts with `/`, holds no dot segment and no `?`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What came after the first `?`; empty if nothing did, `None` without a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// Whether the path had to be rewritten, so that the upstream request must be too.
    #[must_use]
    pub fn is_rewritten(&self) -> bool {
        matches!(self.path, Cow::Owned(_))
    }

    /// The path, owned or borrowed.
    #[must_use]
    pub fn into_path(self) -> Cow<'a, str> {
        self.path
    }

    /// Path and query as one request target.
    #[must_use]
    pub fn to_target(&self) -> String {
        let mut target =
            String::with_capacity(self.path.len() + self.query.map_or(0, |query| query.len() + 1));
        target.push_str(&self.path);
        if let Some(query) = self.query {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

/// Normalises an origin-form target: a path and, after `?`, a query. The caller takes absolute-form apart
/// first.
///
/// # Errors
/// Everything that two servers might read in two ways; see [`PathError`].
pub fn normalise<'a>(target: &'a [u8], rules: &Rules) -> Result<NormalPath<'a>, PathError> {
    let target = std::str::from_utf8(target).map_err(|_| PathError::NonAscii)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    query.map_or(Ok(()), |query| check_query(query.as_bytes()))?;
    let path =
        if is_normal(path.as_bytes(), *rules) { Cow::Borrowed(path) } else { rebuild(path, *rules)?.into() };
    Ok(NormalPath { path, query })
}

/// The fast path: one scan that knows what is certainly normal. Anything else, good or bad, is [`rebuild`]'s.
fn is_normal(path: &[u8], rules: Rules) -> bool {
    let Some((b'/', mut rest)) = path.split_first() else { return false };
    loop {
        let Some(length) = normal_segment(rest) else { return false };
        match rest.get(length..) {
            Some([_, ..]) if length == 0 && rules.duplicate_slashes != DuplicateSlashes::Keep => {
                return false;
            }
            Some([_, after @ ..]) => rest = after,
            _ => return true,
        }
    }
}

/// The length of the normal segment at the front, up to a slash or the end.
fn normal_segment(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        length += text.get(length..)?.iter().take_while(|byte| is_path_byte(**byte)).count();
        match text.get(length) {
            Some(b'%') if is_normal_escape(text.get(length..)?) => length += 3,
            None | Some(b'/') => break,
            _ => return None,
        }
    }
    let dots =
        matches!(text.get(..length)?, [b'.'] | [b'.', b'.'] | [b'.', b';', ..] | [b'.', b'.', b';', ..]);
    (!dots).then_some(length)
}

/// An upper-case escape of a byte that stays encoded and has one meaning.
fn is_normal_escape(text: &[u8]) -> bool {
    let upper = text.iter().skip(1).take(2).all(|digit| !digit.is_ascii_lowercase());
    upper && escape_at(text).is_ok_and(|byte| !is_unreserved(byte) && !matches!(byte, b'/' | b';'))
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 §3.3 without the escape.
#[allow(clippy::indexing_slicing, reason = "the table has an entry for every byte")]
fn is_path_byte(byte: u8) -> bool {
    const TABLE: [bool; 256] = path_table();
    TABLE[usize::from(byte)]
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn path_table() -> [bool; 256] {
    let marks = b"-._~!$&'()*+,;=:@";
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
}

/// No early exit inside the scan, so that it runs over many bytes at a time.
fn check_query(query: &[u8]) -> Result<(), PathError> {
    let bad = |byte: u8| byte <= b' ' || byte >= 0x7f || matches!(byte, b'"' | b'#' | b'<' | b'>');
    if !query.iter().fold(false, |found, byte| found | bad(*byte)) {
        return Ok(());
    }
    query.iter().copied().find(|byte| bad(*byte)).map_or(Ok(()), |byte| Err(raw_fault(byte)))
}

/// What is wrong with a raw byte that no target may hold.
fn raw_fault(byte: u8) -> PathError {
    match byte {
        0..b' ' | 0x7f => PathError::Control,
        b'#' => PathError::Fragment,
        b'\\' => PathError::Backslash,
        0x80.. => PathError::NonAscii,
        _ => PathError::BadByte,
    }
}

#[cfg(test)]
mod tests;
