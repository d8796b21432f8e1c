use super::*;

#[test]
fn a_full_disk_is_passed_by_and_used_again_when_there_is_room() {
    for room in [0, 1, 63, 64, 65, 100, 1000, 5000, 70_000] {
        let ram = ram();
        let store = Store::open(&ram, CAPACITY, &[]);
        store.put("/before", 0, "", b"before");
        ram.switches().fill_after(room);
        for number in 0..100 {
            store.put(&format!("/{number}"), 0, "", &noise(number, 1000));
        }
        assert!(store.told(|event| matches!(event, Event::WriteFailed(_))) > 0);
        assert!(store.told(|event| *event == Event::Skipped) > 0);
        let check = |store: &Store| {
            for number in 0..100 {
                let found = store.get(&format!("/{number}"), 0);
                assert!(found.is_none_or(|(_, body)| body == noise(number, 1000)), "{number}");
            }
            assert_eq!(store.get("/before", 0).unwrap().1, b"before");
        };
        check(&store);
        ram.switches().empty();
        for _ in 0..2000 {
            store.put("/after", 0, "", b"after");
        }
        assert!(store.get("/after", 0).is_some());
        check(&store);
        drop(store);
        let store = Store::open(&ram, CAPACITY, &[]);
        check(&store);
        assert!(store.get("/after", 0).is_some());
        assert_eq!(store.disk.bytes(), ram.bytes());
    }
}

#[test]
fn what_could_not_be_replaced_is_not_served() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    store.put("/a", 0, "", b"old");
    store.put("/b", 0, "", &noise(1, 2_000_000));
    ram.switches().fill_after(0);
    store.put("/a", 0, "", b"new");
    store.put("/b", 0, "", &noise(2, 2_000_000));
    assert!(store.get("/a", 0).is_none() && store.get("/b", 0).is_none());
    assert_eq!(ram.names_of(".body"), [""; 0]);
}

#[test]
fn a_body_that_cannot_be_written_leaves_nothing() {
    let ram = ram();
    let store = Store::open(&ram, CAPACITY, &[]);
    let before = store.disk.bytes();
    for room in [0, 10, 100_000, 1_999_000] {
        ram.switches().fill_after(room);
        store.put("/a", 0, "", &noise(1, 2_000_000));
        if let Some(mut incoming) = store.disk.begin() {
            assert!(incoming.write(&noise(1, 2_000_000)).is_err());
        }
        ram.switches().empty();
        for _ in 0..1024 {
            drop(store.disk.begin());
        }
        assert_eq!((ram.names_of(".body").len(), store.disk.len()), (0, 0), "{room}");
    }
    store.put("/a", 0, "", &noise(1, 2_000_000));
    assert!(store.get("/a", 0).is_some());
    store.disk.clear();
    assert_eq!((store.disk.len(), ram.names_of(".body").len()), (0, 0));
    assert!(store.disk.bytes().abs_diff(before) < 10, "{before} {}", store.disk.bytes());
}

#[test]
fn a_disk_that_becomes_read_only_is_read_and_passed_by() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    store.put("/a", 0, "", b"a");
    store.put("/b", 0, "", b"b");
    ram.switches().is_read_only.store(true, Ordering::Relaxed);
    for number in 0..200 {
        store.put(&format!("/{number}"), 0, "", &noise(number, 10_000));
    }
    store.disk.remove(&key("/b"), 0);
    assert_eq!((store.get("/a", 0).unwrap().1, store.get("/b", 0)), (b"a".to_vec(), None));
    assert!(store.disk.begin().is_none());
    drop(store);
    assert!(Store::try_open(&ram, 1 << 20, &[]).is_err());
    ram.switches().is_read_only.store(false, Ordering::Relaxed);
    assert!(Store::open(&ram, 1 << 20, &[]).get("/a", 0).is_some());
}

#[test]
fn what_cannot_be_read_is_a_miss_and_told() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    store.put("/a", 0, "", b"a");
    store.put("/b", 0, "", &noise(1, 100_000));
    ram.switches().is_unreadable.store(true, Ordering::Relaxed);
    assert!(store.get("/a", 0).is_none() && store.get("/b", 0).is_none());
    assert_eq!(store.told(|event| matches!(event, Event::ReadFailed(_))), 2);
    ram.switches().is_unreadable.store(false, Ordering::Relaxed);
    assert!(store.disk.is_empty());
    store.put("/a", 0, "", b"a");
    assert!(store.get("/a", 0).is_some());
}

#[test]
fn too_much_that_waits_is_not_written_and_no_older_one_stays() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 30, &[]);
    store.put("/a", 0, "", b"a");
    let content = Content::new(vec![Bytes::from(vec![7; 40 << 20])]);
    let refused = (0..20).filter(|_| !store.disk.put(metadata("/a", 0, ""), content.clone())).count();
    assert_eq!(store.told(|event| *event == Event::Overloaded), refused);
    assert!(refused > 0);
    store.disk.flush();
    assert!(store.get("/a", 0).is_none_or(|(_, body)| body.len() == 40 << 20));
}

#[test]
fn what_cannot_be_opened_for_now_is_not_removed() {
    let ram = ram();
    Store::open(&ram, 1 << 20, &[]).put("/a", 0, "", b"a");
    ram.switches().is_unreadable.store(true, Ordering::Relaxed);
    assert!(Store::try_open(&ram, 1 << 20, &[]).is_err());
    ram.switches().is_unreadable.store(false, Ordering::Relaxed);
    assert!(Store::open(&ram, 1 << 20, &[]).get("/a", 0).is_some());
}
