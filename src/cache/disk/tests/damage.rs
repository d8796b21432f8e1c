use super::*;

const ENTRIES: [(&str, usize); 4] = [("/a", 0), ("/b", 10), ("/c", 200), ("/d", 30)];

/// A small segment, complete or as a crash leaves it.
fn small(secrets: &[&str], is_complete: bool) -> Arc<Ram> {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, secrets);
    for (path, size) in ENTRIES {
        store.put(path, 0, "replaced", b"replaced");
        store.put(path, 0, path, &noise(7, size));
    }
    store.disk.remove(&key("/d"), 0);
    store.disk.flush();
    let crashed = ram.copy();
    drop(store);
    if is_complete { ram } else { crashed }
}

/// Opens a store and reads all of it: nothing is wrong, and this many are there. `/d` is gone unless its removal is.
fn survivors(ram: &Arc<Ram>, secrets: &[&str], may_replace: bool) -> usize {
    let store = Store::open(ram, 1 << 20, secrets);
    let found = ENTRIES.iter().filter(|(path, size)| {
        let Some((text, body)) = store.get(path, 0) else { return false };
        let is_right = text == *path && body == noise(7, *size);
        let is_old = text == "replaced" && body == b"replaced";
        assert!(is_right || (may_replace && is_old), "{path}");
        is_right
    });
    let found = found.count();
    // What was found is there after the next start, too.
    drop(store);
    let again = Store::open(ram, 1 << 20, secrets);
    assert_eq!(again.told(|event| matches!(event, Event::Recovered { .. })), 0);
    found
}

const SEGMENT: &str = "00000001.segment";

#[test]
fn a_segment_torn_at_any_byte_loses_what_was_torn_alone() {
    for secrets in [&[][..], &[SECRET]] {
        for is_complete in [true, false] {
            let whole = small(secrets, is_complete);
            assert_eq!(survivors(&whole.copy(), secrets, false), 3);
            let bytes = whole.content(SEGMENT);
            let mut most = 0;
            for length in 0..bytes.len() {
                let torn = whole.copy();
                torn.set(SEGMENT, &bytes[..length]);
                let found = survivors(&torn, secrets, true);
                // The last is there until its removal is reached.
                assert!(found >= most.min(3), "{found} after {most} at {length}");
                most = found;
            }
            assert_eq!(most, if is_complete { 3 } else { 4 });
        }
    }
}

#[test]
fn a_byte_changed_anywhere_is_never_served() {
    for secrets in [&[][..], &[SECRET]] {
        for is_complete in [true, false] {
            let whole = small(secrets, is_complete);
            let bytes = whole.content(SEGMENT);
            for at in 0..bytes.len() {
                let (damaged, mut other) = (whole.copy(), bytes.clone());
                other[at] ^= 1 << (at % 8);
                damaged.set(SEGMENT, &other);
                survivors(&damaged, secrets, true);
            }
        }
    }
}

#[test]
fn what_is_damaged_while_it_is_stored_is_removed_and_told() {
    let ram = small(&[], true);
    let bytes = ram.content(SEGMENT);
    for at in 0..bytes.len() {
        let volume = ram.copy();
        let store = Store::open(&volume, 1 << 20, &[]);
        let mut other = bytes.clone();
        other[at] ^= 0x10;
        // The store has the former file open; this is a copy of it.
        volume.set(SEGMENT, &bytes);
        drop(store);
        let store = Store::open(&volume, 1 << 20, &[]);
        volume.overwrite(SEGMENT, &other);
        let found: Vec<_> = ENTRIES.iter().map(|(path, size)| (path, size, store.get(path, 0))).collect();
        let mut missing = 0;
        for (path, size, found) in &found[..3] {
            match found {
                Some((text, body)) => assert!(text == *path && *body == noise(7, **size), "{at}"),
                None => missing += 1,
            }
        }
        assert!(missing <= 1);
        assert_eq!(store.told(|event| *event == Event::Damaged), missing, "{at}");
        assert_eq!(store.disk.len(), 3 - missing);
    }
}

#[test]
fn a_body_changed_anywhere_is_never_served() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    let body = noise(1, 100_000);
    store.put("/a", 0, "", &body);
    drop(store);
    let name = ram.names_of(".body").remove(0);
    let bytes = ram.content(&name);
    for at in (0..HEAD + 10).chain((HEAD + 10..bytes.len()).step_by(997)).chain(bytes.len() - 10..bytes.len())
    {
        let (damaged, mut other) = (ram.copy(), bytes.clone());
        other[at] ^= 4;
        damaged.set(&name, &other);
        assert!(Store::open(&damaged, 1 << 20, &[]).get("/a", 0).is_none(), "{at}");
    }
    for length in (0..bytes.len()).step_by(997) {
        let torn = ram.copy();
        torn.set(&name, &bytes[..length]);
        assert!(Store::open(&torn, 1 << 20, &[]).get("/a", 0).is_none(), "{length}");
    }
    ram.remove(&name).unwrap();
    assert!(Store::open(&ram, 1 << 20, &[]).disk.is_empty());
}

#[test]
fn missing_files_take_nothing_else_with_them() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    for number in 0..40 {
        store.put(&format!("/{number}"), 0, "", &noise(number, 10_000));
    }
    drop(store);
    let names = ram.names_of(".segment");
    assert!(names.len() > 4);
    ram.remove(&names[1]).unwrap();
    let before = ram.bytes();
    let store = Store::open(&ram, 1 << 20, &[]);
    assert!(store.get("/0", 0).is_some() && store.get("/39", 0).is_some());
    assert!((25..40).contains(&store.disk.len()));
    // Removed behind the store's back.
    names.iter().skip(2).for_each(|name| drop(ram.remove(name)));
    assert!(store.get("/39", 0).is_some());
    assert!(ram.bytes() < before);
}

#[test]
fn files_of_another_version_are_removed_and_files_of_others_are_not() {
    let ram = small(&[], true);
    let mut bytes = ram.content(SEGMENT);
    bytes[8] = 2;
    ram.set(SEGMENT, &bytes);
    for name in ["notes.txt", "1.segment", "+0000001.segment", "xyz.body", "0000000g.segment"] {
        ram.set(name, b"theirs");
    }
    let store = Store::open(&ram, 1 << 20, &[]);
    assert!(store.disk.is_empty());
    let unusable = Event::FileUnusable { name: SEGMENT.to_owned(), why: Unreadable::Version(2) };
    assert_eq!(store.told(|event| *event == unusable), 1);
    assert!(!ram.names().contains(&SEGMENT.to_owned()));
    assert_eq!(ram.content("notes.txt"), b"theirs");
    assert_eq!(ram.names().len(), 6);
    store.put("/a", 0, "", b"a");
    assert!(store.get("/a", 0).is_some());
}

#[test]
fn a_block_of_another_place_is_none() {
    let ram = ram();
    let store = Store::open(&ram, 1 << 20, &[]);
    store.put("/a", 0, "same", b"1111111111");
    store.put("/a", 0, "same", b"2222222222");
    let crashed = ram.copy();
    let mut bytes = crashed.content(SEGMENT);
    let record = (bytes.len() - HEAD) / 2;
    // The older record where the newer one was, whole and with its own CRCs.
    bytes.copy_within(HEAD..HEAD + record, HEAD + record);
    crashed.set(SEGMENT, &bytes);
    assert_eq!(Store::open(&crashed, 1 << 20, &[]).disk.len(), 1);
    assert_eq!(Store::open(&crashed, 1 << 20, &[]).get("/a", 0).unwrap().1, b"1111111111");
    let place = store.disk.find(&key("/a"))[0];
    ram.overwrite(SEGMENT, &bytes);
    assert_eq!(store.disk.read(&key("/a"), &place, Part::Whole, Patience::Any), Ok(None));
}

#[test]
fn a_body_is_never_taken_for_one_that_was_there_before() {
    let ram = ram();
    Store::open(&ram, 1 << 20, &[]).put("/a", 0, "", &noise(1, 100_000));
    // Killed between the removal of the body and the note of it.
    ram.remove(&ram.names_of(".body")[0]).unwrap();
    Store::open(&ram, 1 << 20, &[]).put("/b", 0, "", &noise(2, 100_000));
    let store = Store::open(&ram, 1 << 20, &[]);
    assert_eq!((store.disk.len(), store.disk.find(&key("/a"))), (1, Vec::new()));
    assert!(store.get("/b", 0).unwrap().1 == noise(2, 100_000));
}
