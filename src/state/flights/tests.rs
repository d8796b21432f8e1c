use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::*;

type Numbers = Arc<Flights<u64, usize>>;

fn flights() -> Numbers {
    Arc::new(Flights::new(6400, 640_000))
}

fn until(ns: u64, value: usize) -> Landing<usize> {
    Landing { value, keep: Keep::Until { ns, bytes: 10, trust: Trust::Good } }
}

fn never(value: usize) -> Landing<usize> {
    Landing { value, keep: Keep::Not }
}

fn under_way(flights: &Numbers) -> usize {
    flights.shards.iter().map(|shard| shard.lock().unwrap().flying.len()).sum()
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_time_and_no_longer() {
    let flights = flights();
    assert_eq!(flights.recall(&1, 0), None);
    assert_eq!(flights.fetch(&1, 0, ready(until(100, 7))).await, 7);
    assert_eq!(flights.recall(&1, 99), Some(7));
    assert_eq!(flights.fetch(&1, 99, ready(until(100, 8))).await, 7);
    assert_eq!(flights.recall(&1, 100), None);
    assert_eq!(flights.fetch(&1, 100, ready(until(200, 8))).await, 8);
    assert_eq!((flights.recall(&1, 150), flights.recall(&2, 150)), (Some(8), None), "another key");
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_not() {
    let flights = flights();
    assert_eq!(flights.fetch(&1, 0, ready(never(7))).await, 7);
    assert_eq!(flights.fetch(&1, 0, ready(never(8))).await, 8);
    assert_eq!((flights.remembered(), under_way(&flights)), (0, 0));
}

#[tokio::test]
async fn a_hundred_who_ask_at_a_time_ask_once() {
    let (flights, asked, go) = (flights(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (flights, asked, go) = (flights.clone(), asked.clone(), go.clone());
            tokio::spawn(async move {
                let ask = async {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    go.notified().await;
                    never(number)
                };
                flights.fetch(&1, 0, ask).await
            })
        })
        .collect();
    yield_now().await;
    assert_eq!((asked.load(Ordering::Relaxed), under_way(&flights)), (1, 1));
    go.notify_one();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 0);
    }
    assert_eq!((asked.load(Ordering::Relaxed), under_way(&flights)), (1, 0));
}

#[tokio::test]
async fn another_takes_over_from_one_that_goes_away() {
    let flights = flights();
    let ask = |value: Option<usize>| {
        let flights = flights.clone();
        tokio::spawn(async move {
            let ask = async {
                match value {
                    Some(value) => until(100, value),
                    None => pending().await,
                }
            };
            flights.fetch(&1, 0, ask).await
        })
    };
    let first = ask(None);
    yield_now().await;
    let second = ask(Some(7));
    yield_now().await;
    assert!(!second.is_finished());
    first.abort();
    assert_eq!(second.await.unwrap(), 7);
    assert_eq!((flights.recall(&1, 0), under_way(&flights)), (Some(7), 0));
}

#[tokio::test]
async fn nothing_is_left_of_those_who_all_went_away() {
    let flights = flights();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let flights = flights.clone();
            tokio::spawn(async move { flights.fetch(&1, 0, pending()).await })
        })
        .collect();
    yield_now().await;
    assert_eq!(under_way(&flights), 1);
    for task in tasks {
        task.abort();
        drop(task.await);
    }
    assert_eq!(under_way(&flights), 0);
}

#[tokio::test]
async fn memory_is_bounded_by_answers_and_by_bytes() {
    let few = Arc::new(Flights::new(128, 1 << 20));
    for key in 0..10_000 {
        few.fetch(&key, 0, ready(until(100, 1))).await;
    }
    assert!(few.remembered() <= 128, "{}", few.remembered());
    assert!(few.recall(&9_999, 0).is_some());
    let small = Arc::new(Flights::new(1 << 20, 64 * 40));
    for key in 0..10_000 {
        small.fetch(&key, 0, ready(until(100, 1))).await;
    }
    assert!(small.remembered() <= 64 * 4, "{}", small.remembered());
    let huge = Landing { value: 1, keep: Keep::Until { ns: 100, bytes: 21, trust: Trust::Good } };
    small.fetch(&20_000, 0, ready(huge)).await;
    assert_eq!(small.recall(&20_000, 0), None, "more than there is room for");
}

#[tokio::test]
async fn guesses_push_out_nothing_good() {
    let flights: Numbers = Arc::new(Flights::new(64 * 40, 1 << 20));
    flights.fetch(&0, 0, ready(until(100, 7))).await;
    for key in 1..100_000 {
        let keep = Keep::Until { ns: 100, bytes: 10, trust: Trust::Poor };
        flights.fetch(&key, 0, ready(Landing { value: 0, keep })).await;
    }
    assert_eq!((flights.recall(&0, 0), flights.recall(&99_999, 0)), (Some(7), Some(0)));
    assert!(flights.remembered() <= 64 * 10 + 1);
}

#[tokio::test]
async fn what_is_asked_for_stays_while_others_go() {
    let flights: Numbers = Arc::new(Flights::new(64 * 8, 1 << 20));
    flights.fetch(&0, 0, ready(until(100, 7))).await;
    for key in 1..10_000 {
        flights.fetch(&key, 0, ready(until(100, 1))).await;
        assert_eq!(flights.recall(&0, 0), Some(7), "after {key}");
    }
}
