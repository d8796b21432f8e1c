//! Stack traces by what their frames have in common in each language: a source file and a line, in the form in which that
//! language writes them.
//!
//! The first frame is found, and what follows goes with it ([`Run::Trace`]): to the end of the JSON string that holds it,
//! or of the paragraph.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::places::{before, byte, count};
use super::{Found, Run};

/// Bytes of a line before its mark that are looked at.
const LINE: usize = 200;

pub(super) const REACH: usize = LINE + 48;

/// What has to follow a mark, or to be before it on its line.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// The mark says it all.
    Mark,
    /// A line number, and this.
    Line(&'static [u8]),
    /// The same, with this somewhere before the mark.
    LineAfter(&'static [u8], &'static [u8]),
    /// This somewhere before the mark.
    After(&'static [u8]),
}

use Frame::{After, Line, LineAfter, Mark};

const FRAMES: [(&str, Frame); 21] = [
    // Java, Kotlin, Scala: `at com.example.Shop.sell(Shop.java:12)`
    (".java:", Line(b")")),
    (".kt:", Line(b")")),
    (".scala:", Line(b")")),
    ("(Native Method)", After(b"at ")),
    // JavaScript: `at sell (/app/shop.js:12:3)`
    (".js:", LineAfter(b"at ", b":")),
    (".mjs:", LineAfter(b"at ", b":")),
    (".cjs:", LineAfter(b"at ", b":")),
    (".ts:", LineAfter(b"at ", b":")),
    // Python: `File "/app/shop.py", line 12, in sell`
    ("Traceback (most recent call last)", Mark),
    (".py\", line ", Line(b"")),
    (".py\\\", line ", Line(b"")),
    // .NET: `at Shop.Sell(Int32 id) in C:\src\Shop.cs:line 12`
    (".cs:line ", Line(b"")),
    (".vb:line ", Line(b"")),
    // PHP: `#0 /var/www/shop.php(12): sell()`
    (".php(", Line(b")")),
    ("Fatal error: Uncaught ", Mark),
    // Ruby: `/app/shop.rb:12:in 'sell'`
    (".rb:", Line(b":in ")),
    // Go: `goroutine 1 [running]:`, `/src/shop.go:12 +0x1d`
    ("goroutine ", Line(b" [")),
    (".go:", Line(b" +0x")),
    // Rust: `thread 'main' panicked at src/shop.rs:12:3:`, `at ./src/shop.rs:12:3`
    ("' panicked at ", After(b"thread '")),
    ("stack backtrace:", Mark),
    (".rs:", LineAfter(b"at ", b":")),
];

pub(super) struct Traces {
    search: AhoCorasick,
    kind: usize,
}

impl Traces {
    pub(super) fn new(kind: usize) -> Option<Self> {
        let marks = FRAMES.iter().map(|(mark, _)| mark);
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(marks).ok()?;
        Some(Self { search, kind })
    }

    pub(super) fn next(&self, text: &[u8], within: Range<usize>) -> Option<Found> {
        let mut from = within.start;
        let end = text.len().min(within.end + LINE + 40);
        while let Some(hit) = self.search.find(text.get(from..end)?) {
            let (mark, past) = (hit.start() + from, hit.end() + from);
            let (_, frame) = FRAMES.get(hit.pattern().as_usize())?;
            let start = line_start(text, mark);
            if within.contains(&start)
                && let Some(end) = frame.end(text, text.get(start..mark)?, past)
            {
                let at = start..end;
                return Some(Found { hidden: at.clone(), at, kind: self.kind, then: Some(Run::Trace) });
            }
            from = mark + 1;
        }
        None
    }
}

impl Frame {
    /// Where the frame ends, if it is one.
    fn end(self, text: &[u8], line: &[u8], past: usize) -> Option<usize> {
        let (earlier, following): (&[u8], Option<&[u8]>) = match self {
            Mark => (b"", None),
            After(earlier) => (earlier, None),
            Line(following) => (b"", Some(following)),
            LineAfter(earlier, following) => (earlier, Some(following)),
        };
        if !earlier.is_empty() && memchr::memmem::find(line, earlier).is_none() {
            return None;
        }
        let Some(following) = following else { return Some(past) };
        let digits = count(text, past, 8, u8::is_ascii_digit);
        let end = past + digits;
        (digits > 0 && text.get(end..)?.starts_with(following)).then_some(end + following.len())
    }
}

/// Where the line of a mark begins, also where line ends are escaped, or where the string does.
fn line_start(text: &[u8], mark: usize) -> usize {
    let mut start = mark;
    while start > 0 && mark - start < LINE {
        let last = before(text, start);
        let escaped = start > 1 && byte(text, start - 2) == b'\\';
        let ends = match last {
            b'\n' | b'\r' | b'<' | b'>' => true,
            b'"' => !escaped,
            b'n' | b'r' | b't' => escaped,
            _ => false,
        };
        if ends {
            break;
        }
        start -= 1;
    }
    start
}
