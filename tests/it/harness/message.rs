//! A response of HTTP/1 as it came, read without any leniency: what this accepts is well-formed.

/// Fields that Edgeward may send by itself. What an origin sends must be allowed by the test, or begin with `x-test-`.
pub const ALLOWED: [&str; 16] = [
    "age",
    "allow",
    "cache-control",
    "cache-status",
    "connection",
    "content-length",
    "content-type",
    "date",
    "location",
    "proxy-status",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "transfer-encoding",
    "vary",
    "www-authenticate",
];

/// What the preset `security: strict` adds.
pub const STRICT: [&str; 6] = [
    "content-security-policy",
    "cross-origin-resource-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
];

/// How a body's end was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By `Content-Length`.
    Length,
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// 10 or 11.
    pub version: u8,
    /// The status.
    pub status: u16,
    /// Fields in their order, names as they came.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// How the body ended.
    pub framing: Framing,
    /// The head as it came.
    pub raw_head: Vec<u8>,
}

impl Response {
    /// The value of a field; `None` without it.
    ///
    /// # Panics
    /// When it is there more than once: use [`Response::all`].
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there {} times: {all:?}", all.len());
        all.first().copied()
    }

    /// The values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(one, _)| one.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The reason in a refusal's body.
    pub fn reason(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        json["type"].as_str().unwrap().strip_prefix("urn:edgeward:reason:").unwrap().to_owned()
    }

    /// Panics at a field that is not expected.
    pub fn check(&self, also: &[String]) {
        for (name, value) in &self.headers {
            check_name(name, value, also);
        }
    }
}

/// Panics at a field that is not expected.
pub fn check_name(name: &str, value: &str, also: &[String]) {
    let name = name.to_ascii_lowercase();
    let known = ALLOWED.contains(&name.as_str()) || name.starts_with("x-test-") || also.contains(&name);
    assert!(known, "unexpected response header {name}: {value}");
}

/// Reads a head, which ends with an empty line: status, version and fields.
pub fn parse_head(head: &[u8]) -> Result<Response, String> {
    let text = std::str::from_utf8(head).map_err(|error| error.to_string())?;
    let text = text.strip_suffix("\r\n\r\n").ok_or("no empty line")?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let version = match first.get(..9) {
        Some("HTTP/1.1 ") => 11,
        Some("HTTP/1.0 ") => 10,
        _ => return Err(format!("no status line: {first:?}")),
    };
    let status =
        first.get(9..12).and_then(|status| status.parse().ok()).ok_or(format!("no status: {first:?}"))?;
    if !matches!(first.get(12..13), Some(" ")) {
        return Err(format!("no space after the status: {first:?}"));
    }
    Ok(Response {
        version,
        status,
        headers: lines.map(field).collect::<Result<_, _>>()?,
        body: Vec::new(),
        trailers: Vec::new(),
        framing: Framing::None,
        raw_head: head.to_vec(),
    })
}

/// A field line.
pub fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or(format!("no colon: {line:?}"))?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("no field name: {line:?}"));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(format!("a control character: {line:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// How the body of a response to `method` is framed (RFC 9112 section 6.3).
pub fn framing(response: &Response, method: &str) -> Result<(Framing, usize), String> {
    let (lengths, codings) = (response.all("content-length"), response.all("transfer-encoding"));
    if !lengths.is_empty() && !codings.is_empty() {
        return Err("both content-length and transfer-encoding".into());
    }
    let bodiless = method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304);
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) if bodiless => Ok((Framing::None, 0)),
        ([], []) => Ok((Framing::Close, 0)),
        ([length], []) => {
            let length = length.parse().map_err(|_| format!("content-length: {length:?}"))?;
            Ok(if bodiless { (Framing::None, 0) } else { (Framing::Length, length) })
        }
        ([], ["chunked"]) => Ok((if bodiless { Framing::None } else { Framing::Chunked }, 0)),
        _ => Err(format!("content-length {lengths:?}, transfer-encoding {codings:?}")),
    }
}
