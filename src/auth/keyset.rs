//! The life of an issuer's keys: fetched in the background before they expire, asked for once more when somebody
//! shows a key that nobody knows, served for a while after the issuer went down, then gone.
//!
//! Always holds: readers take no lock and never wait for a fetch that they did not ask for; one fetch an issuer at a
//! time; a document that is of no use replaces nothing; past [`Settings::max_stale`] without a word from the issuer
//! there are no keys, and whoever needs them refuses. Each issuer has its own task, clock and bounds, so that one that
//! hangs holds up no other.
//!
//! What is known outlives reloads in the [`Keyring`], found again by the issuer's name and where its keys come from.

mod schedule;
mod source;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::http::fetch::Fetch;
use crate::state::Clock;
use crate::values::Problem;
use schedule::{Asked, Schedule, later};
pub use source::Source;
use source::{Memory, Trouble, read_file};

/// How often a file is looked at.
const FILE_PERIOD: Duration = Duration::from_secs(2);

/// What a document is parsed into.
pub trait Keys: Sized + Send + Sync + 'static {
    /// Reads a document, such as a JWK Set (RFC 7517 §5).
    ///
    /// # Errors
    /// When it is malformed, with one lowercase fragment.
    fn parse(document: &[u8]) -> Result<Self, String>;

    /// Keys that can be used. A document without any replaces nothing.
    fn count(&self) -> usize;

    /// What is odd about single keys, for the log.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How an issuer is treated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time between two fetches where the answer does not say how long it is good for. Default 5 min.
    pub interval: Duration,
    /// The shortest time, whatever the answer says. Default 30 s.
    pub shortest: Duration,
    /// The longest: a key that was withdrawn is gone by then. Default 1 h.
    pub longest: Duration,
    /// Between two fetches because of keys that nobody knows, which anybody can make up. Default 10 s.
    pub cooldown: Duration,
    /// How long keys are used after the issuer last confirmed them. Default 24 h.
    pub max_stale: Duration,
    /// For one fetch. Default 5 s.
    pub timeout: Duration,
    /// How long a request waits for a fetch that it asked for. Default 3 s.
    pub max_wait: Duration,
    /// Requests that may wait at a time. Default 256.
    pub max_waiting: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5 * 60),
            shortest: Duration::from_secs(30),
            longest: Duration::from_secs(60 * 60),
            cooldown: Duration::from_secs(10),
            max_stale: Duration::from_secs(24 * 60 * 60),
            timeout: Duration::from_secs(5),
            max_wait: Duration::from_secs(3),
            max_waiting: 256,
        }
    }
}

/// Is told how fetches end: one for each issuer, to count and log.
pub trait Observer: Send + Sync {
    /// An attempt has ended.
    fn fetched(&self, outcome: Outcome<'_>);

    /// Something is odd about a key that has come.
    fn odd(&self, _note: &str) {}
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// There are other keys than before.
    Replaced { keys: usize },
    /// The issuer confirmed the keys in use.
    Unchanged,
    /// The keys in use, if any, stay so for now. `kind` is one word of few, for a label; `why` is for the log.
    Failed { kind: &'static str, why: &'a str },
}

/// The keys in use.
#[derive(Debug)]
pub struct Current<K> {
    /// The keys.
    pub keys: K,
    /// Which keys these are, from 1 on. No two sets of keys of a [`Keyring`] have the same, so that whatever was
    /// verified with the keys of one generation is verified anew under another.
    pub generation: u64,
    confirmed_ns: AtomicU64,
}

/// Whether it is worth while to look again, after a key was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// There are other keys now.
    Newer,
    /// The issuer was asked, just now or within the cooldown, and has no other keys.
    Same,
    /// The issuer did not answer in time, or there are no keys at all.
    Unavailable,
}

/// What an issuer's keys are like, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Keys in use; 0 where there are none or they are too old.
    pub keys: usize,
    /// Since the issuer last confirmed them.
    pub age: Option<Duration>,
    /// Failed attempts in a row.
    pub failures: u32,
}

/// What surrounds an issuer's keys in one policy.
pub struct Setup {
    pub settings: Settings,
    /// Who asks the issuer.
    pub fetch: Arc<dyn Fetch>,
    pub observer: Arc<dyn Observer>,
    /// Spreads fetches in time.
    pub chance: fastrand::Rng,
}

/// Finds what is known of issuers by name. The server owns one for its whole life.
pub struct Keyring<K> {
    clock: Clock,
    generations: Arc<AtomicU64>,
    kept: Mutex<HashMap<Id, Weak<Kept<K>>>>,
}

/// An issuer's name, and where its keys come from.
type Id = (Box<str>, Source);

/// What outlives a reload.
struct Kept<K> {
    current: ArcSwapOption<Current<K>>,
    schedule: Mutex<Schedule>,
    /// Held for the time of an attempt: there is one at a time, also while two policies overlap.
    memory: tokio::sync::Mutex<Memory>,
    /// Told when an attempt is wanted.
    asked: watch::Sender<()>,
    /// Told when one has ended.
    ended: watch::Sender<()>,
}

/// The keys of one issuer, as one policy wants them.
pub struct KeySet<K> {
    source: Source,
    settings: Settings,
    fetch: Arc<dyn Fetch>,
    observer: Arc<dyn Observer>,
    clock: Clock,
    generations: Arc<AtomicU64>,
    /// A place for each request that waits.
    waiting: Semaphore,
    kept: Arc<Kept<K>>,
}

impl<K: Keys> Keyring<K> {
    /// With nothing known.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, generations: Arc::default(), kept: Mutex::default() }
    }

    /// The keys of the issuer that the policy calls `name`, with what is known of them already. Keys in the policy or
    /// in a file are read here and now; others by [`KeySet::run`].
    ///
    /// # Errors
    /// When the document in the policy or in a file is of no use.
    pub fn open(&self, name: &str, source: Source, setup: Setup) -> Result<Arc<KeySet<K>>, Problem> {
        let here = match &source {
            Source::Url(_) | Source::Discovery { .. } => None,
            Source::Inline(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Source::File(path) => Some(read_file(path).map_err(Problem::whole)?),
        };
        let parsed = here.as_deref().map(parse::<K>).transpose().map_err(Problem::whole)?;
        let kept = self.kept(name, &source, setup.chance);
        let mut settings = setup.settings;
        if matches!(source, Source::File(_)) {
            (settings.interval, settings.longest) = (FILE_PERIOD, FILE_PERIOD);
        }
        let set = KeySet {
            waiting: Semaphore::new(settings.max_waiting.min(Semaphore::MAX_PERMITS)),
            source,
            settings,
            fetch: setup.fetch,
            observer: setup.observer,
            clock: self.clock.clone(),
            generations: Arc::clone(&self.generations),
            kept,
        };
        // Where something is known already the task takes over what changed.
        if let (Some(keys), Some(document)) = (parsed, here)
            && set.kept.current.load().is_none()
            && let Ok(mut memory) = set.kept.memory.try_lock()
        {
            set.replace(keys, self.clock.nanos());
            memory.keep(document);
        }
        Ok(Arc::new(set))
    }

    fn kept(&self, name: &str, source: &Source, chance: fastrand::Rng) -> Arc<Kept<K>> {
        let mut all = held(&self.kept);
        let id = (Box::from(name), source.clone());
        if let Some(kept) = all.get(&id).and_then(Weak::upgrade) {
            return kept;
        }
        all.retain(|_, kept| kept.strong_count() > 0);
        let kept = Arc::new(Kept {
            current: ArcSwapOption::empty(),
            schedule: Mutex::new(Schedule::new(chance)),
            memory: tokio::sync::Mutex::default(),
            asked: watch::Sender::new(()),
            ended: watch::Sender::new(()),
        });
        all.insert(id, Arc::downgrade(&kept));
        kept
    }
}

impl<K: Keys> KeySet<K> {
    /// The keys to verify with. `None` means that nothing can be verified now (503 `keys_unavailable`): there never
    /// were keys, or the issuer has been silent for too long.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Current<K>>> {
        let current = self.kept.current.load_full()?;
        let fresh = matches!(self.source, Source::Inline(_)) || self.age(&current) <= self.settings.max_stale;
        fresh.then_some(current)
    }

    /// Asks the issuer for a key that is not among those of the generation `seen` (0 where there were no keys), and
    /// waits for the answer. However many ask, there is one fetch in the cooldown; however long it takes, the wait
    /// ends after [`Settings::max_wait`]. A caller that goes away cuts nothing off.
    pub async fn refresh_for_unknown(&self, seen: u64) -> Refreshed {
        if self.is_newer_than(seen) {
            return Refreshed::Newer;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Refreshed::Unavailable };
        let now = self.clock.nanos();
        let mut ended = self.kept.ended.subscribe();
        let asked = match &self.source {
            Source::Inline(_) => Asked::TooSoon,
            _ => held(&self.kept.schedule).ask(now, self.settings.cooldown),
        };
        let Asked::Attempt(attempt) = asked else { return self.refreshed(seen) };
        self.kept.asked.send_replace(());
        let told = async {
            while !self.is_newer_than(seen) && !held(&self.kept.schedule).has_ended(attempt) {
                if ended.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = told => self.refreshed(seen),
            () = self.clock.sleep_until(later(now, self.settings.max_wait)) => Refreshed::Unavailable,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let keys = self.current().map_or(0, |current| current.keys.count());
        let age = self.kept.current.load().as_ref().map(|current| self.age(current));
        Status { keys, age, failures: held(&self.kept.schedule).failures() }
    }

    /// Keeps the keys fresh, for ever; returns at once where they are part of the policy. Run it once for each policy
    /// in force, on a runtime that outlives it. It may be dropped at any time.
    pub async fn run(self: Arc<Self>) {
        match self.source {
            Source::Inline(_) => return,
            // A reload looks at once.
            Source::File(_) => held(&self.kept.schedule).hurry(),
            Source::Url(_) | Source::Discovery { .. } => {}
        }
        let mut asked = self.kept.asked.subscribe();
        loop {
            let due = held(&self.kept.schedule).due_ns();
            tokio::select! {
                () = self.clock.sleep_until(due) => self.attempt().await,
                asked = asked.changed() => if asked.is_err() { return },
            }
        }
    }

    /// Asks for the keys, unless somebody else just did.
    async fn attempt(&self) {
        let mut memory = self.kept.memory.lock().await;
        let attempt = {
            let mut schedule = held(&self.kept.schedule);
            if schedule.due_ns() > self.clock.nanos() {
                return;
            }
            schedule.begin()
        };
        match self.renew(&mut memory).await {
            Ok((outcome, lifetime)) => {
                let now = self.clock.nanos();
                held(&self.kept.schedule).succeeded(attempt, now, lifetime, &self.settings);
                self.observer.fetched(outcome);
            }
            Err(trouble) => {
                held(&self.kept.schedule).failed(attempt, self.clock.nanos());
                self.observer.fetched(Outcome::Failed { kind: trouble.kind(), why: &trouble.to_string() });
            }
        }
        self.kept.ended.send_replace(());
    }

    async fn renew(&self, memory: &mut Memory) -> Result<(Outcome<'static>, Option<Duration>), Trouble> {
        // What was true when the question was put may have changed before the answer came.
        let asked_ns = self.clock.nanos();
        let reading = self.source.read(&*self.fetch, self.settings.timeout, memory).await?;
        let current = self.kept.current.load_full();
        let outcome = match (reading.document, current) {
            (None, Some(current)) => {
                current.confirmed_ns.store(asked_ns, Ordering::Release);
                Outcome::Unchanged
            }
            (None, None) => return Err(Trouble::Document("there is none".to_owned())),
            (Some(document), _) => {
                let keys = parse::<K>(&document)?;
                let count = keys.count();
                self.replace(keys, asked_ns);
                memory.keep(document);
                Outcome::Replaced { keys: count }
            }
        };
        memory.validate_by(reading.etag);
        Ok((outcome, reading.lifetime))
    }

    fn replace(&self, keys: K, confirmed_ns: u64) {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        for note in keys.notes() {
            self.observer.odd(&note);
        }
        let current = Current { keys, generation, confirmed_ns: AtomicU64::new(confirmed_ns) };
        self.kept.current.store(Some(Arc::new(current)));
    }

    fn age(&self, current: &Current<K>) -> Duration {
        let confirmed = current.confirmed_ns.load(Ordering::Acquire);
        Duration::from_nanos(self.clock.nanos().saturating_sub(confirmed))
    }

    fn is_newer_than(&self, seen: u64) -> bool {
        self.current().is_some_and(|current| current.generation != seen)
    }

    fn refreshed(&self, seen: u64) -> Refreshed {
        match self.current() {
            Some(current) if current.generation != seen => Refreshed::Newer,
            Some(_) if held(&self.kept.schedule).failures() == 0 => Refreshed::Same,
            _ => Refreshed::Unavailable,
        }
    }
}

fn parse<K: Keys>(document: &[u8]) -> Result<K, Trouble> {
    match K::parse(document) {
        Ok(keys) if keys.count() == 0 => Err(Trouble::Document("no key in it can be used".to_owned())),
        Ok(keys) => Ok(keys),
        Err(why) => Err(Trouble::Document(why)),
    }
}

/// The lock, also after a thread panicked with it: each change under it is a single step.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
