//! Frames of HTTP/2 as they pass by, looked at only for their type and length (RFC 9113 section 4.1).
//!
//! Some frames cost the sender nothing and us an answer, a wake-up or a look: pings, settings, priorities, resets,
//! empty data. A client may send ever so many at leisure, but not in a flood (CVE-2019-9511 to 9518, CVE-2023-44487).
//! And a header block may not take for ever: until it ends, `h2` must keep what there is of it (CVE-2024-27316).

use tokio::time::Instant;

use super::trailer::Opening;
use crate::proxy::connection::Fault;

const HEADER_BYTES: usize = 9;
/// Worth of useless frames that a client may send at once, and each second from then on.
const BUDGET: u32 = 10_000;
const REFILL_PER_SECOND: u32 = 1_000;
/// Clients measure round trips by pings, many a second at times.
const PING_COST: u32 = 1;
const USELESS_COST: u32 = 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK_OR_END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// There are too many useless frames.
const FLOOD: Fault = Fault { status: 429, reason: "http2_flood" };
const PSEUDO_TRAILER: Fault = Fault { status: 400, reason: "pseudo_field_in_trailers" };

/// Where in the frames the connection is.
#[derive(Debug)]
pub(super) struct Frames {
    /// Of the preface, before the first frame.
    preface_left: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    /// Of the present frame.
    kind: u8,
    block_open: bool,
    /// How the present trailer section begins; over in all other blocks.
    trailer: Opening,
    last_stream: u32,
    /// Whether a head that a body is to follow has come since that was last asked.
    announced: bool,
    /// When what has begun and has not ended began.
    begun: Option<Instant>,
    budget: u32,
    refilled: Option<Instant>,
}

impl Frames {
    /// Before the preface of so many bytes.
    pub(super) fn new(preface_bytes: usize) -> Self {
        Self {
            preface_left: preface_bytes,
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            payload_left: 0,
            kind: SETTINGS,
            block_open: false,
            trailer: Opening::Over,
            last_stream: 0,
            announced: false,
            begun: None,
            budget: BUDGET,
            refilled: None,
        }
    }

    /// When the header block, or the frame that carries no data, began that has not ended yet.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// Whether a head that a body is to follow has come since this was asked before.
    pub(super) fn take_announced(&mut self) -> bool {
        std::mem::take(&mut self.announced)
    }

    /// Takes the next bytes of the connection.
    pub(super) fn feed(&mut self, bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Fault> {
        let skipped = self.preface_left.min(bytes.len());
        self.preface_left -= skipped;
        let mut rest = bytes.get(skipped..).unwrap_or_default();
        while !rest.is_empty() {
            if self.payload_left > 0 {
                let taken = self.payload_left.min(rest.len());
                self.payload_left -= taken;
                let is_block = matches!(self.kind, HEADERS | CONTINUATION);
                if is_block && self.trailer.is_pseudo(rest.get(..taken).unwrap_or_default()) {
                    return Err(PSEUDO_TRAILER);
                }
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            let Some((byte, after)) = rest.split_first() else { break };
            rest = after;
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = *byte;
            }
            self.header_bytes += 1;
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                self.frame(&now)?;
            }
        }
        let between = self.header_bytes == 0 && (self.payload_left == 0 || self.kind == DATA);
        if between && !self.block_open {
            self.begun = None;
        } else {
            self.begun.get_or_insert_with(now);
        }
        Ok(())
    }

    fn frame(&mut self, now: &impl Fn() -> Instant) -> Result<(), Fault> {
        let [high, middle, low, kind, flags, stream @ ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.payload_left = length;
        self.kind = kind;
        let set = |flag: u8| flags & flag != 0;
        match kind {
            HEADERS => {
                self.block_open = !set(END_HEADERS);
                self.announced |= !set(ACK_OR_END_STREAM);
                let stream = u32::from_be_bytes(stream);
                let is_trailer = stream <= self.last_stream;
                self.trailer = if is_trailer { Opening::of(flags) } else { Opening::Over };
                self.last_stream = self.last_stream.max(stream);
            }
            CONTINUATION => {
                self.block_open = !set(END_HEADERS);
                return self.spend(USELESS_COST, now);
            }
            DATA if length == 0 && !set(ACK_OR_END_STREAM) => return self.spend(USELESS_COST, now),
            SETTINGS if set(ACK_OR_END_STREAM) => {}
            PING => return self.spend(PING_COST, now),
            DATA | PUSH_PROMISE | GOAWAY | WINDOW_UPDATE => {}
            // RST_STREAM, SETTINGS, PRIORITY, and what nobody knows.
            _ => return self.spend(USELESS_COST, now),
        }
        Ok(())
    }

    fn spend(&mut self, cost: u32, now: &impl Fn() -> Instant) -> Result<(), Fault> {
        if self.budget < BUDGET / 2 {
            self.refill(now());
        }
        self.budget = self.budget.checked_sub(cost).ok_or(FLOOD)?;
        Ok(())
    }

    fn refill(&mut self, now: Instant) {
        let Some(since) = self.refilled else {
            self.refilled = Some(now);
            return;
        };
        let millis = u32::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u32::MAX);
        let earned = millis.saturating_mul(REFILL_PER_SECOND / 1000);
        if earned > 0 {
            self.refilled = Some(now);
            self.budget = self.budget.saturating_add(earned).min(BUDGET);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], payload].concat()
    }

    #[test]
    fn a_header_block_is_open_until_its_last_continuation_however_the_bytes_are_cut() {
        let bytes =
            [frame(HEADERS, 0, b"abc"), frame(CONTINUATION, 0, b"d"), frame(CONTINUATION, END_HEADERS, b"e")];
        let last = bytes.concat().len() - 1;
        for step in 1..=last {
            let mut frames = Frames::new(0);
            let bytes = bytes.concat();
            for piece in bytes[..last].chunks(step) {
                frames.feed(piece, Instant::now).unwrap();
                assert!(frames.begun().is_some());
            }
            frames.feed(&bytes[last..], Instant::now).unwrap();
            assert!(frames.begun().is_none());
        }
    }

    #[test]
    fn data_may_take_its_time() {
        let mut frames = Frames::new(3);
        frames.feed(b"PRI", Instant::now).unwrap();
        frames.feed(&frame(DATA, 0, b"abcdef")[..12], Instant::now).unwrap();
        assert!(frames.begun().is_none());
    }

    #[test]
    fn a_flood_is_told_from_a_habit() {
        let now = Instant::now();
        let settings = frame(SETTINGS, 0, b"");
        let mut flooded = Frames::new(0);
        assert!((0..2_000).any(|_| flooded.feed(&settings, || now).is_err()));
        let mut usual = Frames::new(0);
        for second in 0..100 {
            for _ in 0..50 {
                usual.feed(&settings, || now + Duration::from_secs(second)).unwrap();
            }
        }
    }

    #[test]
    fn answers_and_windows_are_free() {
        let now = Instant::now();
        let mut frames = Frames::new(0);
        for bytes in [frame(SETTINGS, ACK_OR_END_STREAM, &[]), frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1])] {
            for _ in 0..20_000 {
                frames.feed(&bytes, || now).unwrap();
            }
        }
    }
}
