//! What a million stored responses take and cost: `cargo bench --bench cache`. Takes about 2 GiB of memory.

#![allow(clippy::expect_used, reason = "a part that fails to do its work panics")]

mod timing;

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use edgeward::cache::ResponseDirectives;
use edgeward::cache::content::Content;
use edgeward::cache::freshness::{Received, Rules};
use edgeward::cache::key::{Key, Target};
use edgeward::cache::memory::{Found, Memory, Size, Source, Stored};
use edgeward::cache::purge::{Epoch, How, Scope, tag};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use timing::time;

/// As the program has it, for what the allocator rounds up is part of the price.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RESPONSES: u32 = 1_000_000;
const CONTENT: usize = 1024;
const TAGS: u32 = 10_000;

fn main() {
    let store = Memory::new(Size { bytes: 4 << 30, largest: 16 << 20 });
    let before = resident_mib();
    let began = Instant::now();
    for number in 0..RESPONSES {
        assert!(store.put(key(number), stored(number, store.epoch())), "the store takes it");
    }
    let spent = began.elapsed() / RESPONSES;
    println!("stored {} of {CONTENT} bytes, {spent:?} each", store.len());
    println!("resident: {} MiB; counted: {} MiB", resident_mib() - before, store.bytes() >> 20);
    timing::heading();
    let mut number = 0;
    time("a hit", || {
        number = (number + 7919) % RESPONSES;
        assert!(matches!(store.find(&key(number), &HeaderMap::new()), Found::Fitting(..)), "it is there");
    });
    purge(&store);
}

/// All tags there are, of which each response has one.
fn purge(store: &Memory) {
    let scopes: Vec<_> =
        (0..TAGS).map(|number| Scope::Tag(tag(format!("tag-{number}").as_bytes()))).collect();
    let began = Instant::now();
    store.purge(&scopes, How::Hard);
    println!("{TAGS} tags purged in {:?}", began.elapsed());
    assert!(matches!(store.find(&key(1), &HeaderMap::new()), Found::Nothing), "it is gone");
    let began = Instant::now();
    store.sweep(Epoch::LAST);
    println!("memory given back in {:?}; {} left", began.elapsed(), store.len());
}

fn key(number: u32) -> Key {
    let path = format!("/items/{number}");
    Key::new(&Target { scheme: "https", host: "api.example.com", path: &path, query: None }, b"items", &[])
}

fn stored(number: u32, asked_in: Epoch) -> std::sync::Arc<Stored> {
    let now = SystemTime::now();
    let mut headers = HeaderMap::new();
    let etag = HeaderValue::try_from(format!("\"{number:08x}\"")).expect("a value");
    headers.insert(DATE, HeaderValue::try_from(httpdate::fmt_http_date(now)).expect("a value"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    headers.insert(ETAG, etag);
    let received =
        Received { status: StatusCode::OK, headers: &headers, requested_at: now, received_at: now };
    let tags = [tag(format!("tag-{}", number % TAGS).as_bytes())];
    let url = format!("https://api.example.com/items/{number}");
    let source = Source { url: &url, tags: &tags, request: &HeaderMap::new(), asked_in };
    let content = Content::new(vec![Bytes::from(vec![b'a'; CONTENT])]);
    let directives = ResponseDirectives::read(&headers);
    Stored::new(&source, &received, &directives, &Rules::default(), content).expect("it may be stored")
}

/// As the kernel counts it.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") >> 10
}
