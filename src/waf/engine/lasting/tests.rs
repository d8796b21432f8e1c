//! What is remembered of a client, a session or a user, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::waf::testing::{compile, get, options};
use crate::waf::{Clock, Engine, Mode, Options};

#[test]
fn collections_last_longer_than_a_request() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR},setvar:ip.hits=+1\"\nSecRule IP:hits \"@gt 2\" \"id:2,phase:1,pass\"";
    let engine = compile(rules, options(Mode::Filtered)).unwrap().0;
    let hits: Vec<usize> = (0..4).map(|_| get("/").run(&engine).0.matches().len()).collect();
    assert_eq!(hits, [0, 0, 1, 1]);
}

/// Seconds that a test has pass.
#[derive(Default)]
struct Passing(AtomicU64);

impl Clock for Passing {
    fn monotonic_ns(&self) -> u64 {
        0
    }

    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed) * 1_000
    }
}

#[test]
fn collections_are_kept_as_long_as_the_rules_say() {
    let clock = Arc::new(Passing::default());
    for (more, timeout, kept) in [
        ("", 3_600, 3_600),
        ("SecCollectionTimeout 60\n", 3_600, 60),
        (
            "SecCollectionTimeout 60\nSecAction \"id:3,phase:1,pass,nolog,initcol:ip=a,setvar:ip.timeout=300\"\n",
            60,
            300,
        ),
    ] {
        let rules = format!(
            "{more}SecAction \"id:1,phase:1,pass,nolog,initcol:ip=a,setvar:ip.hits=+1\"\nSecRule IP:hits \"@ge 2\" \"id:2,phase:1,pass\""
        );
        for (seconds, seen) in [(kept, 1), (kept + 1, 0)] {
            let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..options(Mode::Filtered) };
            let engine = compile(&rules, options).unwrap().0;
            get("/").run(&engine);
            clock.0.fetch_add(seconds, Ordering::Relaxed);
            assert_eq!(get("/").run(&engine).0.matches().len(), seen, "{more} {timeout} {seconds}");
        }
    }
}

fn engine(rules: &str, clock: &Arc<Passing>) -> Arc<Engine> {
    let options = Options { clock: Arc::clone(clock) as Arc<dyn Clock>, ..options(Mode::Filtered) };
    compile(rules, options).unwrap().0
}

/// What the one rule that says so tells of a request.
fn told(engine: &Arc<Engine>, target: &str) -> String {
    let (transaction, _) = get(target).run(engine);
    transaction.matches().iter().map(|found| found.message.as_str()).collect::<Vec<_>>().join(";")
}

#[test]
fn what_expires_is_there_until_then_in_whatever_order_it_was_said() {
    let clock = Arc::new(Passing(AtomicU64::new(1_000)));
    for actions in ["setvar:ip.a=1,expirevar:ip.a=60", "expirevar:ip.a=60,setvar:ip.a=1"] {
        let rules = format!(
            "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=a\"\nSecRule ARGS:set \"@eq 1\" \"id:2,phase:1,pass,nolog,{actions}\"\nSecRule &IP:a \"@eq 1\" \"id:3,phase:2,pass,msg:'there'\""
        );
        let engine = engine(&rules, &clock);
        assert_eq!(told(&engine, "/?set=1"), "there");
        clock.0.fetch_add(59, Ordering::Relaxed);
        assert_eq!(told(&engine, "/"), "there");
        clock.0.fetch_add(1, Ordering::Relaxed);
        assert_eq!(told(&engine, "/"), "");
    }
}

#[test]
fn a_number_becomes_less_with_time() {
    let clock = Arc::new(Passing(AtomicU64::new(1_000)));
    let rules = "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=a\"\nSecRule ARGS:add \"@ge 1\" \"id:2,phase:1,pass,nolog,setvar:ip.score=+%{ARGS.add}\"\nSecAction \"id:3,phase:1,pass,nolog,deprecatevar:ip.score=20/120\"\nSecRule IP:score \"@ge 0\" \"id:4,phase:2,pass,msg:'%{IP.score}'\"";
    let engine = engine(rules, &clock);
    assert_eq!(told(&engine, "/?add=50"), "50");
    clock.0.fetch_add(119, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "50");
    clock.0.fetch_add(1, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "30");
    assert_eq!(told(&engine, "/"), "30");
    // What is added in the same request does not make it new.
    clock.0.fetch_add(120, Ordering::Relaxed);
    assert_eq!(told(&engine, "/?add=5"), "15");
    clock.0.fetch_add(1_000, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "0");
}

#[test]
fn collections_tell_of_themselves() {
    let clock = Arc::new(Passing(AtomicU64::new(1_000)));
    let names =
        ["key", "is_new", "create_time", "last_update_time", "update_counter", "update_rate", "timeout"];
    let macros: String = names.map(|name| format!("%{{IP.{name}}}/")).concat();
    let rules = format!(
        "SecCollectionTimeout 600\nSecAction \"id:1,phase:1,pass,nolog,initcol:ip=k\"\nSecAction \"id:2,phase:1,pass,msg:'{macros}'\"\nSecAction \"id:3,phase:2,pass,nolog,setvar:ip.a=1,setvar:ip.b=1\"\nSecRule IP:IS_NEW \"@eq 1\" \"id:4,phase:2,pass,msg:'new'\"\nSecRule &IP \"!@eq 2\" \"id:5,phase:2,pass,msg:'more'\""
    );
    let engine = engine(&rules, &clock);
    assert_eq!(told(&engine, "/"), "k/1/1000//0/0/600/;new");
    clock.0.fetch_add(120, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "k/0/1000/1000/1/0/600/");
    clock.0.fetch_add(60, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "k/0/1000/1120/2/0/600/");
    clock.0.fetch_add(601, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "k/1/1781//0/0/600/;new");
}

#[test]
fn what_has_expired_is_not_kept_by_expiring_later() {
    let clock = Arc::new(Passing(AtomicU64::new(1_000)));
    let rules = "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=a\"\nSecRule ARGS:a \"@eq 1\" \"id:2,phase:1,pass,nolog,setvar:ip.b=1,expirevar:ip.b=10\"\nSecRule ARGS:a \"@eq 2\" \"id:3,phase:1,pass,nolog,expirevar:ip.b=60\"\nSecRule IP:b \"@eq 1\" \"id:4,phase:2,pass,msg:'there'\"";
    let engine = engine(rules, &clock);
    assert_eq!(told(&engine, "/?a=1"), "there");
    assert_eq!(told(&engine, "/?a=2"), "there");
    clock.0.fetch_add(30, Ordering::Relaxed);
    assert_eq!(told(&engine, "/"), "there");
    clock.0.fetch_add(30, Ordering::Relaxed);
    assert_eq!(told(&engine, "/?a=2"), "");
}
