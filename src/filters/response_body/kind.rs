//! What an answer's `Content-Type` says of how to read it.

use crate::http::media_type::essence;

/// What kind of text an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// One document a line.
    JsonLines,
    EventStream,
    /// It does not say.
    Unknown,
    Text,
}

impl Kind {
    pub(super) fn of(content_type: &str) -> Self {
        let name = essence(content_type).to_ascii_lowercase();
        let (_, subtype) = name.split_once('/').unwrap_or_default();
        match subtype {
            "event-stream" => Self::EventStream,
            "x-ndjson" | "ndjson" | "jsonl" | "jsonlines" | "x-jsonlines" => Self::JsonLines,
            "json" | "graphql-response" => Self::Json,
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// Whether the text is in a charset in which ASCII is not ASCII.
pub(super) fn is_wide(content_type: &str) -> bool {
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters.any(|(name, value)| {
        let value = value.trim_matches([' ', '\t', '"', '\'']).to_ascii_lowercase();
        name.trim().eq_ignore_ascii_case("charset")
            && ["utf-16", "utf16", "utf-32", "utf32", "ucs-", "utf-7", "iso-10646", "ibm037", "cp037"]
                .iter()
                .any(|wide| value.starts_with(wide))
    })
}
