//! `Content-Type` (RFC 9110 section 8.3) as a firewall must read it: what it says, and whether backends may read
//! another thing.
//!
//! The reading is the strict one. Whatever a lax parser would take for something else (a second media type after a
//! comma, a parameter without `=`, a `charset` given twice, RFC 2231 continuations) is told as a [`Defect`], so that
//! policy can refuse it; nothing is guessed.

use crate::http::fields::{is_token, trim_ows};

/// What a `Content-Type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// E.g. `application/json`, in the case it was sent. Compare by [`ContentType::is`].
    pub media_type: &'a [u8],
    /// Whether there is a `charset`.
    has_charset: bool,
    /// The first `boundary`.
    pub boundary: Option<Parameter<'a>>,
    /// Whether parameters follow the media type with no semicolon between.
    pub missing_semicolon: bool,
    /// The first thing that is wrong with it.
    pub defect: Option<Defect>,
}

/// The value of a parameter and how it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Without quotes. Escapes in quotes are a [`Defect`] and stay as they are.
    pub value: &'a [u8],
    /// Whether it was in double quotes.
    pub quoted: bool,
    /// Whether there was white space around the `=`.
    pub spaced: bool,
}

/// Why backends may read another `Content-Type` than we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Not `type/subtype` of two tokens.
    MediaType,
    /// A comma: several media types in one.
    SeveralTypes,
    /// Something else than `; name=value`, with a token or a plain quoted string as the value.
    Parameter,
    /// A second `charset` or `boundary`.
    Repeated,
    /// `charset*=`, `boundary*0=` and the like: RFC 2231 is not for HTTP, but some parsers know it.
    Extended,
}

/// Which parser a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Processor {
    /// [`super::urlencoded`].
    UrlEncoded,
    /// [`super::multipart`].
    Multipart,
    /// [`super::json`].
    Json,
    /// [`super::xml`].
    Xml,
    /// [`super::graphql`], for the bare query; GraphQL in JSON is JSON.
    GraphQl,
}

impl Processor {
    /// As `REQBODY_PROCESSOR` shows it; `GRAPHQL` is our own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UrlEncoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
            Self::GraphQl => "GRAPHQL",
        }
    }
}

impl<'a> ContentType<'a> {
    /// Reads the value of one header line. Never fails: what is wrong is in [`ContentType::defect`].
    pub fn parse(value: &'a [u8]) -> Self {
        let value = trim_ows(value);
        let end =
            value.iter().position(|byte| matches!(byte, b';' | b',' | b' ' | b'\t')).unwrap_or(value.len());
        let (media_type, rest) = value.split_at_checked(end).unwrap_or_default();
        let mut parts = media_type.splitn(2, |byte| *byte == b'/');
        let well_formed = parts.next().is_some_and(is_token) && parts.next().is_some_and(is_token);
        let mut found = Self {
            media_type,
            has_charset: false,
            boundary: None,
            missing_semicolon: false,
            defect: if well_formed { None } else { Some(Defect::MediaType) },
        };
        let rest = trim_ows(rest);
        match rest.split_first() {
            None => {}
            Some((b';', rest)) => found.parameters(rest),
            Some((b',', _)) => found.note(Defect::SeveralTypes),
            Some(_) => {
                found.missing_semicolon = true;
                found.parameters(rest);
            }
        }
        found
    }

    /// Whether this is the media type, in any case.
    pub fn is(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// The parser for bodies of this type, if it is one that we know.
    ///
    /// ModSecurity by itself chooses `UrlEncoded` and `Multipart`; its recommended rules choose JSON and XML.
    pub fn processor(&self) -> Option<Processor> {
        let is_any = |types: &[&str]| types.iter().any(|media_type| self.is(media_type));
        let suffix = |suffix: &[u8]| {
            let start = self.media_type.len().saturating_sub(suffix.len());
            self.media_type.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        if self.is("application/x-www-form-urlencoded") {
            Some(Processor::UrlEncoded)
        } else if self.is("multipart/form-data") {
            Some(Processor::Multipart)
        } else if is_any(&["application/json", "text/json"]) || suffix(b"+json") {
            Some(Processor::Json)
        } else if is_any(&["application/xml", "text/xml"]) || suffix(b"+xml") {
            Some(Processor::Xml)
        } else if self.is("application/graphql") {
            Some(Processor::GraphQl)
        } else {
            None
        }
    }

    fn note(&mut self, defect: Defect) {
        self.defect = self.defect.or(Some(defect));
    }

    fn parameters(&mut self, mut rest: &'a [u8]) {
        loop {
            rest = trim_ows(rest);
            if rest.is_empty() {
                return;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'=' | b';' | b',')).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).unwrap_or_default();
            let Some((b'=', after)) = after.split_first() else {
                return self.note(if after.first() == Some(&b',') {
                    Defect::SeveralTypes
                } else {
                    Defect::Parameter
                });
            };
            let Some((parameter, after)) = value(name, after) else { return self.note(Defect::Parameter) };
            self.parameter(trim_ows(name), parameter);
            rest = match trim_ows(after).split_first() {
                None => return,
                Some((b';', after)) => after,
                Some((b',', _)) => return self.note(Defect::SeveralTypes),
                Some(_) => return self.note(Defect::Parameter),
            };
        }
    }

    fn parameter(&mut self, name: &[u8], parameter: Parameter<'a>) {
        let base = name.split(|byte| *byte == b'*').next().unwrap_or_default();
        let (charset, boundary) =
            (base.eq_ignore_ascii_case(b"charset"), base.eq_ignore_ascii_case(b"boundary"));
        if !is_token(name) {
            self.note(Defect::Parameter);
        } else if (charset || boundary) && base.len() != name.len() {
            self.note(Defect::Extended);
        } else if charset && !self.has_charset {
            self.has_charset = true;
        } else if boundary && self.boundary.is_none() {
            self.boundary = Some(parameter);
        } else if charset || boundary {
            self.note(Defect::Repeated);
        }
    }
}

/// The value after `name=`, and what follows it. `None` if it is not a token, nor a quoted string without escapes.
///
/// A `boundary` may hold more than a token may (RFC 2046 section 5.1.1), and clients send it without quotes: it ends
/// at `;`.
fn value<'a>(name: &[u8], after: &'a [u8]) -> Option<(Parameter<'a>, &'a [u8])> {
    let start = trim_ows(after);
    let spaced = matches!(after, [b' ' | b'\t', ..]) || matches!(name, [.., b' ' | b'\t']);
    if let Some(rest) = start.strip_prefix(b"\"") {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (value, rest) = rest.split_at_checked(end)?;
        return Some((Parameter { value, quoted: true, spaced }, rest.strip_prefix(b"\"")?));
    }
    let end = start.iter().position(|byte| matches!(byte, b';' | b',')).unwrap_or(start.len());
    let (value, rest) = start.split_at_checked(end)?;
    let value = trim_ows(value);
    let boundary = trim_ows(name).eq_ignore_ascii_case(b"boundary");
    let allowed = is_token(value) || (boundary && !value.is_empty() && !value.contains(&b'"'));
    allowed.then_some((Parameter { value, quoted: false, spaced }, rest))
}

/// A mark at the start of a body that says how its characters are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrderMark {
    /// `EF BB BF`.
    Utf8,
    /// `FE FF` or `FF FE`.
    Utf16,
    /// `00 00 FE FF` or `FF FE 00 00`.
    Utf32,
}

/// The byte order mark that `body` starts with. Whoever inspects bytes as ASCII sees nothing in UTF-16 and UTF-32.
pub const fn byte_order_mark(body: &[u8]) -> Option<ByteOrderMark> {
    match body {
        [0xef, 0xbb, 0xbf, ..] => Some(ByteOrderMark::Utf8),
        [0, 0, 0xfe, 0xff, ..] | [0xff, 0xfe, 0, 0, ..] => Some(ByteOrderMark::Utf32),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => Some(ByteOrderMark::Utf16),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
