//! The store that a fleet has in common, in a Redis. Under the prefix of the policy, `edgeward:` unless it says otherwise:
//!
//! | name | type | what it holds |
//! |---|---|---|
//! | `keys` | hash | `document`: the store as a file has it, in JSON; `version`: another with each change |
//! | `keys:changed` | channel | told with each change |
//! | `keys:uses` | hash | how often each key was used, by its id |
//! | `keys:last` | sorted set | when each key was used last, in Unix time |
//! | `keys:notice:ID` | string | who sends a notice, or that it was taken |
//!
//! What always holds: document and version change together, and only if the version is still the one that was read; so
//! of two who change it at a time, one is told to look again.

mod claims;
mod uses;

use std::sync::Arc;

pub use claims::Claim;

use crate::auth::keys::Moment;
use crate::outbound::redis::{Failure, Redis, Subscription, cmd};
use crate::values::yaml::LARGEST_BYTES;

/// How often a change whose answer was lost is tried again. The same change is not made twice.
const TRIES: usize = 3;

/// Sets both fields if the version is still the one expected, and tells.
const REPLACE: &str = "
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'document', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[2])
return 1";

/// Tells one state of the store from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Box<str>);

/// A state of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub version: Version,
    /// The document, not read yet.
    pub text: String,
}

/// Why the store is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error(transparent)]
    Redis(#[from] Failure),
    #[error("the document has {0} bytes, more than 4 MiB")]
    TooLarge(usize),
}

/// The store of a fleet.
pub struct Fleet {
    redis: Arc<Redis>,
    /// Tells this process from others that claim a notice.
    claimant: String,
}

impl Version {
    /// The version after `before`. It grows, and by the time of day: so a store that begins anew after all was lost does
    /// not come back to a version that somebody knows.
    fn after(before: Option<&Self>, unix_ms: u64) -> Self {
        let counted = before.and_then(|before| before.0.parse::<u64>().ok());
        let next = counted.map_or(unix_ms, |counted| unix_ms.max(counted.saturating_add(1)));
        Self(next.to_string().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Fleet {
    #[must_use]
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, claimant: format!("{:016x}", fastrand::u64(..)) }
    }

    /// As messages call it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("redis {}", self.redis.name())
    }

    /// What tells it from other stores.
    #[must_use]
    pub fn place(&self) -> String {
        self.redis.place()
    }

    /// Wakes when the store changes.
    #[must_use]
    pub fn changes(&self) -> Subscription {
        self.redis.subscribe("keys:changed")
    }

    /// The version in the store; `None` if there is no store.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn version(&self) -> Result<Option<Version>, Failure> {
        let version: Option<String> =
            self.redis.ask(cmd("HGET").arg(self.redis.key("keys")).arg("version")).await?;
        Ok(version.map(|version| Version(version.into())))
    }

    /// What the store holds; `None` if there is no store.
    ///
    /// # Errors
    /// When Redis does not answer, or there is more than a store may hold.
    pub async fn read(&self) -> Result<Option<Held>, Unread> {
        let key = self.redis.key("keys");
        let length: usize = self.redis.ask(cmd("HSTRLEN").arg(&key).arg("document")).await?;
        if length > LARGEST_BYTES {
            return Err(Unread::TooLarge(length));
        }
        let fields: (Option<String>, Option<String>) =
            self.redis.ask(cmd("HMGET").arg(&key).arg("version").arg("document")).await?;
        let (Some(version), Some(text)) = fields else { return Ok(None) };
        Ok(Some(Held { version: Version(version.into()), text }))
    }

    /// Puts another text in place of the version that was read, or makes the store if there was none. `false` if somebody
    /// else was faster: nothing has changed then.
    ///
    /// # Errors
    /// When Redis does not answer. Whether the text is there is not known if the failure is
    /// [undecided](Failure::is_undecided).
    pub async fn replace(&self, before: Option<&Version>, text: &str, now: Moment) -> Result<bool, Failure> {
        let after = Version::after(before, now.unix().saturating_mul(1000));
        let mut replace = cmd("EVAL");
        replace.arg(REPLACE).arg(1).arg(self.redis.key("keys"));
        replace.arg(before.map_or("", Version::as_str)).arg(after.as_str()).arg(text);
        replace.arg(self.redis.key("keys:changed"));
        let mut outcome = self.redis.ask::<bool>(&replace).await;
        for _ in 1..TRIES {
            match outcome {
                Err(ref failure) if failure.is_undecided() => {}
                decided => return decided,
            }
            let held = Held { version: after.clone(), text: text.to_owned() };
            match self.read().await {
                Ok(Some(there)) if there == held => return Ok(true),
                Ok(_) => outcome = self.redis.ask(&replace).await,
                Err(_) => return outcome,
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_and_never_come_back() {
        let version = |text: &str| Version(text.into());
        assert_eq!(Version::after(None, 1000), version("1000"));
        assert_eq!(Version::after(Some(&version("1000")), 1000), version("1001"));
        assert_eq!(Version::after(Some(&version("1001")), 5000), version("5000"));
        assert_eq!(Version::after(Some(&version("of another")), 5000), version("5000"));
    }
}
