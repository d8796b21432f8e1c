//! Where on disk a response lies: 16 bytes of its key, and a place of 20 bytes. With the table's own, that is 45 to 90 bytes
//! a response, as full as it happens to be.
//!
//! Keys are SHA-256, so half of one is enough to find by; records hold all of it, and it is compared when they are read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cache::key::Key;

/// Independently locked parts: reading threads do not meet, and a part that grows holds up a 64th of them.
const SHARDS: usize = 64;
/// Responses of one key; the one that was stored first goes for the next one.
const MAX_VARIANTS: usize = 32;

/// The first half of a key.
pub type Short = [u8; 16];

/// The half of a key by which responses are found.
#[must_use]
pub fn short(key: &Key) -> Short {
    key.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Where a response lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub segment: u32,
    pub offset: u32,
    /// Bytes of its record.
    pub length: u32,
    /// Tells the variants of a key apart.
    pub variant: u32,
    /// Whether it was asked for since it was put here.
    pub is_used: bool,
}

impl Place {
    /// Whether both are one record.
    #[must_use]
    pub const fn is(&self, other: &Self) -> bool {
        self.segment == other.segment && self.offset == other.offset
    }
}

enum Places {
    One(Place),
    Many(Box<[Place]>),
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Place] {
        match self {
            Self::One(place) => std::slice::from_mut(place),
            Self::Many(places) => places,
        }
    }

    fn from(places: Vec<Place>) -> Option<Self> {
        match places[..] {
            [] => None,
            [place] => Some(Self::One(place)),
            _ => Some(Self::Many(places.into())),
        }
    }
}

type Shard = HashMap<Short, Places>;

/// All that is on disk.
pub struct Index {
    shards: Box<[Mutex<Shard>]>,
    responses: AtomicUsize,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), responses: AtomicUsize::new(0) }
    }
}

impl Index {
    /// The responses of a key, the most recently stored last.
    #[must_use]
    pub fn find(&self, key: Short) -> Vec<Place> {
        self.shard(key).get(&key).map_or_else(Vec::new, |places| places.as_slice().to_vec())
    }

    /// Notes that a variant was of use.
    pub fn touch(&self, key: Short, variant: u32) {
        if let Some(places) = self.shard(key).get_mut(&key) {
            let meant = places.as_mut_slice().iter_mut().filter(|place| place.variant == variant);
            meant.for_each(|place| place.is_used = true);
        }
    }

    /// Whether a response was asked for; `None` if it is no longer there.
    #[must_use]
    pub fn is_used(&self, key: Short, place: &Place) -> Option<bool> {
        let shard = self.shard(key);
        let found = shard.get(&key)?.as_slice().iter().find(|one| one.is(place));
        found.map(|one| one.is_used)
    }

    /// Adds a response; those that go for it.
    pub fn insert(&self, key: Short, place: Place) -> Vec<Place> {
        match self.shard(key).entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Places::One(place));
                self.responses.fetch_add(1, Ordering::Relaxed);
                Vec::new()
            }
            Entry::Occupied(mut entry) => {
                let is_same = |one: &Place| one.variant == place.variant;
                let (mut gone, mut kept): (Vec<_>, Vec<_>) =
                    entry.get().as_slice().iter().copied().partition(is_same);
                if kept.len() >= MAX_VARIANTS {
                    gone.push(kept.remove(0));
                }
                kept.push(place);
                if let Some(places) = Places::from(kept) {
                    entry.insert(places);
                }
                self.responses.fetch_add(1, Ordering::Relaxed);
                self.responses.fetch_sub(gone.len(), Ordering::Relaxed);
                gone
            }
        }
    }

    /// Puts a copy in the place of a response, if that is still there.
    #[must_use]
    pub fn replace(&self, key: Short, old: &Place, new: Place) -> bool {
        let mut shard = self.shard(key);
        let places = shard.get_mut(&key).map(Places::as_mut_slice).unwrap_or_default();
        let Some(found) = places.iter_mut().find(|one| one.is(old)) else { return false };
        *found = new;
        true
    }

    /// Removes the responses of a key that are meant; these.
    pub fn remove(&self, key: Short, is_meant: impl Fn(&Place) -> bool) -> Vec<Place> {
        let mut shard = self.shard(key);
        let Some(places) = shard.get(&key) else { return Vec::new() };
        let (gone, kept): (Vec<_>, Vec<_>) = places.as_slice().iter().copied().partition(is_meant);
        if !gone.is_empty() {
            match Places::from(kept) {
                Some(places) => drop(shard.insert(key, places)),
                None => drop(shard.remove(&key)),
            }
            self.responses.fetch_sub(gone.len(), Ordering::Relaxed);
        }
        gone
    }

    /// Removes all that lies in a segment.
    pub fn remove_segment(&self, segment: u32) {
        for shard in &self.shards {
            lock(shard).retain(|_, places| {
                let before = places.as_slice().len();
                let kept: Vec<_> =
                    places.as_slice().iter().copied().filter(|place| place.segment != segment).collect();
                self.responses.fetch_sub(before - kept.len(), Ordering::Relaxed);
                Places::from(kept).is_some_and(|kept| {
                    *places = kept;
                    true
                })
            });
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for shard in &self.shards {
            let gone = std::mem::take(&mut *lock(shard));
            let gone = gone.values().map(|places| places.as_slice().len()).sum();
            self.responses.fetch_sub(gone, Ordering::Relaxed);
        }
    }

    /// Responses on disk.
    #[must_use]
    pub fn responses(&self) -> usize {
        self.responses.load(Ordering::Relaxed)
    }

    #[allow(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    fn shard(&self, key: Short) -> MutexGuard<'_, Shard> {
        let [first, ..] = key;
        lock(&self.shards[usize::from(first) % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
