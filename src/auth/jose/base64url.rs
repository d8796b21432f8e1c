//! base64url as RFC 7515 section 2 has it: no padding, no white space, no line breaks, and nothing in the trailing bits,
//! so that a value has one spelling. With two, a token could be told apart from itself.

use base64::engine::{Engine, general_purpose::URL_SAFE_NO_PAD};

/// The text is not base64url in its one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) struct Malformed;

pub(in crate::auth) fn decode(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed)
}

/// Decodes what must have exactly this length.
pub(in crate::auth) fn decode_array<const LENGTH: usize>(text: &[u8]) -> Result<[u8; LENGTH], Malformed> {
    decode(text)?.try_into().map_err(|_| Malformed)
}

pub(in crate::auth) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_one_spelling_of_every_length() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo"), ("-_8", b"\xfb\xff")]
        {
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes));
            assert_eq!(encode(bytes), text);
        }
        assert_eq!(decode_array::<2>(b"Zm8"), Ok(*b"fo"));
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in
            ["Zg==", "Zg=", "Zh", "Zm9", "+/8", "Zm 8", "Zm8\n", " Zm8", "Z", "Zm9vZ", "Zm8\0", "Zm8é"]
        {
            assert_eq!(decode(text.as_bytes()), Err(Malformed), "{text:?}");
        }
        assert_eq!(decode_array::<3>(b"Zm8"), Err(Malformed));
    }
}
