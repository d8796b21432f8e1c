use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::cache::content::{Budget, Fill};
use crate::cache::disk::testing::{Ram, SECRET, key, noise};
use crate::cache::freshness::Rules;
use crate::cache::memory::Source;
use crate::cache::purge::tag;
use crate::cache::testing::{at, fields, received};
use crate::cache::{RequestDirectives, ResponseDirectives, Verdict};

mod fleet;

const SIZE: Size = Size { bytes: 8 << 20, largest: 1 << 20 };
const CAPACITY: u64 = 64 << 20;

fn on_disk(ram: &Arc<Ram>, capacity: u64) -> OnDisk {
    let keys = Some(Keys::new([SECRET]).unwrap());
    OnDisk {
        volume: ram.clone(),
        capacity,
        keys,
        is_fleets: false,
        random: boring::rand::rand_bytes,
        observe: Arc::new(|_| {}),
    }
}

fn memory_alone() -> Arc<Tiered> {
    Arc::new(Tiered::new(SIZE, true, Arc::default(), at(0), Box::new(|_| {})))
}

fn open(ram: &Arc<Ram>) -> Arc<Tiered> {
    let tiered = memory_alone();
    assert!(tiered.attach(on_disk(ram, CAPACITY)).unwrap());
    tiered
}

fn stored(tiered: &Tiered, path: &str, request: &str, response: &str, content: Content) -> Arc<Stored> {
    let (request, response) = (fields(request), fields(response));
    let tags: Vec<_> = response.get_all("cache-tag").iter().map(|text| tag(text.as_bytes())).collect();
    let url = format!("https://a{path}");
    let asked_in = tiered.memory().epoch();
    let source = Source { url: &url, tags: &tags, request: &request, asked_in };
    let directives = ResponseDirectives::read(&response);
    Stored::new(&source, &received(200, &response), &directives, &Rules::default(), content).unwrap()
}

fn put(tiered: &Tiered, path: &str, request: &str, response: &str) {
    let content = Content::new(vec![Bytes::from(noise(1, 1000))]);
    tiered.put(key(path), stored(tiered, path, request, response, content));
    if let Some(disk) = tiered.disk() {
        disk.flush();
    }
}

async fn find(tiered: &Tiered, path: &str, request: &str) -> Option<Found> {
    match tiered.find(&key(path), &fields(request)).await {
        Look::Fitting(found) => Some(found),
        Look::Others | Look::Nothing => None,
    }
}

async fn read(found: &Found, range: Range<u64>) -> Vec<u8> {
    let mut read = Vec::new();
    match &found.body {
        Body::Memory => found.stored.content.part(&range).for_each(|piece| read.extend_from_slice(&piece)),
        Body::Disk(outside) => {
            let mut outlet = Outlet::new(outside.clone(), [Portion::Part(range)]);
            while let Some(piece) = outlet.next().await {
                read.extend_from_slice(&piece.unwrap());
            }
        }
    }
    read
}

#[tokio::test]
async fn a_restart_keeps_the_disk_and_a_hit_brings_it_back_to_memory() {
    let ram = Arc::default();
    put(&open(&ram), "/a", "", "etag: \"a\"\ncache-control: max-age=100");
    let tiered = open(&ram);
    for is_cold in [true, false] {
        ram.switches().is_cold.store(is_cold, Ordering::Relaxed);
        let hit = find(&tiered, "/a", "").await.unwrap();
        assert_eq!(hit.tier, if is_cold { Tier::Disk } else { Tier::Memory });
        assert_eq!((hit.stored.status.as_u16(), hit.stored.record.url()), (200, "https://a/a"));
        assert_eq!(hit.stored.record.to_fields()["etag"], "\"a\"");
        assert_eq!(hit.freshness.judge(&RequestDirectives::default(), at(99)), Verdict::Fresh);
        assert_eq!(read(&hit, 0..2000).await, noise(1, 1000));
        assert_eq!(read(&hit, 10..20).await, noise(1, 1000)[10..20]);
    }
    assert!(find(&tiered, "/b", "").await.is_none());
}

#[tokio::test]
async fn variants_on_disk_go_to_the_requests_they_fit() {
    let ram = Arc::default();
    let tiered = open(&ram);
    put(&tiered, "/a", "accept-language: de", "vary: accept-language\nx: de");
    put(&tiered, "/a", "accept-language: en", "vary: accept-language\nx: en");
    drop(tiered);
    let tiered = open(&ram);
    for _ in 0..2 {
        for language in ["de", "en"] {
            let hit = find(&tiered, "/a", &format!("accept-language: {language}")).await.unwrap();
            assert_eq!(hit.stored.record.to_fields()["x"], language);
        }
        assert!(matches!(tiered.find(&key("/a"), &HeaderMap::new()).await, Look::Others));
    }
}

#[tokio::test]
async fn purges_hold_across_a_restart() {
    let hard = |scope| (scope, How::Hard);
    for (scope, how) in [
        hard(Scope::All),
        hard(Scope::Tag(tag(b"red"))),
        hard(Scope::Url("https://a/a".to_owned())),
        hard(Scope::Prefix("https://a/".to_owned())),
        (Scope::Tag(tag(b"red")), How::Soft(at(3))),
    ] {
        let ram = Arc::default();
        let tiered = open(&ram);
        put(&tiered, "/a", "", "cache-tag: red\ncache-control: max-age=100, stale-while-revalidate=50");
        tiered.purge(std::slice::from_ref(&scope), how).written().await;
        drop(tiered);
        let tiered = open(&ram);
        let verdict = find(&tiered, "/a", "")
            .await
            .map(|hit| hit.freshness.judge(&RequestDirectives::default(), at(5)));
        let expected = (how != How::Hard).then_some(Verdict::StaleWhileRevalidate);
        assert_eq!(verdict, expected, "{scope:?}");
        put(&tiered, "/a", "", "cache-tag: red");
        drop(tiered);
        assert!(find(&open(&ram), "/a", "").await.is_some(), "{scope:?}");
    }
}

#[tokio::test]
async fn what_is_purged_before_the_disk_is_there_is_purged_on_it() {
    let ram = Arc::default();
    let old = open(&ram);
    put(&old, "/a", "", "cache-tag: red");
    put(&old, "/b", "", "cache-tag: blue");
    let new = memory_alone();
    assert!(!new.attach(on_disk(&ram, CAPACITY)).unwrap());
    put(&new, "/c", "", "cache-tag: blue");
    new.purge(&[Scope::Tag(tag(b"red"))], How::Hard).written().await;
    new.sweep();
    old.purge(&[Scope::Tag(tag(b"green"))], How::Hard).written().await;
    put(&old, "/d", "", "cache-tag: blue");
    old.detach();
    assert!(new.attach(on_disk(&ram, CAPACITY)).unwrap());
    assert!(find(&new, "/a", "").await.is_none());
    for path in ["/b", "/c", "/d"] {
        assert!(find(&new, path, "").await.is_some(), "{path}");
    }
    assert!(find(&old, "/a", "").await.is_some_and(|hit| hit.tier == Tier::Memory));
    new.sweep();
    drop(new);
    let new = open(&ram);
    assert!(find(&new, "/a", "").await.is_none() && find(&new, "/b", "").await.is_some());
}

#[tokio::test]
async fn purges_are_forgotten_when_the_disk_has_turned_over() {
    let ram = Arc::default();
    let tiered = open(&ram);
    put(&tiered, "/a", "", "");
    tiered.purge(&[Scope::Tag(1)], How::Hard).written().await;
    assert!(tiered.wants_sweeping());
    tiered.sweep();
    assert!(!tiered.wants_sweeping() && tiered.memory().purges().marks() == 1);
    let disk = tiered.disk().unwrap();
    disk.clear();
    put(&tiered, "/b", "", "");
    assert!(tiered.wants_sweeping());
    tiered.sweep();
    assert_eq!(tiered.memory().purges().marks(), 0);
    assert!(find(&tiered, "/b", "").await.is_some());
    drop((tiered, disk));
    assert!(find(&open(&ram), "/b", "").await.is_some_and(|hit| hit.tier == Tier::Disk));
}

#[tokio::test]
async fn the_oldest_is_compared_with_purges_without_being_evicted() {
    let ram = Arc::default();
    let tiered = open(&ram);
    put(&tiered, "/a", "", "cache-tag: red");
    put(&tiered, "/b", "", "cache-tag: blue");
    drop(tiered);
    let tiered = open(&ram);
    tiered.purge(&[Scope::Tag(tag(b"red"))], How::Hard).written().await;
    let disk = tiered.disk().unwrap();
    let before = disk.oldest_epoch();
    disk.renew();
    disk.flush();
    assert!(disk.oldest_epoch() > before && disk.len() == 1);
    tiered.sweep();
    assert_eq!(tiered.memory().purges().marks(), 0);
    assert!(find(&tiered, "/a", "").await.is_none() && find(&tiered, "/b", "").await.is_some());
}

#[tokio::test]
async fn what_is_in_use_in_memory_stays_on_disk() {
    let ram = Arc::default();
    let tiered = memory_alone();
    assert!(tiered.attach(on_disk(&ram, 2 << 20)).unwrap());
    put(&tiered, "/used", "", "");
    put(&tiered, "/idle", "", "");
    for number in 0..4000 {
        assert_eq!(find(&tiered, "/used", "").await.unwrap().tier, Tier::Memory);
        put(&tiered, &format!("/{number}"), "", "");
    }
    let disk = tiered.disk().unwrap();
    assert_eq!((disk.find(&key("/used")).len(), disk.find(&key("/idle")).len()), (1, 0));
}

#[tokio::test]
async fn damage_is_a_miss() {
    let ram: Arc<Ram> = Arc::default();
    put(&open(&ram), "/a", "", "");
    let tiered = open(&ram);
    let name = ram.names_of(".segment").remove(0);
    let mut bytes = ram.content(&name);
    bytes[900] ^= 1;
    ram.overwrite(&name, &bytes);
    assert!(matches!(tiered.find(&key("/a"), &HeaderMap::new()).await, Look::Nothing));
    put(&tiered, "/a", "", "");
    assert!(find(&tiered, "/a", "").await.is_some());
}

fn intake(tiered: &Arc<Tiered>, limit: u64) -> (Fill, Intake) {
    let (fill, writer) = Fill::new(limit, Arc::new(Budget::new(1 << 30)));
    (fill, Intake::new(tiered.clone(), writer, 32 << 20))
}

/// Brings a body; what a reader of it got.
async fn bring(tiered: &Arc<Tiered>, path: &str, body: &[u8], is_whole: bool) -> Vec<u8> {
    let (fill, mut intake) = intake(tiered, 100_000);
    let mut reader = fill.reader().unwrap();
    let reading = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(Ok(piece)) = reader.next().await {
            read.extend_from_slice(&piece);
        }
        read
    });
    for piece in body.chunks(30_000) {
        intake.push(piece).await.unwrap();
    }
    if is_whole {
        intake.finish(b"", key(path), |content| Some(stored(tiered, path, "", "etag: \"a\"", content))).await;
    } else {
        drop(intake);
    }
    reading.await.unwrap()
}

/// Waits for what is written in the background.
async fn eventually(tiered: &Tiered, path: &str) -> Found {
    for _ in 0..2000 {
        if let Some(hit) = find(tiered, path, "").await {
            return hit;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path} is not stored");
}

#[tokio::test]
async fn what_is_too_large_for_memory_streams_to_disk_and_from_it() {
    let ram = Arc::default();
    let tiered = open(&ram);
    for (path, size) in [("/small", 90_000), ("/over", 100_001), ("/large", 7_000_000)] {
        let body = noise(3, size);
        assert!(bring(&tiered, path, &body, true).await == body);
        let hit = eventually(&tiered, path).await;
        assert_eq!(matches!(hit.body, Body::Disk(_)), size > 1_000_000, "{path}");
        assert!(hit.length() == size as u64 && read(&hit, 0..u64::MAX).await == body);
        assert!(read(&hit, 70_000..90_000).await == body[70_000..90_000]);
        assert_eq!(hit.stored.record.to_fields()["etag"], "\"a\"");
    }
    drop(tiered);
    let tiered = open(&ram);
    ram.switches().is_cold.store(true, Ordering::Relaxed);
    let hit = find(&tiered, "/large", "").await.unwrap();
    assert!(read(&hit, 5_000_000..u64::MAX).await == noise(3, 7_000_000)[5_000_000..]);
}

#[tokio::test]
async fn a_validated_response_has_its_new_fields_and_its_old_content() {
    let ram = Arc::default();
    let tiered = open(&ram);
    let body = noise(3, 3_000_000);
    bring(&tiered, "/large", &body, true).await;
    put(&tiered, "/small", "", "etag: \"a\"");
    eventually(&tiered, "/large").await;
    let written = ram.switches().written();
    for path in ["/large", "/small"] {
        let hit = find(&tiered, path, "").await.unwrap();
        let content = hit.stored.content.clone();
        tiered.update(key(path), &hit, stored(&tiered, path, "", "etag: \"a\"\nx: new", content));
    }
    tiered.disk().unwrap().flush();
    assert!(ram.switches().written() - written < 10_000);
    drop(tiered);
    let tiered = open(&ram);
    for (path, body) in [("/large", body), ("/small", noise(1, 1000))] {
        let hit = find(&tiered, path, "").await.unwrap();
        assert_eq!(hit.stored.record.to_fields()["x"], "new");
        assert!(read(&hit, 0..u64::MAX).await == body);
    }
}

#[tokio::test]
async fn content_that_breaks_off_is_not_stored_and_neither_is_any_on_a_full_disk() {
    let ram: Arc<Ram> = Arc::default();
    let tiered = open(&ram);
    let body = noise(3, 3_000_000);
    bring(&tiered, "/a", &body, false).await;
    for room in [0, 1_000_000] {
        ram.switches().fill_after(room);
        assert!(bring(&tiered, "/b", &body, true).await == body);
    }
    // All that was begun is done when the last of it is removed, and not before the disk has room again: what is written then
    // is stored.
    for _ in 0..2000 {
        if ram.names_of(".body").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(ram.names_of(".body"), [""; 0]);
    ram.switches().empty();
    assert!(find(&tiered, "/a", "").await.is_none() && find(&tiered, "/b", "").await.is_none());
    assert_eq!(bring(&memory_alone(), "/a", &body, true).await.len(), body.len());
}

#[tokio::test]
async fn a_removed_response_is_gone_from_both() {
    let ram = Arc::default();
    let tiered = open(&ram);
    put(&tiered, "/a", "", "");
    let hit = find(&tiered, "/a", "").await.unwrap();
    tiered.remove(&key("/a"), &hit.stored);
    assert!(find(&tiered, "/a", "").await.is_none());
    drop(tiered);
    assert!(find(&open(&ram), "/a", "").await.is_none());
}
