//! What rules found in an exchange, as one line of JSON for whoever tunes them.
//!
//! What always holds: a line has a bound, whatever clients send; values of parameters, cookies and headers that hold
//! secrets by their names are not shown, nor is anything of a body as a whole.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::filters::Facts;
use crate::telemetry::json::JsonLine;
use crate::telemetry::timestamp::unix_ms;
use crate::telemetry::writer::LineWriter;
use crate::waf::Match;

/// Rules in a line.
const MOST_RULES: usize = 32;
/// Tags of one rule.
const MOST_TAGS: usize = 16;
/// Longest value, in bytes.
const VALUE_BYTES: usize = 100;
/// Longest text that is not a value: a name of a variable, a path, a message.
const TEXT_BYTES: usize = 256;
/// Words in names whose values are nobody's business.
const SECRET_WORDS: [&str; 20] = [
    "auth",
    "authorization",
    "card",
    "cookie",
    "credential",
    "credentials",
    "cvc",
    "cvv",
    "iban",
    "key",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "session",
    "token",
];
/// Parts of names that have the same to say.
const SECRET_PARTS: [&str; 5] = ["apikey", "credential", "passw", "secret", "token"];
/// Variables that are shown as a whole. Of the others only members are, by name: `ARGS:q`.
const PLAIN: [&str; 9] = [
    "REQUEST_METHOD",
    "REQUEST_PROTOCOL",
    "REQUEST_FILENAME",
    "REQUEST_BASENAME",
    "REMOTE_ADDR",
    "RESPONSE_STATUS",
    "REQBODY_ERROR_MSG",
    "REQBODY_PROCESSOR",
    "FILES_COMBINED_SIZE",
];
/// Collections whose members are shown unless their names say otherwise.
const SHOWN: [&str; 11] = [
    "ARGS",
    "ARGS_GET",
    "ARGS_POST",
    "ARGS_NAMES",
    "ARGS_GET_NAMES",
    "ARGS_POST_NAMES",
    "REQUEST_HEADERS",
    "REQUEST_HEADERS_NAMES",
    "FILES",
    "FILES_NAMES",
    "RESPONSE_HEADERS",
];

/// What is told of exchanges in which rules found something.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "WafAudit")]
pub struct AuditSpec {
    /// A line of JSON for each exchange in which a rule found something: `stdout`, or a file's path; a file is reopened on
    /// SIGUSR1. Default: nowhere. Example: `/var/log/edgeward/waf.json`.
    pub to: Option<PathBuf>,
    /// Whether a line shows what was found: up to 100 bytes of a parameter or header. What by its name is a password, a key, a
    /// token, a card or a cookie is never shown, nor a body as a whole. Default: `true`.
    #[serde(default = "yes")]
    pub values: bool,
}

const fn yes() -> bool {
    true
}

/// Where lines go.
pub enum Audit {
    /// To a log.
    Log {
        /// The log.
        to: Arc<LineWriter>,
        /// Whether values are shown.
        values: bool,
    },
    /// To whoever asks why a request would be refused.
    Kept(Mutex<Vec<String>>),
}

/// Which exchange it was. Made only where a rule found something.
pub(super) struct About {
    time_ms: u64,
    client_ip: IpAddr,
    method: Box<str>,
    host: Arc<str>,
    path: Box<str>,
    route: Arc<str>,
}

/// What came of it.
pub(super) struct Finding<'a> {
    pub(super) about: &'a About,
    pub(super) request_id: &'a str,
    /// `refused`, `would_refuse` or `passed`.
    pub(super) decision: &'static str,
    /// The refusal's reason; empty without one.
    pub(super) reason: &'static str,
    /// Scores and what they are compared with, by their names here.
    pub(super) scores: &'a [(&'static str, u64)],
    /// Whether a rule said that a variable is not to be shown.
    pub(super) conceals: &'a dyn Fn(&str) -> bool,
    /// The rules that matched and are for the audit log.
    pub(super) matches: &'a [&'a Match],
}

impl About {
    pub(super) fn new(request: &RequestHeader, facts: &Facts) -> Self {
        Self {
            time_ms: unix_ms(facts.time),
            client_ip: facts.client_ip,
            method: request.method.as_str().into(),
            host: Arc::clone(&facts.host),
            path: request.uri.path().into(),
            route: Arc::clone(&facts.route),
        }
    }
}

impl Audit {
    pub(super) fn write(&self, finding: &Finding<'_>) {
        let mut line = Vec::with_capacity(1024);
        match self {
            Self::Log { to, values } => {
                finding.render(&mut line, |variable| {
                    *values && is_shown(variable) && !(finding.conceals)(variable)
                });
                to.append(&line);
            }
            Self::Kept(kept) => {
                finding.render(&mut line, |_| true);
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }
    }
}

impl Finding<'_> {
    fn render(&self, out: &mut Vec<u8>, is_shown: impl Fn(&str) -> bool) {
        let about = self.about;
        let mut line = JsonLine::new(out);
        line.time("time", about.time_ms).str("event", "waf").str("request_id", self.request_id);
        line.ip("client_ip", about.client_ip);
        for (key, text) in [("method", &*about.method), ("host", &*about.host), ("path", &*about.path)] {
            line.display(key, format_args!("{text}"), TEXT_BYTES);
        }
        line.str("route", &about.route).str("decision", self.decision);
        if !self.reason.is_empty() {
            line.str("reason", self.reason);
        }
        for (name, value) in self.scores {
            line.u64(name, *value);
        }
        let mut rules = line.objects("rules");
        for found in self.matches.iter().take(MOST_RULES) {
            render(found, rules.object(), &is_shown);
        }
        drop(rules);
        line.finish();
    }
}

fn render(found: &Match, mut line: JsonLine<'_>, is_shown: impl Fn(&str) -> bool) {
    line.u64("id", found.rule).u64("phase", found.phase as u64);
    if let Some(severity) = found.severity {
        line.str("severity", &severity.name().to_ascii_lowercase());
    }
    line.display("message", format_args!("{}", found.message), TEXT_BYTES);
    line.display("variable", format_args!("{}", found.variable), TEXT_BYTES);
    if is_shown(&found.variable) {
        let value = String::from_utf8_lossy(&found.value);
        line.display("value", format_args!("{value}"), VALUE_BYTES);
    }
    line.u64("value_bytes", found.value_bytes as u64);
    let mut tags = line.list("tags");
    for tag in found.tags.iter().take(MOST_TAGS) {
        tags.display(format_args!("{tag}"), TEXT_BYTES);
    }
    drop(tags);
    line.display("file", format_args!("{}", found.at.file), TEXT_BYTES).u64("line", u64::from(found.at.line));
    line.finish();
}

/// Whether a value may be told, by the name of the variable.
fn is_shown(variable: &str) -> bool {
    let Some((collection, member)) = variable.split_once(':') else { return PLAIN.contains(&variable) };
    let member = member.to_ascii_lowercase();
    let mut words = member.split(|letter: char| !letter.is_ascii_alphanumeric());
    SHOWN.contains(&collection)
        && !words.any(|word| SECRET_WORDS.contains(&word))
        && !SECRET_PARTS.iter().any(|part| member.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (variable, expected) in [
            ("ARGS:q", true),
            ("ARGS:json.user.name", true),
            ("REQUEST_HEADERS:user-agent", true),
            ("REQUEST_FILENAME", true),
            ("ARGS:password", false),
            ("ARGS:json.user.newPassword", false),
            ("ARGS_POST:access_token", false),
            ("ARGS:api-key", false),
            ("ARGS:monkey", true),
            ("REQUEST_HEADERS:Authorization", false),
            ("REQUEST_HEADERS:Cookie", false),
            ("REQUEST_COOKIES:theme", false),
            ("REQUEST_BODY", false),
            ("RESPONSE_BODY", false),
            ("QUERY_STRING", false),
            ("XML:/*", false),
        ] {
            assert_eq!(is_shown(variable), expected, "{variable}");
        }
    }
}
