//! Documents within values: GraphQL over HTTP, with queries in JSON bodies and in query strings, and JSON within text.
//!
//! A query's strings and comments are arguments of their own, and so are the members of its variables. The text around
//! them is no value of anybody's any more: its braces and names look like attacks, and are none. So it is with what is
//! read as GraphQL to its end; anything else stays the value it is, for many other things are called `query`.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::body::only_limits;
use super::{Transaction, only};
use crate::waf::body::{Fault, Kind, graphql, json};
use crate::waf::engine::values::{Base, Named, Span, Values};
use crate::waf::meter::byte_ns;

/// The member of `extensions` that stands for a query which the server knows.
const PERSISTED: &[u8] = b"\"persistedQuery\"";

impl Transaction {
    /// What is in a query.
    pub(super) fn query(&mut self, query: Span, base: Base) -> Result<(), Fault> {
        let limits = self.limits();
        self.state.values.parse(query, only(Kind::Argument, base), |input, arena, mut sink| {
            graphql::parse(input, arena, &limits, &mut sink)
        })
    }

    /// What is in those members of a body that are queries, from this place on.
    pub(super) fn queries_of_members(&mut self, first: usize) -> Result<(), Fault> {
        for (at, named) in self.those(first, |values, named| is_query(values, values.text(named.name), named))
        {
            self.query_at(at, named, Base::ArgPost)?;
        }
        Ok(())
    }

    /// What is in the query, the variables and the extensions of a query string.
    pub(super) fn query_of_query_string(&mut self) -> Result<(), Fault> {
        let queries = self.those(0, |values, named| {
            named.base == Base::ArgGet
                && values.text(named.name) == b"query"
                && memchr::memchr(b'{', values.text(named.value)).is_some()
        });
        let mut is_graphql = false;
        for (at, named) in queries {
            is_graphql |= self.query_at(at, named, Base::ArgGet)?;
        }
        let extensions = self.objects(b"extensions");
        is_graphql |= extensions
            .iter()
            .any(|(_, named)| memchr::memmem::find(self.state.values.text(named.value), PERSISTED).is_some());
        if is_graphql {
            for (at, named) in extensions {
                self.object_at(at, named, b"json.extensions")?;
            }
            for (at, named) in self.objects(b"variables") {
                self.object_at(at, named, b"json.variables")?;
            }
        }
        Ok(())
    }

    /// What is in arguments that are documents in JSON themselves, if their escapes keep it from being seen, named after
    /// them: of `data` = `{"id": "\u0027"}`, `data.id` = `'`. They stay as they are beside that. So it is with cookies,
    /// which are percent-encoded, and for Express begin with `j:`.
    pub(super) fn documents(&mut self, first: usize) -> Result<(), Fault> {
        let mut at = first;
        while at < self.state.values.len() {
            let Some(named) = self.state.values.from(at).next() else { break };
            at += 1;
            let text = self.state.values.text(named.value);
            let text: Cow<'_, [u8]> = match named.base {
                Base::ArgGet | Base::ArgPost => text.into(),
                Base::RequestCookie => percent_decode(text.strip_prefix(b"j:").unwrap_or(text)).into(),
                _ => continue,
            };
            if text.contains(&b'\\') && json::loose::begins(&text) {
                let (text, name) = (text.into_owned(), self.state.values.text(named.name).to_vec());
                self.state.meter.spend(text.len() * byte_ns::TOKENS);
                let document = self.state.values.keep(&text);
                match self.part_of(named.base, document, &name) {
                    Err(Fault::Malformed { .. }) if json::loose::is_text(&text) => {
                        self.strings(document, named.base, &name)?;
                    }
                    read => read.or_else(only_limits)?,
                }
            }
        }
        Ok(())
    }

    /// Arguments of this name that may be objects.
    fn objects(&self, name: &[u8]) -> Vec<(usize, Named)> {
        self.those(0, |values, named| {
            named.base == Base::ArgGet
                && values.text(named.name) == name
                && values.text(named.value).starts_with(b"{")
        })
    }

    /// Values from this place on, as they are now.
    fn those(&self, first: usize, is: impl Fn(&Values, &Named) -> bool) -> Vec<(usize, Named)> {
        let values = &self.state.values;
        (first..).zip(values.from(first)).filter(|(_, named)| is(values, named)).collect()
    }

    /// Whether the value is a query, of which only what is in it is left then.
    fn query_at(&mut self, at: usize, named: Named, base: Base) -> Result<bool, Fault> {
        let text = self.state.values.text(named.value).to_vec();
        let query = self.state.values.keep(&text);
        match self.query(query, base) {
            Err(fault @ Fault::Limit(_)) => return Err(fault),
            Ok(()) if graphql::is_document(&text) => self.state.values.blank(at),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn object_at(&mut self, at: usize, named: Named, root: &[u8]) -> Result<(), Fault> {
        let text = self.state.values.text(named.value).to_vec();
        let document = self.state.values.keep(&text);
        let read = self.part_of(named.base, document, root);
        read.map(|()| self.state.values.blank(at)).or_else(only_limits)
    }

    /// Reads a value as a document that is a part of another.
    fn part_of(&mut self, base: Base, document: Span, root: &[u8]) -> Result<(), Fault> {
        let limits = self.limits();
        self.state.values.parse(document, only(Kind::Argument, base), |input, arena, mut sink| {
            json::parse_part(input, root, arena, &limits, &mut sink)
        })
    }
}

/// Whether a member is the text of a query, of one request or of many in an array: of a JSON body, of a form, or of the
/// `operations` of one with files.
fn is_query(values: &Values, name: &[u8], named: &Named) -> bool {
    let document = name.strip_prefix(b"json.").or_else(|| name.strip_prefix(b"operations."));
    let in_array = || {
        let place = document?.strip_prefix(b"array_")?.strip_suffix(b".query")?;
        Some(place.iter().all(u8::is_ascii_digit))
    };
    (document.unwrap_or(name) == b"query" || in_array() == Some(true))
        && named.base == Base::ArgPost
        && memchr::memchr(b'{', values.text(named.value)).is_some()
}
