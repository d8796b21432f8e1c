//! Patterns: regular expressions and wildcards, both on the one engine that matches in linear time.
//!
//! Patterns match bytes. `.`, `\w` and classes are ASCII, so that a byte which is not UTF-8 is still matched by `.`: with
//! Unicode on, an attacker could step around `^.*$` by sending one. `(?u)` turns it on where wanted.

use std::fmt::Write;

use regex::bytes::{Regex, RegexBuilder};

use super::MAX_PATTERN;
use super::ast::Pattern;

/// Compiles a pattern; the error says what is wrong with it, a lowercase fragment.
pub(super) fn compile(pattern: &Pattern) -> Result<Regex, String> {
    match pattern {
        Pattern::Regex(source) => build(source, false),
        Pattern::Wildcard(text) => build(&translated(text)?, true),
        Pattern::StrictWildcard(text) => build(&translated(text)?, false),
    }
}

fn build(source: &str, ignore_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(source)
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => format!("pattern takes more than {limit} bytes of memory"),
            // The engine draws the pattern with a caret; its last line says what is wrong.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                format!("invalid pattern: {}", last.strip_prefix("error: ").unwrap_or(last))
            }
        })
}

/// A wildcard text as a regular expression for all of a value. `\*` and `\\` are the characters themselves.
fn translated(text: &[u8]) -> Result<String, String> {
    let mut source = String::from(r"(?s)\A");
    let mut bytes = text.iter();
    let mut after_star = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' if after_star => return Err("two * in a row".to_owned()),
            b'*' => source.push_str(".*"),
            b'\\' => match bytes.next() {
                Some(escaped @ (b'*' | b'\\')) => push_byte(&mut source, *escaped),
                _ => {
                    return Err(
                        r"expected \* or \\ behind a backslash; in double quotes, write each \ twice"
                            .to_owned(),
                    );
                }
            },
            byte => push_byte(&mut source, *byte),
        }
        after_star = *byte == b'*';
    }
    source.push_str(r"\z");
    Ok(source)
}

/// A byte that means itself, whatever it is.
fn push_byte(source: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        source.push(byte.into());
    } else {
        // writing to a String does not fail
        let _infallible = write!(source, "\\x{byte:02x}");
    }
}
