//! `Cache-Control` in requests and responses (RFC 9111 §5.2), and the targeted fields that take its place (RFC 9213).
//!
//! `Cache-Control` is read as it comes: names in any case, arguments as tokens or quoted strings, over several lines.
//! Where it is wrong, it is read in the way that keeps less:
//!
//! * of a directive that comes twice, the first counts (§4.2.1); a lifetime that is no number is zero, that is, stale;
//! * what forbids, forbids, whatever its argument; a `no-cache` or `private` whose list of fields cannot be read is one
//!   without a list;
//! * a quoted string that never ends might hide anything: it forbids storing.
//!
//! Directives that are not known are ignored. `immutable` (RFC 8246) is one of those: it asks clients not to validate
//! what is fresh, which this cache never does. So is `no-transform`: whoever transforms reads it.

mod targeted;

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::scalars::delta_seconds;
use crate::http::fields::{is_token, list, trim_ows};

pub use targeted::{CDN_CACHE_CONTROL, EDGEWARD_CACHE_CONTROL};

/// Field names in one `no-cache="…"` or `private="…"`; with more of them the whole response is meant.
const MAX_FIELDS: usize = 64;

/// What a directive is about that may name fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// It is not there.
    #[default]
    Nothing,
    /// These fields of the response alone.
    Fields(Vec<HeaderName>),
    /// The whole response.
    Response,
}

impl Scope {
    /// The fields, if it is about some alone.
    #[must_use]
    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Fields(names) => names,
            Self::Nothing | Self::Response => &[],
        }
    }

    fn widen(&mut self, other: Self) {
        *self = match (std::mem::take(self), other) {
            (Self::Fields(mut names), Self::Fields(more)) if names.len() + more.len() <= MAX_FIELDS => {
                names.extend(more);
                Self::Fields(names)
            }
            (scope, Self::Nothing) | (Self::Nothing, scope) => scope,
            _ => Self::Response,
        };
    }
}

/// What the directives of a response say (RFC 9111 §5.2.2). Times are in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one directive, and all can be combined")]
pub struct ResponseDirectives {
    /// Whether they come from a targeted field, so that `Cache-Control` and `Expires` count for nothing.
    pub targeted: bool,
    pub max_age: Option<u32>,
    pub s_maxage: Option<u32>,
    pub no_cache: Scope,
    pub private: Scope,
    pub no_store: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    /// RFC 5861 §3.
    pub stale_while_revalidate: Option<u32>,
    /// RFC 5861 §4.
    pub stale_if_error: Option<u32>,
}

impl ResponseDirectives {
    /// What a response says to this cache: `Edgeward-Cache-Control`, or else `CDN-Cache-Control`, or else
    /// `Cache-Control`.
    #[must_use]
    pub fn read(response: &HeaderMap) -> Self {
        targeted::read(response).unwrap_or_else(|| {
            let mut directives = Self::default();
            for member in response.get_all(CACHE_CONTROL).iter().flat_map(|line| list(line.as_bytes())) {
                match Directive::parse(member) {
                    Parsed::Directive(directive) => directives.apply(&directive),
                    Parsed::NoDirective => {}
                    Parsed::Broken => directives.no_store = true,
                }
            }
            directives
        })
    }

    fn apply(&mut self, directive: &Directive<'_>) {
        let first = |kept: &mut Option<u32>| *kept = kept.or(Some(directive.seconds().unwrap_or(0)));
        match &*directive.name {
            b"max-age" => first(&mut self.max_age),
            b"s-maxage" => first(&mut self.s_maxage),
            b"stale-while-revalidate" => first(&mut self.stale_while_revalidate),
            b"stale-if-error" => first(&mut self.stale_if_error),
            b"no-cache" => self.no_cache.widen(directive.scope()),
            b"private" => self.private.widen(directive.scope()),
            b"no-store" => self.no_store = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            // These let more be kept, so they must be exact.
            b"public" if directive.argument.is_none() => self.public = true,
            b"must-understand" if directive.argument.is_none() => self.must_understand = true,
            _ => {}
        }
    }
}

/// What the directives of a request say (RFC 9111 §5.2.1). Times are in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one directive, and all can be combined")]
pub struct RequestDirectives {
    /// The oldest response that will do.
    pub max_age: Option<u32>,
    /// How much longer it must stay fresh.
    pub min_fresh: u32,
    /// How long it may have been stale; [`u32::MAX`] for ever.
    pub max_stale: Option<u32>,
    pub no_cache: bool,
    pub no_store: bool,
    pub only_if_cached: bool,
    /// RFC 5861 §4.
    pub stale_if_error: Option<u32>,
}

impl RequestDirectives {
    /// What a client asks for; `Pragma: no-cache` only where there is no `Cache-Control` (RFC 9111 §5.4).
    #[must_use]
    pub fn read(request: &HeaderMap) -> Self {
        let mut directives = Self::default();
        let lines = request.get_all(CACHE_CONTROL);
        for member in lines.iter().flat_map(|line| list(line.as_bytes())) {
            match Directive::parse(member) {
                Parsed::Directive(directive) => directives.apply(&directive),
                Parsed::NoDirective => {}
                Parsed::Broken => directives.no_cache = true,
            }
        }
        if lines.iter().next().is_none() {
            let mut pragma = request.get_all(PRAGMA).iter().map(HeaderValue::as_bytes).flat_map(list);
            directives.no_cache = pragma.any(|member| member.eq_ignore_ascii_case(b"no-cache"));
        }
        directives
    }

    fn apply(&mut self, directive: &Directive<'_>) {
        let seconds = directive.seconds();
        match &*directive.name {
            b"max-age" => self.max_age = self.max_age.or(Some(seconds.unwrap_or(0))),
            b"min-fresh" => self.min_fresh = self.min_fresh.max(seconds.unwrap_or(u32::MAX)),
            b"max-stale" if directive.argument.is_none() => self.max_stale = Some(u32::MAX),
            b"max-stale" => self.max_stale = seconds,
            b"no-cache" => self.no_cache = true,
            b"no-store" => self.no_store = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"stale-if-error" => self.stale_if_error = seconds,
            _ => {}
        }
    }
}

/// One member of the list: `max-age=60`, `private="set-cookie"`.
struct Directive<'a> {
    /// Lower case.
    name: Cow<'a, [u8]>,
    /// Without its quotes.
    argument: Option<Cow<'a, [u8]>>,
}

enum Parsed<'a> {
    Directive(Directive<'a>),
    /// Something that no cache knows.
    NoDirective,
    /// A quotation mark that is no part of a quoted string: what is a directive and what is text cannot be told.
    Broken,
}

impl<'a> Directive<'a> {
    fn parse(member: &'a [u8]) -> Parsed<'a> {
        let at = member.iter().position(|byte| *byte == b'=').unwrap_or(member.len());
        let (name, argument) = (member.get(..at).unwrap_or_default(), member.get(at + 1..));
        let argument = match argument {
            // Space around `=` is not allowed, and makes numbers invalid; what forbids, forbids all the same.
            Some(argument) if argument.contains(&b'"') => match unquoted(trim_ows(argument)) {
                Some(text) => Some(Cow::Owned(text)),
                None => return Parsed::Broken,
            },
            argument => argument.map(Cow::Borrowed),
        };
        let argument = if name.ends_with(b" ") { Some(Cow::Borrowed(b"".as_slice())) } else { argument };
        let name = trim_ows(name);
        if !is_token(name) {
            return if name.contains(&b'"') { Parsed::Broken } else { Parsed::NoDirective };
        }
        let is_lower = !name.iter().any(u8::is_ascii_uppercase);
        let name = if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) };
        Parsed::Directive(Self { name, argument })
    }

    fn seconds(&self) -> Option<u32> {
        delta_seconds(self.argument.as_deref()?)
    }

    /// The fields named, or the whole response if none is, or if one cannot be.
    fn scope(&self) -> Scope {
        let Some(argument) = self.argument.as_deref() else { return Scope::Response };
        let mut names = Vec::new();
        for name in list(argument) {
            match HeaderName::from_bytes(name) {
                Ok(name) if names.len() < MAX_FIELDS => names.push(name),
                _ => return Scope::Response,
            }
        }
        if names.is_empty() { Scope::Response } else { Scope::Fields(names) }
    }
}

/// What a quoted string says (RFC 9110 §5.6.4); `None` if it is not exactly one.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut bytes = inner.iter();
    let mut text = Vec::with_capacity(inner.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(*byte),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests;
