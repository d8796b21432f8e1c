//! One part of the memory for tokens: a map into slots, and a hand that goes round them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Stats;
use crate::auth::jose::thumbprint::Thumbprint;
use crate::auth::jose::verify::Verified;

/// What a token takes besides its claims: its slot, its place in the map, and what allocations round up to.
const OVERHEAD_BYTES: usize = size_of::<Verified>() + 256;

#[derive(Debug)]
pub(super) struct Shard {
    places: HashMap<Thumbprint, usize>,
    slots: Vec<Slot>,
    hand: usize,
    max_tokens: usize,
    max_bytes: usize,
    bytes: usize,
    hits: u64,
    misses: u64,
    evictions: u64,
}

#[derive(Debug)]
struct Slot {
    token: Arc<Verified>,
    /// Seconds since 1970.
    until: u64,
    bytes: usize,
    was_used: bool,
}

impl Shard {
    pub(super) fn new(max_tokens: usize, max_bytes: usize) -> Self {
        Self {
            places: HashMap::new(),
            slots: Vec::new(),
            hand: 0,
            max_tokens,
            max_bytes,
            bytes: 0,
            hits: 0,
            misses: 0,
            evictions: 0,
        }
    }

    pub(super) fn recall(&mut self, text: &Thumbprint, now: u64) -> Option<Arc<Verified>> {
        let place = self.places.get(text).copied();
        match place.and_then(|place| self.slots.get_mut(place)) {
            Some(slot) if now < slot.until => {
                slot.was_used = true;
                self.hits += 1;
                Some(Arc::clone(&slot.token))
            }
            found => {
                let is_over = found.is_some();
                self.misses += 1;
                if is_over {
                    self.forget(text);
                }
                None
            }
        }
    }

    pub(super) fn remember(&mut self, token: &Arc<Verified>, until: u64, now: u64) {
        let bytes = OVERHEAD_BYTES.saturating_add(size_of_map(token.claims.all()));
        if bytes > self.max_bytes || now >= until || self.places.contains_key(&token.text) {
            return;
        }
        while self.slots.len() >= self.max_tokens || self.bytes.saturating_add(bytes) > self.max_bytes {
            self.evict(now);
        }
        self.places.insert(token.text, self.slots.len());
        self.slots.push(Slot { token: Arc::clone(token), until, bytes, was_used: false });
        self.bytes += bytes;
    }

    pub(super) fn forget(&mut self, text: &Thumbprint) {
        let Some(place) = self.places.remove(text) else { return };
        if place >= self.slots.len() {
            return;
        }
        let slot = self.slots.swap_remove(place);
        self.bytes = self.bytes.saturating_sub(slot.bytes);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.token.text, place);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            tokens: self.slots.len() as u64,
            bytes: self.bytes as u64,
            hits: self.hits,
            misses: self.misses,
            evictions: self.evictions,
        }
    }

    /// Goes round until it meets a token that is over or was not used since the hand last came by: at the latest after
    /// one whole round, which leaves all of them unused.
    fn evict(&mut self, now: u64) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else { return };
            if slot.was_used && now < slot.until {
                slot.was_used = false;
                self.hand += 1;
                continue;
            }
            self.evictions += u64::from(now < slot.until);
            let text = slot.token.text;
            return self.forget(&text);
        }
    }
}

/// What claims take in memory, roughly; their depth is bounded by the parser.
fn size_of_map(map: &Map<String, Value>) -> usize {
    map.iter().map(|(name, value)| size_of::<(String, Value)>() + name.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of::<Value>() + size_of_value(item)).sum(),
        Value::Object(map) => size_of_map(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
