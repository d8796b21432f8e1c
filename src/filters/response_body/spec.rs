//! What a policy says of response bodies.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Json, Limits, ResponseBody};
use crate::dlp::json::{Path, Rules};
use crate::dlp::{Action, Detector, Detectors, Pattern};
use crate::filters::media_type::MediaRange;
use crate::filters::{Filter, Site};
use crate::values::text::quoted;
use crate::values::{Problem, Size};

/// Most patterns of one's own; each is a search of its own over every answer.
const MOST_PATTERNS: usize = 16;
/// Longest name of a pattern, which is a label and is logged.
const NAME_BYTES: usize = 32;

/// Keeps what must not leave in upstreams' answers: finds card numbers, bank accounts, keys and tokens in the text of an
/// answer and masks them, or refuses the answer; masks and removes fields of JSON; replaces errors.
///
/// An answer streams by: what it looks at is found across pieces, however it is cut, and no more than 1.5 KiB after the
/// last line end wait for the next piece. A mask has the length of what it hides. Where fields may be removed, the answer
/// goes out without a `Content-Length`.
///
/// What is refused is answered with 502 `response_blocked`, `response_unreadable`, `response_not_json` or
/// `response_too_long`, if it was found before any of the body could go on: the head waits for that, but of event
/// streams. Else the answer is cut off before what was found. Findings are counted
/// (`edgeward_response_findings_total`) and logged (`findings`), never with their values. In `mode: shadow` they are
/// only that.
///
/// Upstreams are asked for whole answers without a content coding: `Accept-Encoding` becomes `identity`, and `Range` and
/// `If-Range` are removed. What comes in gzip, deflate, br or zstd all the same is decoded, and goes on decoded. So name
/// `compress` before this filter.
///
/// Answers of Edgeward's own, gRPC, and what goes over a WebSocket are not looked at, nor are headers.
///
/// ```yaml
/// - response_body:
///     find: [card, iban, secrets]
///     actions: { private_key: block }
///     json: { mask: [/user/email], remove: [/items/*/cost] }
/// ```
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// What is looked for, by its form; `secrets` stands for all kinds of keys and tokens that have a name of their own
    /// here. Default: `[card, iban, secrets, stack_trace]`. Example: `[card, aws, jwt]`.
    pub find: Option<Vec<Detector>>,
    /// Patterns of your own, by name: regular expressions in the syntax of Rust's `regex`. A match has at most 256 bytes and
    /// ends with its line; at most 16 patterns. Example: `{ account: 'ACC-[0-9]{10}' }`.
    pub patterns: BTreeMap<String, String>,
    /// What becomes of findings. Default: `mask`.
    pub action: Action,
    /// What becomes of findings of one kind, by its name in `find` or `patterns`. Example:
    /// `{ private_key: block, email: report }`.
    pub actions: BTreeMap<String, Action>,
    /// Fields of JSON.
    pub json: JsonSpec,
    /// What becomes of upstreams' errors (5xx). Default: `replace`.
    pub errors: Errors,
    /// Media types that are searched, e.g. `[application/json, text/*]`. Default: text, event streams among it, JSON, XML,
    /// JavaScript, YAML, forms, and answers that do not say what they are. Rules for JSON hold for JSON always.
    pub types: Option<Vec<MediaRange>>,
    /// How much of an answer is looked at, decoded; of event streams, all is. Default: `64MiB`. Example: `1MiB`.
    pub max_scan: Option<Size>,
    /// What becomes of an answer that is longer: it is refused at once where `Content-Length` says so, else cut off there.
    /// Default: `block`.
    pub over_limit: Otherwise,
    /// What becomes of an answer that cannot be read: in an unknown content coding or in UTF-16, a part of something (206),
    /// no JSON though it says so and there are rules for JSON; with `json.allow`, also of a good answer (2xx) that is no JSON.
    /// Default: `block`.
    pub unreadable: Otherwise,
}

/// Rules for fields of JSON, by their paths: names from the outside in, `*` for any name and for each member of a list, `~1`
/// for a slash and `~0` for a tilde in a name. At most 64 paths. They hold in `application/json`, `+json`, JSON lines
/// and what does not say what it is, as far as it is JSON, nested at most 64 deep.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ResponseJson")]
pub struct JsonSpec {
    /// Fields whose values are masked, with all that is in them: strings become `*`, numbers 0, `true` and `false` null.
    /// Example: `[/user/password]`.
    pub mask: Vec<Path>,
    /// Fields that are removed. Example: `[/items/*/cost]`.
    pub remove: Vec<Path>,
    /// Fields that good answers (2xx) may have, with all that is in them; everything else is removed. Default: no such list.
    /// Example: `[/id, /name, /items/*/sku]`.
    pub allow: Vec<Path>,
}

/// What becomes of upstreams' errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ResponseErrors")]
pub enum Errors {
    /// The bodies of answers with 5xx are replaced by a problem document (RFC 9457) with the status and the request's id.
    #[default]
    Replace,
    /// They are looked at like others.
    Pass,
}

/// What becomes of an answer that cannot be looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UnseenResponse")]
pub enum Otherwise {
    /// It does not go out.
    #[default]
    Block,
    /// It goes out as it came, which is counted and logged.
    Pass,
}

const FIND: [Detector; 4] = [Detector::Card, Detector::Iban, Detector::Secrets, Detector::StackTrace];

const TYPES: [&str; 12] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/x-ndjson",
    "application/jsonl",
    "application/graphql-response",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/yaml",
    "application/x-www-form-urlencoded",
    "application/sql",
];

impl crate::filters::Spec for Spec {
    const KIND: &'static str = "response_body";
    const DECIDES: bool = true;

    fn compile(self, site: &Site<'_>) -> Result<Box<dyn Filter>, Problem> {
        let known = self.known()?;
        let own = self.own()?;
        self.actions_are_of_something(&known)?;
        let detectors = Detectors::new(&known, own);
        let types = match self.types {
            Some(types) if types.is_empty() => {
                return Err(Problem::new("types", "is empty: nothing would be searched"));
            }
            Some(types) => types,
            None => TYPES.iter().filter_map(|name| name.parse().ok()).collect(),
        };
        if let Some(at) = types.iter().position(|range| range.contains("application/grpc")) {
            return Err(Problem::new(
                format!("types[{at}]"),
                "gRPC cannot be looked at: its messages are binary",
            ));
        }
        let JsonSpec { mask, remove, allow } = self.json;
        let rules = |allow| Rules::new(mask.clone(), remove.clone(), allow);
        let good = rules(allow).map_err(|error| Problem::new("json", error))?;
        let others = rules(Vec::new()).map_err(|error| Problem::new("json", error))?;
        if detectors.is_empty() && good.is_empty() && self.errors == Errors::Pass {
            return Err(Problem::whole(
                "does nothing: name something in find, patterns or json, or errors: replace",
            ));
        }
        Ok(Box::new(ResponseBody {
            detectors: (!detectors.is_empty()).then(|| Arc::new(detectors)),
            json: (!good.is_empty()).then(|| Json { good: Arc::new(good), others: Arc::new(others) }),
            errors: self.errors,
            types: types.into(),
            limits: Limits {
                most_bytes: self.max_scan.unwrap_or(Size::from_mib(64)).bytes(),
                over_limit: self.over_limit,
                unreadable: self.unreadable,
            },
            metrics: site.metrics.route(site.route),
            shadow: site.shadow,
        }))
    }
}

impl Spec {
    /// What is looked for, with groups resolved.
    fn known(&self) -> Result<Vec<(Detector, Action)>, Problem> {
        let find = self.find.as_deref().unwrap_or(&FIND);
        let mut known: Vec<(Detector, Action)> = Vec::new();
        for (index, named) in find.iter().enumerate() {
            if find.iter().take(index).any(|other| other == named) {
                return Err(Problem::new(format!("find[{index}]"), "is named twice"));
            }
            let of_group = self.actions.get(named.name()).copied().unwrap_or(self.action);
            for member in named.members() {
                let action = self.actions.get(member.name()).copied().unwrap_or(of_group);
                if !known.iter().any(|(other, _)| other == member) {
                    known.push((*member, action));
                }
            }
        }
        Ok(known)
    }

    fn own(&self) -> Result<Vec<(Box<str>, Pattern, Action)>, Problem> {
        if self.patterns.len() > MOST_PATTERNS {
            return Err(Problem::new("patterns", format_args!("at most {MOST_PATTERNS} patterns")));
        }
        let compile = |(name, text): (&String, &String)| {
            let at = format!("patterns[{name:?}]");
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(plain) {
                let message = "expected a name of at most 32 lower-case letters, digits and _";
                return Err(Problem::new(at, message));
            }
            if Detector::ALL.iter().any(|detector| detector.name() == name) || RESERVED.contains(&&**name) {
                return Err(Problem::new(at, "is the name of something else that is found: choose another"));
            }
            let pattern = Pattern::new(text).map_err(|error| Problem::new(at, error))?;
            Ok((name.as_str().into(), pattern, self.actions.get(name).copied().unwrap_or(self.action)))
        };
        self.patterns.iter().map(compile).collect()
    }

    fn actions_are_of_something(&self, known: &[(Detector, Action)]) -> Result<(), Problem> {
        let find = self.find.as_deref().unwrap_or(&FIND);
        for name in self.actions.keys() {
            let found = find.iter().any(|detector| detector.name() == name)
                || known.iter().any(|(detector, _)| detector.name() == name)
                || self.patterns.contains_key(name);
            if !found {
                let message = format_args!("expected a name from find or patterns, found {}", quoted(name));
                return Err(Problem::new(format!("actions[{name:?}]"), message));
            }
        }
        Ok(())
    }
}

/// What is counted beside findings.
const RESERVED: [&str; 4] = [super::FIELD, super::ERROR, super::UNREADABLE, super::OVER_LIMIT];
