//! What a process and its fleet know of each other's purges: those given here that the others are still to be told of, and
//! how far theirs were heard. It knows no way to tell or to hear; `crate::purging` does both by a Redis.
//!
//! What always holds: what waits here was purged here before; what waits is bounded, and where it would be more, the others
//! are told to purge everything; nothing is taken off before it is known to be told.

mod position;
mod wire;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::purge::{How, Scope};

pub use position::{Bookmark, Position, PositionError};
pub use wire::{Received, WireError};

/// What waits to be told, in bytes.
const MOST_WAITING: usize = 8 << 20;
/// What is told as one, in bytes, unless a single scope is longer.
const LARGEST_ORDER: usize = 64 << 10;
/// Orders that are told at a time.
const BATCH: usize = 32;

/// How much of a fleet's log was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// None of it, and there was nothing stored that it could be about.
    Nothing,
    /// All up to here.
    Until(Position),
    /// Not all that concerns what is stored.
    TooLittle,
}

/// Things that are purged at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub scopes: Vec<Scope>,
    pub how: How,
}

/// See the module.
#[derive(Debug)]
pub struct Fleet {
    /// Tells this process from others.
    own: u64,
    /// How many policies in force share purges: two for a moment of a reload.
    members: AtomicUsize,
    /// Whether a store was [taken up](Self::resume) for which not all was heard yet. Changes under the lock of the state.
    catches_up: AtomicBool,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
    given: Notify,
    rewound: Notify,
    /// Held by whoever tells the others, and by whoever hears them.
    pub telling: tokio::sync::Mutex<()>,
    pub hearing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Bytes of all that waits.
    size: usize,
    /// Orders at the front that are being told.
    taken: usize,
    /// Counts what was given.
    count: u64,
    /// Whose log it is that was heard.
    place: String,
    heard: Heard,
    /// From where it is to be heard again, if the log still knows that place.
    resumed: Option<Position>,
    /// The last that was told from here.
    told: Option<Position>,
}

#[derive(Debug)]
struct Waiting {
    order: Order,
    size: usize,
    /// Of what was given last of it.
    number: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// All given up to this number was told.
    told: u64,
    failures: u64,
}

/// Orders to tell.
#[derive(Debug)]
pub struct Batch {
    pub orders: Vec<Order>,
    number: u64,
}

/// Takes part in what the fleet tells itself, until it is dropped.
#[derive(Debug)]
pub struct Member(Arc<Fleet>);

/// Whom a purge has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This process, which shares purges with no other.
    Alone,
    /// All of the fleet, or what it hears from.
    Fleet,
    /// This process. The others are told as soon as that is possible.
    HereSoFar,
}

/// Says whom a purge reaches.
#[derive(Debug)]
pub struct Telling(Option<(u64, watch::Receiver<Progress>)>);

impl Telling {
    /// Waits until the fleet is told, but not longer than `patience`, and not where telling fails.
    pub async fn within(self, patience: Duration) -> Reach {
        let Some((number, mut progress)) = self.0 else { return Reach::Alone };
        let failures = progress.borrow().failures;
        let settled = progress.wait_for(|now| now.told >= number || now.failures > failures);
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(now)) if now.told >= number => Reach::Fleet,
            _ => Reach::HereSoFar,
        }
    }
}

impl Default for Fleet {
    fn default() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            size: 0,
            taken: 0,
            count: 0,
            place: String::new(),
            heard: Heard::Nothing,
            resumed: None,
            told: None,
        };
        Self {
            own: fastrand::u64(..),
            members: AtomicUsize::new(0),
            catches_up: AtomicBool::new(false),
            state: Mutex::new(state),
            progress: watch::Sender::default(),
            given: Notify::new(),
            rewound: Notify::new(),
            telling: tokio::sync::Mutex::default(),
            hearing: tokio::sync::Mutex::default(),
        }
    }
}

impl Fleet {
    /// From now on, what is given is for others, too.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> Member {
        self.members.fetch_add(1, Ordering::AcqRel);
        Member(Arc::clone(self))
    }

    /// Takes what was purged here just now, for the others.
    pub fn give(&self, scopes: &[Scope], how: How) -> Telling {
        if self.members.load(Ordering::Acquire) == 0 || scopes.is_empty() {
            return Telling(None);
        }
        let progress = self.progress.subscribe();
        let number = self.state().give(scopes, how);
        self.given.notify_one();
        Telling(Some((number, progress)))
    }

    /// Orders that wait. Until they are [told](Self::told), they are the next ones.
    #[must_use]
    pub fn next(&self) -> Option<Batch> {
        self.state().next()
    }

    /// Resolves when something was given, maybe a while ago.
    pub async fn given(&self) {
        self.given.notified().await;
    }

    /// The others can hear of the batch, which stands in the log up to here.
    pub fn told(&self, batch: &Batch, position: Position) {
        self.state().told(batch.orders.len(), position);
        self.progress.send_modify(|progress| progress.told = batch.number);
    }

    /// It could not be told, this time.
    pub fn not_told(&self) {
        self.progress.send_modify(|progress| progress.failures += 1);
    }

    /// How many orders wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// As much of the log at `place` as was heard.
    #[must_use]
    pub fn heard(&self, place: &str) -> Heard {
        let mut state = self.state();
        if state.place != place {
            // Another log says nothing of this one. At first there is none.
            let first = std::mem::replace(&mut state.place, place.to_owned()).is_empty();
            state.told = None;
            state.resumed = None;
            if !first {
                state.heard = Heard::TooLittle;
            }
        }
        state.heard
    }

    /// Notes what was heard, unless it [went back](Self::go_back) meanwhile.
    pub fn hear(&self, before: Heard, until: Position) {
        let mut state = self.state();
        if state.heard == before {
            state.heard = Heard::Until(until);
        }
    }

    /// Takes up what a store holds that outlives the process, and in which all is purged until the [bookmark](Self::bookmark)
    /// that was noted there. Whether it counts: then all after that is heard again, and until it is, the fleet
    /// [catches up](Self::catches_up). It does not if nobody knows what was missed.
    pub fn resume(&self, from: Option<Bookmark>) -> bool {
        let mut state = self.state();
        let from = from.and_then(|from| from.within(&state.place));
        state.resumed = from.filter(|_| state.heard != Heard::TooLittle);
        let counts = state.resumed.is_some();
        self.catches_up.store(counts, Ordering::Release);
        drop(state);
        self.rewound.notify_one();
        counts
    }

    /// Where to begin again, when a store was [taken up](Self::resume). Ask the log whether it knows that place.
    #[must_use]
    pub fn resumed(&self) -> Option<Position> {
        self.state().resumed
    }

    /// Begins again there; or says that too little was heard, if the log does not know the place: one that came back from a
    /// copy ends before it.
    pub fn go_back(&self, from: Position, is_known: bool) {
        let mut state = self.state();
        if state.resumed != Some(from) {
            return;
        }
        state.resumed = None;
        state.heard = match state.heard {
            Heard::Nothing if is_known => Heard::Until(from),
            Heard::Until(now) if is_known => Heard::Until(now.min(from)),
            _ => Heard::TooLittle,
        };
    }

    /// There is nothing after what was heard. Whether that was waited for.
    pub fn is_up_to_date(&self, heard: Heard) -> bool {
        let state = self.state();
        let is_it = state.heard == heard && state.resumed.is_none();
        is_it && self.catches_up.swap(false, Ordering::AcqRel)
    }

    /// Whether something that is stored may have been purged by the fleet while no process had it. It is not to be used.
    #[must_use]
    pub fn catches_up(&self) -> bool {
        self.catches_up.load(Ordering::Acquire)
    }

    /// Resolves when there is more to be heard again.
    pub async fn rewound(&self) {
        self.rewound.notified().await;
    }

    /// Until where all was heard and purged here, and in which log. A store that outlives the process notes it: asks for it
    /// first, and writes it down with or after all purges of before. `None` if what is noted there is to stay.
    #[must_use]
    pub fn bookmark(&self) -> Option<Bookmark> {
        let state = self.state();
        match state.heard {
            Heard::Until(position) if state.resumed.is_none() => Some(Bookmark::new(&state.place, position)),
            _ => None,
        }
    }

    /// Until where all was heard and purged here.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.state().heard {
            Heard::Until(position) => Some(position),
            Heard::Nothing | Heard::TooLittle => None,
        }
    }

    /// The last purge in the log that is known here, heard or told.
    ///
    /// # Errors
    /// When the others do not know yet what was purged here.
    pub fn last_known(&self) -> Result<Option<Position>, Untold> {
        let state = self.state();
        let heard = match state.heard {
            Heard::Until(position) => Some(position),
            Heard::Nothing | Heard::TooLittle => None,
        };
        if state.waiting.is_empty() { Ok(heard.max(state.told)) } else { Err(Untold) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something was purged here that others do not know of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untold;

impl State {
    fn give(&mut self, scopes: &[Scope], how: How) -> u64 {
        self.count += 1;
        for scope in scopes {
            self.add(scope, how);
        }
        if self.size > MOST_WAITING {
            self.waiting.truncate(self.taken);
            self.size = self.waiting.iter().map(|waiting| waiting.size).sum();
            self.add(&Scope::All, How::Hard);
        }
        self.count
    }

    /// Puts it to the last order, or makes it a new one.
    fn add(&mut self, scope: &Scope, how: How) {
        let (size, number) = (size(scope), self.count);
        self.size += size;
        let is_free = self.waiting.len() > self.taken;
        if let Some(last) = self.waiting.back_mut().filter(|last| is_free && last.order.how == how)
            && last.size + size <= LARGEST_ORDER
        {
            last.order.scopes.push(scope.clone());
            last.size += size;
            last.number = number;
            return;
        }
        let order = Order { scopes: vec![scope.clone()], how };
        self.waiting.push_back(Waiting { order, size, number });
    }

    fn next(&mut self) -> Option<Batch> {
        self.taken = self.waiting.len().min(BATCH);
        let number = self.waiting.get(self.taken.checked_sub(1)?)?.number;
        let orders = self.waiting.iter().take(self.taken).map(|waiting| waiting.order.clone()).collect();
        // Of what was given as one, a part may wait for the next batch.
        let is_split = self.waiting.get(self.taken).is_some_and(|next| next.number == number);
        Some(Batch { orders, number: if is_split { number - 1 } else { number } })
    }

    fn told(&mut self, orders: usize, position: Position) {
        for waiting in self.waiting.drain(..orders.min(self.waiting.len())) {
            self.size = self.size.saturating_sub(waiting.size);
        }
        self.taken = 0;
        self.told = self.told.max(Some(position));
    }
}

/// In bytes, about.
fn size(scope: &Scope) -> usize {
    match scope {
        Scope::All | Scope::Tag(_) => 24,
        Scope::Url(text) | Scope::Prefix(text) => 24 + text.len(),
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
