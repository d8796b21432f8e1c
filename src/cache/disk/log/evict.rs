//! Makes room.

use super::super::format::What;
use super::super::index::{Place, Short};
use super::super::segment::{Body, Part, Patience, Segment};
use super::active::Record;
use super::{BATCH, Content, Event, Log, segment_name};

impl Log {
    /// Removes the oldest segment, after what was asked for of it was appended anew: at most half of it, so that there is
    /// room afterwards. `false` if there is none.
    pub(super) fn evict(&mut self) -> bool {
        self.remove_oldest(|place_is_used| place_is_used, 2)
    }

    /// Appends all of the oldest segment anew, so that it was compared with what was purged until now.
    pub fn renew(&mut self) {
        self.remove_oldest(|_| true, 1);
    }

    /// Removes the oldest segment. What is worth keeping is appended anew, up to a `part`th of it.
    fn remove_oldest(&mut self, is_worth: impl Fn(bool) -> bool, part: u64) -> bool {
        let Some(oldest) = self.sealed.pop_front() else { return false };
        let (entries, is_complete) = match oldest.segment.entries(oldest.bytes) {
            Ok(Some(entries)) => (entries, true),
            Ok(None) => {
                (oldest.segment.scan(oldest.bytes).map_or_else(|_| Vec::new(), |(entries, _)| entries), false)
            }
            Err(_) => (Vec::new(), false),
        };
        let (mut budget, mut kept, mut gone) = (oldest.weight / part, 0, 0);
        for entry in entries.iter().filter(|entry| !entry.is_gone) {
            let place = oldest.place(entry);
            let Some(is_used) = self.shared.index.is_used(entry.key, &place) else { continue };
            let cost = u64::from(entry.length) + self.bodies.of(&place).map_or(0, |(_, bytes)| bytes);
            if is_worth(is_used) && cost <= budget && self.copy(&oldest.segment, place) {
                budget -= cost;
                kept += 1;
                if self.pending() >= BATCH {
                    self.flush();
                }
            } else {
                self.drop_place(entry.key, &place);
                gone += 1;
            }
        }
        self.flush();
        if !is_complete {
            self.shared.index.remove_segment(oldest.segment.number);
        }
        self.shared.forget_segment(oldest.segment.number);
        self.shared.remove_file(&segment_name(oldest.segment.number));
        self.shared.give_back(oldest.bytes);
        self.note_epoch();
        self.shared.tell(&Event::Evicted { kept, gone });
        true
    }

    pub(super) fn drop_place(&mut self, key: Short, place: &Place) {
        let gone = self.shared.index.remove(key, |one| one.is(place));
        for place in &gone {
            self.leave(place);
        }
    }

    /// Appends a copy of a response, unless it was purged or cannot be read.
    fn copy(&mut self, segment: &Segment, place: Place) -> bool {
        let Ok(record) = segment.read(&place, Part::Whole, Patience::Any) else { return false };
        let Some((metadata, epoch)) = (self.shared.refresh)(&record.metadata, record.epoch) else {
            return false;
        };
        let (what, body, body_bytes) = match record.body {
            Body::Whole(content) => (What::Inline, content.clone(), content.len()),
            Body::Outside(outside, length) => (What::Outside(outside), Content::default(), length),
            Body::Unread => return false,
        };
        let (key, variant) = (&record.key, record.variant);
        let record = Record { key, variant, epoch, what, metadata: &metadata, body: &body, body_bytes };
        match self.append(&record, Vec::new(), Some(place)) {
            Ok(_) => true,
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }
}
