//! From a test's input to a request, and to the response that it asks for.

use serde::Deserialize;

use super::Input;
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
#[derive(Debug, Default, Deserialize)]
pub(in crate::waf) struct Response {
    #[serde(default = "ok")]
    pub(in crate::waf) status: u16,
    #[serde(default)]
    pub(in crate::waf) headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    pub(in crate::waf) body: String,
    #[serde(default, rename = "encodedBody")]
    pub(in crate::waf) encoded_body: String,
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
        let mut request = Self {
            method: text(&input.method, "GET"),
            target: text(&input.uri, "/"),
            protocol: text(&input.version, "HTTP/1.1"),
            headers: input
                .headers
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), value.bytes()))
                .collect(),
            body: input.data.as_ref().map_or(Vec::new(), super::Text::bytes),
        };
        if request.protocol.is_empty() {
            // What servers say of a request line without a protocol.
            request.protocol = b"HTTP/0.9".to_vec();
        }
        if input.autocomplete_headers.unwrap_or(true) {
            request.complete();
        }
        Ok(request)
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn complete(&mut self) {
        let length = self.body.len().to_string();
        let missing = [
            ("Content-Type", "application/x-www-form-urlencoded", !self.body.is_empty()),
            ("Content-Length", length.as_str(), !self.body.is_empty()),
            ("Connection", "close", true),
        ];
        for (name, value, wanted) in missing {
            if wanted && !self.has(name) {
                self.headers.push((name.into(), value.into()));
            }
        }
    }

    /// Reads a request as it goes over the wire.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (head, body) = match memchr::memmem::find(bytes, b"\r\n\r\n") {
            Some(end) => (bytes.get(..end), bytes.get(end + 4..)),
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
        request.body = if request.has("transfer-encoding") { unchunked(body) } else { body.to_vec() };
        Ok(request)
    }

    /// What the test server answers.
    pub(in crate::waf) fn response(&self) -> Response {
        if !self.target.starts_with(b"/reflect") {
            return Response { status: 200, ..Response::default() };
        }
        let mut response: Response = serde_json::from_slice(&self.body).unwrap_or_default();
        if !response.encoded_body.is_empty() {
            let decoded = base64(response.encoded_body.as_bytes());
            response.body = String::from_utf8_lossy(&decoded).into_owned();
        }
        response
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = memchr::memmem::find(body, b"\r\n") {
        let (size, rest) = body.split_at(end);
        let size =
            std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let rest = rest.get(2..).unwrap_or_default();
        let Some(size) = size.filter(|size| *size > 0 && *size <= rest.len()) else { break };
        whole.extend_from_slice(rest.get(..size).unwrap_or_default());
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}
