//! Whatever a file of the disk store says, it is read or refused without a panic; what is found in it can be read again, and
//! lies in it. The first byte chooses: a file as it is, one whose checks are made to hold, or the parts within.
#![no_main]

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use edgeward::cache::content::Content;
use edgeward::cache::disk::format::{BLOCK, HEAD, Head, Header, Kind, Outside, Trailer, What};
use edgeward::cache::disk::index::{Place, short};
use edgeward::cache::disk::journal::{decoded, encoded};
use edgeward::cache::disk::seal::{NO_KEY, Seal};
use edgeward::cache::disk::segment::{Part, Patience, Segment};
use edgeward::cache::disk::volume::File;
use edgeward::cache::memory::Stored;
use edgeward::cache::purge::Epoch;
use libfuzzer_sys::fuzz_target;

struct Image(Vec<u8>);

impl File for Image {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        unreachable!("a reader writes nothing")
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn cut(&self, _: u64) -> io::Result<()> {
        unreachable!("a reader cuts nothing")
    }

    fn sync(&self) -> io::Result<()> {
        unreachable!("a reader has nothing to sync")
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 3 {
        0 => segment(data.to_vec()),
        1 => segment(forged(data)),
        _ => parts(data),
    }
});

fn segment(bytes: Vec<u8>) {
    let length = bytes.len() as u64;
    let Ok(segment) = Segment::open(Arc::new(Image(bytes)), 1, None) else { return };
    let read = |offset, length, variant, part| {
        let place = Place { segment: 1, offset, length, variant, is_used: false };
        segment.read(&place, part, Patience::Any)
    };
    let (entries, end) = segment.scan(length).unwrap();
    assert!(end <= length.max(HEAD as u64));
    for entry in entries {
        assert!(u64::from(entry.offset) + u64::from(entry.length) <= end);
        let record = read(entry.offset, entry.length, entry.variant, Part::Whole).unwrap();
        assert_eq!((short(&record.key), record.variant), (entry.key, entry.variant));
        let metadata = read(entry.offset, entry.length, entry.variant, Part::Metadata).unwrap();
        assert_eq!(metadata.metadata, record.metadata);
    }
    for entry in segment.entries(length).unwrap().unwrap_or_default() {
        let _ = read(entry.offset, entry.length.min(1 << 22), entry.variant, Part::Whole);
        let _ = read(entry.offset, entry.length, entry.variant, Part::Metadata);
    }
}

/// A segment of what the input says: of each record a kind, its lengths, and how many bytes of each are there.
fn forged(mut data: &[u8]) -> Vec<u8> {
    let salt = [7; 32];
    let seal = Seal::new(None, NO_KEY, &salt).unwrap();
    let mut bytes = Header { kind: Kind::Segment, key: NO_KEY, salt }.encode().to_vec();
    while let Some((head, rest)) = data.split_first_chunk::<16>() {
        data = rest;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let at = bytes.len() as u64;
        if head[0] == 9 {
            let (index_at, entries) = (u64::from(number(4)), number(8));
            let index = &data[..data.len().min(usize::from(head[1]))];
            let start = bytes.len();
            bytes.extend_from_slice(index);
            seal.derived(&salt).unwrap().seal(&mut bytes, start, at, &[]).unwrap();
            let index_at = if head[2] == 0 { at } else { index_at };
            bytes.extend_from_slice(&Trailer { index_at, entries, salt }.encode(&seal));
            break;
        }
        let what = match head[0] % 4 {
            0 => What::Gone { segment: number(4), offset: number(8) },
            1 => What::Outside(Outside { file: number(4).into(), identity: number(8).into() }),
            _ => What::Inline,
        };
        let (metadata, rest) = data.split_at(data.len().min(usize::from(head[1])));
        let (body, rest) = rest.split_at(rest.len().min(usize::from(head[2])));
        data = rest;
        let is_true = head[3] % 2 == 0;
        let told = if is_true { metadata.len() as u32 } else { number(12) };
        let told_body = if is_true && what == What::Inline { body.len() as u64 } else { number(8).into() };
        let encoded = Head { what, metadata: told, body: told_body, epoch: 1 }.encode(&seal, at);
        bytes.extend_from_slice(&encoded);
        for (part, with) in [(metadata, &encoded[..]), (body, &[])] {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            if !part.is_empty() && part.len() <= BLOCK {
                seal.seal(&mut bytes, start, start as u64, with).unwrap();
            }
        }
    }
    bytes
}

fn parts(data: &[u8]) {
    if let Some(traces) = decoded(data) {
        assert_eq!(encoded(&traces), data);
    }
    let restored = |bytes: Bytes| Stored::from_metadata(&bytes, Epoch::from_number(1), Content::default());
    if let Some(stored) = restored(Bytes::copy_from_slice(data)) {
        let written = stored.to_metadata();
        let again = restored(written.clone().into()).unwrap();
        assert_eq!((again.to_metadata(), again.variant()), (written, stored.variant()));
        assert_eq!(again.record.to_fields(), stored.record.to_fields());
    }
}
