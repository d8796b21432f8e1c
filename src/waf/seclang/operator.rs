//! The tests of rules: `@rx …`, `!@within …`; without an `@`, a regular expression.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Problem;
use crate::waf::ir::{Number, Operator, Pattern, Piece, Template};
use crate::waf::transform::ByteSet;

/// Reads an operator and whether it is negated. `data` reads a file that the operator names.
pub(super) fn operator(
    text: &[u8],
    data: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<(bool, Operator), Problem> {
    let text = text.trim_ascii_start();
    let (negated, text) =
        text.strip_prefix(b"!").map_or((false, text), |rest| (true, rest.trim_ascii_start()));
    let Some(named) = text.strip_prefix(b"@") else { return Ok((negated, regex(text))) };
    let end = named.iter().position(u8::is_ascii_whitespace).unwrap_or(named.len());
    let (name, argument) = named.split_at(end);
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Ok((negated, build(&name, argument.get(1..).unwrap_or_default(), data)?))
}

fn build(
    name: &str,
    argument: &[u8],
    data: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Operator, Problem> {
    let trimmed = argument.trim_ascii();
    let template = || Template::parse(argument).map_err(Problem::Wrong);
    let number = |comparison| Ok(Operator::Number(comparison, Template::parse(trimmed)?));
    let pattern = || Pattern { text: argument.into() };
    match name {
        "rx" => Ok(regex(argument)),
        "rxglobal" => Ok(Operator::RegexGlobal(pattern())),
        "pm" => phrases(snort(trimmed)?),
        "pmf" | "pmfromfile" => phrases(lines(trimmed, data)?),
        "streq" => Ok(Operator::Equals(template()?)),
        "beginswith" => Ok(Operator::StartsWith(template()?)),
        "endswith" => Ok(Operator::EndsWith(template()?)),
        "contains" | "strmatch" => Ok(Operator::Contains(template()?)),
        "containsword" => Ok(Operator::ContainsWord(template()?)),
        "within" => Ok(Operator::Within(template()?)),
        "eq" => number(Number::Equal),
        "gt" => number(Number::Greater),
        "ge" => number(Number::GreaterOrEqual),
        "lt" => number(Number::Less),
        "le" => number(Number::LessOrEqual),
        "ipmatch" => networks(trimmed.split(|byte| *byte == b',').map(<[u8]>::to_vec)),
        "verifysvnr" => Ok(Operator::Svnr(pattern())),
        "ipmatchf" | "ipmatchfromfile" => networks(lines(trimmed, data)?.into_iter().map(Into::into)),
        "validatebyterange" => Ok(Operator::BytesOutside(byte_range(trimmed)?)),
        "validateurlencoding" => Ok(Operator::BadUrlEncoding),
        "validateutf8encoding" => Ok(Operator::BadUtf8),
        "detectsqli" => Ok(Operator::SqlInjection),
        "detectxss" => Ok(Operator::Xss),
        "verifycc" => Ok(Operator::CardNumber(pattern())),
        "verifyssn" => Ok(Operator::SocialSecurityNumber(pattern())),
        "verifycpf" => Ok(Operator::Cpf(pattern())),
        "unconditionalmatch" => Ok(Operator::Always),
        "nomatch" => Ok(Operator::Never),
        "rbl" => Err(Problem::Unsupported("@rbl asks a name server about each request".to_owned())),
        "geolookup" => Err(Problem::Unsupported("@geoLookup wants a database of addresses".to_owned())),
        "gsblookup" => Err(Problem::Unsupported("@gsbLookup wants a database of Google's".to_owned())),
        "inspectfile" | "fuzzyhash" => {
            let what =
                format!("@{name} is not done here: what is in a file that was sent is FILES_TMP_CONTENT");
            Err(Problem::Unsupported(what))
        }
        "rsub" | "validatedtd" | "validateschema" | "validatehash" => {
            Err(Problem::Unsupported(format!("@{name} is not done here: leave the rule out")))
        }
        _ => Err(format!("no operator is called @{name}").into()),
    }
}

fn regex(text: &[u8]) -> Operator {
    // A pattern such as `%{2}` is no macro: whatever does not read as one is the pattern's.
    let template = Template::parse(text).unwrap_or_else(|_| Template::text(text));
    let macros = template.pieces.iter().any(|piece| matches!(piece, Piece::Variable(..)));
    if macros {
        return Operator::RegexTemplate(template);
    }
    Operator::Regex(Pattern { text: text.into() })
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Words, in which `|41 42|` are bytes in hexadecimal, as Snort writes them.
fn snort(text: &[u8]) -> Result<Vec<Box<[u8]>>, Problem> {
    let mut found = vec![Vec::new()];
    for (at, part) in text.split(|byte| *byte == b'|').enumerate() {
        let Some(word) = found.last_mut() else { continue };
        if at % 2 == 1 {
            for pair in words(part).flat_map(|run| run.chunks(2)) {
                let pair = String::from_utf8_lossy(pair);
                word.push(u8::from_str_radix(&pair, 16).map_err(|_| format!("{pair:?} is no byte"))?);
            }
            continue;
        }
        let mut pieces = part.split(u8::is_ascii_whitespace);
        word.extend_from_slice(pieces.next().unwrap_or_default());
        found.extend(pieces.map(<[u8]>::to_vec));
    }
    found.retain(|word| !word.is_empty());
    Ok(found.into_iter().map(Into::into).collect())
}

fn phrases(found: Vec<Box<[u8]>>) -> Result<Operator, Problem> {
    match found.as_slice() {
        [] => Err("there are no phrases to look for".into()),
        _ => Ok(Operator::Phrases(found.into())),
    }
}

/// The lines of the files, without comments.
fn lines(
    files: &[u8],
    data: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Vec<Box<[u8]>>, Problem> {
    let mut found = Vec::new();
    for file in words(files) {
        let text = data(&String::from_utf8_lossy(file))?;
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        found.extend(lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(Into::into));
    }
    Ok(found)
}

fn networks(list: impl Iterator<Item = Vec<u8>>) -> Result<Operator, Problem> {
    let mut found = Vec::new();
    for text in list {
        let text = String::from_utf8_lossy(text.trim_ascii()).into_owned();
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        found.push(network.map_err(|_| format!("expected an address or a network, found {text:?}"))?);
    }
    Ok(Operator::Addresses(Arc::from(found)))
}

/// `9,10,32-126`: bytes that may be there.
fn byte_range(text: &[u8]) -> Result<ByteSet, Problem> {
    let mut set = ByteSet::EMPTY;
    for part in text.split(|byte| *byte == b',') {
        let part = String::from_utf8_lossy(part);
        let (first, last) = part.split_once('-').unwrap_or((&part, &part));
        let wrong = |_| format!("expected bytes such as 9,10,32-126, found {part:?}");
        let first: u8 = first.trim().parse().map_err(wrong)?;
        let last: u8 = last.trim().parse().map_err(wrong)?;
        if last < first {
            return Err(format!("a range of bytes goes up, unlike {part:?}").into());
        }
        set = set.union(ByteSet::range(first, last));
    }
    Ok(set)
}
