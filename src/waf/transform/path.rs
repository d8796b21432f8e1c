//! `normalizePath` and `normalizePathWin`.

/// Removes doubled slashes and dot segments, as far as the root or the start; for Windows a backslash is a slash.
///
/// A walk of the text from left to right, byte by byte as in ModSecurity, whose results at odd places (`....` is nothing)
/// are the ones that rules were written for. Unlike there, a third backslash in a row is a slash too.
pub(super) fn normalise(input: &[u8], out: &mut Vec<u8>, windows: bool) -> bool {
    if is_normal(input, windows) {
        return false;
    }
    // Written behind what `out` holds, as that must stay if nothing changes after all.
    let start = out.len();
    out.reserve(input.len());
    Walk { input, windows, out, start, relative: false, at_root: false }.run();
    if out.get(start..) == Some(input) {
        out.truncate(start);
        return false;
    }
    out.drain(..start);
    true
}

/// Certainly normal: no two slashes together, no segment that ends with a dot, no backslash.
fn is_normal(input: &[u8], windows: bool) -> bool {
    let before = |slash: usize| slash.checked_sub(1).and_then(|before| input.get(before));
    input.last() != Some(&b'.')
        && !(windows && memchr::memchr(b'\\', input).is_some())
        && memchr::memchr_iter(b'/', input).all(|slash| !matches!(before(slash), Some(b'/' | b'.')))
}

struct Walk<'a> {
    input: &'a [u8],
    windows: bool,
    out: &'a mut Vec<u8>,
    /// Where the result starts in `out`.
    start: usize,
    /// The text does not start with a slash.
    relative: bool,
    /// What was kept are steps upwards that nothing can undo.
    at_root: bool,
}

impl Walk<'_> {
    fn run(mut self) {
        let Some(last) = self.input.len().checked_sub(1) else { return };
        self.relative = self.byte(0) != b'/';
        let trailing = self.byte(last) == b'/';
        let mut at = 0;
        while at <= last {
            let ends_segment = at == last || self.byte(at + 1) == b'/';
            let mut copies = true;
            if ends_segment && !(at != last && self.byte(at) == b'/') {
                copies = self.end_segment(&mut at, last);
            }
            if copies {
                self.copy(&mut at, last);
            }
        }
        if !trailing && self.written().last() == Some(&b'/') {
            self.out.pop();
        }
    }

    fn byte(&self, at: usize) -> u8 {
        match self.input.get(at) {
            Some(b'\\') if self.windows => b'/',
            Some(byte) => *byte,
            None => 0,
        }
    }

    fn written(&self) -> &[u8] {
        self.out.get(self.start..).unwrap_or_default()
    }

    /// At the last byte of a segment: whether what is at `at` afterwards is to be copied.
    fn end_segment(&mut self, at: &mut usize, last: usize) -> bool {
        let is_last = *at == last;
        if self.byte(*at) != b'.' {
            self.at_root &= self.written().is_empty();
            return true;
        }
        match self.written() {
            [before @ .., b'.'] => {
                if self.relative && (self.at_root || before.len() <= 1) {
                    self.at_root = true;
                    return true;
                }
                self.step_up(is_last);
            }
            [.., b'/'] if !is_last => {
                self.out.pop();
            }
            [] | [.., b'/'] => {}
            _ => return true,
        }
        *at += 1;
        !is_last
    }

    /// Removes the back reference of which one dot is written, and the segment before it.
    fn step_up(&mut self, is_last: bool) {
        let kept = self.written().len().saturating_sub(3);
        let slash = self.written().get(..=kept).and_then(|kept| memchr::memrchr(b'/', kept)).unwrap_or(0);
        self.out.truncate(self.start + slash);
        if slash == 0 {
            self.at_root = true;
            if !self.relative && is_last {
                self.out.push(b'/');
            }
        }
    }

    /// Copies a byte; of slashes the last, and none to the start of a relative path.
    fn copy(&mut self, at: &mut usize, last: usize) {
        if self.byte(*at) == b'/' {
            while *at < last && self.byte(*at + 1) == b'/' {
                *at += 1;
            }
            if self.relative && self.written().is_empty() {
                *at += 1;
                return;
            }
        }
        let byte = self.byte(*at);
        self.out.push(byte);
        *at += 1;
    }
}
