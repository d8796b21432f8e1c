//! Whether what came of a stage is what it expects.

use std::fmt::Write as _;

use regex::RegexBuilder;

use super::document::Output;
use super::{Ending, Request, Response};
use crate::waf::engine::{Disruption, Match, Transaction};

/// What servers say of requests before any rule sees them.
const OF_SERVERS: [u16; 9] = [400, 408, 411, 413, 414, 417, 431, 501, 505];
/// Memory of one pattern.
const PATTERN_BYTES: usize = 8 << 20;

pub(super) fn judge(
    expected: &Output,
    transaction: &Transaction,
    response: &Response,
    request: &Request,
) -> Ending {
    let disruption = transaction.interruption().map(|interruption| &interruption.disruption);
    let status = match disruption {
        Some(Disruption::Deny { status } | Disruption::Redirect { status, .. }) => *status,
        Some(Disruption::Drop) => 403,
        None => response.status,
    };
    let is_error = expected.expect_error == Some(true) && matches!(disruption, Some(Disruption::Drop));
    let refused = transaction.interruption().is_some();
    let answer = || if refused { format!("HTTP/1.1 {status}\r\n") } else { response.text() };
    let matches: Vec<_> = transaction.matches().iter().filter(|found| found.log).collect();
    let judged = [
        of_rules(expected, &matches),
        of_log(expected, &matches, request),
        if is_error { Some(Ok(())) } else { of_status(expected, status) },
        expected.response_contains.as_ref().map(|pattern| match has(pattern, &answer()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("the answer does not match {pattern}: {}", answer())),
            Err(error) => Err(error),
        }),
    ];
    let mut judged = judged.into_iter().flatten().peekable();
    if judged.peek().is_none() {
        return Ending::Skipped;
    }
    judged.find_map(Result::err).map_or(Ending::Passed, Ending::Failed)
}

/// Nothing, if nothing is expected.
type Judgement = Option<Result<(), String>>;

fn of_rules(expected: &Output, matches: &[&Match]) -> Judgement {
    let (wanted, unwanted) = (&expected.log.expect_ids, &expected.log.no_expect_ids);
    if wanted.is_empty() && unwanted.is_empty() {
        return None;
    }
    let found: Vec<_> = matches.iter().map(|found| found.rule).collect();
    let missing: Vec<_> = wanted.iter().filter(|id| !found.contains(id)).collect();
    let unwanted: Vec<_> = if expected.isolated {
        found.iter().filter(|id| !wanted.contains(id)).collect()
    } else {
        unwanted.iter().filter(|id| found.contains(id)).collect()
    };
    Some(if !missing.is_empty() {
        Err(format!("{missing:?} did not match; {found:?} did"))
    } else if unwanted.is_empty() {
        Ok(())
    } else {
        Err(format!("{unwanted:?} matched"))
    })
}

fn of_log(expected: &Output, matches: &[&Match], request: &Request) -> Judgement {
    let patterns = [
        (&expected.log.match_regex, true),
        (&expected.log_contains, true),
        (&expected.log.no_match_regex, false),
        (&expected.no_log_contains, false),
    ];
    let mut patterns =
        patterns.into_iter().filter_map(|(pattern, wanted)| Some((pattern.as_ref()?, wanted))).peekable();
    patterns.peek()?;
    let lines: String = matches.iter().map(|found| line(found, request)).collect();
    Some(patterns.try_for_each(|(pattern, wanted)| match has(pattern, &lines)? {
        found if found == wanted => Ok(()),
        true => Err(format!("the log matches {pattern}: {lines}")),
        false => Err(format!("the log does not match {pattern}: {lines}")),
    }))
}

/// What a server says of a request is not to be seen here, and rules that only watch let it answer: where they are expected to
/// match, a success says no more than that.
fn of_status(expected: &Output, status: u16) -> Judgement {
    let statuses = expected.status.as_ref()?.all();
    if statuses.contains(&status) {
        return Some(Ok(()));
    }
    let of_log = !expected.log.expect_ids.is_empty() || !expected.log.no_expect_ids.is_empty();
    if statuses.iter().any(|wanted| OF_SERVERS.contains(wanted) || (of_log && *wanted < 400)) {
        return None;
    }
    Some(Err(format!("the status is {status}, not {statuses:?}")))
}

/// As ModSecurity's error log has it.
fn line(found: &Match, request: &Request) -> String {
    let mut line = format!(
        "ModSecurity: Warning. Matched at {}. [file \"{}\"] [line \"{}\"] [id \"{}\"] [msg \"{}\"] [data \"{}\"]",
        found.variable,
        found.at.file,
        found.at.line,
        found.rule,
        found.message.escape_debug(),
        found.data.escape_debug(),
    );
    if let Some(severity) = found.severity {
        _ = write!(line, " [severity \"{}\"]", severity.name().to_ascii_uppercase());
    }
    for tag in found.tags.iter() {
        _ = write!(line, " [tag \"{tag}\"]");
    }
    _ = writeln!(line, " [uri \"{}\"]", String::from_utf8_lossy(&request.target).escape_debug());
    line
}

/// Lines are looked at one by one, as go-ftw does.
fn has(pattern: &str, text: &str) -> Result<bool, String> {
    let pattern = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).multi_line(true).build();
    pattern.map(|pattern| pattern.is_match(text)).map_err(|error| error.to_string())
}
