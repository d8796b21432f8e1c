use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::*;
use crate::http::fetch::testing::{Scripted, answer};
use crate::http::fetch::{Failure, Fetching, Request};
use crate::http::url::Url;
use crate::state::clock::ClockHand;

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_nanos(1);

/// `a b c` is three keys, `!` is malformed.
#[derive(Debug, PartialEq)]
struct Letters(Vec<String>);

impl Keys for Letters {
    fn parse(document: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
        if text.contains('!') {
            return Err("not letters".to_owned());
        }
        Ok(Self(text.split_whitespace().map(str::to_owned).collect()))
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn fetched(&self, outcome: Outcome<'_>) {
        let text = match outcome {
            Outcome::Replaced { keys } => format!("replaced {keys}"),
            Outcome::Unchanged => "unchanged".to_owned(),
            Outcome::Failed { kind, .. } => format!("failed {kind}"),
        };
        self.0.lock().unwrap().push(text);
    }
}

struct World {
    ring: Keyring<Letters>,
    clock: Clock,
    hand: ClockHand,
    told: Arc<Told>,
    fetch: Arc<Scripted>,
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn at_url() -> Source {
    Source::Url(url("https://id.example/keys"))
}

impl World {
    /// With an issuer that answers with this document.
    fn with(document: &'static str) -> Self {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH);
        let fetch = Arc::new(Scripted::new(move |_| Ok(answer(200, &[], document))));
        Self { ring: Keyring::new(clock.clone()), clock, hand, told: Arc::default(), fetch }
    }

    fn setup(&self) -> Setup {
        Setup {
            settings: Settings::default(),
            fetch: self.fetch.clone(),
            observer: self.told.clone(),
            chance: fastrand::Rng::with_seed(1),
        }
    }

    fn open(&self, source: Source) -> Arc<KeySet<Letters>> {
        self.ring.open("corp", source, self.setup()).unwrap()
    }

    /// Opens it and has it run.
    async fn running(&self, source: Source) -> Arc<KeySet<Letters>> {
        let set = self.open(source);
        tokio::spawn(set.clone().run());
        settle().await;
        set
    }

    async fn pass(&self, time: Duration) {
        self.hand.advance(time);
        settle().await;
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.0.lock().unwrap())
    }

    fn fetches(&self) -> usize {
        self.fetch.asked().len()
    }
}

/// Lets every task do what it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn keys(set: &KeySet<Letters>) -> String {
    set.current().map(|current| current.keys.0.join(" ")).unwrap_or_default()
}

fn generation(set: &KeySet<Letters>) -> u64 {
    set.current().map_or(0, |current| current.generation)
}

#[tokio::test]
async fn fetches_at_start_and_again_before_the_answer_expires() {
    let world = World::with("a b");
    let set = world.running(at_url()).await;
    assert_eq!((keys(&set).as_str(), world.fetches()), ("a b", 1));
    assert_eq!(set.status(), Status { keys: 2, age: Some(Duration::ZERO), failures: 0 });
    world.fetch.answers(|_| Ok(answer(200, &[("cache-control", "max-age=1000")], "b c")));
    world.pass(300 * SECOND).await;
    assert_eq!((keys(&set).as_str(), world.fetches()), ("b c", 2));
    world.pass((750 * SECOND).saturating_sub(MOMENT)).await;
    assert_eq!(world.fetches(), 2, "in the last quarter of its life, not before");
    world.pass(250 * SECOND).await;
    assert_eq!(world.fetches(), 3);
    assert_eq!(world.told(), ["replaced 2", "replaced 2", "unchanged"]);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_fails_nothing_but_requests() {
    let world = World::with("a");
    world.fetch.answers(|_| Err(Failure::Connect("refused".to_owned())));
    let set = world.running(at_url()).await;
    assert!(set.current().is_none());
    assert_eq!(
        (set.refresh_for_unknown(0).await, world.told()),
        (Refreshed::Unavailable, vec!["failed connect".to_owned(); 2])
    );
    assert_eq!(set.status(), Status { keys: 0, age: None, failures: 2 });
    world.fetch.answers(|_| Ok(answer(200, &[], "a")));
    world.pass(60 * SECOND).await;
    assert_eq!(keys(&set), "a");
}

#[tokio::test]
async fn requests_before_the_first_answer_wait_for_it() {
    let world = World::with("a");
    let set = world.open(at_url());
    let waiting = tokio::spawn({
        let set = set.clone();
        async move { set.refresh_for_unknown(0).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    tokio::spawn(set.clone().run());
    assert_eq!((waiting.await.unwrap(), keys(&set).as_str()), (Refreshed::Newer, "a"));
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn keys_outlive_an_issuer_that_is_down_up_to_a_ceiling() {
    let world = World::with("a");
    let set = world.running(at_url()).await;
    world.fetch.answers(|_| Err(Failure::Timeout(SECOND)));
    world.pass(24 * 3600 * SECOND).await;
    assert_eq!(keys(&set), "a");
    assert!(world.fetches() > 1);
    world.pass(MOMENT).await;
    assert!(set.current().is_none());
    assert_eq!((set.status().keys, set.refresh_for_unknown(0).await), (0, Refreshed::Unavailable));
    world.fetch.answers(|_| Ok(answer(200, &[], "a")));
    world.pass(60 * SECOND).await;
    assert_eq!(keys(&set), "a", "back when the issuer is");
}

#[tokio::test]
async fn a_rotated_key_is_found_by_the_first_request_that_shows_it() {
    let world = World::with("a");
    let set = world.running(at_url()).await;
    let seen = generation(&set);
    world.fetch.answers(|_| Ok(answer(200, &[], "a b")));
    assert_eq!(set.refresh_for_unknown(seen).await, Refreshed::Newer);
    assert_eq!(keys(&set), "a b");
    assert_eq!(set.refresh_for_unknown(seen).await, Refreshed::Newer, "who looked before looks again");
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn made_up_keys_cause_one_fetch_in_the_cooldown() {
    let world = World::with("a");
    let set = world.running(at_url()).await;
    let seen = generation(&set);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let set = set.clone();
        all.spawn(async move { set.refresh_for_unknown(seen).await });
    }
    assert_eq!(all.join_all().await, [Refreshed::Same; 100]);
    assert_eq!(world.fetches(), 2);
    world.pass(Settings::default().cooldown.saturating_sub(MOMENT)).await;
    assert_eq!((set.refresh_for_unknown(seen).await, world.fetches()), (Refreshed::Same, 2));
    world.pass(MOMENT).await;
    assert_eq!((set.refresh_for_unknown(seen).await, world.fetches()), (Refreshed::Same, 3));
}

/// An issuer that never answers.
struct Silent;

impl Fetch for Silent {
    fn fetch(&self, _: Request) -> Fetching<'_> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn requests_wait_for_a_bounded_time_and_in_a_bounded_number() {
    let world = World::with("a");
    let settings = Settings { max_waiting: 2, ..Settings::default() };
    let setup = Setup { fetch: Arc::new(Silent), settings, ..world.setup() };
    let set = world.ring.open("corp", at_url(), setup).unwrap();
    tokio::spawn(set.clone().run());
    let ask = || {
        let set = set.clone();
        tokio::spawn(async move { set.refresh_for_unknown(0).await })
    };
    let waiting = [ask(), ask()];
    settle().await;
    assert_eq!(set.refresh_for_unknown(0).await, Refreshed::Unavailable, "a third does not wait");
    world.pass(Settings::default().max_wait.saturating_sub(MOMENT)).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    world.pass(MOMENT).await;
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Refreshed::Unavailable);
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_no_other() {
    let world = World::with("a");
    let setup = Setup { fetch: Arc::new(Silent), ..world.setup() };
    tokio::spawn(world.ring.open("slow", at_url(), setup).unwrap().run());
    settle().await;
    assert_eq!(keys(&*world.running(at_url()).await), "a");
}

#[tokio::test]
async fn a_document_of_no_use_replaces_nothing() {
    let world = World::with("a");
    let set = world.running(at_url()).await;
    let seen = generation(&set);
    let useless =
        [(200, "!", "document"), (200, " ", "document"), (500, "b", "status"), (302, "b", "status")];
    for (status, document, kind) in useless {
        world.told();
        world.fetch.answers(move |_| Ok(answer(status, &[("location", "/b")], document)));
        world.pass(300 * SECOND).await;
        assert!(world.told().iter().all(|told| *told == format!("failed {kind}")), "{document}");
        assert_eq!((keys(&set).as_str(), generation(&set)), ("a", seen));
        assert!(set.status().failures > 0);
    }
}

#[tokio::test]
async fn the_same_document_is_the_same_generation_and_young_again() {
    let world = World::with("a");
    let set = world.running(at_url()).await;
    let seen = generation(&set);
    world.pass(300 * SECOND).await;
    assert_eq!((generation(&set), set.status().age), (seen, Some(Duration::ZERO)));
    assert_eq!(world.told(), ["replaced 1", "unchanged"]);
    world.fetch.answers(|_| Ok(answer(200, &[], "b")));
    world.pass(300 * SECOND).await;
    assert_ne!(generation(&set), seen);
}

#[tokio::test]
async fn asks_whether_the_document_has_changed() {
    let world = World::with("a");
    world.fetch.answers(|request| {
        Ok(match request.headers.get("if-none-match") {
            Some(etag) if etag == "\"1\"" => answer(304, &[("etag", "\"1\"")], ""),
            _ => answer(200, &[("etag", "\"1\"")], "a"),
        })
    });
    let set = world.running(at_url()).await;
    world.pass(300 * SECOND).await;
    world.pass(300 * SECOND).await;
    assert_eq!(world.told(), ["replaced 1", "unchanged", "unchanged"]);
    assert_eq!((keys(&set).as_str(), set.status().age), ("a", Some(Duration::ZERO)));
    let asked = world.fetch.asked();
    assert!(asked[0].headers.get("if-none-match").is_none());
}

#[tokio::test]
async fn not_modified_without_a_question_is_no_answer() {
    let world = World::with("a");
    world.fetch.answers(|_| Ok(answer(304, &[], "")));
    let set = world.running(at_url()).await;
    assert!(set.current().is_none());
    assert_eq!(world.told(), ["failed status"]);
}

/// Metadata that names `jwks`, and keys there alone.
fn provider(jwks: &'static str) -> impl Fn(&Request) -> Result<crate::http::fetch::Response, Failure> {
    move |request| {
        Ok(match request.url.as_str() {
            "https://id.example/.well-known/openid-configuration" => {
                let metadata = format!(r#"{{"issuer":"https://id.example","jwks_uri":"{jwks}"}}"#);
                answer(200, &[], &metadata)
            }
            found if found == jwks => answer(200, &[("etag", "\"1\"")], jwks.rsplit('/').next().unwrap()),
            _ => answer(404, &[], ""),
        })
    }
}

#[tokio::test]
async fn discovery_finds_keys_that_moved_also_where_old_ones_are_left_behind() {
    let world = World::with("");
    world.fetch.answers(provider("https://keys.example/a"));
    let set = world.running(Source::Discovery { issuer: url("https://id.example") }).await;
    assert_eq!((keys(&set).as_str(), world.fetches()), ("a", 2));
    world.pass(300 * SECOND).await;
    assert_eq!(world.fetch.asked().last().unwrap().headers.get("if-none-match").unwrap(), "\"1\"");
    let (before, moved) = (provider("https://keys.example/a"), provider("https://keys.example/b"));
    world.fetch.answers(move |request: &Request| match moved(request) {
        Ok(answer) if answer.status == 404 => before(request),
        other => other,
    });
    assert_eq!(set.refresh_for_unknown(generation(&set)).await, Refreshed::Newer);
    assert_eq!(keys(&set), "b");
    assert!(
        world.fetch.asked().last().unwrap().headers.get("if-none-match").is_none(),
        "of another document"
    );
}

#[tokio::test]
async fn keys_are_fetched_from_where_they_were_while_the_issuer_does_not_say() {
    let world = World::with("");
    world.fetch.answers(provider("https://keys.example/a"));
    let set = world.running(Source::Discovery { issuer: url("https://id.example") }).await;
    world.told();
    let there = provider("https://keys.example/a");
    world.fetch.answers(move |request: &Request| match request.url.as_str() {
        "https://keys.example/a" => there(request),
        _ => Ok(answer(503, &[], "")),
    });
    world.pass(300 * SECOND).await;
    assert_eq!((keys(&set).as_str(), world.told()), ("a", vec!["unchanged".to_owned()]));
    world.fetch.answers(provider("http://keys.example/a"));
    world.pass(300 * SECOND).await;
    assert_eq!(world.told(), ["failed discovery"], "it says what must not be");
}

#[tokio::test]
async fn discovery_takes_no_keys_from_an_insecure_place() {
    let world = World::with("");
    world.fetch.answers(provider("http://keys.example/a"));
    let set = world.running(Source::Discovery { issuer: url("https://id.example") }).await;
    assert!(set.current().is_none());
    assert_eq!((world.told(), world.fetches()), (vec!["failed discovery".to_owned()], 1));
}

#[tokio::test]
async fn what_is_known_outlives_a_reload_under_name_and_source() {
    let world = World::with("a");
    let before = world.running(at_url()).await;
    let after = world.open(at_url());
    assert_eq!((keys(&after).as_str(), generation(&after)), ("a", generation(&before)));
    let elsewhere = world.open(Source::Url(url("https://id.example/other")));
    assert!(elsewhere.current().is_none(), "keys from one place are not those of another");
    let other = world.ring.open("other", at_url(), world.setup()).unwrap();
    assert!(other.current().is_none());
    tokio::spawn(other.clone().run());
    settle().await;
    assert_ne!(generation(&other), generation(&before), "no two have one generation");
}

#[tokio::test]
async fn what_no_policy_names_is_forgotten() {
    let world = World::with("a");
    drop(world.open(at_url()));
    drop(world.open(Source::Inline("b".into())));
    assert_eq!(held(&world.ring.kept).len(), 1);
}

#[tokio::test]
async fn two_policies_that_overlap_fetch_once_and_one_that_is_cut_off_leaves_it_to_the_other() {
    let world = World::with("a");
    let slow = Setup { fetch: Arc::new(Silent), ..world.setup() };
    let before = world.ring.open("corp", at_url(), slow).unwrap();
    let task = tokio::spawn(before.clone().run());
    settle().await;
    let after = world.running(at_url()).await;
    assert_eq!(world.fetches(), 0, "one at a time");
    let waiting = tokio::spawn(async move { before.refresh_for_unknown(0).await });
    settle().await;
    task.abort();
    assert_eq!(waiting.await.unwrap(), Refreshed::Newer);
    assert_eq!((keys(&after).as_str(), world.fetches()), ("a", 1));
}

#[tokio::test]
async fn keys_in_the_policy_are_there_at_once_and_for_ever() {
    let world = World::with("x");
    let set = world.running(Source::Inline("a b".into())).await;
    world.pass(1000 * 3600 * SECOND).await;
    assert_eq!(keys(&set), "a b");
    assert_eq!(set.refresh_for_unknown(generation(&set)).await, Refreshed::Same);
    assert_eq!(world.fetches(), 0);
    for bad in ["!", ""] {
        assert!(world.ring.open("bad", Source::Inline(bad.into()), world.setup()).is_err(), "{bad:?}");
    }
}

/// A file that goes away with its test.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("edgeward-keyset-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Lets time pass until it holds; files are read on another thread.
async fn eventually(world: &World, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "not within ten seconds: {what}");
        world.pass(SECOND).await;
    }
}

#[tokio::test]
async fn a_file_is_read_at_once_and_again_when_it_changes() {
    let world = World::with("x");
    let file = TestFile::new("changes", "a");
    let set = world.open(Source::File(file.0.clone()));
    let seen = generation(&set);
    assert_eq!(keys(&set), "a");
    tokio::spawn(set.clone().run());
    eventually(&world, "a look at the file", || world.told().contains(&"unchanged".to_owned())).await;
    assert_eq!(generation(&set), seen);
    fs::write(&file.0, "b").unwrap();
    eventually(&world, "new keys", || keys(&set) == "b").await;
    fs::write(&file.0, "!").unwrap();
    eventually(&world, "a failure", || world.told().contains(&"failed document".to_owned())).await;
    assert_eq!(keys(&set), "b");
    assert_eq!(world.fetches(), 0);
}

#[tokio::test]
async fn a_file_of_no_use_is_a_mistake_in_the_policy() {
    let world = World::with("x");
    let wrong = |path: PathBuf| {
        let opened = world.ring.open("corp", Source::File(path), world.setup());
        opened.err().unwrap().to_string()
    };
    let (bad, long) = (TestFile::new("bad", "!"), TestFile::new("long", &"a ".repeat(source::MOST_BYTES)));
    assert_eq!(wrong(bad.0.clone()), "the document is of no use: not letters");
    assert_eq!(wrong(long.0.clone()), format!("the document has more than {} bytes", source::MOST_BYTES));
    assert!(wrong(PathBuf::from("/nowhere/keys.json")).contains("/nowhere/keys.json"));
    assert_eq!(world.clock.nanos(), 0);
}
