//! Comments of SQL and HTML: `replaceComments`, `removeComments` and `removeCommentsChar`.

use memchr::{memchr3_iter, memmem};

use super::rewrite::Rewriter;

/// Each `/* … */`, closed or not, becomes a space.
pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    let mut at = 0;
    while let Some(start) = find(input, at, b"/*") {
        at = find(input, start + 2, b"*/").map_or(input.len(), |end| end + 2);
        rewriter.replace_with_byte(start, at, b' ');
    }
    rewriter.finish()
}

/// `/* … */` and `<!-- … -->` go, in any pairing, and with `--` or `#` all that follows. As in ModSecurity, the byte after
/// a comment is not looked at, and a comment that is not closed becomes a space.
pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    let mut next = 0;
    // The second byte of `/*`, the third of `<!--`, or the sign itself.
    for at in memchr3_iter(b'*', b'-', b'#', input) {
        if at < next {
            continue;
        }
        let Some((start, content)) = opening(input, at, next) else {
            if starts(input, at, b"--") || starts(input, at, b"#") {
                rewriter.remove(at, input.len());
                break;
            }
            continue;
        };
        let Some(end) = closing(input, content) else {
            rewriter.replace_with_byte(start, input.len(), b' ');
            break;
        };
        rewriter.remove(start, end);
        next = end + 1;
    }
    rewriter.finish()
}

/// The comment whose start holds `at`, if it starts no earlier than `next`: where it starts and where its text does.
fn opening(input: &[u8], at: usize, next: usize) -> Option<(usize, usize)> {
    let slash = at.checked_sub(1).filter(|start| *start >= next && starts(input, *start, b"/*"));
    let tag = || at.checked_sub(2).filter(|start| *start >= next && starts(input, *start, b"<!--"));
    slash.map(|start| (start, start + 2)).or_else(|| tag().map(|start| (start, start + 4)))
}

/// After the `*/` or `-->` that comes first.
fn closing(input: &[u8], from: usize) -> Option<usize> {
    let rest = input.get(from..)?;
    memchr::memchr2_iter(b'*', b'-', rest).find_map(|at| match rest.get(at..) {
        Some([b'*', b'/', ..]) => Some(from + at + 2),
        Some([b'-', b'-', b'>', ..]) => Some(from + at + 3),
        _ => None,
    })
}

/// The signs of comments go, what is in them stays.
pub(super) fn remove_signs(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    let mut next = 0;
    for at in memchr3_iter(b'*', b'-', b'#', input) {
        if at < next {
            continue;
        }
        let (start, end) = match (opening(input, at, next), input.get(at..)) {
            (Some(sign), _) => sign,
            (None, Some([b'-', b'-', b'>', ..])) => (at, at + 3),
            (None, Some([b'*', b'/', ..] | [b'-', b'-', ..])) => (at, at + 2),
            (None, Some([b'#', ..])) => (at, at + 1),
            _ => continue,
        };
        rewriter.remove(start, end);
        next = end;
    }
    rewriter.finish()
}

fn starts(input: &[u8], at: usize, with: &[u8]) -> bool {
    input.get(at..).is_some_and(|rest| rest.starts_with(with))
}

fn find(input: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    memmem::find(input.get(from..)?, what).map(|at| from + at)
}
