//! The look at the disk for what is not in memory.
//!
//! What is in the system's memory is read at once, on the thread that asks; everything else on threads that may block, and
//! not for long: a disk that is slow answers nobody later than the origin would. Of a key that many ask for at a time one
//! reads, and the others find it in memory.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Body, Found, Look, Outside, Tier, Tiered};
use crate::cache::content::Content;
use crate::cache::disk::Disk;
use crate::cache::disk::event::Event;
use crate::cache::disk::index::Place;
use crate::cache::disk::segment::{self, Part, Patience, Record};
use crate::cache::key::Key;
use crate::cache::memory::Stored;
use crate::cache::purge::{Epoch, Fate};

/// Records longer than this are not read on the thread that asks, even from memory: to copy and check a mebibyte takes a
/// tenth of a millisecond.
const LONGEST_AT_ONCE: u32 = 256 << 10;
/// Bodies up to here are read and checked as a whole before anything is sent, and put into memory.
const LARGEST_WHOLE: u64 = 4 << 20;
/// How long a look may take; the origin is asked then.
const PATIENCE: Duration = Duration::from_secs(1);
/// Keys that are looked for at a time, as far as they do not fall upon each other. Bounds the memory that reading takes.
const LANES: usize = 128;

/// One look at a time for each of them.
pub struct Lanes(Box<[Mutex<()>]>);

impl Default for Lanes {
    fn default() -> Self {
        Self((0..LANES).map(|_| Mutex::default()).collect())
    }
}

impl Lanes {
    #[allow(clippy::indexing_slicing, reason = "the remainder is below their number")]
    fn of(&self, key: &Key) -> &Mutex<()> {
        let [first, ..] = key.as_bytes();
        &self.0[usize::from(*first) % LANES]
    }
}

/// Something is on disk under a key.
pub struct Search {
    disk: Arc<Disk>,
    places: Vec<Place>,
}

/// What is known of a response before its body is read.
struct Candidate {
    stored: Stored,
    fate: Fate,
    place: Place,
    body: segment::Body,
}

impl Tiered {
    /// Whether a look at the disk is worth while; reads nothing.
    #[must_use]
    pub fn on_disk(&self, key: &Key) -> Option<Search> {
        let disk = self.disk.load();
        let disk = disk.as_ref().filter(|_| !self.fleet.catches_up())?;
        let places = disk.find(key);
        (!places.is_empty()).then(|| Search { disk: disk.clone(), places })
    }

    /// Does it. Puts what it finds into memory if it is not too large for that.
    pub async fn search(&self, search: Search, key: &Key, request: &HeaderMap) -> Look {
        let disk = search.disk.clone();
        let look = timeout(PATIENCE, self.search_in_turn(search, key, request)).await;
        look.unwrap_or_else(|_| {
            disk.tell(&Event::Slow);
            Look::Nothing
        })
    }

    async fn search_in_turn(&self, search: Search, key: &Key, request: &HeaderMap) -> Look {
        let Search { disk, mut places } = search;
        let lane = self.lanes.of(key);
        let turn = if let Ok(turn) = lane.try_lock() {
            turn
        } else {
            let turn = lane.lock().await;
            if let found @ Look::Fitting(_) = self.look(key, request) {
                return found;
            }
            places = disk.find(key);
            turn
        };
        let (best, others) = self.candidates(&disk, key, request, &places).await;
        let found = match best {
            Some(best) => self.found(&disk, key, best).await,
            None => None,
        };
        drop(turn);
        match (found, others) {
            (Some(found), _) => Look::Fitting(found),
            (None, true) => Look::Others,
            (None, false) => Look::Nothing,
        }
    }

    /// The latest that fits, and whether there are others.
    async fn candidates(
        &self,
        disk: &Arc<Disk>,
        key: &Key,
        request: &HeaderMap,
        places: &[Place],
    ) -> (Option<Candidate>, bool) {
        let part = if places.len() == 1 { Part::Whole } else { Part::Metadata };
        let (mut best, mut others): (Option<Candidate>, bool) = (None, false);
        for place in places {
            let Some(record) = read(disk, key, place, part).await else { continue };
            let Some((stored, fate)) = self.restored(&record) else {
                disk.remove_place(key, place);
                continue;
            };
            let is_later = best.as_ref().is_none_or(|best| stored.is_as_late_as(&best.stored));
            match stored.fits(request) {
                true if is_later => best = Some(Candidate { stored, fate, place: *place, body: record.body }),
                true => {}
                false => others = true,
            }
        }
        (best, others)
    }

    /// A response as it is on disk, and what became of it; `None` if it is gone.
    fn restored(&self, record: &Record) -> Option<(Stored, Fate)> {
        let epoch = Epoch::from_number(record.epoch);
        let stored = Stored::from_metadata(&record.metadata, epoch, Content::default())?;
        let fate = stored.fate(self.memory.purges());
        (fate != Fate::Gone).then_some((stored, fate))
    }

    async fn found(&self, disk: &Arc<Disk>, key: &Key, best: Candidate) -> Option<Found> {
        let Candidate { mut stored, fate, place, mut body } = best;
        if body == segment::Body::Unread {
            body = read(disk, key, &place, Part::Whole).await?.body;
        }
        let body = match body {
            segment::Body::Whole(content) => {
                stored.content = content;
                Body::Memory
            }
            segment::Body::Outside(outside, length) => {
                let (disk, key) = (disk.clone(), *key);
                let is_short = length <= LARGEST_WHOLE.min(self.memory.largest());
                let opened = spawn_blocking(move || {
                    let reader = disk.body(&key, &place, outside, length)?;
                    let opened = Outside { disk, key, place, file: outside, reader };
                    if is_short { opened.whole().map(Ok) } else { Some(Err(opened)) }
                });
                match opened.await.ok()?? {
                    Ok(content) => {
                        stored.content = content;
                        Body::Memory
                    }
                    Err(outside) => Body::Disk(Arc::new(outside)),
                }
            }
            segment::Body::Unread => return None,
        };
        disk.touch(key, place.variant);
        disk.tell(&Event::Served);
        let stored = Arc::new(stored);
        if matches!(body, Body::Memory) {
            self.memory.promote(*key, &stored);
        }
        let freshness = match fate {
            Fate::Expired(when) => stored.freshness.expired_at(when),
            Fate::Holds | Fate::Gone => stored.freshness,
        };
        Some(Found { stored, freshness, body, tier: Tier::Disk })
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
