//! Notices of a fleet: each event is told by one of its processes.

use std::path::Path;
use std::sync::Arc;

use edgeward::consumers::fleet::{Claim, Fleet};
use edgeward::outbound::redis::{Redis as Connection, Spec};
use edgeward::policy::Materials;

use super::{follows, keys, member, soon};
use crate::api_keys::notices::{SECRETS, about};
use crate::api_keys::{id, origin, printed};
use crate::harness::{Origin, Redis, Reply};

#[test]
fn one_process_tells_of_what_all_of_them_see() {
    let Some(redis) = Redis::start() else { return };
    let (origin, hook) = (origin(), Origin::start(|_| Reply::status(200, &[], "")));
    let old = printed(&keys(&redis, &["new", "partner-a"]));
    let notices = format!("notices: {{ url: \"http://{}/\", secret: {{ file: secret }} }}", hook.address());
    let edge = || {
        let setup = member(&redis.address(), &origin).with("more", &notices).file("secret", SECRETS[0]);
        let edge = setup.start();
        soon("notices to be switched on", || edge.folder.path().join("state/key-notices.json").exists());
        edge
    };
    let fleet = [edge(), edge(), edge()];
    let next_second = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    soon("another second", || std::time::SystemTime::now() > next_second);
    printed(&keys(&redis, &["rotate", "partner-a", "--overlap", "60d"]));
    for edge in &fleet {
        follows(edge, &redis);
        soon("the event to be seen", || edge.folder.read("state/key-notices.json").contains("key.rotated"));
    }
    for edge in &fleet {
        edge.wait_for_metric("edgeward_notices_waiting", 0.0);
    }
    assert_eq!(about(&hook.only()), ("key.rotated".to_owned(), id(&old).to_owned()));
    let sent: f64 = fleet
        .iter()
        .filter_map(|edge| edge.metrics().value("edgeward_notices_total{outcome=\"delivered\"}"))
        .sum();
    assert_eq!(sent, 1.0);
}

#[test]
fn a_claim_ends_with_its_claimant_and_what_was_taken_is_never_claimed_again() {
    let Some(redis) = Redis::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let materials = Materials::dry().unwrap();
    let process = || {
        let terms = Spec::at(redis.address().parse().unwrap()).compile(Path::new("")).unwrap();
        let metrics = materials.metrics.redis("fleet");
        let connection: Arc<Connection> =
            Connection::new("fleet", terms, &materials.outbound, materials.state.clock.clone(), metrics);
        Fleet::new(connection)
    };
    let (one, two) = (process(), process());
    runtime.block_on(async {
        assert_eq!(one.claim("msg_1").await, Ok(Claim::Ours));
        assert_eq!(two.claim("msg_1").await, Ok(Claim::Theirs));
        assert_eq!(one.claim("msg_1").await, Ok(Claim::Ours), "to try again");
        let left: u64 = redis.ask(&["TTL", "edgeward:keys:notice:msg_1"]).parse().unwrap();
        assert!((1..=30).contains(&left), "{left}");
        // The time passes in which the first would have said something.
        redis.ask(&["DEL", "edgeward:keys:notice:msg_1"]);
        assert_eq!(two.claim("msg_1").await, Ok(Claim::Ours));
        two.taken("msg_1").await.unwrap();
        assert_eq!(
            (one.claim("msg_1").await, two.claim("msg_1").await),
            (Ok(Claim::Taken), Ok(Claim::Taken))
        );
        let left: u64 = redis.ask(&["TTL", "edgeward:keys:notice:msg_1"]).parse().unwrap();
        assert!(left > 399 * 86_400, "{left}");
    });
}
