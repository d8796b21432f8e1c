//! `cmdLine`: a shell command without what shells ignore.

use super::byte_set::ByteSet;
use super::rewrite::{Rewriter, set};

/// Removed.
const QUOTES: ByteSet = ByteSet::of(b"\"'\\^");

/// Read as a space.
const SEPARATORS: ByteSet = ByteSet::of(b" ,;\t\r\n");

/// Removes quotes, carets and backslashes, makes one space of each stretch of separators and none before `/` and `(`, and
/// writes small letters.
pub(super) fn cmd_line(input: &[u8], out: &mut Vec<u8>) -> bool {
    let rewritten = separate(input, out);
    let Some(_) = super::rewrite::find(input, |byte| byte.is_ascii_uppercase()) else { return rewritten };
    if !rewritten {
        set(out, input);
    }
    out.make_ascii_lowercase();
    true
}

fn separate(input: &[u8], out: &mut Vec<u8>) -> bool {
    const STOPS: ByteSet = QUOTES.union(SEPARATORS);
    let mut rewriter = Rewriter::new(input, out);
    let mut at = 0;
    while let Some(start) = input.iter().skip(at).position(|byte| STOPS.contains(*byte)).map(|next| at + next)
    {
        let is_stop = |set: ByteSet| move |byte: &&u8| set.contains(**byte);
        let quotes = input.iter().skip(start).take_while(is_stop(QUOTES)).count();
        if quotes > 0 {
            at = start + quotes;
            rewriter.remove(start, at);
            continue;
        }
        // Quotes among separators do not end the stretch.
        at = start + input.iter().skip(start).take_while(is_stop(STOPS)).count();
        match input.get(at) {
            Some(b'/' | b'(') => rewriter.remove(start, at),
            _ if input.get(start..at) == Some(b" ") => {}
            _ => rewriter.replace_with_byte(start, at, b' '),
        }
    }
    rewriter.finish()
}
