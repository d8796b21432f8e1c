//! Addresses of names, remembered for their time to live. What was resolved once stays in use while no lookup gives
//! anything better: a resolver that fails is not to take an issuer with it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::http::fetch::Failure;
use crate::state::Clock;
use crate::upstream::resolve::Lookup;

/// A lookup takes no longer than this, whatever the system's resolver is configured for.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(3);
const SHORTEST_TTL: Duration = Duration::from_secs(1);
const LONGEST_TTL: Duration = Duration::from_secs(300);
/// How long known addresses are used without asking again after a lookup has failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Names remembered. They come from the policy and from issuers, so there are few.
const MOST_NAMES: usize = 1024;

/// Finds addresses.
pub(super) struct Names {
    lookup: Arc<dyn Lookup>,
    clock: Clock,
    known: Mutex<HashMap<Box<str>, Known>>,
}

#[derive(Clone)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until_ns: u64,
}

impl Names {
    pub(super) fn new(lookup: Arc<dyn Lookup>, clock: Clock) -> Self {
        Self { lookup, clock, known: Mutex::default() }
    }

    /// The addresses of a name, at least one; those of an address are itself.
    pub(super) async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, Failure> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Arc::new([address]));
        }
        let known = self.known().get(host).cloned();
        if let Some(known) = &known
            && self.clock.nanos() < known.until_ns
        {
            return Ok(known.addresses.clone());
        }
        match (self.ask(host).await, known) {
            (Ok((addresses, ttl)), _) => Ok(self.remember(host, addresses, ttl)),
            (Err(why), Some(known)) => {
                log::warn!(name = host, why; "name does not resolve, its last addresses stay in use");
                Ok(self.remember(host, known.addresses, PAUSE))
            }
            (Err(why), None) => Err(Failure::Resolve(why)),
        }
    }

    async fn ask(&self, host: &str) -> Result<(Arc<[IpAddr]>, Duration), String> {
        match timeout(LOOKUP_DEADLINE, self.lookup.addresses(host)).await {
            Ok(Ok(answer)) if answer.addresses.is_empty() => Err("no addresses".to_owned()),
            Ok(Ok(answer)) => Ok((answer.addresses.into(), answer.ttl.clamp(SHORTEST_TTL, LONGEST_TTL))),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("no answer within {LOOKUP_DEADLINE:?}")),
        }
    }

    fn remember(&self, host: &str, addresses: Arc<[IpAddr]>, time: Duration) -> Arc<[IpAddr]> {
        let now = self.clock.nanos();
        let until_ns = now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let mut known = self.known();
        if known.len() >= MOST_NAMES && !known.contains_key(host) {
            known.retain(|_, known| now < known.until_ns);
        }
        if known.len() < MOST_NAMES || known.contains_key(host) {
            known.insert(host.into(), Known { addresses: addresses.clone(), until_ns });
        }
        addresses
    }

    /// The lock, also after a thread panicked with it: each change under it is a single step.
    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    use async_trait::async_trait;

    use super::*;
    use crate::state::clock::ClockHand;
    use crate::upstream::resolve::Answer;

    const TTL: Duration = Duration::from_secs(60);

    /// Answers with `10.0.0.N` at the N-th lookup, or not at all.
    #[derive(Default)]
    struct Counting {
        lookups: Mutex<u8>,
        fails: Mutex<bool>,
    }

    #[async_trait]
    impl Lookup for Counting {
        async fn addresses(&self, _: &str) -> Result<Answer, String> {
            *self.lookups.lock().unwrap() += 1;
            if *self.fails.lock().unwrap() {
                return Err("refused".to_owned());
            }
            Ok(Answer { addresses: vec![ip(*self.lookups.lock().unwrap())], ttl: TTL })
        }
    }

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    fn names() -> (Names, Arc<Counting>, ClockHand) {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH);
        let lookup = Arc::new(Counting::default());
        (Names::new(lookup.clone(), clock), lookup, hand)
    }

    async fn found(names: &Names, host: &str) -> Vec<IpAddr> {
        names.addresses(host).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn asks_once_in_the_time_that_an_answer_lives() {
        let (names, _, hand) = names();
        assert_eq!(found(&names, "a").await, [ip(1)]);
        hand.advance(TTL.saturating_sub(Duration::from_nanos(1)));
        assert_eq!(found(&names, "a").await, [ip(1)]);
        hand.advance(Duration::from_nanos(1));
        assert_eq!(found(&names, "a").await, [ip(2)], "looked up again");
        assert_eq!(found(&names, "b").await, [ip(3)], "another name is another question");
    }

    #[tokio::test]
    async fn keeps_what_it_knows_when_a_lookup_fails_and_does_not_insist() {
        let (names, lookup, hand) = names();
        *lookup.fails.lock().unwrap() = true;
        assert_eq!(names.addresses("a").await, Err(Failure::Resolve("refused".to_owned())));
        *lookup.fails.lock().unwrap() = false;
        assert_eq!(found(&names, "a").await, [ip(2)]);
        hand.advance(TTL);
        *lookup.fails.lock().unwrap() = true;
        assert_eq!(found(&names, "a").await, [ip(2)]);
        assert_eq!(found(&names, "a").await, [ip(2)]);
        assert_eq!(*lookup.lookups.lock().unwrap(), 3, "not asked again at once");
        hand.advance(PAUSE);
        *lookup.fails.lock().unwrap() = false;
        assert_eq!(found(&names, "a").await, [ip(4)]);
    }

    #[tokio::test]
    async fn an_address_is_not_looked_up() {
        let (names, lookup, _) = names();
        assert_eq!(found(&names, "10.0.0.9").await, [ip(9)]);
        assert_eq!(found(&names, "::1").await, ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(*lookup.lookups.lock().unwrap(), 0);
    }

    #[tokio::test]
    async fn remembers_so_many_names_and_no_more() {
        let (names, _, hand) = names();
        for number in 0..=MOST_NAMES {
            names.remember(&number.to_string(), Arc::new([ip(1)]), TTL);
        }
        assert_eq!(names.known().len(), MOST_NAMES);
        hand.advance(TTL);
        names.remember("late", Arc::new([ip(1)]), TTL);
        assert_eq!(names.known().len(), 1, "those whose time is over made room");
    }
}
