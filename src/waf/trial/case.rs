//! What a test sends: a request, or a value that is sent in several places.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::waf::ftw::{Request, Response};

const FORM: &str = "application/x-www-form-urlencoded";
const BOUNDARY: &str = "----edgeward7MA4YWxkTrZu0gW";
/// What a browser says of itself.
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Where and how a value is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// As an argument of the query, percent-encoded.
    Query,
    /// So, and encoded once more.
    QueryTwice,
    /// So, with `%uHHHH` for each character that is no letter and no digit.
    QueryUnicode,
    /// As the name of an argument.
    QueryName,
    /// As it is: it must be a query already.
    RawQuery,
    Form,
    Json,
    /// As the name of a member.
    JsonName,
    Multipart,
    /// As the name of a file.
    Filename,
    Xml,
    Cookie,
    /// In a header of its own.
    Header,
    UserAgent,
    Referer,
    /// As a segment of the path, percent-encoded.
    Path,
    /// As the path.
    RawPath,
    /// As the body of a response in HTML.
    Response,
}

/// What is sent.
#[derive(Debug, Clone)]
pub enum Case {
    /// A value, in as many requests as there are places.
    Value(String),
    /// One request.
    Request(Box<Written>),
}

/// A request as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    name: String,
    /// Default: `POST` if there is a body, or else `GET`.
    method: Option<String>,
    /// Path and query as they are sent. Default `/`.
    path: Option<String>,
    /// Arguments that are percent-encoded and added to the path.
    query: BTreeMap<String, String>,
    /// Nothing in place of a value: without the header that browsers send.
    headers: BTreeMap<String, Option<String>>,
    cookies: BTreeMap<String, String>,
    form: Option<BTreeMap<String, String>>,
    json: Option<Value>,
    multipart: Option<BTreeMap<String, Part>>,
    body: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    response: Option<Answer>,
}

/// A part of an upload: a value, or a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Part {
    Value(String),
    File {
        filename: String,
        #[serde(default, rename = "type")]
        kind: String,
        #[serde(default)]
        content: String,
    },
}

/// What the server answers. Default: an empty 200 in HTML.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) response: Response,
}

impl<'de> Deserialize<'de> for Case {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Value(text)),
            other => Written::deserialize(other)
                .map(|written| Self::Request(Box::new(written)))
                .map_err(serde::de::Error::custom),
        }
    }
}

impl Case {
    /// Each request, with what a reader calls it.
    pub(super) fn exchanges(&self, through: &[Through]) -> Vec<(String, Exchange)> {
        match self {
            Self::Value(value) => through
                .iter()
                .map(|through| {
                    (format!("{value:?} through {through:?}"), Written::of(value, *through).exchange())
                })
                .collect(),
            Self::Request(written) => {
                let path = written.path.as_deref().unwrap_or("/");
                let name = if written.name.is_empty() { path } else { &written.name };
                vec![(name.to_owned(), written.exchange())]
            }
        }
    }
}

impl Written {
    fn of(value: &str, through: Through) -> Self {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let header = |name: &str| Self {
            headers: BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]),
            ..Self::default()
        };
        let path = |path: String| Self { path: Some(path), ..Self::default() };
        match through {
            Through::Query => Self { query: one("value", value), ..Self::default() },
            Through::QueryTwice => Self { query: one("value", &encoded(value)), ..Self::default() },
            Through::QueryUnicode => path(format!("/?value={}", unicode(value))),
            Through::QueryName => path(format!("/?{}=1", encoded(value))),
            Through::RawQuery => path(format!("/?{value}")),
            Through::Form => Self { form: Some(one("value", value)), ..Self::default() },
            Through::Json => Self { json: Some(serde_json::json!({ "value": value })), ..Self::default() },
            Through::JsonName => Self { json: Some(serde_json::json!({ value: 1 })), ..Self::default() },
            Through::Multipart => {
                let part = BTreeMap::from([("value".to_owned(), Part::Value(value.to_owned()))]);
                Self { multipart: Some(part), ..Self::default() }
            }
            Through::Filename => {
                let file = Part::File {
                    filename: value.to_owned(),
                    kind: "text/plain".to_owned(),
                    content: "x".to_owned(),
                };
                Self { multipart: Some(BTreeMap::from([("file".to_owned(), file)])), ..Self::default() }
            }
            Through::Xml => {
                let text = value.replace('&', "&amp;").replace('<', "&lt;");
                let body = format!("<?xml version=\"1.0\"?><order><note>{text}</note></order>");
                Self { body: Some(body), kind: Some("application/xml".to_owned()), ..Self::default() }
            }
            Through::Cookie => Self { cookies: one("value", &encoded(value)), ..Self::default() },
            Through::Header => header("X-Value"),
            Through::UserAgent => header("User-Agent"),
            Through::Referer => header("Referer"),
            Through::Path => path(format!("/items/{}", encoded(value))),
            Through::RawPath => path(value.to_owned()),
            Through::Response => {
                let answer = Answer { body: value.to_owned(), ..Answer::default() };
                Self { response: Some(answer), ..Self::default() }
            }
        }
    }

    fn exchange(&self) -> Exchange {
        let (body, kind) = self.body();
        let method = self.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
        let mut target = self.path.clone().unwrap_or_else(|| "/".to_owned());
        for (name, value) in &self.query {
            target.push(if target.contains('?') { '&' } else { '?' });
            _ = write!(target, "{}={}", encoded(name), encoded(value));
        }
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut push = |name: &str, value: &str| headers.push((name.into(), value.into()));
        let given = |name: &str| self.headers.keys().any(|known| known.eq_ignore_ascii_case(name));
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let length = body.as_ref().map_or(0, Vec::len).to_string();
        for (name, value, wanted) in [
            ("Host", "shop.example.com", true),
            ("User-Agent", AGENT, true),
            ("Accept", "*/*", true),
            ("Content-Type", kind.as_str(), !kind.is_empty()),
            ("Content-Length", length.as_str(), body.is_some()),
            ("Cookie", &cookies.join("; "), !cookies.is_empty()),
        ] {
            if wanted && !given(name) {
                push(name, value);
            }
        }
        for (name, value) in self.headers.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            push(name, value);
        }
        let request = Request {
            method: method.into(),
            target: target.into_bytes(),
            protocol: b"HTTP/1.1".to_vec(),
            headers,
            body: body.unwrap_or_default(),
        };
        let answer = self.response.clone().unwrap_or_default();
        let mut headers = answer.headers;
        if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            headers.insert("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned());
        }
        let response = Response {
            status: answer.status.unwrap_or(200),
            headers,
            body: answer.body,
            ..Response::default()
        };
        Exchange { request, response }
    }

    /// The body, if there is one, and its type.
    fn body(&self) -> (Option<Vec<u8>>, String) {
        let kind = |default: &str| self.kind.clone().unwrap_or_else(|| default.to_owned());
        if let Some(form) = &self.form {
            let pairs: Vec<_> =
                form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
            return (Some(pairs.join("&").into_bytes()), kind(FORM));
        }
        if let Some(json) = &self.json {
            return (Some(json.to_string().into_bytes()), kind("application/json"));
        }
        if let Some(parts) = &self.multipart {
            return (Some(multipart(parts)), kind(&format!("multipart/form-data; boundary={BOUNDARY}")));
        }
        (self.body.clone().map(String::into_bytes), self.kind.clone().unwrap_or_default())
    }
}

fn multipart(parts: &BTreeMap<String, Part>) -> Vec<u8> {
    let mut body = String::new();
    for (name, part) in parts {
        _ = write!(body, "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
        match part {
            Part::Value(value) => _ = write!(body, "\r\n\r\n{value}\r\n"),
            Part::File { filename, kind, content } => {
                let filename = filename.replace('"', "%22");
                let kind = if kind.is_empty() { "application/octet-stream" } else { kind };
                _ = write!(body, "; filename=\"{filename}\"\r\nContent-Type: {kind}\r\n\r\n{content}\r\n");
            }
        }
    }
    _ = write!(body, "--{BOUNDARY}--\r\n");
    body.into_bytes()
}

/// All but what RFC 3986 calls unreserved, as browsers do it.
fn encoded(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

fn unicode(text: &str) -> String {
    let one = |unit: u16| match u8::try_from(unit).ok().filter(u8::is_ascii_alphanumeric) {
        Some(byte) => char::from(byte).to_string(),
        None => format!("%u{unit:04x}"),
    };
    text.encode_utf16().map(one).collect()
}
