//! What rules found in an exchange, as one line of JSON for whoever tunes them.
//!
//! What always holds: a line has a bound, whatever clients send; values of parameters, cookies and headers that hold
//! secrets by their names are not shown, nor is anything of a body as a whole.

mod shown;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use self::shown::is_shown;
use super::is_sum;
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
/// Longest text that is not a value: a path, a message.
const TEXT_BYTES: usize = 256;
/// Longest name of a variable.
const NAME_BYTES: usize = 512;
/// Other variables of one rule that are named.
const MOST_VARIABLES: usize = 8;
/// What is told of exchanges in which rules found something.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "WafAudit")]
pub struct AuditSpec {
    /// A line of JSON for each exchange in which a rule found something, or that was not examined to its end: `stdout`,
    /// or a file's path; a file is reopened on
    /// SIGUSR1. Default: nowhere. Example: `/var/log/edgeward/waf.json`.
    pub to: Option<PathBuf>,
    /// Whether a line shows what was found: up to 100 bytes of a parameter or header, with what is around it. What by its name
    /// is a password, a key, a token, a card or a cookie is never shown, nor a body as a whole. Default: `true`.
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
    /// What was not examined to its end, and which limit was reached.
    pub(super) unexamined: &'a [String],
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
                let is_shown =
                    |variable: &str| *values && is_shown(variable) && !(finding.conceals)(variable);
                finding.render(&mut line, MOST_VARIABLES, is_shown);
                to.append(&line);
            }
            Self::Kept(kept) => {
                finding.render(&mut line, usize::MAX, |_| true);
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }
    }
}

impl Finding<'_> {
    fn render(&self, out: &mut Vec<u8>, variables: usize, is_shown: impl Fn(&str) -> bool) {
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
        if !self.unexamined.is_empty() {
            let mut unexamined = line.list("unexamined");
            for limit in self.unexamined {
                unexamined.display(format_args!("{limit}"), TEXT_BYTES);
            }
        }
        for (name, value) in self.scores {
            line.u64(name, *value);
        }
        let mut rules = line.objects("rules");
        for found in self.matches.iter().take(MOST_RULES) {
            render(found, rules.object(), variables, &is_shown);
        }
        drop(rules);
        line.finish();
    }
}

fn render(found: &Match, mut line: JsonLine<'_>, variables: usize, is_shown: impl Fn(&str) -> bool) {
    line.u64("id", found.rule).u64("phase", found.phase as u64);
    if let Some(severity) = found.severity {
        line.str("severity", &severity.name().to_ascii_lowercase());
    }
    let is_shown = is_shown(&found.variable);
    // What a rule writes into its message may be the value.
    if is_shown || !found.message_has_data || is_sum(found.rule) {
        line.display("message", format_args!("{}", found.message), TEXT_BYTES);
    }
    line.display("variable", format_args!("{}", found.variable), NAME_BYTES);
    if is_shown {
        let value = String::from_utf8_lossy(&found.value);
        line.display("value", format_args!("{value}"), VALUE_BYTES);
        if found.value_at > 0 {
            line.u64("value_at", found.value_at as u64);
        }
    }
    line.u64("value_bytes", found.value_bytes as u64);
    if !found.also.is_empty() {
        let mut also = line.list("also");
        for variable in found.also.iter().take(variables) {
            also.display(format_args!("{variable}"), NAME_BYTES);
        }
        drop(also);
        line.bool("more", found.more || found.also.len() > variables);
    }
    let mut tags = line.list("tags");
    for tag in found.tags.iter().take(MOST_TAGS) {
        tags.display(format_args!("{tag}"), TEXT_BYTES);
    }
    drop(tags);
    line.display("file", format_args!("{}", found.at.file), TEXT_BYTES).u64("line", u64::from(found.at.line));
    line.finish();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waf::ir::{Location, Phase};

    fn line(variable: &str, message: &str, also: &[&str]) -> serde_json::Value {
        let found = Match {
            rule: 1,
            at: Location { file: "a.conf".into(), line: 3 },
            phase: Phase::RequestBody,
            log: true,
            audit: true,
            message: message.to_owned(),
            message_has_data: true,
            data: String::new(),
            severity: None,
            tags: Arc::new([]),
            variable: variable.to_owned(),
            also: also.iter().map(|name| (*name).to_owned()).collect(),
            more: false,
            value: b"hunter2".to_vec(),
            value_at: 40,
            value_bytes: 90,
        };
        let mut out = Vec::new();
        let mut line = JsonLine::new(&mut out);
        render(&found, line.objects("rules").object(), MOST_VARIABLES, is_shown);
        line.finish();
        serde_json::from_slice::<serde_json::Value>(&out).unwrap()["rules"][0].clone()
    }

    #[test]
    fn a_message_that_holds_what_was_sent_is_left_out_with_the_value() {
        let shown = line("ARGS:q", "found hunter2", &[]);
        assert_eq!((&shown["value"], &shown["value_at"]), (&"hunter2".into(), &40.into()));
        assert_eq!(shown["message"], "found hunter2");
        let hidden = line("ARGS:password", "found hunter2", &[]).to_string();
        assert!(!hidden.contains("hunter2") && hidden.contains("\"value_bytes\":90"), "{hidden}");
    }

    #[test]
    fn a_few_of_the_other_variables_are_named() {
        let few = line("ARGS:a", "", &["ARGS:b", "ARGS:c"]);
        assert_eq!((&few["also"], &few["more"]), (&serde_json::json!(["ARGS:b", "ARGS:c"]), &false.into()));
        let many = line("ARGS:a", "", &["ARGS:b"; 20]);
        assert_eq!((many["also"].as_array().unwrap().len(), &many["more"]), (MOST_VARIABLES, &true.into()));
        assert_eq!(line("ARGS:a", "", &[]).get("also"), None);
    }
}
