use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn verifier(running: usize, waiting: usize) -> Arc<Verifier> {
    Arc::new(Verifier::new(running, waiting, [7; 32]))
}

async fn run(verifier: &Arc<Verifier>, ticket: Ticket, now_ns: u64, accepts: bool) -> Outcome {
    Arc::clone(verifier).check(ticket, now_ns, move || accepts).await
}

#[tokio::test]
async fn remembers_successes_for_minutes_and_failures_for_seconds() {
    let verifier = verifier(1, 0);
    let (right, wrong) = (verifier.ticket(&["right"]), verifier.ticket(&["wrong"]));
    assert_eq!(verifier.remembered(&right, 0), None);
    assert_eq!(run(&verifier, right, 0, true).await, Outcome::Accepted);
    assert_eq!(run(&verifier, wrong, 0, false).await, Outcome::Refused);
    assert_eq!(verifier.remembered(&right, ACCEPTED_FOR_NS - 1), Some(Outcome::Accepted));
    assert_eq!(verifier.remembered(&right, ACCEPTED_FOR_NS), None);
    assert_eq!(verifier.remembered(&wrong, REFUSED_FOR_NS - 1), Some(Outcome::Refused));
    assert_eq!(verifier.remembered(&wrong, REFUSED_FOR_NS), None);
}

#[tokio::test]
async fn checks_the_same_thing_once() {
    let verifier = verifier(1, 8);
    let ticket = verifier.ticket(&["a"]);
    let runs = Arc::new(AtomicUsize::new(0));
    let checks: Vec<_> = (0..5)
        .map(|_| {
            let counted = Arc::clone(&runs);
            let check = move || counted.fetch_add(1, Ordering::SeqCst) < 5;
            tokio::spawn(Arc::clone(&verifier).check(ticket, 0, check))
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), Outcome::Accepted);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn is_busy_when_all_places_are_taken_and_not_before() {
    let verifier = verifier(1, 1);
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let first = Arc::clone(&verifier).check(verifier.ticket(&["1"]), 0, move || finished.recv().is_ok());
    let first = tokio::spawn(first);
    let second = tokio::spawn(Arc::clone(&verifier).check(verifier.ticket(&["2"]), 0, || true));
    while verifier.places.available_permits() > 0 {
        task::yield_now().await;
    }
    assert_eq!(run(&verifier, verifier.ticket(&["3"]), 0, true).await, Outcome::Busy);
    finish.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Outcome::Accepted);
    assert_eq!(second.await.unwrap(), Outcome::Accepted);
    assert_eq!(run(&verifier, verifier.ticket(&["3"]), 0, true).await, Outcome::Accepted);
}

#[tokio::test]
async fn keeps_the_place_of_a_check_that_nobody_waits_for() {
    let verifier = verifier(1, 0);
    let ticket = verifier.ticket(&["1"]);
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let check = tokio::spawn(Arc::clone(&verifier).check(ticket, 0, move || finished.recv().is_ok()));
    while verifier.places.available_permits() > 0 {
        task::yield_now().await;
    }
    check.abort();
    assert!(check.await.unwrap_err().is_cancelled());
    assert_eq!(run(&verifier, verifier.ticket(&["2"]), 0, true).await, Outcome::Busy);
    finish.send(()).unwrap();
    while verifier.places.available_permits() == 0 {
        task::yield_now().await;
    }
    assert_eq!(verifier.remembered(&ticket, 0), Some(Outcome::Accepted), "and its outcome is not lost");
}

#[tokio::test]
async fn lets_nobody_in_when_a_check_breaks() {
    let verifier = verifier(1, 0);
    let ticket = verifier.ticket(&["1"]);
    let broken = Arc::clone(&verifier).check(ticket, 0, || panic!("out of memory"));
    assert_eq!(broken.await, Outcome::Busy);
    assert_eq!(verifier.remembered(&ticket, 0), None);
    assert_eq!(run(&verifier, ticket, 0, true).await, Outcome::Accepted, "and its place is free again");
}

#[test]
fn tells_parts_and_keys_apart() {
    let verifier = verifier(1, 0);
    assert_eq!(verifier.ticket(&["a", "b"]), verifier.ticket(&["a", "b"]));
    assert_ne!(verifier.ticket(&["a", "b"]), verifier.ticket(&["ab", ""]));
    assert_ne!(verifier.ticket(&["a", "b"]), verifier.ticket(&["b", "a"]));
    assert_ne!(verifier.ticket(&["a"]), Verifier::new(1, 0, [8; 32]).ticket(&["a"]));
    assert_ne!(random_key().unwrap(), random_key().unwrap());
}

#[test]
fn forgets_the_oldest_when_it_is_full_and_keeps_what_is_asked_for() {
    let verifier = verifier(1, 0);
    let ticket = |number: usize| verifier.ticket(&[&number.to_string()]);
    let mut generations = Generations::default();
    for number in 0..MOST_REMEMBERED * 2 {
        generations.insert(ticket(number), 10);
        assert!(generations.young.len() + generations.old.len() <= MOST_REMEMBERED);
        assert!(generations.holds(&ticket(0), 9), "asked for all along");
    }
    assert!(generations.holds(&ticket(MOST_REMEMBERED * 2 - 1), 9));
    assert!(!generations.holds(&ticket(1), 9), "never asked for");
    assert!(!generations.holds(&ticket(0), 10), "and not beyond its time");
}

#[test]
fn is_one_for_the_whole_process() {
    let first = Verifier::of_process().unwrap();
    assert!(Arc::ptr_eq(&first, &Verifier::of_process().unwrap()));
    assert_ne!(first.key, [0; 32]);
}
