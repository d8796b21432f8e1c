//! `htmlEntityDecode`.

use memchr::memchr_iter;

use super::rewrite::Rewriter;

/// Named references that stand for ASCII (HTML's table, with what the newest ModSecurity adds to it), which is what hides an
/// attack, and the no-break space.
#[rustfmt::skip]
const NAMES: [(&[u8], u8); 46] = [
    (b"amp", b'&'), (b"apos", b'\''), (b"ast", b'*'), (b"bsol", b'\\'), (b"caret", b'^'), (b"colon", b':'),
    (b"comma", b','), (b"commat", b'@'), (b"diacriticalgrave", b'`'), (b"dollar", b'$'), (b"equals", b'='),
    (b"excl", b'!'), (b"grave", b'`'), (b"gt", b'>'), (b"hat", b'^'), (b"hyphen", b'-'), (b"lbrace", b'{'),
    (b"lbrack", b'['), (b"lcub", b'{'), (b"lowbar", b'_'), (b"lpar", b'('), (b"lsqb", b'['), (b"lt", b'<'),
    (b"midast", b'*'), (b"nbsp", 0xa0), (b"newline", b'\n'), (b"nonbreakingspace", 0xa0), (b"num", b'#'),
    (b"percnt", b'%'), (b"period", b'.'), (b"plus", b'+'), (b"quest", b'?'), (b"quot", b'"'), (b"rbrace", b'}'),
    (b"rbrack", b']'), (b"rcub", b'}'), (b"rpar", b')'), (b"rsqb", b']'), (b"semi", b';'), (b"sol", b'/'),
    (b"tab", b'\t'), (b"tilde", b'~'), (b"underbar", b'_'), (b"verbar", b'|'), (b"vert", b'|'),
    (b"verticalline", b'|'),
];

/// `&#nn`, `&#xhh` and names, with or without `;`. Of a number the low byte counts.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rewriter = Rewriter::new(input, out);
    for at in memchr_iter(b'&', input) {
        let (prefix, decoded) = match input.get(at + 1..) {
            Some([b'#', b'x' | b'X', digits @ ..]) => (3, number(digits, 16)),
            Some([b'#', digits @ ..]) => (2, number(digits, 10)),
            Some(name) => (1, named(name)),
            None => continue,
        };
        if let Some((byte, length)) = decoded {
            let end = at + prefix + length;
            let end = end + usize::from(input.get(end) == Some(&b';'));
            rewriter.replace_with_byte(at, end, byte);
        }
    }
    rewriter.finish()
}

/// A number as `strtol` reads it, cut to its low byte, and how many digits it has.
fn number(text: &[u8], radix: u32) -> Option<(u8, usize)> {
    let mut value = 0_u64;
    let mut length = 0;
    while let Some(digit) = text.get(length).and_then(|byte| char::from(*byte).to_digit(radix)) {
        value = value.saturating_mul(radix.into()).saturating_add(digit.into());
        length += 1;
    }
    let value = value.min(i64::MAX.unsigned_abs());
    (length > 0).then_some((value.to_le_bytes()[0], length))
}

fn named(text: &[u8]) -> Option<(u8, usize)> {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = text.get(..length)?;
    let (_, byte) = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    Some((*byte, length))
}
