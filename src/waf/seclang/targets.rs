//! What a rule looks at: `ARGS|!ARGS:token|&REQUEST_HEADERS:/^x-/|XML:/*`.

use super::Problem;
use crate::values::nearest::suggestion;
use crate::waf::ir::{Pattern, Selector, Target, Variable};

/// Variables of the reference that mean nothing here, by how they start: files on disk and their owners, the web server's
/// own log, how long another engine took.
const NOT_DONE: [&str; 7] = [
    "FILES_TMPNAMES",
    "PERF_",
    "SCRIPT_",
    "SDBM_DELETE_ERROR",
    "STREAM_",
    "USERAGENT_IP",
    "WEBSERVER_ERROR_LOG",
];

/// Reads a list of targets.
pub(super) fn targets(text: &[u8]) -> Result<Vec<Target>, Problem> {
    let mut found = Vec::new();
    let mut rest = text.trim_ascii();
    loop {
        let (target, after) = target(rest)?;
        found.push(target);
        match after.trim_ascii_start() {
            [] => return Ok(found),
            [b'|' | b',', after @ ..] => rest = after.trim_ascii_start(),
            _ => return Err(wrong(text)),
        }
    }
}

fn wrong(text: &[u8]) -> Problem {
    format!("expected targets such as ARGS|!ARGS:name, found {:?}", String::from_utf8_lossy(text)).into()
}

fn target(text: &[u8]) -> Result<(Target, &[u8]), Problem> {
    let (excluded, text) = strip(text, b'!');
    let (count, text) = strip(text, b'&');
    let end = text.iter().position(|byte| matches!(byte, b':' | b'|' | b',')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = String::from_utf8_lossy(name.trim_ascii());
    let variable = Variable::from_name(&name).ok_or_else(|| unknown(&name))?;
    let target = |variable, selector| Target { variable, selector, count, excluded };
    let Some(rest) = rest.strip_prefix(b":") else { return Ok((target(variable, Selector::All), rest)) };
    if variable == Variable::Xml {
        let (path, rest) = until_separator(rest);
        return match path.trim_ascii() {
            b"/*" => Ok((target(Variable::Xml, Selector::All), rest)),
            b"//@*" => Ok((target(Variable::XmlAttributes, Selector::All), rest)),
            _ => Err(Problem::Unsupported("of XPath, XML:/* and XML://@* are understood".to_owned())),
        };
    }
    if !variable.is_collection() {
        return Err(format!("{} has no members", variable.name()).into());
    }
    let (selector, rest) = selector(rest)?;
    Ok((target(variable, selector), rest))
}

fn unknown(name: &str) -> Problem {
    let upper = name.to_ascii_uppercase();
    if NOT_DONE.iter().any(|start| upper.starts_with(*start)) {
        return Problem::Unsupported(format!("the variable {upper} is not done here"));
    }
    let meant = suggestion(name, Variable::ALL.iter().map(|variable| variable.name()));
    format!("no variable is called {name:?}{meant}").into()
}

fn strip(text: &[u8], mark: u8) -> (bool, &[u8]) {
    match text.split_first() {
        Some((first, rest)) if *first == mark => (true, rest),
        _ => (false, text),
    }
}

fn until_separator(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr2(b'|', b',', text).unwrap_or(text.len()))
}

/// A name, `'a name'`, `/a pattern/` or `'/a pattern/'`.
fn selector(text: &[u8]) -> Result<(Selector, &[u8]), Problem> {
    if let Some(quoted) = text.strip_prefix(b"'") {
        let end = memchr::memchr(b'\'', quoted).ok_or("a quote is not closed")?;
        let (inside, rest) = quoted.split_at(end);
        let pattern = inside.strip_prefix(b"/").and_then(|text| text.strip_suffix(b"/"));
        let selector = pattern.map_or_else(|| name(inside), pattern_of);
        return Ok((selector, rest.get(1..).unwrap_or_default()));
    }
    if let Some(pattern) = text.strip_prefix(b"/") {
        let end = pattern_end(pattern).ok_or("a pattern in a target is not closed with /")?;
        let (inside, rest) = pattern.split_at(end);
        return Ok((pattern_of(inside), rest.get(1..).unwrap_or_default()));
    }
    let (plain, rest) = until_separator(text);
    match plain.trim_ascii() {
        [] => Err("a target's member has no name".into()),
        plain => Ok((name(plain), rest)),
    }
}

fn name(text: &[u8]) -> Selector {
    Selector::Name(text.to_ascii_lowercase().into())
}

fn pattern_of(text: &[u8]) -> Selector {
    Selector::Pattern(Pattern { text: text.into() })
}

/// Where the slash is that ends the pattern: before the next target or at the end.
fn pattern_end(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'/' && !escaped && matches!(text.get(at + 1), None | Some(b'|' | b',')) {
            return Some(at);
        }
        escaped = *byte == b'\\' && !escaped;
    }
    None
}
