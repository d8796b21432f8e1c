//! Memory in front of disk: what a proxy asks for stored responses, and hands new ones to.
//!
//! Whatever is stored goes to both. A [look](Tiered::look) goes to memory and takes no wait; what is on disk alone takes a
//! [search], and is put into memory if it is not too large for it. The disk is there or not: it may belong to the process
//! before this one still ([`attach`](Tiered::attach) is called until it does not), or fail; then memory is all there is.

mod intake;
mod outlet;
mod purged;
mod search;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::HeaderMap;

use super::RequestDirectives;
use super::content::Content;
use super::disk::event::Event;
use super::disk::incoming::Metadata;
use super::disk::index::Place;
use super::disk::segment::{Fault, Patience};
use super::disk::volume::Volume;
use super::disk::{Before, Disk, Observer, Options, Random, body, format, seal::Keys};
use super::fleet::{Bookmark, Fleet};
use super::freshness::{Freshness, Verdict, is_failure};
use super::key::Key;
use super::memory::{self, Memory, Size, Stored};
use super::purge::{Epoch, Fate, How, Purges, Scope, Traces};
use search::Lanes;

pub use intake::Intake;
pub use outlet::{Outlet, Portion};
pub use purged::Purged;
pub use search::Search;

/// Is told the bytes of each response that is stored.
pub type Tell = Box<dyn Fn(u64) + Send + Sync>;

/// Memory and disk.
pub struct Tiered {
    memory: Memory,
    disk: ArcSwapOption<Disk>,
    /// Whether a disk is there or may still come: then it has to be told what was purged.
    expects_disk: AtomicBool,
    /// How often something was evicted from disk: after each time, what is in use is noted there anew, because memory answers
    /// for it and the disk would take it for idle.
    round: Arc<AtomicU32>,
    /// Until which epoch marks were forgotten at the last sweep.
    swept: Mutex<Epoch>,
    lanes: Lanes,
    /// While it catches up, nothing on disk is found.
    fleet: Arc<Fleet>,
    tell: Tell,
}

/// Where a store on disk is, and how it is kept.
pub struct OnDisk {
    pub volume: Arc<dyn Volume>,
    /// Bytes.
    pub capacity: u64,
    pub keys: Option<Keys>,
    /// Whether purges come from a fleet, too. What a process before this one stored counts then if the log knows what was
    /// missed; without a fleet, unless it was one's that shared them.
    pub is_fleets: bool,
    pub random: Random,
    pub observe: Observer,
}

/// What a look for a key finds.
#[derive(Debug)]
pub enum Look {
    Fitting(Found),
    /// Other variants alone (`fwd=vary-miss`).
    Others,
    Nothing,
}

/// A stored response that fits the request.
#[derive(Debug, Clone)]
pub struct Found {
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

/// Where the content of a stored response is.
#[derive(Debug, Clone)]
pub enum Body {
    /// With the response.
    Memory,
    /// On disk alone.
    Disk(Arc<Outside>),
}

/// A body that is read from disk.
#[derive(Debug)]
pub struct Outside {
    disk: Arc<Disk>,
    key: Key,
    place: Place,
    file: format::Outside,
    reader: body::Reader,
}

impl Outside {
    /// In bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.reader.length()
    }

    /// All of it, in memory; `None` if it cannot be read. May block.
    fn whole(&self) -> Option<Content> {
        let (mut pieces, mut rest) = (Vec::new(), 0..self.length());
        while !rest.is_empty() {
            let piece = self.reader.read(&rest, Patience::Any).map_err(|fault| self.fail(&fault)).ok()?;
            rest.start += piece.len() as u64;
            pieces.push(piece);
        }
        Some(Content::new(pieces))
    }

    /// It is not found any more.
    fn fail(&self, fault: &Fault) {
        self.disk.fail(&self.key, &self.place, fault);
    }
}

impl Found {
    /// The same content with the fields of `stored`, which have just been validated.
    #[must_use]
    pub fn renewed(self, stored: Arc<Stored>) -> Self {
        Self { freshness: stored.freshness, stored, ..self }
    }

    /// Whether it answers the request at `now` without another look.
    #[must_use]
    pub fn is_fresh(&self, wants: &RequestDirectives, now: SystemTime) -> bool {
        self.freshness.judge(wants, now) == Verdict::Fresh
    }

    /// Whether it may stand in for an origin that fails: see [`Freshness::stands_in_for_an_error`]. A failure that was stored
    /// stands in for no other.
    #[must_use]
    pub fn stands_in(&self, wants: &RequestDirectives, least: u32, now: SystemTime) -> bool {
        !is_failure(self.stored.status) && self.freshness.stands_in_for_an_error(wants, least, now)
    }

    /// Whether it is of more use than a failure that could be stored in its place, for it answers requests on, or stands in.
    #[must_use]
    pub fn outlasts_a_failure(&self, now: SystemTime) -> bool {
        let anyone = RequestDirectives::default();
        let answers = !matches!(self.freshness.judge(&anyone, now), Verdict::Validate(_));
        (answers && !is_failure(self.stored.status)) || self.stands_in(&anyone, 0, now)
    }

    /// Bytes of its content.
    #[must_use]
    pub fn length(&self) -> u64 {
        match &self.body {
            Body::Memory => self.stored.content.len(),
            Body::Disk(outside) => outside.length(),
        }
    }
}

impl Tiered {
    /// Memory alone; `expects_disk` if a disk is to be [attached](Self::attach).
    #[must_use]
    pub fn new(size: Size, expects_disk: bool, fleet: Arc<Fleet>, now: SystemTime, tell: Tell) -> Self {
        let memory = Memory::new(size);
        memory.purges().begin(now);
        Self {
            memory,
            disk: ArcSwapOption::empty(),
            expects_disk: AtomicBool::new(expects_disk),
            round: Arc::new(AtomicU32::new(1)),
            swept: Mutex::new(Epoch::from_number(0)),
            lanes: Lanes::default(),
            fleet,
            tell,
        }
    }

    /// Takes the disk. `false` while another process has it: ask again. May block, for a second or so.
    ///
    /// # Errors
    /// When it cannot be used. It may be tried again.
    pub fn attach(&self, on_disk: OnDisk) -> io::Result<bool> {
        let OnDisk { volume, capacity, keys, is_fleets, random, observe } = on_disk;
        self.expects_disk.store(true, Ordering::Release);
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
        let opened = Disk::open(volume, options, |before| self.take_up(before, is_fleets));
        // If it can be used one day, what was purged until then is not known any more: nothing in it counts then.
        let disk = opened.inspect_err(|_| self.expects_disk.store(false, Ordering::Release))?;
        let is_ours = disk.is_some();
        if let Some(disk) = disk {
            let disk = Arc::new(disk);
            self.disk.store(Some(disk.clone()));
            // What was purged since its purges were read. Only then can it be noted that it was.
            disk.queue_purge(purges.traces());
            if is_fleets {
                let fleet = self.fleet.clone();
                disk.follow(Box::new(move || fleet.bookmark()));
            }
            disk.write_waiting(|| purges.traces());
        }
        Ok(is_ours)
    }

    /// Goes on where a process before this one ended: what counts of purges, and until where those of the fleet are among it.
    fn take_up(&self, before: &Before, is_fleets: bool) -> (Traces, Option<Bookmark>) {
        let bookmark = before.bookmark.filter(|_| is_fleets);
        let is_resumed = self.fleet.resume(bookmark);
        // Who shares no purges any more hears of none that its fleet gave.
        let is_trusted = if is_fleets { is_resumed } else { before.bookmark.is_none() };
        let mut traces = before.traces.clone();
        if !is_trusted {
            traces.swept = traces.swept.max(before.latest.number() + 1);
        }
        let purges = self.memory.purges();
        purges.restore(&traces, before.latest);
        (purges.traces(), bookmark.filter(|_| is_resumed))
    }

    /// Writes what waits and leaves the disk to another process. May block.
    pub fn detach(&self) {
        self.expects_disk.store(false, Ordering::Release);
        if let Some(disk) = self.disk.swap(None) {
            disk.write_waiting(|| self.memory.purges().traces());
            disk.note(|| self.memory.purges().traces());
            disk.release();
        }
    }

    /// The present epoch of purges: ask for it before the origin is asked, and give it to what is stored.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.memory.epoch()
    }

    /// The longest content that is worth keeping, in bytes.
    #[must_use]
    pub fn largest(&self) -> u64 {
        let disk = self.disk.load();
        self.memory.largest().max(disk.as_ref().map_or(0, |disk| disk.largest()))
    }

    /// Whether the disk is there, and nothing is found in it before the fleet's purges of meanwhile are heard.
    #[must_use]
    pub fn catches_up(&self) -> bool {
        self.fleet.catches_up()
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

    /// The response of this key that fits the request, if it is in memory.
    #[must_use]
    pub fn look(&self, key: &Key, request: &HeaderMap) -> Look {
        match self.memory.find(key, request) {
            memory::Found::Fitting(stored, freshness) => {
                if stored.note(self.round.load(Ordering::Relaxed))
                    && let Some(disk) = &*self.disk.load()
                {
                    disk.touch(key, stored.variant());
                }
                Look::Fitting(Found { stored, freshness, body: Body::Memory, tier: Tier::Memory })
            }
            memory::Found::Others => Look::Others,
            memory::Found::Nothing => Look::Nothing,
        }
    }

    /// The response of this key that fits the request, wherever it is.
    pub async fn find(&self, key: &Key, request: &HeaderMap) -> Look {
        let look = self.look(key, request);
        let search = if matches!(look, Look::Fitting(_)) { None } else { self.on_disk(key) };
        let Some(search) = search else { return look };
        match self.search(search, key, request).await {
            Look::Nothing => look,
            found => found,
        }
    }

    /// Stores a response with its content, in memory and on disk, as far as it fits. Returns at once.
    pub fn put(&self, key: Key, stored: Arc<Stored>) {
        let disk = self.disk.load_full();
        let on_disk = disk.is_some_and(|disk| disk.put(metadata(key, &stored), stored.content.clone()));
        let bytes = stored.weight();
        let in_memory = self.memory.put(key, stored);
        if on_disk || in_memory {
            (self.tell)(bytes);
        }
    }

    /// Stores a response that was found and validated: `stored` has the new fields, and the content only if that was found in
    /// memory. Content on disk is not written anew.
    pub fn update(&self, key: Key, found: &Found, stored: Arc<Stored>) {
        match &found.body {
            Body::Memory => self.put(key, stored),
            Body::Disk(body) => {
                if let Some(disk) = self.disk.load_full() {
                    disk.update(metadata(key, &stored), body.file, body.length());
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

    /// Purges all of these at once: when it returns, none of them is found any more. That this holds across a restart, too, is
    /// to be seen to with what it gives.
    pub fn purge(&self, scopes: &[Scope], how: How) -> Purged {
        let traces = self.memory.purge(scopes, how);
        let disk = self.disk.load_full();
        Purged::new(disk, traces, self.memory.purges().clone())
    }

    /// Removes what is purged from memory, and forgets what no longer counts. Takes half a second for a million responses. May
    /// block.
    pub fn sweep(&self) {
        let until = self.compared();
        self.memory.sweep(until);
        if let Some(disk) = self.disk.load_full() {
            let purges = self.memory.purges();
            disk.compact(|| purges.traces());
            if purges.is_crowded() {
                disk.renew();
            }
        }
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Has the disk know how far the fleet's purges were heard. May block.
    pub fn note(&self) {
        if let Some(disk) = self.disk.load_full() {
            disk.note(|| self.memory.purges().traces());
        }
    }

    /// Whether a [sweep](Self::sweep) would forget anything.
    #[must_use]
    pub fn wants_sweeping(&self) -> bool {
        let swept = *self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let may_be_renewed = || self.memory.purges().is_crowded() && self.disk.load().is_some();
        self.memory.wants_sweeping() && (self.compared() > swept || may_be_renewed())
    }

    /// The epoch until which what is stored was compared with what was purged, or will be by a sweep.
    fn compared(&self) -> Epoch {
        let on_disk = match &*self.disk.load() {
            Some(disk) => disk.oldest_epoch(),
            None if self.expects_disk.load(Ordering::Acquire) => Epoch::from_number(0),
            None => Epoch::LAST,
        };
        self.memory.epoch().min(on_disk)
    }
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
