//! A body on its way to the rules: decoded, as far as they look at it.

use crate::http::decompress::{DecodeFault, DecodeLimits, Decoder};

/// Why a body is not looked at to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    #[error("a body that is longer than is examined")]
    TooLong,
    #[error("a body in an unknown coding, or not in the one that it names")]
    Coding,
}

impl From<DecodeFault> for Unseen {
    fn from(fault: DecodeFault) -> Self {
        match fault {
            DecodeFault::OutputBytes | DecodeFault::Ratio => Self::TooLong,
            _ => Self::Coding,
        }
    }
}

/// What has come of a body.
pub struct Collected {
    decoder: Option<Decoder>,
    /// Decoded.
    bytes: Vec<u8>,
    /// Bytes that have come, as they came.
    taken: usize,
    most: usize,
    /// Nothing more is taken.
    complete: bool,
}

impl Collected {
    /// Nothing yet of a body with these lines of `Content-Encoding`, of which so much is taken, encoded and decoded.
    pub fn new<'a>(
        codings: impl IntoIterator<Item = &'a [u8]>,
        limits: DecodeLimits,
    ) -> Result<Self, Unseen> {
        // How much it grows is no matter: it is looked at as far as one that came as it is, and a bomb costs no more.
        let limits = DecodeLimits { ratio: usize::MAX, ..limits };
        Ok(Self { decoder: Decoder::new(codings, limits)?, ..Self::undecoded(limits.output_bytes) })
    }

    /// Nothing yet of a body that is looked at as it comes.
    pub const fn undecoded(most: usize) -> Self {
        Self { decoder: None, bytes: Vec::new(), taken: 0, most, complete: false }
    }

    /// Takes the rest as it comes, and what has `come` once more so. What was decoded stays before it.
    pub fn undecode(&mut self, come: &[u8]) -> Result<(), Unseen> {
        self.decoder = None;
        self.taken = 0;
        self.take(come)
    }

    /// Whether all has come that is taken.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes a piece. After an error, what is before it stays, and nothing more is taken.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), Unseen> {
        let taken = self.append(piece);
        self.complete = taken.is_err();
        taken
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Unseen> {
        let room = self.most.saturating_sub(self.taken);
        self.taken = self.taken.saturating_add(piece.len());
        let fitting = piece.get(..room).unwrap_or(piece);
        match &mut self.decoder {
            Some(decoder) => decoder.write(fitting, &mut self.bytes)?,
            None => self.bytes.extend_from_slice(fitting),
        }
        if self.taken > self.most { Err(Unseen::TooLong) } else { Ok(()) }
    }

    /// Says that all has come.
    pub fn finish(&mut self) -> Result<(), Unseen> {
        self.complete = true;
        match self.decoder.take() {
            Some(decoder) => Ok(decoder.finish()?),
            None => Ok(()),
        }
    }

    /// What can be looked at.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.most).unwrap_or(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: DecodeLimits = DecodeLimits::of_request(4);

    #[test]
    fn a_body_is_taken_up_to_its_limit() {
        let mut body = Collected::new([], FOUR).unwrap();
        assert_eq!((body.take(b"ab"), body.take(b"cd"), body.finish()), (Ok(()), Ok(()), Ok(())));
        assert_eq!(body.take(b"ef"), Err(Unseen::TooLong));
        assert_eq!(body.bytes(), b"abcd");
        let mut body = Collected::new([], FOUR).unwrap();
        assert_eq!(body.take(b"abcdef"), Err(Unseen::TooLong));
        assert_eq!(body.bytes(), b"abcd");
    }

    #[test]
    fn a_body_that_grows_is_taken_up_to_its_limit_too() {
        use std::io::Write as _;
        for (bytes, outcome) in [(100 << 10, Ok(())), (200 << 10, Err(Unseen::TooLong))] {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(&vec![b'a'; bytes]).unwrap();
            let encoded = encoder.finish().unwrap();
            assert!(encoded.len() < bytes / 500);
            let mut body = Collected::new([&b"gzip"[..]], DecodeLimits::of_request(128 << 10)).unwrap();
            assert_eq!(body.take(&encoded), outcome);
            assert_eq!(body.bytes().len(), bytes.min(128 << 10));
        }
    }

    #[test]
    fn a_coding_that_is_not_what_it_says_is_told() {
        assert_eq!(Collected::new([&b"rot13"[..]], FOUR).err(), Some(Unseen::Coding));
        let mut body = Collected::new([&b"gzip"[..]], DecodeLimits::of_request(100)).unwrap();
        assert_eq!(body.take(b"no gzip at all").and_then(|()| body.finish()), Err(Unseen::Coding));
    }
}
