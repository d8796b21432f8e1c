use super::*;

fn retries(attempts: u8, percent: u8, min_per_second: u32) -> Retries {
    let spec = Spec { attempts, budget: Budget { percent, min_per_second } };
    spec.compile(&Arc::new(Kept::default())).unwrap()
}

fn withdrawn(retries: &Retries, now_ns: u64) -> usize {
    (0..100_000).take_while(|_| retries.withdraw(now_ns)).count()
}

#[test]
fn repeats_idempotent_requests_and_no_others_once_they_were_sent() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE] {
        assert!(is_retryable(&method, Reached::Backend, true), "{method}");
    }
    let purge = Method::from_bytes(b"PURGE").unwrap();
    for method in [Method::POST, Method::PATCH, Method::CONNECT, purge] {
        assert!(!is_retryable(&method, Reached::Backend, true), "{method}");
        assert!(is_retryable(&method, Reached::Nothing, true), "{method}");
    }
}

#[test]
fn repeats_nothing_without_its_body_or_after_some_of_the_response() {
    assert!(!is_retryable(&Method::GET, Reached::Nothing, false));
    assert!(!is_retryable(&Method::PUT, Reached::Backend, false));
    assert!(!is_retryable(&Method::GET, Reached::Client, true));
}

#[test]
fn gives_back_exactly_the_share_of_requests() {
    let retries = retries(1, 20, 0);
    for _ in 0..500 {
        retries.deposit();
    }
    assert_eq!(withdrawn(&retries, 0), 100);
    for _ in 0..4 {
        retries.deposit();
    }
    assert_eq!(withdrawn(&retries, 0), 0, "four fifths of a retry");
    retries.deposit();
    assert_eq!(withdrawn(&retries, 0), 1);
}

#[test]
fn keeps_a_thousand_unused_retries_at_most() {
    let retries = retries(1, 100, 0);
    for _ in 0..50_000 {
        retries.deposit();
    }
    assert_eq!(withdrawn(&retries, 0), 1_000);
}

#[test]
fn allows_some_per_second_without_any_requests() {
    let retries = retries(1, 0, 5);
    let start = 1_000 * SECOND_NS;
    assert_eq!(withdrawn(&retries, start), 50, "ten seconds' worth was saved up");
    assert_eq!(withdrawn(&retries, start + SECOND_NS), 5);
    assert_eq!(withdrawn(&retries, start + SECOND_NS + SECOND_NS / 5 - 1), 0);
    assert_eq!(withdrawn(&retries, start + SECOND_NS + SECOND_NS / 5), 1);
    assert_eq!(withdrawn(&retries, start + 3_600 * SECOND_NS), 50);
}

#[test]
fn no_attempts_turn_retries_off() {
    let retries = retries(0, 100, 1_000);
    retries.deposit();
    assert_eq!(retries.attempts(), 0);
    assert!(!retries.withdraw(0));
}

#[test]
fn the_budget_outlives_a_reload() {
    let kept = Arc::new(Kept::default());
    let compile = || Spec { attempts: 1, budget: Budget { percent: 100, min_per_second: 0 } }.compile(&kept);
    let before = compile().unwrap();
    before.deposit();
    before.deposit();
    assert!(before.withdraw(0));
    assert_eq!(withdrawn(&compile().unwrap(), 0), 1);
}

#[test]
fn threads_together_never_take_more_than_is_there() {
    let retries = retries(1, 100, 0);
    for _ in 0..500 {
        retries.deposit();
    }
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| withdrawn(&retries, 0))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 500);
}

#[test]
fn says_all_that_is_wrong() {
    let spec = Spec { attempts: 11, budget: Budget { percent: 101, min_per_second: 0 } };
    let problems = spec.compile(&Arc::new(Kept::default())).err().unwrap();
    let places: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!(places, ["attempts", "budget.percent"]);
}
