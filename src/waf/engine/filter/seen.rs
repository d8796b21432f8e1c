//! Names and short values that were looked at before, with what was found in them.
//!
//! Requests to one service repeat themselves: the names of headers, cookies and fields, and many of their values. What is
//! found in a value depends on its place, its bytes and, if a rule is about that name, its name, so a value that is here
//! byte for byte needs no second look. What a stranger sends can push others out, no more.

/// Entries, a power of two; 1.2 MB for each thread that looks. Members of lists have names of their own (`items.17.price`), so
/// that one document of 64 KB has some thousand.
const ENTRIES: usize = 8_192;
/// Bytes of a name and a value together.
const BYTES: usize = 120;

/// Rules that are kept of one value; a value of more is looked at again.
const FOUND: usize = 8;

/// What the length of a name is that has no say.
const NO_NAME: u8 = u8::MAX;

/// What was looked at.
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
    found: [u16; FOUND],
    count: u8,
}

/// Rules that were found in a value, by their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    rules: [u16; FOUND],
    count: u8,
}

impl Found {
    pub(super) fn bits(&self) -> &[u16] {
        self.rules.get(..usize::from(self.count)).unwrap_or_default()
    }
}

const EMPTY: Entry =
    Entry { place: u16::MAX, name: 0, length: 0, bytes: [0; BYTES], found: [0; FOUND], count: 0 };

/// A value, as it is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    place: u16,
    /// The length of the name, or [`NO_NAME`].
    length: u8,
    name: &'a [u8],
    value: &'a [u8],
    at: usize,
}

impl<'a> Key<'a> {
    /// Nothing, if it is too long to be kept. Without a name, it is the same under all that have no say.
    pub(super) fn new(place: u16, name: Option<&'a [u8]>, value: &'a [u8]) -> Option<Self> {
        let (name, length) = match name {
            Some(name) => (name, u8::try_from(name.len()).ok()?),
            None => (&[][..], NO_NAME),
        };
        if name.len() + value.len() > BYTES {
            return None;
        }
        let hash = mix(mix(u64::from(place) ^ u64::from(length) << 16, name), value);
        let at = usize::try_from(hash >> 40).unwrap_or(0) % ENTRIES;
        Some(Self { place, length, name, value, at })
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
    /// The rules that were found in it before, by their bits, if it is known.
    pub(super) fn find(&self, key: Key<'_>) -> Option<Found> {
        let entry = self.entries.get(key.at)?;
        let (name, length) = (key.name.len(), usize::from(entry.length));
        let same = entry.place == key.place
            && entry.name == key.length
            && length == key.name.len() + key.value.len()
            && entry.bytes.get(..name) == Some(key.name)
            && entry.bytes.get(name..length) == Some(key.value);
        same.then_some(Found { rules: entry.found, count: entry.count })
    }

    /// Notes what was found in it.
    pub(super) fn note(&mut self, key: Key<'_>, found: impl ExactSizeIterator<Item = u16>) {
        let count = found.len();
        if count > FOUND {
            return;
        }
        if self.entries.is_empty() {
            self.entries.resize(ENTRIES, EMPTY);
        }
        let Some(entry) = self.entries.get_mut(key.at) else { return };
        let (name, length) = (key.name.len(), key.name.len() + key.value.len());
        let Ok(whole) = u8::try_from(length) else { return };
        if let Some(front) = entry.bytes.get_mut(..name) {
            front.copy_from_slice(key.name);
        }
        if let Some(back) = entry.bytes.get_mut(name..length) {
            back.copy_from_slice(key.value);
        }
        entry.found.iter_mut().zip(found).for_each(|(place, bit)| *place = bit);
        entry.count = u8::try_from(count).unwrap_or(0);
        (entry.place, entry.name, entry.length) = (key.place, key.length, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, FOUND, Key, Seen};

    fn bits(seen: &Seen, key: Key<'_>) -> Option<Vec<u16>> {
        seen.find(key).map(|found| found.bits().to_vec())
    }

    #[test]
    fn knows_a_value_at_its_place_and_name_alone() {
        let mut seen = Seen::default();
        let key = |place, name: &'static [u8], value| Key::new(place, Some(name), value).unwrap();
        let noted = key(1, b"host", b"example.com");
        assert!(seen.find(noted).is_none());
        seen.note(noted, [3, 9].into_iter());
        assert_eq!(bits(&seen, noted).unwrap(), [3, 9]);
        for other in [
            key(2, b"host", b"example.com"),
            key(1, b"hos", b"texample.com"),
            key(1, b"host", b"example.org"),
        ] {
            assert!(seen.find(Key { at: noted.at, ..other }).is_none());
        }
    }

    #[test]
    fn another_value_of_the_same_entry_takes_its_place() {
        let mut seen = Seen::default();
        let one = Key::new(1, Some(b"a"), b"1").unwrap();
        let other = Key { at: one.at, ..Key::new(1, Some(b"b"), b"2").unwrap() };
        seen.note(one, [1, 2].into_iter());
        seen.note(other, [].into_iter());
        assert_eq!((bits(&seen, one), bits(&seen, other)), (None, Some(vec![])));
    }

    #[test]
    fn keeps_nothing_that_is_long_or_that_many_rules_were_found_in() {
        assert!(Key::new(0, Some(b"n"), &[b'v'; BYTES]).is_none());
        assert!(Key::new(0, Some(b"n"), &[b'v'; BYTES - 1]).is_some());
        let mut seen = Seen::default();
        let key = Key::new(0, Some(b"n"), b"v").unwrap();
        seen.note(key, [0; FOUND + 1].into_iter());
        assert!(seen.find(key).is_none());
    }

    #[test]
    fn a_value_whose_name_has_no_say_is_another_than_one_without_a_name() {
        let mut seen = Seen::default();
        let any = Key::new(0, None, b"v").unwrap();
        seen.note(any, [1].into_iter());
        assert_eq!(bits(&seen, any).unwrap(), [1]);
        let empty = Key::new(0, Some(b""), b"v").unwrap();
        assert!(seen.find(Key { at: any.at, ..empty }).is_none());
    }
}
