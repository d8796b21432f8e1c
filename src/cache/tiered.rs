//! Memory in front of disk: what a proxy asks for stored responses, and hands new ones to.
//!
//! Whatever is stored goes to both. A look goes to memory first; what is found on disk alone is put into memory if it is not
//! too large for it. The disk is there or not: it may belong to the process before this one still ([`attach`](Tiered::attach)
//! is called until it does not), or fail; then memory is all there is.
//!
//! What is in the system's memory is read at once, on the thread that asks; everything else, and all that writes, goes to
//! threads that may block.

mod intake;
mod outlet;

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::HeaderMap;
use tokio::task::spawn_blocking;

use super::content::Content;
use super::disk::event::Event;
use super::disk::format::Outside;
use super::disk::incoming::Metadata;
use super::disk::index::Place;
use super::disk::segment::{self, Part, Patience, Record};
use super::disk::volume::Volume;
use super::disk::{Disk, Observer, Options, Random, body, seal::Keys};
use super::freshness::Freshness;
use super::key::Key;
use super::memory::{self, Memory, Size, Stored};
use super::purge::{Epoch, Fate, How, Purges, Scope};

pub use intake::Intake;
pub use outlet::Outlet;

/// Memory and disk.
pub struct Tiered {
    memory: Memory,
    disk: ArcSwapOption<Disk>,
    /// Whether a disk is there or may still come: then it has to be told what was purged.
    expects_disk: AtomicBool,
    /// How often something was evicted from disk: after each time, what is in use is noted there anew, because memory answers
    /// for it and the disk would take it for idle.
    round: Arc<AtomicU32>,
    /// The epochs of this process and of the disk at the last sweep.
    swept: Mutex<(Epoch, Epoch)>,
}

/// Where a store on disk is, and how it is kept.
pub struct OnDisk {
    pub volume: Arc<dyn Volume>,
    /// Bytes.
    pub capacity: u64,
    pub keys: Option<Keys>,
    pub random: Random,
    pub observe: Observer,
}

/// What a look for a key finds.
#[derive(Debug)]
pub enum Found {
    Fitting(Hit),
    /// Other variants alone (`fwd=vary-miss`).
    Others,
    Nothing,
}

/// A stored response that fits the request.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Without its content where that is on disk alone: see [`body`](Self::body).
    pub stored: Arc<Stored>,
    /// After all purges.
    pub freshness: Freshness,
    pub body: Body,
    pub tier: Tier,
}

/// Where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Memory,
    Disk,
}

/// The content of a stored response.
#[derive(Debug, Clone)]
pub enum Body {
    Memory(Content),
    Disk(body::Reader, Outside),
}

impl Body {
    /// In bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        match self {
            Self::Memory(content) => content.len(),
            Self::Disk(reader, _) => reader.len(),
        }
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Records longer than this are not read on the thread that asks, even from memory: to copy and check a mebibyte takes a
/// tenth of a millisecond.
const LONGEST_AT_ONCE: u32 = 256 << 10;

impl Tiered {
    /// Memory alone; `expects_disk` if a disk is to be [attached](Self::attach).
    #[must_use]
    pub fn new(size: Size, expects_disk: bool, now: SystemTime) -> Self {
        let memory = Memory::new(size);
        memory.purges().begin(now);
        let swept = Mutex::new((Epoch::from_number(0), Epoch::from_number(0)));
        let expects_disk = AtomicBool::new(expects_disk);
        Self { memory, disk: ArcSwapOption::empty(), expects_disk, round: Arc::new(AtomicU32::new(1)), swept }
    }

    /// Takes the disk. `false` while another process has it: ask again. May block, for a second or so.
    ///
    /// # Errors
    /// When it cannot be used. It may be tried again.
    pub fn attach(&self, on_disk: OnDisk) -> io::Result<bool> {
        let OnDisk { volume, capacity, keys, random, observe } = on_disk;
        let purges = self.memory.purges().clone();
        let refresh = {
            let purges = purges.clone();
            Arc::new(move |metadata: &Bytes, epoch| renewed(metadata, epoch, &purges))
        };
        let round = self.round.clone();
        let observe = Arc::new(move |event: &Event| {
            if matches!(event, Event::Evicted { .. }) {
                round.fetch_add(1, Ordering::Relaxed);
            }
            observe(event);
        });
        let options = Options { capacity, keys, random, observe, refresh };
        let disk = Disk::open(volume, options, |before| {
            purges.restore(&before.traces, before.latest);
            purges.traces()
        })?;
        let is_ours = disk.is_some();
        if let Some(disk) = disk {
            // What was purged since its purges were read.
            let disk = Arc::new(disk);
            self.disk.store(Some(disk.clone()));
            disk.purge(&purges.traces(), || purges.traces());
        }
        Ok(is_ours)
    }

    /// Writes what waits and leaves the disk to another process. May block.
    pub fn detach(&self) {
        self.expects_disk.store(false, Ordering::Release);
        if let Some(disk) = self.disk.swap(None) {
            disk.release();
        }
    }

    /// What is in memory.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The disk, if there is one now.
    #[must_use]
    pub fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.load_full()
    }

    /// The response of this key that fits the request. What is in memory, or was on its way from the disk to it, takes no
    /// wait.
    pub async fn find(&self, key: &Key, request: &HeaderMap) -> Found {
        let in_memory = match self.memory.find(key, request) {
            memory::Found::Fitting(stored, freshness) => {
                if stored.note(self.round.load(Ordering::Relaxed))
                    && let Some(disk) = &*self.disk.load()
                {
                    disk.touch(key, stored.variant());
                }
                let body = Body::Memory(stored.content.clone());
                return Found::Fitting(Hit { stored, freshness, body, tier: Tier::Memory });
            }
            memory::Found::Others => Found::Others,
            memory::Found::Nothing => Found::Nothing,
        };
        let Some(disk) = self.disk.load_full() else { return in_memory };
        let places = disk.find(key);
        if places.is_empty() {
            return in_memory;
        }
        match self.find_on_disk(&disk, key, request, &places).await {
            (Some(hit), _) => Found::Fitting(hit),
            (None, true) => Found::Others,
            (None, false) => in_memory,
        }
    }

    /// The latest that fits, and whether there are others.
    async fn find_on_disk(
        &self,
        disk: &Arc<Disk>,
        key: &Key,
        request: &HeaderMap,
        places: &[Place],
    ) -> (Option<Hit>, bool) {
        let part = if places.len() == 1 { Part::Whole } else { Part::Metadata };
        let (mut best, mut others): (Option<(Stored, Fate, Place, segment::Body)>, bool) = (None, false);
        for place in places {
            let Some(record) = read(disk, key, place, part).await else { continue };
            let Some((stored, fate)) = self.restored(&record) else {
                disk.remove_place(key, place);
                continue;
            };
            let is_later = best.as_ref().is_none_or(|(best, ..)| stored.is_as_late_as(best));
            match stored.fits(request) {
                true if is_later => best = Some((stored, fate, *place, record.body)),
                true => {}
                false => others = true,
            }
        }
        let Some((stored, fate, place, body)) = best else { return (None, others) };
        (self.hit(disk, key, (stored, fate), &place, body).await, others)
    }

    /// A response as it is on disk, and what became of it; `None` if it is gone.
    fn restored(&self, record: &Record) -> Option<(Stored, Fate)> {
        let epoch = Epoch::from_number(record.epoch);
        let stored = Stored::from_metadata(&record.metadata, epoch, Content::default())?;
        let fate = stored.fate(self.memory.purges());
        (fate != Fate::Gone).then_some((stored, fate))
    }

    async fn hit(
        &self,
        disk: &Arc<Disk>,
        key: &Key,
        (mut stored, fate): (Stored, Fate),
        place: &Place,
        mut body: segment::Body,
    ) -> Option<Hit> {
        if body == segment::Body::Unread {
            body = read(disk, key, place, Part::Whole).await?.body;
        }
        let body = match body {
            segment::Body::Whole(content) => {
                stored.content = content.clone();
                Body::Memory(content)
            }
            segment::Body::Outside(outside, length) => {
                let (disk, key, place) = (disk.clone(), *key, *place);
                let opened = spawn_blocking(move || disk.body(&key, &place, outside, length));
                Body::Disk(opened.await.ok()??, outside)
            }
            segment::Body::Unread => return None,
        };
        disk.touch(key, place.variant);
        let stored = Arc::new(stored);
        if matches!(body, Body::Memory(_)) {
            self.memory.promote(*key, &stored);
        }
        let freshness = match fate {
            Fate::Expired(when) => stored.freshness.expired_at(when),
            Fate::Holds | Fate::Gone => stored.freshness,
        };
        Some(Hit { stored, freshness, body, tier: Tier::Disk })
    }

    /// Stores a response with its content, in memory and on disk, as far as it fits. Returns at once.
    pub fn put(&self, key: Key, stored: Arc<Stored>) {
        if let Some(disk) = self.disk.load_full() {
            disk.put(metadata(key, &stored), stored.content.clone());
        }
        self.memory.put(key, stored);
    }

    /// Stores a response that was found and validated: `stored` has the new fields, and the content only if the hit has it in
    /// memory. The content on disk is not written anew.
    pub fn update(&self, key: Key, hit: &Hit, stored: Arc<Stored>) {
        match &hit.body {
            Body::Memory(_) => self.put(key, stored),
            Body::Disk(reader, outside) => {
                if let Some(disk) = self.disk.load_full() {
                    disk.update(metadata(key, &stored), *outside, reader.len());
                }
            }
        }
    }

    /// Removes a response.
    pub fn remove(&self, key: &Key, stored: &Arc<Stored>) {
        self.memory.remove(key, stored);
        if let Some(disk) = self.disk.load_full() {
            disk.remove(key, stored.variant());
        }
    }

    /// Purges all of these at once: when it returns, none of them is found any more. When what it returns is done, that holds
    /// across a restart, too; it must be waited for or spawned.
    pub fn purge(&self, scopes: &[Scope], how: How) -> impl Future<Output = ()> + Send + use<> {
        let purged = self.memory.purge(scopes, how);
        let disk = self.disk.load_full();
        let purges = self.memory.purges().clone();
        async move {
            if let Some(disk) = disk {
                // It panics only if an observer does.
                let _ = spawn_blocking(move || disk.purge(&purged, || purges.traces())).await;
            }
        }
    }

    /// Removes what is purged from memory, and forgets what no longer counts. Takes half a second for a million responses. May
    /// block.
    pub fn sweep(&self) {
        let disk = self.disk.load_full();
        let state = self.sweep_state();
        let (_, elsewhere) = state;
        self.memory.sweep(elsewhere);
        if let Some(disk) = &disk {
            let purges = self.memory.purges();
            disk.compact(|| purges.traces());
            if purges.is_crowded() {
                disk.renew();
            }
        }
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether there is anything to [sweep](Self::sweep).
    #[must_use]
    pub fn wants_sweeping(&self) -> bool {
        let swept = *self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        self.memory.wants_sweeping() && swept != self.sweep_state()
    }

    /// The present epoch, and the one that the disk was compared with.
    fn sweep_state(&self) -> (Epoch, Epoch) {
        let elsewhere = match self.disk.load_full() {
            Some(disk) => disk.oldest_epoch(),
            None if self.expects_disk.load(Ordering::Acquire) => Epoch::from_number(0),
            None => Epoch::LAST,
        };
        (self.memory.epoch(), elsewhere)
    }
}

async fn read(disk: &Arc<Disk>, key: &Key, place: &Place, part: Part) -> Option<Record> {
    if place.length <= LONGEST_AT_ONCE
        && let Ok(record) = disk.read(key, place, part, Patience::None)
    {
        return record;
    }
    let (disk, key, place) = (disk.clone(), *key, *place);
    spawn_blocking(move || disk.read(&key, &place, part, Patience::Any).ok().flatten()).await.ok()?
}

fn metadata(key: Key, stored: &Stored) -> Metadata {
    // The epoch first: what is stale since a later one is found to be again.
    let epoch = stored.epoch().number();
    Metadata { key, variant: stored.variant(), epoch, bytes: stored.to_metadata().into() }
}

/// What is to be stored with a response that is appended anew; `None` if it was purged.
fn renewed(metadata: &Bytes, epoch: u64, purges: &Purges) -> Option<(Bytes, u64)> {
    let stored = Stored::from_metadata(metadata, Epoch::from_number(epoch), Content::default())?;
    (stored.fate(purges) != Fate::Gone).then(|| (stored.to_metadata().into(), stored.epoch().number()))
}

#[cfg(test)]
mod tests;
