//! Bodies for errors: read from the policy or a file when it loads, or written for one error.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Format;
use crate::http::problem;
use crate::values::Problem;

/// A page: exactly one of `body` and `file`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ErrorPage")]
pub struct PageSpec {
    /// The page itself.
    pub body: Option<String>,
    /// A file that holds it, read when the policy loads; at most 1 MiB. Relative paths start at the policy's directory.
    pub file: Option<PathBuf>,
    /// Its media type, e.g. `text/plain`. Default: by the file's extension for `json`, `txt` and `xml`, else
    /// `text/html; charset=utf-8`.
    pub content_type: Option<String>,
}

/// A body and its media type.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

const LARGEST_BYTES: u64 = 1 << 20;
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The reason in the problem document that takes the place of an upstream's error.
const MASKED: &str = "upstream_error";

impl PageSpec {
    pub(super) fn compile(self, base: &Path) -> Result<Page, Problem> {
        let extension = self.file.as_deref().and_then(Path::extension).and_then(|name| name.to_str());
        let content_type = match (self.content_type, extension) {
            (Some(name), _) => HeaderValue::from_maybe_shared(Bytes::from(name))
                .map_err(|_| Problem::new("content_type", "has characters that a header cannot have"))?,
            (None, Some("json")) => HeaderValue::from_static("application/json"),
            (None, Some("xml")) => HeaderValue::from_static("application/xml"),
            (None, Some("txt")) => HeaderValue::from_static(TEXT),
            _ => HeaderValue::from_static(HTML),
        };
        let body = match (self.body, self.file) {
            (Some(body), None) => body.into(),
            (None, Some(file)) => read(&base.join(&file)).map_err(|error| {
                Problem::new("file", format_args!("cannot read {}: {error}", file.display()))
            })?,
            _ => return Err(Problem::whole("expected one of body and file")),
        };
        Ok(Page { content_type, body })
    }
}

fn read(path: &Path) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(io::Error::other("it is larger than 1MiB"));
    }
    Ok(bytes.into())
}

impl Page {
    /// A page that says no more than the status and how the request can be found in the logs.
    pub(super) fn generate(format: Format, status: StatusCode, request_id: &str) -> Self {
        let title = problem::phrase(status);
        let (content_type, body) = match format {
            Format::Problem => {
                let document = problem::Problem {
                    status,
                    reason: MASKED,
                    request_id: Some(request_id),
                    detail: None,
                    instance: None,
                };
                (problem::CONTENT_TYPE, document.to_json())
            }
            Format::Text => {
                (TEXT, format!("{} {title}\nRequest: {request_id}\n", status.as_u16()).into_bytes())
            }
            Format::Html => {
                let heading = format!("{} {title}", status.as_u16());
                let page = format!(
                    "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{heading}</title></head>\n\
                     <body><h1>{heading}</h1><p>Request: <code>{}</code></p></body>\n</html>\n",
                    escape(request_id)
                );
                (HTML, page.into_bytes())
            }
        };
        Self { content_type: HeaderValue::from_static(content_type), body: body.into() }
    }
}

/// Text as HTML shows it. A request id may come from a client, by way of a trusted hop.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_html_would_read() {
        assert_eq!(escape("a-1"), "a-1");
        assert_eq!(escape("<b>'\"&"), "&lt;b&gt;&#39;&quot;&amp;");
        let page = Page::generate(Format::Html, StatusCode::NOT_FOUND, "<script>");
        assert!(!String::from_utf8(page.body.to_vec()).unwrap().contains("<script>"));
    }
}
