use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;
use crate::state::clock::ClockHand;
use crate::telemetry::metrics::{Build, Metrics};
use crate::upstream::resolve::System;

/// A socket of its own, gone when dropped.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("edgeward-redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// Serves `answer` to whatever is asked but a `PING`, and counts connections.
    fn serve(&self, answer: &'static str) -> Arc<AtomicUsize> {
        let listener = UnixListener::bind(&self.0).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        let ping = buffer[..read].windows(4).any(|word| word == b"PING");
                        let answer = if ping { "+PONG\r\n" } else { answer };
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        count
    }

    fn redis(&self) -> (Arc<Redis>, Arc<Metrics>, ClockHand) {
        let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH);
        let build = Build { version: "1", revision: "", tls: "boringssl" };
        let metrics = Arc::new(Metrics::new(build).unwrap());
        let mut spec = Spec::at(Address::Unix(self.0.clone()));
        spec.timeout = Some("50ms".parse().unwrap());
        let terms = spec.compile(Path::new("")).unwrap();
        let outbound = Outbound::new(Arc::new(System::new().unwrap()), clock.clone());
        (Redis::new("fleet", terms, &outbound, clock, metrics.redis("fleet")), metrics, hand)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn get(redis: &Redis) -> Result<String, Failure> {
    redis.ask(cmd("GET").arg("a")).await
}

fn shown(metrics: &Metrics, series: &str) -> bool {
    String::from_utf8(metrics.encode()).unwrap().lines().any(|line| line == series)
}

#[tokio::test]
async fn one_that_is_gone_is_looked_for_again_after_a_pause() {
    let place = Place::new();
    let (redis, metrics, hand) = place.redis();
    assert!(matches!(get(&redis).await, Err(Failure::Connect(_))));
    let connections = place.serve("+A\r\n");
    assert!(matches!(get(&redis).await, Err(Failure::Connect(_))), "not looked for at once");
    assert_eq!(connections.load(Ordering::Relaxed), 0);
    assert!(shown(&metrics, "edgeward_redis_up{redis=\"fleet\"} 0"));
    assert!(shown(&metrics, "edgeward_redis_commands_total{outcome=\"failure\",redis=\"fleet\"} 2"));
    hand.advance(FIRST_PAUSE);
    assert_eq!(get(&redis).await, Ok("A".to_owned()));
    assert_eq!(get(&redis).await, Ok("A".to_owned()));
    assert_eq!(connections.load(Ordering::Relaxed), 1, "one connection serves all");
    assert!(shown(&metrics, "edgeward_redis_up{redis=\"fleet\"} 1"));
    assert!(shown(&metrics, "edgeward_redis_commands_total{outcome=\"success\",redis=\"fleet\"} 2"));
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_the_connection_and_leaves_the_outcome_open() {
    let place = Place::new();
    let (redis, _, _) = place.redis();
    let connections = place.serve("");
    for expected in 1..3 {
        let failure = get(&redis).await.unwrap_err();
        assert_eq!(failure, Failure::Timeout(Duration::from_millis(50)));
        assert!(failure.is_undecided());
        assert_eq!(connections.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test]
async fn what_the_server_refuses_leaves_the_connection_alone_unless_it_became_a_replica() {
    for (answer, expected) in
        [("-NOPERM no permission\r\n", 1), ("-READONLY You can't write against a read only replica.\r\n", 2)]
    {
        let place = Place::new();
        let (redis, _, _) = place.redis();
        let connections = place.serve(answer);
        for _ in 0..2 {
            let failure = get(&redis).await.unwrap_err();
            assert!(matches!(failure, Failure::Refused(_)) && !failure.is_undecided(), "{failure}");
        }
        assert_eq!(connections.load(Ordering::Relaxed), expected, "{answer}");
    }
}

#[test]
fn pauses_grow_to_their_bound() {
    let (clock, _) = Clock::manual(SystemTime::UNIX_EPOCH);
    let mut pause = Pause::default();
    pause.lengthen(&clock);
    assert!(pause.until_ns <= 100_000_000 && pause.until_ns >= 50_000_000);
    (0..100).for_each(|_| pause.lengthen(&clock));
    assert!(pause.until_ns <= 5_000_000_000 && pause.until_ns >= 2_500_000_000);
}
