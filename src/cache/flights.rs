//! One question to the origin for all who ask it at the same time (request collapsing).
//!
//! Who asks first leads and asks the origin; the others wait. What the leader gets for everyone, everyone follows while it
//! arrives. If it turns out to be for the leader alone, the others go and ask for themselves, all at once, and for a while
//! nobody waits for that key: private responses must not be fetched one after the other.
//!
//! Nobody waits for ever: whoever waits sets a time of their own, and a leader that is dropped lets everyone go.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::key::Key;

/// Independently locked parts of the table.
const SHARDS: usize = 16;

/// The questions of a process. `T` is what a leader shares: the response's head, and where to follow its content.
pub struct Flights<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    /// Until when, in nanoseconds of the caller's clock, nobody waits for a key.
    apart: Cache<Key, u64>,
}

type Shard<T> = HashMap<Key, watch::Receiver<State<T>>>;

#[derive(Debug, Clone)]
enum State<T> {
    Asking,
    Shared(T),
    Alone,
}

/// What a request is to do.
pub enum Turn<T: Clone + Send + Sync> {
    /// Ask the origin, for others too.
    Lead(Leader<T>),
    /// Wait for what another gets.
    Follow(Follower<T>),
    /// Ask the origin, for itself.
    Alone,
}

/// Has asked the origin for everyone. Dropped before it shares anything, it lets everyone ask for themselves.
pub struct Leader<T: Clone + Send + Sync> {
    flights: Arc<Flights<T>>,
    key: Key,
    state: watch::Sender<State<T>>,
}

/// Waits for a leader.
pub struct Follower<T>(watch::Receiver<State<T>>);

impl<T: Clone + Send + Sync> Flights<T> {
    /// Remembers up to `max_apart` keys that nobody waits for.
    #[must_use]
    pub fn new(max_apart: NonZeroUsize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { shards, apart: Cache::new(max_apart.get()) })
    }

    /// Whose turn it is to ask for this key, `now` in nanoseconds of a monotonic clock. Find nothing in the store after the
    /// turn to lead came, too, before asking: another leader may have just stored it.
    #[must_use]
    pub fn join(self: &Arc<Self>, key: Key, now: u64) -> Turn<T> {
        if self.apart.get(&key).is_some_and(|until| now < until) {
            return Turn::Alone;
        }
        match self.shard(&key).entry(key) {
            Entry::Occupied(flight) => Turn::Follow(Follower(flight.get().clone())),
            Entry::Vacant(place) => {
                let (state, receiver) = watch::channel(State::Asking);
                place.insert(receiver);
                Turn::Lead(Leader { flights: self.clone(), key, state })
            }
        }
    }

    /// Has requests for this key wait for each other again.
    pub fn rejoin(&self, key: &Key) {
        self.apart.remove(key);
    }

    /// Questions that are being asked.
    #[must_use]
    pub fn len(&self) -> usize {
        let shards =
            self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len());
        shards.sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[allow(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard<T>> {
        let [first, ..] = key.as_bytes();
        self.shards[usize::from(*first) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Send + Sync> Leader<T> {
    /// Gives everyone who waits, or still comes, what they can share. New ones come to it until the leader is dropped: keep
    /// it until the response is stored.
    pub fn share(&self, what: T) {
        self.state.send_replace(State::Shared(what));
    }

    /// Whether anybody waits.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        // One receiver is the table's.
        self.state.receiver_count() > 1
    }

    /// Lets everyone ask for themselves, and nobody wait for this key until `until`, in nanoseconds of the clock.
    pub fn part(self, until: u64) {
        self.flights.apart.insert(self.key, until);
    }
}

impl<T: Clone + Send + Sync> Drop for Leader<T> {
    fn drop(&mut self) {
        self.flights.shard(&self.key).remove(&self.key);
        self.state.send_if_modified(|state| {
            let is_asking = matches!(state, State::Asking);
            if is_asking {
                *state = State::Alone;
            }
            is_asking
        });
    }
}

impl<T: Clone + Send + Sync> Follower<T> {
    /// Whether the leader shares something already: it was asked for, and came, before this one asked.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(&*self.0.borrow(), State::Shared(_))
    }

    /// What the leader shares; `None` if nothing, or nothing in `time`: then ask the origin alone.
    pub async fn wait(mut self, time: Duration) -> Option<T> {
        let settled = self.0.wait_for(|state| !matches!(state, State::Asking));
        match &*tokio::time::timeout(time, settled).await.ok()?.ok()? {
            State::Shared(what) => Some(what.clone()),
            State::Asking | State::Alone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Target;

    const LONG: Duration = Duration::from_secs(3600);

    fn flights() -> Arc<Flights<u32>> {
        Flights::new(NonZeroUsize::new(16).unwrap())
    }

    fn key(path: &str) -> Key {
        Key::new(&Target { scheme: "https", host: "a", path, query: None }, b"", &[])
    }

    fn lead(flights: &Arc<Flights<u32>>, path: &str) -> Leader<u32> {
        let Turn::Lead(leader) = flights.join(key(path), 0) else { panic!("another leads") };
        leader
    }

    fn follow(flights: &Arc<Flights<u32>>, path: &str) -> Follower<u32> {
        let Turn::Follow(follower) = flights.join(key(path), 0) else { panic!("nobody leads") };
        follower
    }

    #[tokio::test]
    async fn a_thousand_follow_one() {
        let flights = flights();
        let leader = lead(&flights, "/a");
        let followers: Vec<_> = (0..1000).map(|_| follow(&flights, "/a")).collect();
        let waiting: Vec<_> =
            followers.into_iter().map(|follower| tokio::spawn(follower.wait(LONG))).collect();
        assert!(leader.is_followed());
        leader.share(7);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Some(7));
        }
        assert_eq!(follow(&flights, "/a").wait(LONG).await, Some(7));
        drop(leader);
        assert!(flights.is_empty());
        drop(lead(&flights, "/a"));
    }

    #[tokio::test]
    async fn other_keys_are_asked_for_by_others() {
        let flights = flights();
        let (first, second) = (lead(&flights, "/a"), lead(&flights, "/b"));
        first.share(1);
        second.share(2);
        assert_eq!(follow(&flights, "/b").wait(LONG).await, Some(2));
        assert_eq!(flights.len(), 2);
    }

    #[tokio::test]
    async fn a_leader_that_is_lost_lets_everyone_go() {
        let flights = flights();
        let leader = lead(&flights, "/a");
        assert!(!leader.is_followed());
        let follower = follow(&flights, "/a");
        drop(leader);
        assert_eq!(follower.wait(LONG).await, None);
        drop(lead(&flights, "/a"));
    }

    #[tokio::test]
    async fn what_cannot_be_shared_is_not_waited_for_until_its_time() {
        let flights = flights();
        let leader = lead(&flights, "/a");
        let follower = follow(&flights, "/a");
        leader.part(100);
        assert_eq!(follower.wait(LONG).await, None);
        assert!(matches!(flights.join(key("/a"), 99), Turn::Alone));
        assert!(matches!(flights.join(key("/b"), 99), Turn::Lead(_)));
        assert!(matches!(flights.join(key("/a"), 100), Turn::Lead(_)));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_they_want() {
        let flights = flights();
        let leader = lead(&flights, "/a");
        assert_eq!(follow(&flights, "/a").wait(Duration::ZERO).await, None);
        drop(leader);
    }
}
