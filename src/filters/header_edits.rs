//! The edits that `request_headers` and `response_headers` share: remove, then set, then add.
//!
//! Headers that frame a message or belong to one connection (RFC 9110 §7.6.1, RFC 9112 §6) cannot be named: a policy
//! that could write `content-length` could smuggle requests.

use std::collections::{BTreeMap, HashSet};

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};

use super::template::Template;
use super::{Expressions, Fields};
use crate::expr::Phase;
use crate::values::Problem;
use crate::values::text::quoted;

/// Headers that no policy edits, in requests or responses.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Edits of the headers of one message, in their fixed order.
#[derive(Debug)]
pub struct Edits {
    remove: Names,
    set: Vec<(HeaderName, Template)>,
    add: Vec<(HeaderName, Template)>,
}

/// Headers by name and by prefix.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<HeaderName>,
    prefixes: Vec<Box<str>>,
}

impl Names {
    /// Checks names, and prefixes with a `*` at their end. Problems are told at `section[…]`.
    ///
    /// # Errors
    /// The first one that is malformed, or about headers that no policy edits.
    pub fn compile(section: &str, patterns: &[String]) -> Result<Self, Problem> {
        let mut compiled = Self::default();
        for (index, pattern) in patterns.iter().enumerate() {
            let problem = |message| Problem::new(format!("{section}[{index}]"), message);
            match pattern.strip_suffix('*') {
                Some(prefix) => compiled.prefixes.push(editable_prefix(prefix).map_err(problem)?),
                None => compiled.names.push(editable(pattern).map_err(problem)?),
            }
        }
        Ok(compiled)
    }

    /// Whether the name is one of them.
    pub fn contain(&self, name: &HeaderName) -> bool {
        self.names.contains(name) || self.has_prefix_of(name)
    }

    fn has_prefix_of(&self, name: &HeaderName) -> bool {
        self.prefixes.iter().any(|prefix| name.as_str().starts_with(&**prefix))
    }

    const fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty()
    }
}

/// Whether the header frames the message or belongs to its connection, so that no policy edits it.
pub fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

/// Templates filled in for one exchange, to be written after its headers were removed.
#[derive(Debug)]
pub struct Filled {
    set: Vec<HeaderValue>,
    add: Vec<HeaderValue>,
}

/// The head of a message, whose headers are edited with their spelling kept in step.
pub trait Head {
    /// All headers.
    fn headers(&self) -> &HeaderMap;
    /// Replaces all headers of the name by one.
    fn insert(&mut self, name: &HeaderName, value: HeaderValue);
    /// Adds a header next to those of the same name.
    fn append(&mut self, name: &HeaderName, value: HeaderValue);
    /// Removes all headers of the name.
    fn remove(&mut self, name: &HeaderName);
}

macro_rules! head {
    ($type:ty) => {
        impl Head for $type {
            fn headers(&self) -> &HeaderMap {
                &self.headers
            }

            fn insert(&mut self, name: &HeaderName, value: HeaderValue) {
                // Fails for malformed names and values alone, and these are neither.
                let _ = self.insert_header(name, value);
            }

            fn append(&mut self, name: &HeaderName, value: HeaderValue) {
                // Fails beyond 32,768 headers, where one more would be lost anyway.
                let _ = self.append_header(name, value);
            }

            fn remove(&mut self, name: &HeaderName) {
                self.remove_header(name);
            }
        }
    };
}

head!(RequestHeader);
head!(ResponseHeader);

impl Edits {
    /// Checks names and templates. Problems are told at `remove[…]`, `set["…"]` or `add["…"]`.
    ///
    /// # Errors
    /// The first name that is malformed, reserved or written twice, and the first malformed template.
    pub fn compile(
        remove: &[String],
        set: &BTreeMap<String, String>,
        add: &BTreeMap<String, String>,
        (expressions, phase): (Expressions<'_>, Phase),
    ) -> Result<Self, Problem> {
        let templates = |section, edits| templates(section, edits, expressions, phase);
        let remove = Names::compile("remove", remove)?;
        Ok(Self { remove, set: templates("set", set)?, add: templates("add", add)? })
    }

    /// Whether nothing is edited.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Fills in all templates, while the headers they name are still there. The fields are those of the phase in which the
    /// edits are made.
    #[must_use]
    pub fn fill(&self, fields: &Fields<'_>) -> Filled {
        let fill = |edits: &[(HeaderName, Template)]| {
            edits.iter().map(|(_, template)| template.header_value(fields)).collect()
        };
        Filled { set: fill(&self.set), add: fill(&self.add) }
    }

    /// Takes away what is to be removed.
    pub fn remove(&self, head: &mut impl Head) {
        for name in &self.remove.names {
            head.remove(name);
        }
        if !self.remove.prefixes.is_empty() {
            remove_all(head, |name| self.remove.has_prefix_of(name));
        }
    }

    /// Writes what was filled in: first `set`, then `add`.
    pub fn write(&self, head: &mut impl Head, filled: Filled) {
        for ((name, _), value) in self.set.iter().zip(filled.set) {
            head.insert(name, value);
        }
        for ((name, _), value) in self.add.iter().zip(filled.add) {
            head.append(name, value);
        }
    }
}

/// Takes away all headers whose names are so.
pub fn remove_all(head: &mut impl Head, is_so: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = head.headers().keys().filter(|name| is_so(name)).cloned().collect();
    for name in &found {
        head.remove(name);
    }
}

/// A header name that a policy may write or remove.
///
/// # Errors
/// Says why the name is malformed or reserved.
pub fn editable(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::try_from(name)
        .map_err(|_| format!("expected a header name such as x-tenant, found {}", quoted(name)))?;
    match parsed.as_str() {
        "host" => Err("host is changed by the rewrite of the route, not here".to_owned()),
        reserved if RESERVED.contains(&reserved) => {
            Err(format!("{reserved} belongs to the connection or frames the message: no policy edits it"))
        }
        _ => Ok(parsed),
    }
}

fn editable_prefix(prefix: &str) -> Result<Box<str>, String> {
    let malformed = || {
        format!("expected a name or a prefix such as x-internal-*, found {}", quoted(&format!("{prefix}*")))
    };
    let parsed = HeaderName::try_from(prefix).map_err(|_| malformed())?;
    if parsed.as_str().contains('*') {
        return Err(malformed());
    }
    match RESERVED.iter().find(|reserved| reserved.starts_with(parsed.as_str())) {
        Some(reserved) => {
            Err(format!("{prefix}* covers {reserved}, which no policy edits: write a longer prefix"))
        }
        None => Ok(parsed.as_str().into()),
    }
}

fn templates(
    section: &str,
    edits: &BTreeMap<String, String>,
    expressions: Expressions<'_>,
    phase: Phase,
) -> Result<Vec<(HeaderName, Template)>, Problem> {
    let mut seen = HashSet::new();
    let compile = |(name, value): (&String, &String)| {
        let at = || format!("{section}[{name:?}]");
        let header = editable(name).map_err(|message| Problem::new(at(), message))?;
        if !seen.insert(header.clone()) {
            return Err(Problem::new(at(), "written twice: header names ignore case"));
        }
        Ok((header, Template::compile(&at(), value, expressions, phase)?))
    };
    edits.iter().map(compile).collect()
}
