//! Collections that last longer than a request: `IP`, `GLOBAL`, `SESSION`, `USER` and `RESOURCE`.
//!
//! They live in the memory of the process, bounded: when full, those are forgotten first that were used the longest ago.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::numbers::atoi;
use crate::waf::ir::Variable;

/// Collections kept.
const COLLECTIONS: usize = 50_000;
/// Variables of one.
const MEMBERS: usize = 64;
/// Bytes of a key, a name or a value; what is longer is cut.
const TEXT_BYTES: usize = 512;
/// The variable by which a rule has its collection kept for longer, or less long, than others.
const TIMEOUT: &[u8] = b"timeout";

type Key = (Variable, Box<[u8]>);

/// Which collection a transaction means, and what it was when that was said: what rules change of it is there at once, but not
/// new by that.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) variable: Variable,
    pub(super) key: Vec<u8>,
    /// When it was written last, if it was there.
    used_at: Option<u64>,
    /// Whether this transaction has written it.
    written: bool,
}

#[derive(Debug, Default)]
struct Collection {
    created_at: u64,
    used_at: u64,
    /// Transactions that wrote it.
    updates: u64,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: Box<[u8]>,
    value: Vec<u8>,
    expires_at: Option<u64>,
}

impl Collection {
    /// Whether it was not used for too long.
    fn is_over(&self, now: u64, idle_seconds: u64) -> bool {
        let own = self.members.iter().find(|member| *member.name == *TIMEOUT);
        let own = own.and_then(|member| u64::try_from(atoi(&member.value)).ok());
        now.saturating_sub(self.used_at) > own.unwrap_or(idle_seconds)
    }
}

/// All of them. Times are in seconds since 1970.
#[derive(Debug)]
pub(super) struct Lasting {
    all: Mutex<HashMap<Key, Collection>>,
    /// How long a collection is kept without use (`SecCollectionTimeout`).
    idle_seconds: u64,
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..TEXT_BYTES).unwrap_or(text)
}

impl Lasting {
    pub(super) fn new(idle_seconds: u64) -> Self {
        Self { all: Mutex::default(), idle_seconds }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Collection>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which collection is meant from here on.
    pub(super) fn begin(&self, variable: Variable, key: Vec<u8>, now: u64) -> Begun {
        let all = self.lock();
        let known = all.get(&(variable, cut(&key).into()));
        let used_at = known.filter(|known| !known.is_over(now, self.idle_seconds)).map(|known| known.used_at);
        Begun { variable, key, used_at, written: false }
    }

    /// What each collection has of itself, by its name in lower case.
    pub(super) fn own(&self, begun: &Begun, name: &[u8], now: u64) -> Option<Vec<u8>> {
        let all = self.lock();
        let known = all.get(&(begun.variable, cut(&begun.key).into()));
        let known = known.filter(|known| !known.is_over(now, self.idle_seconds));
        let created_at = known.map_or(now, |known| known.created_at);
        let updates = known.map_or(0, |known| known.updates);
        let number = match name {
            b"key" => return Some(begun.key.clone()),
            b"is_new" => u64::from(begun.used_at.is_none()),
            b"create_time" => created_at,
            b"last_update_time" => begun.used_at?,
            b"update_counter" => updates,
            b"update_rate" => updates / (now.saturating_sub(created_at) / 60).max(1),
            TIMEOUT => self.idle_seconds,
            _ => return None,
        };
        Some(number.to_string().into_bytes())
    }

    /// Takes `amount` off a number for each `period_seconds` since the collection was written last; not below 0.
    pub(super) fn decay(
        &self,
        begun: &mut Begun,
        name: &[u8],
        now: u64,
        (amount, period_seconds): (u64, NonZeroU64),
    ) {
        let Some(used_at) = begun.used_at else { return };
        let periods = now.saturating_sub(used_at) / period_seconds;
        let by = i64::try_from(amount.saturating_mul(periods)).unwrap_or(i64::MAX);
        if by > 0 {
            self.update(begun, name, now, |old| {
                let number = atoi(old?);
                let less = if number > 0 { number.saturating_sub(by).max(0) } else { number };
                Some(less.to_string().into_bytes())
            });
        }
    }

    /// Hands over each name and value.
    pub(super) fn each(&self, begun: &Begun, now: u64, mut take: impl FnMut(&[u8], &[u8])) {
        let all = self.lock();
        let Some(collection) = all.get(&(begun.variable, cut(&begun.key).into())) else { return };
        if collection.is_over(now, self.idle_seconds) {
            return;
        }
        for member in &collection.members {
            if member.expires_at.is_none_or(|end| end > now) {
                take(&member.name, &member.value);
            }
        }
    }

    /// Changes one variable: the closure sees its value, if it is set, and gives the new one, or nothing to remove it.
    pub(super) fn update(
        &self,
        begun: &mut Begun,
        name: &[u8],
        now: u64,
        change: impl FnOnce(Option<&[u8]>) -> Option<Vec<u8>>,
    ) {
        let mut all = self.lock();
        let key: Key = (begun.variable, cut(&begun.key).into());
        if !all.contains_key(&key) && all.len() >= COLLECTIONS {
            make_room(&mut all, now, self.idle_seconds);
        }
        let fresh = || Collection { created_at: now, used_at: now, ..Collection::default() };
        let collection = all.entry(key).or_insert_with(fresh);
        if collection.is_over(now, self.idle_seconds) {
            *collection = fresh();
        }
        collection.used_at = now;
        collection.updates += u64::from(!std::mem::replace(&mut begun.written, true));
        collection.members.retain(|member| member.expires_at.is_none_or(|end| end > now));
        let name = cut(name);
        let known = collection.members.iter().position(|member| *member.name == *name);
        let old = known.and_then(|at| collection.members.get(at)).map(|member| member.value.as_slice());
        match (change(old), known) {
            (Some(value), Some(at)) => {
                if let Some(member) = collection.members.get_mut(at) {
                    member.value = cut(&value).to_vec();
                }
            }
            (Some(value), None) if collection.members.len() < MEMBERS => {
                let value = cut(&value).to_vec();
                collection.members.push(Member { name: name.into(), value, expires_at: None });
            }
            (None, Some(at)) => _ = collection.members.swap_remove(at),
            _ => {}
        }
    }

    /// Has one variable, if it is still there, expire at `at`.
    pub(super) fn expire(&self, begun: &Begun, name: &[u8], now: u64, at: u64) {
        let mut all = self.lock();
        let Some(collection) = all.get_mut(&(begun.variable, cut(&begun.key).into())) else { return };
        let is_it = |member: &&mut Member| {
            *member.name == *cut(name) && member.expires_at.is_none_or(|end| end > now)
        };
        if let Some(member) = collection.members.iter_mut().find(is_it) {
            member.expires_at = Some(at);
        }
    }
}

/// Forgets what is old; if all is new, the older half.
fn make_room(all: &mut HashMap<Key, Collection>, now: u64, idle_seconds: u64) {
    all.retain(|_, collection| !collection.is_over(now, idle_seconds));
    if all.len() >= COLLECTIONS {
        let mut times: Vec<u64> = all.values().map(|collection| collection.used_at).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        all.retain(|_, collection| collection.used_at > median);
    }
}

#[cfg(test)]
mod tests;
