//! Just enough DER (X.690, definite lengths, tags below 31) to read what BoringSSL's binding has no type for: OCSP
//! responses and revocation lists. A reader never panics and never looks past its input.

use boring::asn1::{Asn1Time, Asn1TimeRef};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// The tag of `[number] EXPLICIT`, and of `[number] IMPLICIT` on a constructed type.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The input is not the DER it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER")]
pub(super) struct Malformed;

/// One tag-length-value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    /// Tag, length and body as they stand in the input.
    pub whole: &'a [u8],
}

/// Reads elements one after another.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever its tag.
    pub(super) fn any(&mut self) -> Result<Element<'a>, Malformed> {
        let input = self.rest;
        let (&tag, rest) = input.split_first().ok_or(Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, rest) = length(rest)?;
        let (body, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        let whole = input.get(..input.len() - rest.len()).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Element { tag, body, whole })
    }

    /// The body of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.optional(tag)?.ok_or(Malformed)
    }

    /// The body of the next element if it has this tag; otherwise nothing is consumed.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.rest.first() != Some(&tag) {
            return Ok(None);
        }
        self.any().map(|element| Some(element.body))
    }

    /// The next element as a time (`UTCTime` or `GeneralizedTime`) in unix seconds; `None` when it is something else.
    pub(super) fn optional_time(&mut self) -> Result<Option<i64>, Malformed> {
        match self.rest.first() {
            Some(&(UTC_TIME | GENERALIZED_TIME)) => {
                let text = std::str::from_utf8(self.any()?.body).map_err(|_| Malformed)?;
                let time = Asn1Time::from_str(text).map_err(|_| Malformed)?;
                unix_seconds(&time).map(Some).ok_or(Malformed)
            }
            _ => Ok(None),
        }
    }
}

/// An INTEGER's value without leading zeros, as certificates' serial numbers are compared.
pub(super) fn magnitude(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|&&byte| byte == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

/// A time as seconds since 1970, before it negative; `None` if it has no such value.
pub(super) fn unix_seconds(time: &Asn1TimeRef) -> Option<i64> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

fn length(input: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (&first, rest) = input.split_first().ok_or(Malformed)?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err(Malformed);
    }
    let (bytes, rest) = rest.split_at_checked(count).ok_or(Malformed)?;
    Ok((bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_elements_in_turn_and_leaves_an_absent_optional_alone() {
        let mut reader = Reader::new(&[INTEGER, 2, 0, 7, SEQUENCE, 0]);
        assert_eq!(reader.optional(SEQUENCE), Ok(None));
        assert_eq!(reader.expect(INTEGER).map(magnitude), Ok(&[7][..]));
        assert_eq!(reader.expect(SEQUENCE), Ok(&[][..]));
        assert!(reader.at_end());
    }

    #[test]
    fn refuses_every_truncation_and_indefinite_lengths() {
        let mut whole = vec![SEQUENCE, 0x82, 0x01, 0x00];
        whole.resize(4 + 256, 0);
        assert!(Reader::new(&whole).any().is_ok());
        for end in 0..whole.len() {
            assert_eq!(Reader::new(&whole[..end]).any().err(), Some(Malformed), "cut at {end}");
        }
        assert_eq!(Reader::new(&[SEQUENCE, 0x80, 0, 0]).any().err(), Some(Malformed));
        assert_eq!(Reader::new(&[SEQUENCE, 0x85, 0, 0, 0, 0, 0]).any().err(), Some(Malformed));
        assert_eq!(Reader::new(&[0x1f, 0x81, 0]).any().err(), Some(Malformed));
    }

    #[test]
    fn reads_both_kinds_of_time() {
        let read = |bytes: &[u8]| Reader::new(bytes).optional_time();
        assert_eq!(read(b"\x17\x0d700101000010Z"), Ok(Some(10)));
        assert_eq!(read(b"\x18\x0f20300101000000Z"), Ok(Some(1_893_456_000)));
        assert_eq!(read(b"\x18\x0f20301301000000Z"), Err(Malformed));
        assert_eq!(read(&[INTEGER, 1, 1]), Ok(None));
    }
}
