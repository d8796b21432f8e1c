//! Methods and header names that a policy lists, with the header value that tells them to a browser.

use http::{HeaderName, HeaderValue, Method};

use crate::values::Problem;
use crate::values::text::quoted;

/// A list of names, of which one may be `*`.
#[derive(Debug)]
pub struct Listed {
    names: Vec<String>,
    any: bool,
    /// `None` where the list is empty.
    value: Option<HeaderValue>,
}

impl Listed {
    /// Methods, with their case.
    ///
    /// # Errors
    /// An empty list, and the first entry that is no method, is forbidden to scripts, or has the wrong case.
    pub fn methods(list: &[String]) -> Result<Self, Problem> {
        if list.is_empty() {
            return Err(Problem::new("methods", "no method is allowed: name one, or leave the key out"));
        }
        for (index, method) in list.iter().enumerate().filter(|(_, method)| *method != "*") {
            check_method(method).map_err(|message| Problem::new(format!("methods[{index}]"), message))?;
        }
        Self::new("methods", list.to_vec())
    }

    /// Header names, in lower case. `key` is where they stand in the policy.
    ///
    /// # Errors
    /// The first entry that is no header name.
    pub fn headers(key: &str, list: &[String]) -> Result<Self, Problem> {
        let lower = |(index, name): (usize, &String)| match HeaderName::try_from(name) {
            Ok(parsed) if name == "*" || !name.contains('*') => Ok(parsed.as_str().to_owned()),
            _ => {
                let message = format!("expected a header name such as content-type, found {}", quoted(name));
                Err(Problem::new(format!("{key}[{index}]"), message))
            }
        };
        Self::new(key, list.iter().enumerate().map(lower).collect::<Result<_, _>>()?)
    }

    fn new(key: &str, names: Vec<String>) -> Result<Self, Problem> {
        let value = (!names.is_empty()).then(|| HeaderValue::from_str(&names.join(", ")));
        let value = value.transpose().map_err(|error| Problem::new(key, error))?;
        Ok(Self { any: names.iter().any(|name| name == "*"), names, value })
    }

    /// Whether `*` is listed.
    pub const fn is_any(&self) -> bool {
        self.any
    }

    /// Whether the name itself is listed.
    pub fn names(&self, name: &str) -> bool {
        name != "*" && self.names.iter().any(|listed| listed == name)
    }

    /// Whether the name is listed, or all are.
    pub fn contains(&self, name: &str) -> bool {
        self.any || self.names(name)
    }

    /// All names for a header; `None` where there are none.
    pub const fn value(&self) -> Option<&HeaderValue> {
        self.value.as_ref()
    }
}

fn check_method(method: &str) -> Result<(), String> {
    const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let upper = method.to_ascii_uppercase();
    if matches!(upper.as_str(), "CONNECT" | "TRACE" | "TRACK") {
        return Err(format!("no browser lets scripts send {upper}: remove it"));
    }
    if upper != method && USUAL.contains(&upper.as_str()) {
        return Err(format!("the case of methods counts, did you mean {upper}?"));
    }
    let parsed = Method::from_bytes(method.as_bytes()).is_ok() && !method.contains('*');
    if parsed { Ok(()) } else { Err(format!("expected a method such as GET, found {}", quoted(method))) }
}
