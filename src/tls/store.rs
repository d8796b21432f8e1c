//! The certificates of a listener by name. One lookup, or two for a wildcard, whatever their number.

use std::collections::HashMap;
use std::sync::Arc;

use boring::error::ErrorStack;
use boring::ssl::SslContext;

use super::certificate::Certificate;
use super::context::Settings;
use super::identity::normalised;
use super::key::Abilities;

/// A certificate as an operator listed it.
pub(super) struct Listed {
    pub certificate: Arc<Certificate>,
    /// Names to serve it for in place of its own; empty for its own.
    pub names: Vec<String>,
    pub default: bool,
}

impl Listed {
    fn names(&self) -> impl Iterator<Item = String> {
        let names = if self.names.is_empty() { self.certificate.names() } else { &self.names };
        names.iter().map(|name| normalised(name))
    }

    fn shares_a_name_with(&self, other: &Self) -> bool {
        self.names().any(|name| other.names().any(|theirs| theirs == name))
    }
}

/// A certificate ready to be served.
pub(super) struct Entry {
    pub certificate: Arc<Certificate>,
    pub context: SslContext,
}

/// Certificates for one name: at most one of each key type, best first.
type Candidates = Vec<Arc<Entry>>;

/// Certificates by name.
#[derive(Default)]
pub(super) struct Store {
    exact: HashMap<String, Candidates>,
    /// By what follows `*.`, which stands for one label.
    wildcard: HashMap<String, Candidates>,
    default: Candidates,
}

impl Store {
    /// Names given by the operator go before those in certificates; after that, what is listed first.
    pub(super) fn build<'a>(
        listed: impl IntoIterator<Item = &'a Listed>,
        settings: &Settings,
    ) -> Result<Self, ErrorStack> {
        let entry = |listed: &'a Listed| {
            let context = settings.with_certificate(&listed.certificate)?;
            Ok((listed, Arc::new(Entry { certificate: Arc::clone(&listed.certificate), context })))
        };
        let mut entries: Vec<_> = listed.into_iter().map(entry).collect::<Result<_, ErrorStack>>()?;

        let mut store = Self::default();
        if let Some((default, entry)) = entries.iter().find(|(listed, _)| listed.default).or(entries.first())
        {
            add(&mut store.default, entry);
            let alike = entries.iter().filter(|(listed, _)| listed.shares_a_name_with(default));
            alike.for_each(|(_, entry)| add(&mut store.default, entry));
        }
        entries.sort_by_key(|(listed, _)| listed.names.is_empty());
        for (listed, entry) in &entries {
            for name in listed.names() {
                match name.strip_prefix("*.") {
                    Some(parent) => add(store.wildcard.entry(parent.to_owned()).or_default(), entry),
                    None => add(store.exact.entry(name).or_default(), entry),
                }
            }
        }
        Ok(store)
    }

    /// The certificate for a client that asks for `name` and can verify the key types in `abilities`. A client that can
    /// verify none of them gets the best, and the alert that goes with it.
    pub(super) fn choose(&self, name: Option<&str>, abilities: &Abilities<'_>) -> Option<&Entry> {
        let candidates = name.and_then(|name| self.by_name(&normalised(name))).unwrap_or(&self.default);
        let fitting = candidates.iter().find(|entry| abilities.allow(entry.certificate.kind));
        fitting.or(candidates.first()).map(Arc::as_ref)
    }

    fn by_name(&self, name: &str) -> Option<&Candidates> {
        self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }
}

fn add(candidates: &mut Candidates, entry: &Arc<Entry>) {
    let kind = entry.certificate.kind;
    if candidates.iter().all(|other| other.certificate.kind != kind) {
        candidates.push(Arc::clone(entry));
        candidates.sort_by_key(|entry| entry.certificate.kind);
    }
}
