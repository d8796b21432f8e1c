//! What documents of tests say: the form of go-ftw 1 and later, and the older one of Python's ftw.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Response;

/// A file of tests. At its top people write more than the format has, such as an author.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Who wrote it, and whether it is to be run: not if `enabled` is `false`.
    pub meta: serde_json::Value,
    /// The rule it is about. The old form has it in the titles of the tests.
    pub rule_id: Option<u64>,
    /// Its tests.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Test {
    /// Unique in its file. Default: its position, from 1.
    #[serde(rename = "test_id")]
    pub id: Option<u64>,
    /// `942100-1`: the rule and the test's number, in the old form.
    #[serde(rename = "test_title")]
    pub title: Option<Text>,
    /// In order.
    pub stages: Vec<Stage>,
    #[serde(rename = "desc", alias = "description")]
    _about: Option<IgnoredAny>,
    #[serde(rename = "tags")]
    _tags: Option<IgnoredAny>,
    /// Whether it is to be run. Default: yes.
    pub enabled: Option<bool>,
}

impl Test {
    /// The rule and the number that its title has.
    pub(super) fn named(&self) -> Option<(u64, u64)> {
        let title = self.title.as_ref()?.text();
        let (rule, number) = title.split_once('-')?;
        Some((rule.parse().ok()?, number.parse().ok()?))
    }
}

/// One request, and what is expected. The old form has it one level deeper.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stage {
    #[serde(rename = "stage")]
    pub(super) inner: Option<Box<Self>>,
    pub(super) input: Input,
    pub(super) output: Output,
    #[serde(rename = "description", alias = "desc")]
    _about: Option<IgnoredAny>,
}

/// A request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Default `GET`.
    pub method: Option<String>,
    /// Default `/`.
    pub uri: Option<String>,
    /// Default `HTTP/1.1`.
    pub version: Option<String>,
    /// In order of their names.
    pub headers: BTreeMap<String, Text>,
    /// In their own order, after [`headers`](Self::headers); a name may occur twice.
    pub ordered_headers: Vec<Header>,
    /// The body.
    pub data: Option<Text>,
    /// The body in base64.
    pub encoded_data: Option<String>,
    /// The whole request in base64, in place of all above.
    #[serde(alias = "raw_request")]
    pub encoded_request: Option<String>,
    /// Whether `Content-Length`, `Content-Type` and `Connection` are added where they are missing, and the body is written as
    /// its type wants it. Default: yes.
    pub autocomplete_headers: Option<bool>,
    /// The same, the other way round, in the old form.
    pub stop_magic: Option<bool>,
    /// The request goes where the answer before it redirects to.
    pub follow_redirect: bool,
    /// Cookies of the answer are sent with the stages after it.
    pub save_cookie: bool,
    /// What the server answers.
    pub response: Option<Response>,
    /// The server's address, if it is one; names are none. Default `127.0.0.1`.
    pub dest_addr: Option<Text>,
    /// The server's port. Default `80`.
    pub port: Option<u16>,
    // How the server is reached, which none is.
    #[serde(rename = "protocol")]
    _protocol: Option<IgnoredAny>,
    #[serde(rename = "virtual_host_mode")]
    _virtual_host_mode: Option<IgnoredAny>,
}

impl Input {
    pub(super) fn server(&self) -> IpAddr {
        let named = self.dest_addr.as_ref().and_then(|address| address.text().parse().ok());
        named.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }
}

/// A header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub name: String,
    pub value: Text,
}

/// Text, which YAML may take for a number.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Plain(String),
    Integer(i64),
    Number(f64),
    Truth(bool),
    Lines(Vec<String>),
    Nothing(()),
}

impl Text {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::Lines(lines) => lines.join("\r\n"),
            Self::Nothing(()) => String::new(),
        }
    }
}

/// What is expected. Patterns are regular expressions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The answer's status, or several of which it is one.
    pub status: Option<Statuses>,
    /// A pattern that the answer matches, from its first line to the end of its body.
    #[serde(alias = "html_contains")]
    pub response_contains: Option<String>,
    /// What is logged.
    pub log: Log,
    /// A pattern that the log matches, in the old form.
    pub log_contains: Option<String>,
    /// A pattern that it does not.
    pub no_log_contains: Option<String>,
    /// There is no answer: the request cannot be sent, or a rule closes the connection.
    pub expect_error: Option<bool>,
    /// Only the rules in `expect_ids` say that they matched.
    pub isolated: bool,
    // Here nothing comes too late.
    #[serde(rename = "retry_once")]
    _retry_once: Option<IgnoredAny>,
}

/// One status, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Statuses {
    One(u16),
    Several(Vec<u16>),
}

impl Statuses {
    pub(super) fn all(&self) -> &[u16] {
        match self {
            Self::One(status) => std::slice::from_ref(status),
            Self::Several(statuses) => statuses,
        }
    }
}

/// What is expected of the log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Rules that match.
    pub expect_ids: Vec<u64>,
    /// Rules that do not.
    pub no_expect_ids: Vec<u64>,
    /// A pattern that a line of the log matches.
    pub match_regex: Option<String>,
    /// A pattern that none does.
    pub no_match_regex: Option<String>,
}
