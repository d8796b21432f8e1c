//! The whole story under load: a key is rotated, its user is told and listed, and nobody is refused before its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::notices::{SECRETS, about, signature};
use super::{OLD, ask, id, keys, new, origin, printed, setup, taken_over};
use crate::harness::{Client, Origin, Reply, eventually, soon};

/// Asks with a key until it is told to stop, and gives what the statuses were.
pub fn load(
    address: std::net::SocketAddr,
    key: &str,
    stop: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<Vec<u16>> {
    let (key, stop) = (key.to_owned(), stop.clone());
    std::thread::spawn(move || {
        let connect = || Client::connect(address).allow(&OLD);
        let (mut client, mut statuses) = (connect(), Vec::new());
        while !stop.load(Ordering::Acquire) {
            let answer = client.request("GET", "/", &[("X-Api-Key", &key)], b"");
            statuses.push(answer.status);
            if answer.header("connection") == Some("close") {
                // So many requests are enough for one connection.
                client = connect();
            }
        }
        statuses
    })
}

#[test]
fn a_rotation_under_load_refuses_nobody_before_the_old_key_ends() {
    let (origin, hook) = (origin(), Origin::start(|_| Reply::status(200, &[], "")));
    let notices = format!(
        "notices: {{ url: \"http://{}/\", secret: {{ file: secret }} }}, docs: https://docs.test/keys",
        hook.address()
    );
    let setup = setup("{ api_key: {} }", &origin).with("more", notices).file("secret", SECRETS[0]);
    let old = new(setup.path(), &["partner-a"]);
    let edge = setup.start();
    let address = edge.address("listen");
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = vec![load(address, &old, &stop), load(address, &old, &stop)];
    assert_eq!(ask(&edge, "/", &old).all("deprecation"), Vec::<&str>::new());
    soon("notices to be switched on", || edge.folder.path().join("state/key-notices.json").exists());
    let next_second = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    soon("another second", || std::time::SystemTime::now() > next_second);

    let fresh = printed(&keys(edge.folder.path(), &["rotate", "partner-a", "--overlap", "30d"]));
    taken_over(&edge, 1);
    threads.extend([load(address, &fresh, &stop), load(address, &fresh, &stop)]);
    let told = ask(&edge, "/", &old);
    assert!(told.header("deprecation").unwrap().starts_with('@'), "{told:?}");
    assert!(told.header("sunset").unwrap().ends_with(" GMT"), "{told:?}");
    assert_eq!(
        told.header("link"),
        Some("<https://docs.test/keys>; rel=\"deprecation\"; type=\"text/html\"")
    );
    let current = ask(&edge, "/", &fresh);
    assert_eq!((current.status, OLD.map(|name| current.header(name))), (200, [None; 3]));

    let expected = |kind: &str| (kind.to_owned(), id(&old).to_owned());
    for kind in ["key.rotated", "key.old_used"] {
        let seen =
            eventually(kind, || hook.requests().into_iter().find(|seen| about(seen) == expected(kind)));
        assert_eq!(seen.header("webhook-signature"), Some(&*signature(SECRETS[0], &seen)));
    }
    let users = edge.client("admin").get("/keys").json();
    let laggards = users["still_on_old_keys"].as_array().unwrap();
    assert_eq!((laggards.len(), &laggards[0]["consumer"]), (1, &"partner-a".into()), "{users}");
    let series =
        format!("edgeward_api_key_deprecated_uses_total{{consumer=\"partner-a\",key=\"{}\"}}", id(&old));
    soon("a use of the old key", || edge.metrics().value(&series).is_some_and(|uses| uses >= 1.0));

    stop.store(true, Ordering::Release);
    let statuses: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let refused = statuses.iter().filter(|status| **status != 200).count();
    println!("{} requests over the overlap, {refused} refused", statuses.len());
    assert_eq!(refused, 0);
    assert!(statuses.len() > 100, "{}", statuses.len());

    soon("uses of the old key to be written down", || {
        edge.folder.read("state/key-usage.json").contains(id(&old))
    });
    let kept = keys(edge.folder.path(), &["retire", id(&old)]);
    assert_eq!((kept.status.code(), kept.stdout.as_slice()), (Some(1), &b""[..]));
    let why = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert!(why.contains("was used") && why.contains("--force"), "{why}");
    assert_eq!(ask(&edge, "/", &old).status, 200);
    assert!(keys(edge.folder.path(), &["retire", id(&old), "--force"]).status.success());
    taken_over(&edge, 2);
    let refused = ask(&edge, "/", &old);
    assert_eq!((refused.status, refused.reason()), (401, "key_retired".to_owned()));
    let line = edge.logged("the retired key", |line| line["reason"] == "key_retired");
    assert_eq!((&line["consumer_key"], &line["filter"]), (&id(&old).into(), &"api_key".into()));
    assert_eq!(ask(&edge, "/", &fresh).status, 200);
}
