//! Names and short values in which nothing was found before.
//!
//! Requests to one service repeat themselves: the names of headers, cookies and fields, and many of their values. What is
//! found in a value depends on its place, its name and its bytes alone, so a value that is here byte for byte needs
//! no second look. What a stranger sends can push others out, no more.

/// Entries, a power of two.
const ENTRIES: usize = 1_024;
/// Bytes of a name and a value together.
const BYTES: usize = 120;

/// What nothing was found in.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By hash: place and lengths, name and value.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    place: u16,
    name: u8,
    length: u8,
    bytes: [u8; BYTES],
}

const EMPTY: Entry = Entry { place: u16::MAX, name: 0, length: 0, bytes: [0; BYTES] };

/// A value, as it is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    place: u16,
    name: &'a [u8],
    value: &'a [u8],
    at: usize,
}

impl<'a> Key<'a> {
    /// Nothing, if it is too long to be kept.
    pub(super) fn new(place: u16, name: &'a [u8], value: &'a [u8]) -> Option<Self> {
        if name.len() + value.len() > BYTES {
            return None;
        }
        let hash = mix(mix(u64::from(place) ^ (name.len() as u64) << 16, name), value);
        let at = usize::try_from(hash >> 40).unwrap_or(0) % ENTRIES;
        Some(Self { place, name, value, at })
    }
}

/// Eight bytes at a time; whoever makes two values meet has them looked at, as if there were nothing here.
fn mix(mut hash: u64, text: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
    }
    for byte in rest {
        hash = (hash.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(ODD);
    }
    hash
}

impl Seen {
    /// Whether nothing was found in it before.
    pub(super) fn knows(&self, key: Key<'_>) -> bool {
        let Some(entry) = self.entries.get(key.at) else { return false };
        let (name, length) = (usize::from(entry.name), usize::from(entry.length));
        entry.place == key.place
            && name == key.name.len()
            && length == key.name.len() + key.value.len()
            && entry.bytes.get(..name) == Some(key.name)
            && entry.bytes.get(name..length) == Some(key.value)
    }

    /// Notes that nothing was found in it.
    pub(super) fn note(&mut self, key: Key<'_>) {
        if self.entries.is_empty() {
            self.entries.resize(ENTRIES, EMPTY);
        }
        let Some(entry) = self.entries.get_mut(key.at) else { return };
        let (name, length) = (key.name.len(), key.name.len() + key.value.len());
        let (Ok(name_length), Ok(whole)) = (u8::try_from(name), u8::try_from(length)) else { return };
        if let Some(front) = entry.bytes.get_mut(..name) {
            front.copy_from_slice(key.name);
        }
        if let Some(back) = entry.bytes.get_mut(name..length) {
            back.copy_from_slice(key.value);
        }
        (entry.place, entry.name, entry.length) = (key.place, name_length, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, Key, Seen};

    #[test]
    fn knows_a_value_at_its_place_and_name_alone() {
        let mut seen = Seen::default();
        let key = |place, name, value| Key::new(place, name, value).unwrap();
        let noted = key(1, b"host", b"example.com");
        assert!(!seen.knows(noted));
        seen.note(noted);
        assert!(seen.knows(noted));
        for other in [
            key(2, b"host", b"example.com"),
            key(1, b"hos", b"texample.com"),
            key(1, b"host", b"example.org"),
        ] {
            assert!(!seen.knows(Key { at: noted.at, ..other }));
        }
    }

    #[test]
    fn another_value_of_the_same_entry_takes_its_place() {
        let mut seen = Seen::default();
        let one = Key::new(1, b"a", b"1").unwrap();
        let other = Key { at: one.at, ..Key::new(1, b"b", b"2").unwrap() };
        seen.note(one);
        seen.note(other);
        assert!(!seen.knows(one) && seen.knows(other));
    }

    #[test]
    fn keeps_nothing_that_is_long() {
        assert!(Key::new(0, b"n", &[b'v'; BYTES]).is_none());
        assert!(Key::new(0, b"n", &[b'v'; BYTES - 1]).is_some());
    }
}
