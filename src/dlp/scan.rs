//! A text on its way through the detectors.

use std::ops::Range;
use std::sync::Arc;

use super::find::{Action, BEHIND, Detectors, Found, Run, is_token};
use super::mask;

/// How far what goes on without a length of its own is followed: no key and no trace that is worth reading is longer.
const LONGEST_RUN: usize = 64 << 10;

/// A finding that must not go out, by its index among [`Detectors::kinds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked(pub usize);

/// Looks at a text that comes in pieces, and masks what it finds.
pub struct Scanner {
    detectors: Arc<Detectors>,
    json: bool,
    /// What has come and is still of use: up to [`BEHIND`] bytes that are gone, and what waits.
    text: Vec<u8>,
    /// The bytes of it that are gone.
    done: usize,
    run: Option<Running>,
    found: Box<[u64]>,
}

/// What goes on beyond the end of a finding.
#[derive(Clone, Copy)]
struct Running {
    run: Run,
    hides: bool,
    bytes: usize,
    /// The byte before escapes the next one.
    escapes: bool,
    /// Nothing but a line end is before.
    line_end: bool,
}

impl Scanner {
    /// A scanner for one text. In `json`, numbers outside strings stay numbers.
    #[must_use]
    pub fn new(detectors: Arc<Detectors>, json: bool) -> Self {
        let found = vec![0; detectors.kinds.len()].into();
        Self { detectors, json, text: Vec::new(), done: 0, run: None, found }
    }

    /// How often each of [`Detectors::kinds`] was found so far.
    #[must_use]
    pub const fn found(&self) -> &[u64] {
        &self.found
    }

    /// Takes a piece, and appends to `out` what may go. Up to [`Detectors::ahead`] bytes after the last line end wait for the
    /// next piece or for the end.
    ///
    /// # Errors
    /// When something is found that must not go. What was before it is in `out`.
    pub fn write(&mut self, piece: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Blocked> {
        self.text.extend_from_slice(piece);
        out.reserve(self.text.len() - self.done);
        let until = self.settled(end);
        let outcome = self.pass(until, out);
        let useless = self.done.saturating_sub(BEHIND);
        self.text.drain(..useless);
        self.done -= useless;
        outcome
    }

    /// Up to where it is known what begins.
    fn settled(&self, end: bool) -> usize {
        if end {
            return self.text.len();
        }
        let by_length = self.text.len().saturating_sub(self.detectors.ahead());
        let waiting = self.text.get(by_length..).unwrap_or_default();
        let by_line = memchr::memrchr(b'\n', waiting).map(|at| by_length + at + 1);
        by_line.unwrap_or(by_length)
    }

    fn pass(&mut self, until: usize, out: &mut Vec<u8>) -> Result<(), Blocked> {
        let mut ahead = Ahead::new(&self.detectors, until);
        while self.done < until {
            if let Some(running) = &mut self.run {
                let to = running.follow(&self.text, self.done..until, out);
                self.done = to;
                if to == until && !running.is_over(&self.text, to) {
                    return Ok(());
                }
                self.run = None;
                continue;
            }
            let Some(found) = ahead.next(&self.detectors, &self.text, self.done) else {
                out.extend_from_slice(self.text.get(self.done..until).unwrap_or_default());
                self.done = until;
                return Ok(());
            };
            self.take(&found, out)?;
        }
        Ok(())
    }

    fn take(&mut self, found: &Found, out: &mut Vec<u8>) -> Result<(), Blocked> {
        let Found { at, hidden, kind, then } = found;
        if let Some(count) = self.found.get_mut(*kind) {
            *count += 1;
        }
        let action = self.detectors.kinds.get(*kind).map(|kind| kind.action).unwrap_or_default();
        let mut plain = |range: Range<usize>| out.extend_from_slice(self.text.get(range).unwrap_or_default());
        plain(self.done..at.start);
        self.done = at.end;
        match action {
            Action::Block => return Err(Blocked(*kind)),
            Action::Report => plain(at.clone()),
            Action::Mask => {
                plain(at.start..hidden.start);
                mask::mask(&self.text, hidden.clone(), self.json, out);
                out.extend_from_slice(self.text.get(hidden.end..at.end).unwrap_or_default());
            }
        }
        self.run = then.map(|run| Running::new(run, action == Action::Mask));
        Ok(())
    }
}

/// What each finder finds next, asked again only when that has been passed.
struct Ahead {
    until: usize,
    next: Vec<Next>,
}

/// What one finder finds.
#[derive(Clone)]
enum Next {
    /// It was not asked yet.
    Unknown,
    Nothing,
    Found(Found),
}

impl Ahead {
    fn new(detectors: &Detectors, until: usize) -> Self {
        Self { until, next: vec![Next::Unknown; detectors.finders()] }
    }

    /// The first finding at `from` or after it.
    fn next(&mut self, detectors: &Detectors, text: &[u8], from: usize) -> Option<Found> {
        let mut first: Option<&Found> = None;
        for (finder, next) in self.next.iter_mut().enumerate() {
            let passed = matches!(next, Next::Found(found) if found.at.start < from);
            if passed || matches!(next, Next::Unknown) {
                let found = detectors.next(finder, text, from..self.until);
                *next = found.map_or(Next::Nothing, Next::Found);
            }
            if let Next::Found(found) = next
                && first.is_none_or(|first| found.at.start < first.at.start)
            {
                first = Some(found);
            }
        }
        first.cloned()
    }
}

impl Running {
    const fn new(run: Run, hides: bool) -> Self {
        Self { run, hides, bytes: 0, escapes: false, line_end: false }
    }

    /// Writes what belongs to it, and says where that ends.
    fn follow(&mut self, text: &[u8], range: Range<usize>, out: &mut Vec<u8>) -> usize {
        for at in range.clone() {
            let byte = text.get(at).copied().unwrap_or_default();
            if self.is_over(text, at) {
                return at;
            }
            self.escapes = byte == b'\\' && !self.escapes;
            self.line_end = byte == b'\n' || (self.line_end && byte == b'\r');
            self.bytes += 1;
            out.push(if self.hides { mask::hide(text, at) } else { byte });
        }
        range.end
    }

    /// Whether it ends before this place.
    fn is_over(&self, text: &[u8], at: usize) -> bool {
        let rest = text.get(at..).unwrap_or_default();
        let Some(byte) = rest.first() else { return false };
        let ends = match self.run {
            Run::Token => !is_token(*byte),
            Run::Key => rest.starts_with(b"-----END"),
            Run::Trace => {
                (*byte == b'"' && !self.escapes)
                    || rest.starts_with(b"</")
                    || (*byte == b'\n' && self.line_end)
            }
        };
        // Never within a character.
        ends || (self.bytes >= LONGEST_RUN && byte.is_ascii())
    }
}
