//! What upstreams are told of a token's claims, in request headers.
//!
//! What always holds: a header says what the claim says or is not there. A value that a header could only hold changed
//! would make one user of another, so it is left out: control characters, space around it, what is too long, and in a
//! list an item with a comma in it. Texts are UTF-8.

use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use serde_json::Value;

use super::dpop::PROOF;
use super::place::Place;
use crate::auth::jose::{ClaimPath, Claims};
use crate::filters::header_edits::{Head, editable};
use crate::values::Problem;

/// Longest header value.
const MOST_BYTES: usize = 4096;
const MOST_HEADERS: usize = 32;

/// Which headers tell of which claims.
#[derive(Debug)]
pub(in crate::filters) struct Told {
    headers: Vec<HeaderName>,
    claims: Vec<ClaimPath>,
}

impl Told {
    pub(in crate::filters) fn compile(
        headers: &BTreeMap<String, String>,
        from: &Place,
    ) -> Result<Self, Problem> {
        if headers.len() > MOST_HEADERS {
            return Err(Problem::new("to_headers", format_args!("expected at most {MOST_HEADERS} headers")));
        }
        let mut told = Self { headers: Vec::new(), claims: Vec::new() };
        for (name, claim) in headers {
            let at = format!("to_headers[{name:?}]");
            let header = editable(name).map_err(|message| Problem::new(&at, message))?;
            if [AUTHORIZATION, COOKIE, PROOF].contains(&header) || from.header() == Some(&header) {
                return Err(Problem::new(at, "holds credentials: name another header, such as x-user"));
            }
            if told.headers.contains(&header) {
                return Err(Problem::new(at, "written twice: header names ignore case"));
            }
            told.claims.push(ClaimPath::parse(claim).map_err(|problem| problem.under(&at))?);
            told.headers.push(header);
        }
        Ok(told)
    }

    /// The headers.
    pub(in crate::filters) fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// Writes the headers; one that says nothing is taken away.
    pub(in crate::filters) fn tell(&self, claims: &Claims, request: &mut RequestHeader) {
        for (header, path) in self.headers.iter().zip(&self.claims) {
            match path.find(claims).and_then(value) {
                Some(value) => request.insert(header, value),
                None => request.remove(header),
            }
        }
    }
}

fn value(claim: &Value) -> Option<HeaderValue> {
    let text = match claim {
        Value::Array(items) => {
            let items = items.iter().filter_map(plain).filter(|item| !item.contains(','));
            let items: Vec<_> = items.filter(|item| is_unmistakable(item)).collect();
            items.join(",")
        }
        other => plain(other)?,
    };
    if !is_unmistakable(&text) || text.len() > MOST_BYTES {
        return None;
    }
    HeaderValue::try_from(text).ok()
}

fn plain(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_unmistakable(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(claim: Value) -> Option<String> {
        value(&claim).map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn plain_values_are_told_as_they_are_and_lists_with_commas_between() {
        for (claim, expected) in [
            (json!("user-1"), "user-1"),
            (json!("J\u{f6}rg, M."), "J\u{f6}rg, M."),
            (json!(7), "7"),
            (json!(1.5), "1.5"),
            (json!(true), "true"),
            (json!(["a", "b c", 7]), "a,b c,7"),
        ] {
            assert_eq!(told(claim).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_a_header_cannot_hold_unchanged_is_left_out() {
        for claim in [
            json!(""),
            json!(" admin"),
            json!("admin "),
            json!("adm\nin"),
            json!("admin\u{0}"),
            json!("admin\r\nx-role: root"),
            json!("\u{85}admin"),
            json!(null),
            json!({ "a": 1 }),
            json!([]),
            json!([["a"]]),
            json!("a".repeat(MOST_BYTES + 1)),
        ] {
            assert_eq!(told(claim.clone()), None, "{claim}");
        }
        assert_eq!(told(json!("a".repeat(MOST_BYTES))).map(|text| text.len()), Some(MOST_BYTES));
        let list = json!(["users,admins", "ok", " admins", "", "x\ty", { "a": 1 }]);
        assert_eq!(told(list).as_deref(), Some("ok"));
    }
}
