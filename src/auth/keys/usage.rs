//! How often each key was used, and when last: counted without a lock while requests pass, kept in a file over
//! restarts.
//!
//! A request's part is two atomic operations on the key's own [`Tally`], some 10 ns. Everything else happens
//! at a flush, every [`FLUSH_EVERY`] and at the end of the process: the file's numbers are read, what this process
//! counted since its last flush is added, and the file is replaced. So processes that share the file, as the old and
//! the new one of an upgrade do, add up; a crash loses the counts since the last flush.
//!
//! Outlives reloads: a new directory finds the tallies by the ids of its keys. Ids come from policies and stores, never
//! from clients, so memory is bounded by what operators wrote.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::file::{FileError, LockedFile};
use super::moment::Moment;
use super::names::KeyId;

/// How often a process should flush.
pub const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// How long a key that no directory has is remembered after its last use.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(90 * 86_400);

/// The use of one key. Shared by all directories that have the key. In cache lines of its own, or keys used by
/// different processors would slow down each other.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Tally {
    /// Uses in this process.
    here: AtomicU64,
    /// Uses before this process, and in others.
    elsewhere: AtomicU64,
    /// Uses in this process that the file knows of. Moved by flushes alone.
    flushed: AtomicU64,
    /// Unix time in seconds; 0 for never.
    last_used: AtomicU64,
    /// Uses in this process while there was a newer key already.
    deprecated: AtomicU64,
}

impl Tally {
    /// Counts one use.
    pub fn record(&self, now: Moment) {
        // Of a hot key this is written once a second, and read otherwise.
        if self.last_used.load(Ordering::Relaxed) < now.unix() {
            self.last_used.fetch_max(now.unix(), Ordering::Relaxed);
        }
        // Released, so that whoever sees the count sees the time as well.
        self.here.fetch_add(1, Ordering::Release);
    }

    /// Counts that a use was one of a key that has a successor.
    pub fn record_deprecated(&self) {
        self.deprecated.fetch_add(1, Ordering::Relaxed);
    }

    /// Uses in this process while there was a newer key already.
    pub fn deprecated_uses(&self) -> u64 {
        self.deprecated.load(Ordering::Relaxed)
    }

    /// All uses there ever were, as far as this process knows.
    pub fn uses(&self) -> u64 {
        self.elsewhere.load(Ordering::Relaxed).saturating_add(self.here.load(Ordering::Relaxed))
    }

    /// The latest use there ever was, as far as this process knows.
    pub fn last_used(&self) -> Option<Moment> {
        let seconds = self.last_used.load(Ordering::Relaxed);
        (seconds > 0).then(|| Moment::from_unix(seconds))
    }

    fn learn(&self, record: &Record, here: u64) {
        self.elsewhere.store(record.uses.saturating_sub(here), Ordering::Relaxed);
        self.last_used.fetch_max(record.last_used.unix(), Ordering::Relaxed);
    }

    fn unflushed(&self) -> u64 {
        self.here.load(Ordering::Acquire).saturating_sub(self.flushed.load(Ordering::Relaxed))
    }
}

/// The tallies of all keys.
#[derive(Debug, Default)]
pub struct Usage {
    tallies: Mutex<HashMap<KeyId, Arc<Tally>>>,
}

impl Usage {
    /// Goes on from what a file says.
    pub fn from_records(records: &Records) -> Self {
        let learnt = |(id, record): (&KeyId, &Record)| {
            let tally = Tally::default();
            tally.learn(record, 0);
            (id.clone(), Arc::new(tally))
        };
        Self { tallies: Mutex::new(records.keys.iter().map(learnt).collect()) }
    }

    /// The tally of a key, the same one as long as anybody holds it.
    pub fn tally(&self, id: &KeyId) -> Arc<Tally> {
        Arc::clone(self.lock().entry(id.clone()).or_default())
    }

    /// Whether there is a tally of the key of this id.
    pub fn knows(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// Every key, with what was counted since the last flush: for a store that adds up by itself.
    pub fn counted(&self) -> Vec<Counted> {
        let counted = |(id, tally): (&KeyId, &Arc<Tally>)| Counted {
            id: id.clone(),
            unflushed: tally.unflushed(),
            last_used: tally.last_used(),
            tally: Arc::clone(tally),
        };
        self.lock().iter().map(counted).collect()
    }

    /// The store has what was counted, and this is what it says of the key now.
    pub fn settle(&self, counted: Counted, record: Option<&Record>) {
        settle(&mut self.lock(), counted, record);
    }

    /// Whether there is something that the file does not know yet.
    pub fn is_unflushed(&self) -> bool {
        self.lock().values().any(|tally| tally.unflushed() > 0)
    }

    /// Adds what was counted since the last flush to what the file says. Nothing is forgotten before [`Flush::done`].
    pub fn flush(&self, mut records: Records, now: Moment) -> Flush<'_> {
        let tallies = self.lock();
        let mut counted = Vec::new();
        for (id, tally) in tallies.iter() {
            let unflushed = tally.unflushed();
            if unflushed > 0 {
                let last_used = tally.last_used().unwrap_or(now);
                let unused = Record { last_used, uses: 0 };
                let record = records.keys.entry(id.clone()).or_insert(unused);
                record.uses = record.uses.saturating_add(unflushed);
                record.last_used = record.last_used.max(last_used);
            }
            let (id, last_used, tally) = (id.clone(), tally.last_used(), Arc::clone(tally));
            counted.push(Counted { id, unflushed, last_used, tally });
        }
        records
            .keys
            .retain(|id, record| tallies.contains_key(id) || now.since(record.last_used) < FORGOTTEN_AFTER);
        Flush { usage: self, records, counted }
    }

    /// Reads, adds and replaces the file of records, if there is anything new. Blocks for the disk.
    ///
    /// # Errors
    /// When the file cannot be read or written. Nothing is lost then; the next flush tries again.
    pub fn flush_to_file(&self, path: &Path, now: Moment) -> Result<(), FileError> {
        if !self.is_unflushed() {
            return Ok(());
        }
        let file = LockedFile::wait_for(path)?;
        let records = match file.read()? {
            Some(text) => Records::parse(&text).map_err(|error| FileError::unfit(path, error))?,
            None => Records::default(),
        };
        let flush = self.flush(records, now);
        let text = flush.records.encode().map_err(|error| FileError::unfit(path, error))?;
        file.replace(&text)?;
        flush.done();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Arc<Tally>>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flush on its way to the disk.
#[must_use = "what was counted stays unflushed until `done`"]
pub struct Flush<'a> {
    usage: &'a Usage,
    /// What the file is to say.
    pub records: Records,
    counted: Vec<Counted>,
}

/// What was counted of one key.
pub struct Counted {
    pub id: KeyId,
    /// Uses since the last flush.
    pub unflushed: u64,
    /// The latest use.
    pub last_used: Option<Moment>,
    tally: Arc<Tally>,
}

impl Flush<'_> {
    /// The file says it now.
    pub fn done(self) {
        let mut tallies = self.usage.lock();
        for counted in self.counted {
            let record = self.records.keys.get(&counted.id);
            settle(&mut tallies, counted, record);
        }
    }
}

/// A store has what was counted, and says `record` of it.
fn settle(tallies: &mut HashMap<KeyId, Arc<Tally>>, counted: Counted, record: Option<&Record>) {
    let Counted { id, unflushed, tally, .. } = counted;
    let flushed = tally.flushed.fetch_add(unflushed, Ordering::Relaxed).saturating_add(unflushed);
    if let Some(record) = record {
        tally.learn(record, flushed);
    }
    // Held by the table and by `tally`, thus by no directory any more; and nobody can take it meanwhile, because the
    // table is locked.
    if Arc::strong_count(&tally) == 2 && tally.unflushed() == 0 {
        tallies.remove(&id);
    }
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    keys: BTreeMap<KeyId, Record>,
}

/// The use of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub last_used: Moment,
    pub uses: u64,
}

impl FromIterator<(KeyId, Record)> for Records {
    fn from_iter<I: IntoIterator<Item = (KeyId, Record)>>(records: I) -> Self {
        Self { keys: records.into_iter().collect() }
    }
}

impl Records {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is not what [`encode`](Self::encode) writes.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The text of a file, in JSON.
    ///
    /// # Errors
    /// None that is known of.
    pub fn encode(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a file; without one, nothing was used yet. Takes no lock: files are replaced whole.
    ///
    /// # Errors
    /// When it cannot be read, or says something else.
    pub fn load_from_file(path: &Path) -> Result<Self, FileError> {
        match super::file::read(path)? {
            Some(text) => Self::parse(&text).map_err(|error| FileError::unfit(path, error)),
            None => Ok(Self::default()),
        }
    }

    /// The use of a key, if there was any.
    pub fn of(&self, id: &KeyId) -> Option<&Record> {
        self.keys.get(id)
    }
}

#[cfg(test)]
mod tests;
