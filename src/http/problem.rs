//! The body of every refusal: `application/problem+json` (RFC 9457).
//!
//! `type` is `urn:edgeward:reason:<reason>`, so that a program can tell refusals apart without reading prose;
//! it is a name, not an address, and stays the same over releases. `title` is the status' own phrase.
//! `detail` and `instance` appear where given. `request_id` is what the access log and the audit log know the
//! request by.

use ::http::StatusCode;

/// What a status is called (RFC 9110 §15). The `http` crate has two names of before.
#[must_use]
pub fn phrase(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        _ => status.canonical_reason().unwrap_or("Refused"),
    }
}

/// The media type of the body.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What to say.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    pub status: StatusCode,
    /// The stable `snake_case` reason, the same as in metrics and logs.
    pub reason: &'a str,
    /// `None` where there is no request.
    pub request_id: Option<&'a str>,
    /// One sentence for people; nothing of the inside.
    pub detail: Option<&'a str>,
    /// A URI reference of this occurrence.
    pub instance: Option<&'a str>,
}

impl Problem<'_> {
    /// The JSON object, allocated once.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let title = phrase(self.status);
        let members: [(&[u8], Option<&str>); 5] = [
            (b"{\"type\":\"urn:edgeward:reason:", Some(self.reason)),
            (b"\",\"title\":\"", Some(title)),
            (b"\",\"detail\":\"", self.detail),
            (b"\",\"instance\":\"", self.instance),
            (b"\",\"request_id\":\"", self.request_id),
        ];
        let length =
            members.iter().map(|(key, value)| value.map_or(0, |text| key.len() + escaped_length(text)));
        let mut json = Vec::with_capacity(length.sum::<usize>() + STATUS.len() + 4);
        for (key, value) in members {
            if let Some(value) = value {
                json.extend_from_slice(key);
                escape(&mut json, value);
            }
        }
        json.extend_from_slice(STATUS);
        json.extend_from_slice(self.status.as_str().as_bytes());
        json.push(b'}');
        json
    }
}

const STATUS: &[u8] = b"\",\"status\":";

/// Appends text as the inside of a JSON string (RFC 8259 §7).
fn escape(json: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                json.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
            _ => json.push(byte),
        }
    }
}

fn escaped_length(text: &str) -> usize {
    let extra = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 | 0x7f => 6,
        _ => 1,
    };
    text.bytes().map(extra).sum()
}

#[cfg(test)]
mod tests;
