//! From a test's input to a request, and to the response that it asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::document::Input;
use crate::waf::transform::Transformation;

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// A request.
#[derive(Debug, Default)]
pub(in crate::waf) struct Request {
    pub(in crate::waf) method: Vec<u8>,
    pub(in crate::waf) target: Vec<u8>,
    pub(in crate::waf) protocol: Vec<u8>,
    pub(in crate::waf) headers: Headers,
    pub(in crate::waf) body: Vec<u8>,
}

/// What the test server sends back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    #[serde(default = "ok")]
    pub(in crate::waf) status: u16,
    #[serde(default)]
    pub(in crate::waf) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(in crate::waf) body: String,
    #[serde(default, alias = "encodedBody")]
    pub(in crate::waf) encoded_body: String,
    #[serde(default, rename = "log_message", alias = "logMessage")]
    pub(in crate::waf) _log_message: Option<IgnoredAny>,
}

const fn ok() -> u16 {
    200
}

fn base64(text: &[u8]) -> Vec<u8> {
    let plain: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut out = Vec::new();
    match Transformation::from_name("base64Decode") {
        Some(decode) if decode.apply(&plain, &mut out) => out,
        _ => plain,
    }
}

impl Request {
    pub(in crate::waf) fn new(input: &Input) -> Result<Self, String> {
        if let Some(encoded) = &input.encoded_request {
            return Self::parse(&base64(encoded.as_bytes()));
        }
        let text =
            |value: &Option<String>, default: &str| value.as_deref().unwrap_or(default).as_bytes().to_vec();
        let ordered = input.ordered_headers.iter().map(|header| (&header.name, &header.value));
        let headers = input.headers.iter().chain(ordered);
        let mut request = Self {
            method: text(&input.method, "GET"),
            target: text(&input.uri, "/"),
            protocol: text(&input.version, "HTTP/1.1"),
            headers: headers
                .map(|(name, value)| (name.clone().into_bytes(), value.text().into_bytes()))
                .collect(),
            body: match (&input.data, &input.encoded_data) {
                (Some(data), _) => data.text().into_bytes(),
                (None, Some(encoded)) => base64(encoded.as_bytes()),
                (None, None) => Vec::new(),
            },
        };
        if request.protocol.is_empty() {
            // What servers say of a request line without a protocol.
            request.protocol = b"HTTP/0.9".to_vec();
        }
        let completes = input.autocomplete_headers.or_else(|| input.stop_magic.map(|stop| !stop));
        if completes.unwrap_or(true) {
            request.complete();
        }
        Ok(request)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let named = |(known, _): &&(Vec<u8>, Vec<u8>)| known.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().find(named).map(|(_, value)| value.as_slice())
    }

    /// As go-ftw does it: with a form's body percent-encoded unless it seems to be, and CRLF in multipart bodies.
    fn complete(&mut self) {
        const FORM: &str = "application/x-www-form-urlencoded";
        if !self.body.is_empty() && self.header("content-type").is_none() {
            self.headers.push((b"Content-Type".to_vec(), FORM.into()));
        }
        let kind = self.header("content-type").unwrap_or_default();
        if kind == FORM.as_bytes() && !self.body.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            self.body = encoded_form(&self.body);
        } else if kind.starts_with(b"multipart/form-data") && !self.body.contains(&b'\r') {
            self.body = self.body.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
        }
        let is_sent = !self.body.is_empty()
            || [&b"POST"[..], b"PUT", b"PATCH", b"DELETE"].contains(&self.method.as_slice());
        let length = self.body.len().to_string();
        for (name, value, wanted) in
            [("Content-Length", length.as_str(), is_sent), ("Connection", "close", true)]
        {
            if wanted && self.header(name).is_none() {
                self.headers.push((name.into(), value.into()));
            }
        }
    }

    /// Goes to where an answer redirects to: a URL, or a path.
    pub(super) fn go_to(&mut self, location: &str) {
        let Some((_, rest)) = location.split_once("://") else {
            self.target = location.as_bytes().to_vec();
            return;
        };
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        self.target = path.into_bytes();
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
        self.headers.insert(0, (b"Host".to_vec(), host.into()));
    }

    /// Adds cookies to those that are there.
    pub(super) fn add_cookies(&mut self, cookies: &BTreeMap<String, String>) {
        if cookies.is_empty() {
            return;
        }
        let mut all: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Some(own) = self.header("cookie") {
            all.insert(0, String::from_utf8_lossy(own).into_owned());
        }
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"cookie"));
        self.headers.push((b"Cookie".to_vec(), all.join("; ").into_bytes()));
    }

    /// Reads a request as it goes over the wire.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let ends =
            [&b"\r\n\r\n"[..], b"\n\n"].map(|end| Some((memchr::memmem::find(bytes, end)?, end.len())));
        let (head, body) = match ends.into_iter().flatten().min() {
            Some((end, length)) => (bytes.get(..end), bytes.get(end + length..)),
            None => (Some(bytes), None),
        };
        let mut lines = head.unwrap_or_default().split(|byte| *byte == b'\n');
        let line = lines.next().unwrap_or_default().trim_ascii();
        let mut words = line.splitn(3, |byte| *byte == b' ').map(<[u8]>::to_vec);
        let mut word = || words.next().ok_or_else(|| "the request has no line".to_owned());
        let mut request = Self {
            method: word()?,
            target: word()?,
            protocol: words.next().unwrap_or_default(),
            ..Self::default()
        };
        for line in lines {
            let end = memchr::memchr(b':', line).ok_or("a header has no colon")?;
            let (name, value) = line.split_at(end);
            request.headers.push((name.to_vec(), value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
        }
        let body = body.unwrap_or_default();
        let chunked = request.header("transfer-encoding").and_then(|_| unchunked(body));
        request.body = chunked.unwrap_or_else(|| body.to_vec());
        Ok(request)
    }

    /// What the test server answers.
    pub(in crate::waf) fn response(&self) -> Response {
        if !self.target.starts_with(b"/reflect") {
            return Response { status: 200, ..Response::default() };
        }
        serde_json::from_slice::<Response>(&self.body).unwrap_or_default().decoded()
    }
}

impl Response {
    /// With its body, if that is in base64.
    pub(super) fn decoded(mut self) -> Self {
        if !self.encoded_body.is_empty() {
            let decoded = base64(self.encoded_body.as_bytes());
            self.body = String::from_utf8_lossy(&decoded).into_owned();
        }
        self
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &(&String, &String)| known.eq_ignore_ascii_case(name);
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    /// As it goes over the wire.
    pub(super) fn text(&self) -> String {
        let mut text = format!("HTTP/1.1 {}\r\n", self.status);
        for (name, value) in &self.headers {
            _ = write!(text, "{name}: {value}\r\n");
        }
        text + "\r\n" + &self.body
    }
}

/// Names and values percent-encoded, what parts them left.
fn encoded_form(body: &[u8]) -> Vec<u8> {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let encoded = |text: &[u8]| percent_encoding::percent_encode(text, KEPT).to_string().replace("%20", "+");
    let pair = |pair: &[u8]| match memchr::memchr(b'=', pair) {
        Some(at) => {
            let (name, value) = pair.split_at(at);
            format!("{}={}", encoded(name), encoded(value.get(1..).unwrap_or_default()))
        }
        None => encoded(pair),
    };
    body.split(|byte| *byte == b'&').map(pair).collect::<Vec<_>>().join("&").into_bytes()
}

/// What a chunked body holds (RFC 9112, section 7.1). Nothing, if it is none. Lines may end without a carriage return, as
/// editors leave them.
#[must_use]
pub fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let (line, rest) = body.split_at(memchr::memchr(b'\n', body)? + 1);
        let size = std::str::from_utf8(line).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        let rest = rest.get(size..)?;
        body = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
    }
}
