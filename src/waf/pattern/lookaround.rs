//! Lookaround at the edge of a pattern, where it can be matched in linear time.
//!
//! Whether `a(?!bc)` has a match is the same question as whether `a(?:\z|[^b]|b\z|b[^c])` has one, and so it is with `(?=…)`
//! at the end of a pattern or of one of its branches, and with `(?<!…)` and `(?<=…)` at the start. What is looked at becomes
//! part of the match then: `TX.0` has up to that many bytes more. What is looked for and must not be there are a few
//! strings.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use regex_syntax::hir::literal::Extractor;

/// Strings that must not be there.
const STRINGS: usize = 200;

/// A group that looks around.
pub(super) struct Lookaround<'a> {
    /// Whether it looks at what is before.
    pub(super) behind: bool,
    /// Whether what it looks for must not be there.
    pub(super) negative: bool,
    /// What it looks for.
    pub(super) inside: &'a [u8],
    /// What follows the group.
    pub(super) after: &'a [u8],
}

impl<'a> Lookaround<'a> {
    /// Of a pattern from past `(?` on. Nothing, if the group is not closed, or looks around in what it looks at.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let behind = text.first() == Some(&b'<');
        let text = text.get(usize::from(behind)..)?;
        let negative = text.first()? == &b'!';
        let text = text.get(1..)?;
        let end = end_of_group(text)?;
        let inside = text.get(..end)?;
        let nested = [&b"(?="[..], b"(?!", b"(?<"];
        if nested.iter().any(|nested| memchr::memmem::find(inside, nested).is_some()) {
            return None;
        }
        Some(Self { behind, negative, inside, after: text.get(end + 1..)? })
    }

    /// Whether a branch of the pattern starts or ends here, with `before` translated.
    pub(super) fn is_at_edge(&self, before: &str) -> bool {
        if self.behind {
            before.is_empty() || before.ends_with('|')
        } else {
            self.after.first().is_none_or(|byte| *byte == b'|')
        }
    }
}

/// Where the group is closed whose inside starts here.
fn end_of_group(text: &[u8]) -> Option<usize> {
    let (mut depth, mut class_from, mut at) = (0_usize, None, 0);
    while let Some(byte) = text.get(at) {
        match (byte, class_from) {
            (b'\\', _) => at += 1,
            (b']', Some(from)) if at > from => class_from = None,
            (b'[', None) => class_from = Some(at + 1 + usize::from(text.get(at + 1) == Some(&b'^'))),
            (b'(', None) => depth += 1,
            (b')', None) if depth == 0 => return Some(at),
            (b')', None) => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// What matches wherever none of the strings that `inside` stands for is, in the `regex` crate's syntax. Nothing, if those are
/// not few.
pub(super) fn none_of(inside: &str, behind: bool) -> Option<String> {
    let mut parser = regex_syntax::ParserBuilder::new().utf8(false).unicode(false).nest_limit(50).build();
    let hir = parser.parse(inside).ok()?;
    if hir.properties().explicit_captures_len() > 0 || !hir.properties().look_set().is_empty() {
        return None;
    }
    let strings = Extractor::new().limit_total(STRINGS).limit_class(STRINGS).extract(&hir);
    if !strings.is_exact() {
        return None;
    }
    let words: BTreeSet<_> = strings.literals()?.iter().map(|word| word.as_bytes().to_vec()).collect();
    // The empty string is everywhere.
    if words.is_empty() || words.contains(&Vec::new()) {
        return None;
    }
    Some(written(&words, behind))
}

/// The ways to leave the tree of the words before any of them is complete: past a beginning of one, or with `behind` before an
/// end of one, another byte, or none.
fn written(words: &BTreeSet<Vec<u8>>, behind: bool) -> String {
    // Read from where the group stands.
    let words: BTreeSet<Vec<u8>> = words
        .iter()
        .map(|word| if behind { word.iter().rev().copied().collect() } else { word.clone() })
        .collect();
    let starts: BTreeSet<&[u8]> =
        words.iter().flat_map(|word| (0..word.len()).filter_map(|length| word.get(..length))).collect();
    let mut out = String::from("(?:");
    let incomplete = starts.into_iter().filter(|start| !words.iter().any(|word| start.starts_with(word)));
    for (place, start) in incomplete.enumerate() {
        let next: BTreeSet<u8> =
            words.iter().filter_map(|word| word.strip_prefix(start)?.first().copied()).collect();
        let class = escaped(next.iter());
        out.push_str(if place > 0 { "|" } else { "" });
        _ = if behind {
            write!(out, "(?:[^{class}]|\\A){}", escaped(start.iter().rev()))
        } else {
            write!(out, "{}(?:[^{class}]|\\z)", escaped(start.iter()))
        };
    }
    out.push(')');
    out
}

fn escaped<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(String::new(), |mut out, byte| {
        _ = write!(out, "\\x{byte:02x}");
        out
    })
}
