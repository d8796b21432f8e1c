//! The tests that rules make on values.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::names;
use super::reader::Reader;
use crate::values::nearest::suggestion;
use crate::values::text::quoted;
use crate::values::yaml::{Key, Node, Value};
use crate::waf::ir::{Number, Operator, Pattern, Piece, Template};
use crate::waf::pattern;
use crate::waf::transform::ByteSet;

/// The keys that are tests.
pub(super) const KEYS: [&str; 25] = [
    "matches",
    "matches_all",
    "any_of",
    "contains",
    "word",
    "equals",
    "one_of",
    "within",
    "starts_with",
    "ends_with",
    "above",
    "at_least",
    "below",
    "at_most",
    "from",
    "bytes_outside",
    "bad_url_encoding",
    "bad_utf8",
    "sql_injection",
    "xss",
    "card_number",
    "social_security_number",
    "cpf_number",
    "svnr_number",
    "exists",
];
/// Patterns and words of one test.
const MOST_WORDS: usize = 10_000;
/// Patterns within each other.
const PATTERN_DEPTH: usize = 8;
/// Longest pattern, once those it names are in it.
const PATTERN_BYTES: usize = 256 << 10;

/// Whether letters compare without regard to case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Case {
    #[default]
    Ignore,
    Exact,
}

impl Case {
    pub(super) const CHOICES: [(&'static str, Self); 2] = [("ignore", Self::Ignore), ("exact", Self::Exact)];
}

/// What a pack gives names to, for its tests.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Regular expressions, complete.
    pub(super) patterns: Vec<(String, String)>,
    pub(super) lists: Vec<(String, Vec<Box<[u8]>>)>,
}

/// A test.
pub(super) enum Test {
    Of(Operator),
    /// Whether the one target is there.
    Exists(bool),
}

/// Reads a test, whose key is one of [`KEYS`].
pub(super) fn test(
    reader: &mut Reader<'_>,
    key: &Key,
    node: &Node,
    case: Case,
    named: &Named,
) -> Option<Test> {
    let operator = match key.name.as_str() {
        "matches" => regex(reader, node, case, named)?,
        "matches_all" => Operator::RegexGlobal(whole(reader, node, case, named)?),
        "card_number" => Operator::CardNumber(whole(reader, node, case, named)?),
        "social_security_number" => Operator::SocialSecurityNumber(whole(reader, node, case, named)?),
        "cpf_number" => Operator::Cpf(whole(reader, node, case, named)?),
        "svnr_number" => Operator::Svnr(whole(reader, node, case, named)?),
        "any_of" => Operator::Phrases(words(reader, node, named)?.into()),
        "equals" if matches!(node.value, Value::Integer(_)) => number(reader, node, Number::Equal)?,
        "contains" | "word" | "equals" | "starts_with" | "ends_with" => {
            literal(reader, &key.name, node, case)?
        }
        "one_of" => one_of(reader, node, case, named)?,
        "within" => Operator::Within(template(reader, node)?),
        "above" => number(reader, node, Number::Greater)?,
        "at_least" => number(reader, node, Number::GreaterOrEqual)?,
        "below" => number(reader, node, Number::Less)?,
        "at_most" => number(reader, node, Number::LessOrEqual)?,
        "from" => networks(reader, node, named)?,
        "bytes_outside" => bytes_outside(reader, node)?,
        "bad_url_encoding" => reader.affirmed(node).map(|()| Operator::BadUrlEncoding)?,
        "bad_utf8" => reader.affirmed(node).map(|()| Operator::BadUtf8)?,
        "sql_injection" => reader.affirmed(node).map(|()| Operator::SqlInjection)?,
        "xss" => reader.affirmed(node).map(|()| Operator::Xss)?,
        "exists" => return reader.truth(node).map(Test::Exists),
        _ => return None,
    };
    Some(Test::Of(operator))
}

fn template(reader: &mut Reader<'_>, node: &Node) -> Option<Template> {
    let text = reader.text(node)?;
    reader.right(node.at, names::template(text))
}

fn number(reader: &mut Reader<'_>, node: &Node, comparison: Number) -> Option<Operator> {
    let text = match &node.value {
        Value::Integer(number) if i64::try_from(*number).is_ok() => Template::text(number.to_string()),
        Value::Text(text) if text.starts_with("%{") => reader.right(node.at, names::template(text))?,
        other => {
            reader.fault(
                node.at,
                format!("expected a number, or a value such as \"%{{tx.limit}}\", found {}", other.kind()),
            );
            return None;
        }
    };
    Some(Operator::Number(comparison, text))
}

/// A text that is compared as a whole or in part.
fn literal(reader: &mut Reader<'_>, kind: &str, node: &Node, case: Case) -> Option<Operator> {
    let text = template(reader, node)?;
    if text.pieces.is_empty() && kind != "equals" {
        reader.fault(node.at, "expected a text that is not empty");
        return None;
    }
    let plain = text.as_text().map(escaped);
    let folds =
        case == Case::Ignore && text.as_text().is_some_and(|text| text.iter().any(u8::is_ascii_alphabetic));
    Some(match (kind, plain.filter(|_| folds)) {
        ("contains", Some(_)) => Operator::Phrases([text.as_text().unwrap_or_default().into()].into()),
        ("contains", None) => Operator::Contains(text),
        ("word", Some(plain)) => pattern_of(format!("(?i)(?:^|[^0-9a-z_]){plain}(?:$|[^0-9a-z_])")),
        ("word", None) => Operator::ContainsWord(text),
        ("starts_with", Some(plain)) => pattern_of(format!("(?i)^{plain}")),
        ("starts_with", None) => Operator::StartsWith(text),
        ("ends_with", Some(plain)) => pattern_of(format!(r"(?i){plain}\z")),
        ("ends_with", None) => Operator::EndsWith(text),
        (_, Some(plain)) => pattern_of(format!(r"(?i)^{plain}\z")),
        (_, None) => Operator::Equals(text),
    })
}

fn pattern_of(text: String) -> Operator {
    Operator::Regex(Pattern { text: text.into_bytes().into() })
}

fn one_of(reader: &mut Reader<'_>, node: &Node, case: Case, named: &Named) -> Option<Operator> {
    let words = words(reader, node, named)?;
    let flag = if case == Case::Ignore { "(?i)" } else { "" };
    let all: Vec<_> = words.iter().map(|word| escaped(word)).collect();
    Some(pattern_of(format!(r"{flag}^(?:{})\z", all.join("|"))))
}

/// Text as a pattern that stands for itself.
fn escaped(text: &[u8]) -> String {
    let mut pattern = String::new();
    for byte in text {
        if byte.is_ascii_alphanumeric() || *byte == b'_' {
            pattern.push(char::from(*byte));
        } else {
            _ = write!(pattern, "\\x{byte:02x}");
        }
    }
    pattern
}

/// A list of words, one, `{ list: NAME }`, or `{ file: PATH }`.
fn words(reader: &mut Reader<'_>, node: &Node, named: &Named) -> Option<Vec<Box<[u8]>>> {
    let words = match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [(key, name)] if key.name == "list" => {
                let text = reader.text(name)?;
                let found = named.lists.iter().find(|(known, _)| known == text);
                let near = suggestion(text, named.lists.iter().map(|(known, _)| known.as_str()));
                let found = found.ok_or_else(|| format!("no list is called {}{near}", quoted(text)));
                reader.right(name.at, found)?.1.clone()
            }
            [(key, file)] if key.name == "file" => reader.lines(file)?,
            _ => {
                reader.fault(node.at, "expected words, or { list: NAME }, or { file: PATH }");
                return None;
            }
        },
        _ => list(reader, node),
    };
    if words.is_empty() || words.len() > MOST_WORDS || words.iter().any(|word| word.is_empty()) {
        reader.fault(node.at, format!("expected 1 to {MOST_WORDS} words, none of them empty"));
        return None;
    }
    Some(words)
}

/// The words of a list, or the one.
pub(super) fn list(reader: &mut Reader<'_>, node: &Node) -> Vec<Box<[u8]>> {
    reader.texts(node).into_iter().map(|(text, _)| text.as_bytes().into()).collect()
}

fn networks(reader: &mut Reader<'_>, node: &Node, named: &Named) -> Option<Operator> {
    let mut found = Vec::new();
    for word in words(reader, node, named)? {
        let text = String::from_utf8_lossy(&word);
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network =
            network.map_err(|_| format!("expected an address or a network, found {}", quoted(&text)));
        found.push(reader.right(node.at, network)?);
    }
    Some(Operator::Addresses(Arc::from(found)))
}

/// `9, 10, 32-126`.
fn bytes_outside(reader: &mut Reader<'_>, node: &Node) -> Option<Operator> {
    let text = reader.text(node)?;
    let mut set = ByteSet::EMPTY;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range =
            first.trim().parse().ok().zip(last.trim().parse().ok()).filter(|(first, last)| first <= last);
        let range =
            range.ok_or_else(|| format!("expected bytes such as 9,10,32-126, found {}", quoted(part)));
        let (first, last): (u8, u8) = reader.right(node.at, range)?;
        set = set.union(ByteSet::range(first, last));
    }
    Some(Operator::BytesOutside(set))
}

/// A pattern, or one with values in it, which is compiled as it comes.
fn regex(reader: &mut Reader<'_>, node: &Node, case: Case, named: &Named) -> Option<Operator> {
    let Value::Text(text) = &node.value else {
        return Some(Operator::Regex(whole(reader, node, case, named)?));
    };
    if !text.contains("%{") {
        return Some(Operator::Regex(whole(reader, node, case, named)?));
    }
    let hint = |what| format!("{what}; a pattern's own %{{ is written %\\{{");
    let mut template = reader.right(node.at, names::template(text).map_err(hint))?;
    if case == Case::Ignore {
        template.pieces.insert(0, Piece::Text(b"(?i)".as_slice().into()));
    }
    Some(Operator::RegexTemplate(template))
}

/// One pattern, or several of which any may match.
fn whole(reader: &mut Reader<'_>, node: &Node, case: Case, named: &Named) -> Option<Pattern> {
    let flag = if case == Case::Ignore { "(?i)" } else { "" };
    let mut all = Vec::new();
    for (text, at) in reader.texts(node) {
        let complete = reader.right(at, complete(text, &named.patterns)).and_then(|complete| {
            let checked = pattern::check(complete.as_bytes()).map(|()| complete);
            reader.right(at, checked.map_err(|error| format!("{error}, in {}", quoted(text))))
        });
        all.extend(complete);
    }
    let text = match all.as_slice() {
        [] => return None,
        [one] => format!("{flag}{one}"),
        _ => format!("{flag}(?:{})", all.join(")|(?:")),
    };
    if text.len() > PATTERN_BYTES {
        reader.fault(node.at, "a pattern of more than 256 KiB");
        return None;
    }
    Some(Pattern { text: text.into_bytes().into() })
}

/// The pattern with `{{name}}` replaced by what is called so.
pub(super) fn complete(text: &str, named: &[(String, String)]) -> Result<String, String> {
    let mut complete = text.to_owned();
    for _ in 0..PATTERN_DEPTH {
        let Some((before, after)) = complete.split_once("{{") else { return Ok(complete) };
        let (name, _) =
            after.split_once("}}").ok_or_else(|| format!("{{{{ is not closed in {}", quoted(before)))?;
        let near = || suggestion(name, named.iter().map(|(known, _)| known.as_str()));
        let found = named.iter().find(|(known, _)| known == name);
        let (_, pattern) = found.ok_or_else(|| format!("no pattern is called {}{}", quoted(name), near()))?;
        complete = complete.replace(&format!("{{{{{name}}}}}"), &format!("(?:{pattern})"));
        if complete.len() > PATTERN_BYTES {
            return Err("a pattern of more than 256 KiB".to_owned());
        }
    }
    if complete.contains("{{") {
        return Err(format!("more than {PATTERN_DEPTH} patterns in one"));
    }
    Ok(complete)
}
