//! Which requests ask for the same thing: the primary key (RFC 9111 §2).
//!
//! It is made from scheme, host, normalised path, query, the fingerprint of the route's policy and, where responses
//! are kept for each subject, who asks. GET and HEAD share it; other methods have none. Nothing that the origin sees of
//! these and the key does not: [`Query::apply`] gives the query that is keyed, and that is the one to forward, so that a
//! parameter the key ignores can change no response (cache poisoning by unkeyed input).
//!
//! The key is all of SHA-256: collisions cannot be made, keys mean the same after a restart and on every instance, and
//! nobody reads a subject from one.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};

use super::fleet::Position;
use super::vary::Fingerprint;

/// Identifies what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

/// What a request asks for, as it was normalised: two equal ones are one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Lower case; the port only where it is not the scheme's own.
    pub host: &'a str,
    /// From [`crate::http::path::normalise`].
    pub path: &'a str,
    /// From [`Query::apply`].
    pub query: Option<&'a str>,
}

/// `https://host/path?query`, for logs, `Cache-Status` and purges.
impl fmt::Display for Target<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, path, query } = self;
        write!(out, "{scheme}://{host}{path}")?;
        query.map_or(Ok(()), |query| write!(out, "?{query}"))
    }
}

impl<'a> Target<'a> {
    /// Reads what was printed.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (host, target) = rest.split_at_checked(rest.find('/')?)?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Some(Self { scheme, host, path, query })
    }
}

impl Key {
    /// `policy` is whatever tells apart the policies under which responses come to be (the route and its chain).
    /// `subject` is who asks, in parts such as issuer and `sub`; empty where all share.
    #[must_use]
    pub fn new(target: &Target<'_>, policy: &[u8], subject: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"edgeward cache key 1\0");
        let Target { scheme, host, path, query } = target;
        for part in [scheme.as_bytes(), host.as_bytes(), path.as_bytes(), policy] {
            update(&mut hash, part);
        }
        // `/a` and `/a?` differ for origins.
        hash.update([u8::from(query.is_some())]);
        update(&mut hash, query.unwrap_or_default().as_bytes());
        for part in subject {
            update(&mut hash, part);
        }
        Self(hash.finalize().into())
    }

    /// The same of those who prove who they are, where they must not be waited for by those who do not.
    #[must_use]
    pub const fn of_callers(mut self) -> Self {
        self.0[31] ^= 1;
        self
    }

    /// The same of children, who wait for no one that may wait for a parent, lest parents wait for each other; and for no
    /// one who may have asked before something was `purged`, for what comes is stored there as asked for later.
    #[must_use]
    pub fn of_children(self, purged: Option<Position>) -> Self {
        let purged = purged.map(|position| position.to_string()).unwrap_or_default();
        let hash = Sha256::new().chain_update(b"edgeward cache flight of children 1\0");
        Self(hash.chain_update(self.0).chain_update(purged).finalize().into())
    }

    /// What a child keeps under its `key`, and this process under this one. They are the same where both see the same request
    /// under the same policy.
    #[must_use]
    pub fn for_child(self, key: &Self) -> Self {
        if self == *key {
            return self;
        }
        let hash = Sha256::new().chain_update(b"edgeward cache key for a child 1\0");
        Self(hash.chain_update(self.0).chain_update(key.0).finalize().into())
    }

    /// A number that stands for it where shards are chosen.
    #[must_use]
    pub fn to_shard(&self) -> u64 {
        u64::from_be_bytes(self.0.first_chunk().copied().unwrap_or_default())
    }

    /// The same of those who get the same variant.
    #[must_use]
    pub fn of_variant(mut self, fingerprint: Fingerprint) -> Self {
        self.0.iter_mut().zip(fingerprint.number().to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        self
    }

    /// A key that was written down.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// All of it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// With its length before it, so that no two lists of parts read alike.
fn update(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// The first half, in hexadecimal: enough to find it in a log.
impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(16).try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What of a query counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Whether parameters are put in the order of their names; those of one name keep theirs.
    pub sort: bool,
    pub keep: Keep,
}

/// Which parameters of a query are kept. Names are compared as they are written, percent-encoding included: what differs
/// in that is another parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keep {
    #[default]
    All,
    /// All but these.
    Except(Vec<Name>),
    /// These alone.
    Only(Vec<Name>),
}

/// A parameter's name, or how it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    Is(Box<str>),
    BeginsWith(Box<str>),
}

impl Name {
    /// `utm_*` means all that begin with `utm_`.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        match pattern.strip_suffix('*') {
            Some(start) => Self::BeginsWith(start.into()),
            None => Self::Is(pattern.into()),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Is(known) => name == &**known,
            Self::BeginsWith(start) => name.starts_with(&**start),
        }
    }
}

/// Parameters that are put in order; a query with more of them stays in the order it has.
const MAX_SORTED: usize = 256;

impl Query {
    /// The query that is keyed and forwarded. Applying it again changes nothing. A query that loses all its parameters
    /// is none.
    #[must_use]
    pub fn apply<'q>(&self, query: &'q str) -> Option<Cow<'q, str>> {
        let is_kept = |parameter: &&str| {
            let name = name_of(parameter);
            match &self.keep {
                Keep::All => true,
                Keep::Except(names) => !names.iter().any(|known| known.fits(name)),
                Keep::Only(names) => names.iter().any(|known| known.fits(name)),
            }
        };
        let in_order = query.split('&').is_sorted_by_key(name_of);
        if (in_order || !self.sort) && query.split('&').all(|parameter| is_kept(&parameter)) {
            return Some(Cow::Borrowed(query));
        }
        let mut kept: Vec<&str> = query.split('&').filter(is_kept).collect();
        if self.sort && kept.len() <= MAX_SORTED {
            kept.sort_by_key(|parameter| name_of(parameter));
        }
        (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
    }
}

fn name_of(parameter: &str) -> &str {
    parameter.split('=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
