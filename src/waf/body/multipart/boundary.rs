//! Finding where parts begin: the boundary that the `Content-Type` names, and the lines of the body that are made of
//! it.

use memchr::memmem::{Finder, find_iter};

use super::super::Fault;
use super::super::content_type::ContentType;
use super::super::output::malformed;
use super::{Flag, Flags};

/// RFC 2046 section 5.1.1.
pub(super) const LONGEST_BYTES: usize = 70;

/// The boundary of a `multipart/form-data` content type. Faults in the header have no place in the body: they are at
/// byte 0.
pub(super) fn boundary<'a>(content_type: &'a [u8], flags: &mut Flags) -> Result<&'a [u8], Fault> {
    let read = ContentType::parse(content_type);
    if !read.is("multipart/form-data") {
        return Err(malformed("multipart: invalid media type", 0));
    }
    if read.defect.is_some() {
        return Err(malformed("multipart: malformed content-type", 0));
    }
    let Some(boundary) = read.boundary else {
        return Err(malformed("multipart: no boundary in content-type", 0));
    };
    for (flag, odd) in [
        (Flag::MissingSemicolon, read.missing_semicolon),
        (Flag::BoundaryQuoted, boundary.quoted),
        (Flag::BoundaryWhitespace, boundary.spaced),
    ] {
        if odd {
            flags.set(flag);
        }
    }
    let name = b"boundary";
    let names_itself = boundary.value.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name));
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(byte);
    let valid = matches!(boundary.value, [_, .., last] | [last] if *last != b' ')
        && boundary.value.len() <= LONGEST_BYTES
        && boundary.value.iter().all(allowed);
    if names_itself && boundary.value.contains(&b'=') || !valid {
        return Err(malformed("multipart: invalid boundary", 0));
    }
    Ok(boundary.value)
}

/// A line that is a boundary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delimiter {
    /// Where the line starts.
    pub(super) start: usize,
    /// Where the next line starts.
    pub(super) end: usize,
    /// Whether it is the last one: `--` after it.
    pub(super) last: bool,
}

/// Goes through a body from boundary to boundary.
pub(super) struct Delimiters<'b> {
    body: &'b [u8],
    /// Two dashes and the boundary.
    dashed: Finder<'b>,
    at: usize,
}

impl<'b> Delimiters<'b> {
    pub(super) fn new(body: &'b [u8], dashed: &'b [u8]) -> Self {
        Self { body, dashed: Finder::new(dashed), at: 0 }
    }

    /// The next boundary, if there is one. What else is on its line is a fault.
    pub(super) fn next(&mut self, flags: &mut Flags) -> Result<Option<Delimiter>, Fault> {
        while let Some(found) = self.dashed.find(self.body.get(self.at..).unwrap_or_default()) {
            let start = self.at + found;
            self.at = start + self.dashed.needle().len();
            if is_line_start(self.body, start) {
                return self.line(start, flags).map(Some);
            }
        }
        Ok(None)
    }

    fn line(&mut self, start: usize, flags: &mut Flags) -> Result<Delimiter, Fault> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let (last, rest) = rest.strip_prefix(b"--").map_or((false, rest), |rest| (true, rest));
        let rest = match rest {
            [b'\r', b'\n', rest @ ..] => {
                flags.set(Flag::CrlfLine);
                rest
            }
            [b'\n', rest @ ..] => {
                flags.set(Flag::LfLine);
                rest
            }
            [] if last => rest,
            _ => return Err(malformed("multipart: invalid boundary line", start)),
        };
        self.at = self.body.len() - rest.len();
        Ok(Delimiter { start, end: self.at, last })
    }
}

fn is_line_start(body: &[u8], at: usize) -> bool {
    at == 0 || body.get(at - 1) == Some(&b'\n')
}

/// `MULTIPART_UNMATCHED_BOUNDARY`: 0 if nothing but boundaries looks like one, 2 if something does but a boundary
/// follows, 1 if none does. Looks like one: a line that starts with two dashes.
///
/// `last` is where the last boundary starts. A line that is the boundary but for quotes or white space is a fault, and so
/// is the boundary within a line: Django and formidable begin a part wherever it is, Werkzeug after a lone CR, and no
/// client puts it there, for it is chosen so that no content has it.
pub(super) fn unmatched(body: &[u8], dashed: &[u8], last: Option<usize>) -> Result<u8, Fault> {
    let boundary = dashed.get(2..).unwrap_or_default();
    let mut found = None;
    let first = body.starts_with(b"--").then_some(0);
    for start in first.into_iter().chain(find_iter(body, b"\n--").map(|newline| newline + 1)) {
        let line = body.get(start + 2..).unwrap_or_default();
        if line.starts_with(boundary) {
            continue;
        }
        if line.strip_prefix(b"\"").is_some_and(|line| line.starts_with(boundary)) {
            return Err(malformed("multipart: boundary line in quotes", start));
        }
        let blank = line.iter().position(|byte| !matches!(byte, b' ' | b'\t' | 0xb | 0xc | b'\r'));
        if line.get(blank.unwrap_or_default()..).is_some_and(|line| line.starts_with(boundary)) {
            return Err(malformed("multipart: white space in a boundary line", start));
        }
        found = Some(start);
    }
    if let Some(start) = find_iter(body, dashed).find(|start| !is_line_start(body, *start)) {
        return Err(malformed("multipart: the boundary within a line", start));
    }
    Ok(match found {
        None => 0,
        found if found < last => 2,
        _ => 1,
    })
}
