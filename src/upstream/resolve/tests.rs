use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use super::*;
use crate::upstream::tests::World;

const BY_NAME: &str = "backends: [{ address: \"orders.internal:80\", weight: 3 }]";

/// Gives prepared answers in turn, then hangs.
struct Script(Mutex<VecDeque<Result<Answer, String>>>);

#[async_trait]
impl Lookup for Script {
    async fn addresses(&self, _name: &str) -> Result<Answer, String> {
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn script<const N: usize>(answers: [Result<Answer, String>; N]) -> Arc<dyn Lookup> {
    Arc::new(Script(Mutex::new(answers.into())))
}

#[expect(clippy::unnecessary_wraps, reason = "a script is made of results")]
fn answer(last_bytes: &[u8]) -> Result<Answer, String> {
    let addresses = last_bytes.iter().map(|byte| Ipv4Addr::new(10, 0, 0, *byte).into()).collect();
    Ok(Answer { addresses, ttl: Duration::ZERO })
}

fn labels(upstream: &Upstream) -> Vec<String> {
    upstream.status(0).iter().map(|status| status.backend.to_string()).collect()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Resolves all names, whatever is known of them.
async fn look_up(upstream: &Upstream, lookup: &Arc<dyn Lookup>) {
    for name in upstream.names() {
        _ = upstream.resolve(&name, &**lookup).await;
    }
}

#[tokio::test]
async fn only_what_is_not_known_is_learnt_before_requests_come() {
    let world = World::default();
    let before = world.compile(BY_NAME).unwrap();
    let lookup = script([answer(&[1]), answer(&[2])]);
    before.learn_within(&lookup, Duration::from_secs(5)).await;
    let after = world.compile(BY_NAME).unwrap();
    after.learn_within(&lookup, Duration::from_secs(5)).await;
    assert_eq!(labels(&after), ["10.0.0.1:80"], "a reload does not wait for what it knows");
}

#[tokio::test]
async fn every_address_of_a_name_is_a_backend_with_its_weight() {
    let world = World::default();
    let upstream = world.compile(BY_NAME).unwrap();
    assert!(upstream.pick(None, &[], 0).is_none(), "nothing is known yet");
    look_up(&upstream, &script([answer(&[2, 1, 2])])).await;
    assert_eq!(labels(&upstream), ["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(world.told.all(), ["orders orders.internal resolved 2"]);
    let backend = Arc::clone(upstream.pick(None, &[], 0).unwrap().backend());
    assert_eq!((backend.weight.get(), &*backend.authority), (3, "orders.internal:80"));
}

#[tokio::test]
async fn failing_and_empty_answers_keep_the_addresses_known() {
    let world = World::default();
    let upstream = world.compile(BY_NAME).unwrap();
    let lookup = script([answer(&[1]), Err("refused".to_owned()), answer(&[])]);
    for _ in 0..3 {
        look_up(&upstream, &lookup).await;
        assert_eq!(labels(&upstream), ["10.0.0.1:80"]);
    }
    let told = ["resolved 1", "failed refused", "failed no addresses"];
    assert_eq!(world.told.all(), told.map(|what| format!("orders orders.internal {what}")));
}

#[tokio::test]
async fn a_resolver_that_hangs_does_not_hold_up_the_start() {
    let world = World::default();
    let upstream = world.compile(BY_NAME).unwrap();
    upstream.learn_within(&script([]), Duration::from_millis(20)).await;
    assert!(labels(&upstream).is_empty());
}

#[tokio::test]
async fn what_is_known_of_an_address_stays_when_others_change() {
    let world = World::default();
    let upstream = world.compile(BY_NAME).unwrap();
    let lookup = script([answer(&[1]), answer(&[1, 2])]);
    look_up(&upstream, &lookup).await;
    let _in_flight = upstream.pick(None, &[], 0).unwrap();
    look_up(&upstream, &lookup).await;
    let in_flight: Vec<_> = upstream.status(0).iter().map(|status| status.in_flight).collect();
    assert_eq!(in_flight, [1, 0]);
}

#[tokio::test]
async fn a_reload_starts_with_the_addresses_known_before() {
    let world = World::default();
    let before = world.compile(BY_NAME).unwrap();
    look_up(&before, &script([answer(&[1])])).await;
    let after = world.compile(BY_NAME).unwrap();
    assert_eq!(labels(&after), ["10.0.0.1:80"]);
    // The old one learns more while the new one takes over: the new one learns it at its own lookup.
    look_up(&before, &script([answer(&[2])])).await;
    look_up(&after, &script([answer(&[2])])).await;
    assert_eq!(labels(&after), ["10.0.0.2:80"]);
}

#[tokio::test]
async fn two_names_for_one_address_are_one_backend() {
    let upstream = World::default().compile("backends: [\"a.internal:80\", \"b.internal:80\"]").unwrap();
    look_up(&upstream, &script([answer(&[1]), answer(&[1])])).await;
    assert_eq!(labels(&upstream), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn looks_names_up_again_when_their_time_is_over_and_stops_when_dropped() {
    let world = World::default();
    let upstream = world.compile(BY_NAME).unwrap();
    let lookup = script([answer(&[1]), answer(&[2])]);
    let tasks = upstream.start(&lookup);
    eventually("first answer", || labels(&upstream) == ["10.0.0.1:80"]).await;
    eventually("second answer", || labels(&upstream) == ["10.0.0.2:80"]).await;
    assert!(Arc::strong_count(&upstream) > 1);
    drop(tasks);
    eventually("no task holds it", || Arc::strong_count(&upstream) == 1).await;
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let system = System::new().unwrap();
    let answer = system.addresses("localhost").await.unwrap();
    assert!(answer.addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{answer:?}");
    assert!(answer.addresses.iter().all(IpAddr::is_loopback), "{answer:?}");
}

#[test]
fn waits_longer_after_each_failure_up_to_a_limit() {
    assert_eq!([1, 2, 3, 4, 5, 6, 100].map(|failures| backoff(failures).as_secs()), [1, 2, 4, 8, 16, 30, 30]);
}
