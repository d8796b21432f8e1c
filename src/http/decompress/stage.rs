//! One coding: four libraries behind one loop.

use std::io;

use brotli::writer::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation, OutBuffer};

use super::DecodeFault;

/// 8 MiB, the most that a sender may take for granted (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// How much is decoded at a time.
const ROOM_BYTES: usize = 16 << 10;

pub(super) struct Stage {
    codec: Codec,
    ended: bool,
    /// Bytes decoded so far.
    given_bytes: usize,
    room: Box<[u8]>,
}

enum Codec {
    /// Before its first byte, which tells zlib's format from the bare one.
    Deflate,
    Flate(Decompress),
    Gzip(Decompress),
    Zstd(Zstd<'static>),
    Br(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
}

/// What became of some input.
struct Step {
    read: usize,
    written: usize,
    ended: bool,
}

impl Stage {
    pub(super) fn new(name: &[u8]) -> Result<Self, DecodeFault> {
        let is = |coding: &str| name.eq_ignore_ascii_case(coding.as_bytes());
        let codec = if is("gzip") || is("x-gzip") {
            Codec::Gzip(Decompress::new_gzip(15))
        } else if is("deflate") {
            Codec::Deflate
        } else if is("br") {
            let alloc = StandardAlloc::default;
            // The other constructor allows windows of 1 GiB.
            Codec::Br(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
        } else if is("zstd") {
            Codec::Zstd(zstd_decoder().map_err(|_| DecodeFault::Malformed)?)
        } else {
            return Err(DecodeFault::Unknown);
        };
        Ok(Self { codec, ended: false, given_bytes: 0, room: vec![0; ROOM_BYTES].into() })
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Decodes all of `input` to the end of `out`. More than `most` bytes of the whole body are `too_much`.
    pub(super) fn run(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        most: usize,
        too_much: DecodeFault,
        members: bool,
    ) -> Result<(), DecodeFault> {
        loop {
            if self.ended {
                if input.is_empty() {
                    return Ok(());
                }
                self.ended = !(members && self.codec.begin_again());
                if self.ended {
                    return Err(DecodeFault::Trailing);
                }
            }
            let step = self.codec.step(input, &mut self.room)?;
            input = input.get(step.read..).unwrap_or_default();
            let allowed = step.written.min(most.saturating_sub(self.given_bytes));
            out.extend_from_slice(self.room.get(..allowed).unwrap_or_default());
            self.given_bytes += allowed;
            if allowed < step.written {
                return Err(too_much);
            }
            self.ended = step.ended;
            if step.read == 0 && step.written == 0 && !step.ended {
                return if input.is_empty() { Ok(()) } else { Err(DecodeFault::Malformed) };
            }
        }
    }
}

fn zstd_decoder() -> io::Result<Zstd<'static>> {
    let mut decoder = Zstd::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
    Ok(decoder)
}

impl Codec {
    /// Makes ready for another stream, where a body may have several.
    fn begin_again(&mut self) -> bool {
        match self {
            Self::Gzip(decoder) => *decoder = Decompress::new_gzip(15),
            // It does so by itself.
            Self::Zstd(_) => {}
            Self::Deflate | Self::Flate(_) | Self::Br(_) => return false,
        }
        true
    }

    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Step, DecodeFault> {
        match self {
            Self::Deflate => {
                let Some(first) = input.first() else {
                    return Ok(Step { read: 0, written: 0, ended: false });
                };
                // RFC 1950 section 2.2: the method 8 and a window of at most 32 KiB. A bare stream starts so only
                // with a stored block whose padding is not zero, which no encoder writes.
                let zlib = first & 0xf == 8 && first >> 4 <= 7;
                *self = Self::Flate(Decompress::new(zlib));
                self.step(input, room)
            }
            Self::Flate(decoder) | Self::Gzip(decoder) => flate(decoder, input, room),
            Self::Zstd(decoder) => zstd(decoder, input, room),
            Self::Br(state) => br(state, input, room),
        }
    }
}

fn flate(decoder: &mut Decompress, input: &[u8], room: &mut [u8]) -> Result<Step, DecodeFault> {
    let (before_in, before_out) = (decoder.total_in(), decoder.total_out());
    let status =
        decoder.decompress(input, room, FlushDecompress::None).map_err(|_| DecodeFault::Malformed)?;
    let count = |now: u64, before: u64| usize::try_from(now - before).map_err(|_| DecodeFault::Malformed);
    Ok(Step {
        read: count(decoder.total_in(), before_in)?,
        written: count(decoder.total_out(), before_out)?,
        ended: status == Status::StreamEnd,
    })
}

fn zstd(decoder: &mut Zstd<'static>, input: &[u8], room: &mut [u8]) -> Result<Step, DecodeFault> {
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(room);
    let left = decoder.run(&mut from, &mut to).map_err(|_| DecodeFault::Malformed)?;
    let (read, written) = (from.pos(), to.pos());
    // Without any input, nothing is left of a frame that has not begun.
    Ok(Step { read, written, ended: left == 0 && (read > 0 || written > 0) })
}

fn br(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    room: &mut [u8],
) -> Result<Step, DecodeFault> {
    let (mut left_in, mut read, mut left_out, mut written, mut total) = (input.len(), 0, room.len(), 0, 0);
    let result = BrotliDecompressStream(
        &mut left_in,
        &mut read,
        input,
        &mut left_out,
        &mut written,
        room,
        &mut total,
        state,
    );
    match result {
        BrotliResult::ResultFailure => Err(DecodeFault::Malformed),
        BrotliResult::ResultSuccess => Ok(Step { read, written, ended: true }),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
            Ok(Step { read, written, ended: false })
        }
    }
}
