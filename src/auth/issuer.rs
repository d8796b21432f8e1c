//! An issuer of tokens, as a policy names it: what its tokens must hold, and the keys that verify them.
//!
//! What always holds: a token is verified by the keys of its one issuer; one that names a key nobody knows is refused
//! only after the issuer was asked, as often as the cooldown lets; where there are no keys nothing is let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::jose::fault::Fault;
use super::jose::jwks::{Note, Source};
use super::jose::{Key, KeySet, Rules, Verified, Verifier};
use super::keyset::{self, Refreshed};
use super::memory::Memory;
use crate::http::fetch::Fetch;

/// A set of keys that an issuer publishes: a JWK Set, or one key in PEM.
#[derive(Debug)]
pub struct Published {
    keys: KeySet,
    notes: Vec<Note>,
}

impl Published {
    /// The keys that can be used.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        self.keys.keys()
    }

    /// What is odd about single keys of the set.
    #[must_use]
    pub fn oddities(&self) -> &[Note] {
        &self.notes
    }
}

impl keyset::Keys for Published {
    fn parse(document: &[u8]) -> Result<Self, String> {
        if document.trim_ascii_start().starts_with(b"-----BEGIN") {
            let mut keys = KeySet::default();
            let key = Key::from_pem(document, None, None);
            key.and_then(|key| keys.add(key)).map_err(|error| error.to_string())?;
            return Ok(Self { keys, notes: Vec::new() });
        }
        let (keys, notes) = KeySet::parse(document, Source::Public).map_err(|error| error.to_string())?;
        Ok(Self { keys, notes })
    }

    fn count(&self) -> usize {
        self.keys.keys().len()
    }

    fn notes(&self) -> Vec<String> {
        let told = |note: &Note| {
            let id: String = note.id.iter().flat_map(|id| id.chars()).take(64).collect();
            format!("key {} ({id:?}): {}", note.index, note.oddity)
        };
        self.notes.iter().map(told).collect()
    }
}

/// The keys of an issuer.
pub enum Keys {
    /// Those of the policy, for as long as it is in force: a secret that it shares with us.
    Fixed(KeySet),
    /// What it publishes.
    Published(Arc<keyset::KeySet<Published>>),
}

/// An issuer.
pub struct Issuer {
    name: Box<str>,
    verifier: Verifier,
    keys: Keys,
    memory: Arc<Memory>,
    reach: Option<Reach>,
}

/// How an issuer is asked.
#[derive(Clone)]
pub struct Reach {
    /// By whom.
    pub fetch: Arc<dyn Fetch>,
    /// Whether the operator accepted that it is asked by plain `http`.
    pub danger_http: bool,
}

/// What a look at a token shows.
#[derive(Debug)]
pub enum Look {
    /// It is good.
    Good(Arc<Verified>),
    /// It is not.
    Bad(Fault),
    /// None of the keys of this generation is the token's; 0 where there are none. [`Issuer::look_again`] asks for more.
    Unknown { seen: u64 },
}

/// Why a token is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is not good.
    Fault(Fault),
    /// Nobody can tell, for want of keys (503).
    KeysUnavailable,
}

impl Issuer {
    /// An issuer that the policy calls `name`.
    #[must_use]
    pub fn new(name: &str, verifier: Verifier, keys: Keys, memory: Arc<Memory>) -> Self {
        Self { name: name.into(), verifier, keys, memory, reach: None }
    }

    /// The same, with a way to ask it more than for its keys.
    #[must_use]
    pub fn reached_by(self, reach: Reach) -> Self {
        Self { reach: Some(reach), ..self }
    }

    /// How it is asked; `None` where nothing is ever asked of it.
    #[must_use]
    pub const fn reach(&self) -> Option<&Reach> {
        self.reach.as_ref()
    }

    /// Its name in the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its tokens are verified.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Looks at a token by the keys at hand, at `now` in seconds since 1970.
    #[must_use]
    pub fn look(&self, token: &[u8], now: u64) -> Look {
        let current = match &self.keys {
            Keys::Fixed(keys) => return self.verify(token, keys, now).map_or_else(Look::Bad, Look::Good),
            Keys::Published(set) => set.current(),
        };
        let Some(current) = current else {
            // Whatever can be refused without a key is.
            return match self.verifier.verify(token, &KeySet::default(), now) {
                Err(fault) if fault != Fault::KeyUnknown => Look::Bad(fault),
                _ => Look::Unknown { seen: 0 },
            };
        };
        match self.verify(token, &current.keys.keys, now) {
            Ok(token) => Look::Good(token),
            Err(Fault::KeyUnknown) => Look::Unknown { seen: current.generation },
            Err(fault) => Look::Bad(fault),
        }
    }

    /// Looks at a token once more when the issuer was asked for keys other than those `seen`. Waits no longer than the
    /// settings of its keys let.
    ///
    /// # Errors
    /// When the token is not good, or nobody can tell.
    pub async fn look_again(&self, token: &[u8], now: u64, seen: u64) -> Result<Arc<Verified>, Refused> {
        let Keys::Published(set) = &self.keys else { return Err(Refused::Fault(Fault::KeyUnknown)) };
        match set.refresh_for_unknown(seen).await {
            Refreshed::Newer => match self.look(token, now) {
                Look::Good(token) => Ok(token),
                Look::Bad(fault) => Err(Refused::Fault(fault)),
                Look::Unknown { seen: 0 } => Err(Refused::KeysUnavailable),
                Look::Unknown { .. } => Err(Refused::Fault(Fault::KeyUnknown)),
            },
            Refreshed::Same => Err(Refused::Fault(Fault::KeyUnknown)),
            Refreshed::Unavailable => Err(Refused::KeysUnavailable),
        }
    }

    /// Verifies a token by its keys and by other rules than those of its access tokens. Where its key is not known the
    /// issuer is asked.
    ///
    /// # Errors
    /// As [`Self::look_again`].
    pub async fn verify_as(
        &self,
        verifier: &Verifier,
        token: &[u8],
        now: u64,
    ) -> Result<Arc<Verified>, Refused> {
        let set = match &self.keys {
            Keys::Fixed(keys) => return verifier.verify(token, keys, now).map_err(Refused::Fault),
            Keys::Published(set) => set,
        };
        let mut seen = 0;
        if let Some(current) = set.current() {
            match verifier.verify(token, &current.keys.keys, now) {
                Err(Fault::KeyUnknown) => seen = current.generation,
                done => return done.map_err(Refused::Fault),
            }
        }
        match set.refresh_for_unknown(seen).await {
            Refreshed::Newer => {
                let current = set.current().ok_or(Refused::KeysUnavailable)?;
                verifier.verify(token, &current.keys.keys, now).map_err(Refused::Fault)
            }
            Refreshed::Same => Err(Refused::Fault(Fault::KeyUnknown)),
            Refreshed::Unavailable => Err(Refused::KeysUnavailable),
        }
    }

    fn verify(&self, token: &[u8], keys: &KeySet, now: u64) -> Result<Arc<Verified>, Fault> {
        self.verifier.verify_remembering(token, keys, &self.memory.tokens, now)
    }
}

/// The issuers of a policy, and what outlives it.
pub struct Issuers {
    named: BTreeMap<Box<str>, Arc<Issuer>>,
    memory: Arc<Memory>,
}

impl Issuers {
    /// None yet.
    #[must_use]
    pub const fn new(memory: Arc<Memory>) -> Self {
        Self { named: BTreeMap::new(), memory }
    }

    /// Adds one.
    pub fn add(&mut self, issuer: Issuer) {
        self.named.insert(issuer.name.clone(), Arc::new(issuer));
    }

    /// Adds one that lets nothing in, in place of one that is written wrongly, so that whoever names it does not seem
    /// wrong too. No policy with it comes into force.
    pub fn add_placeholder(&mut self, name: &str) {
        let verifier = Verifier::new(Rules::new(name, name));
        self.add(Issuer::new(name, verifier, Keys::Fixed(KeySet::default()), Arc::clone(&self.memory)));
    }

    /// The one of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.named.get(name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(|name| &**name)
    }

    /// What outlives the policy.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }
}

#[cfg(test)]
mod tests;
