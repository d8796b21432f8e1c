//! Lets an HTTP/2 client that is told to leave finish what it was about to ask.
//!
//! A server that leaves sends a GOAWAY that names no last stream, and a PING. The answer to the PING says that the
//! client has read the GOAWAY, and the second one names the last stream (RFC 9113 section 6.8). But a client may have
//! opened streams before it read the first, and write its answer ahead of them: `h2` as a client does. As a server it
//! sends the second GOAWAY the moment the answer comes, so such streams, which are right behind it, would be lost.
//! Here the answer is held back for a moment, and what is behind it goes ahead.
//!
//! Frames are looked at for their type and length alone. If `h2` ever sends another PING, nothing is held back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The client's preface.
const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;
/// The acknowledgement of the PING that `h2` sends with its first GOAWAY.
static PONG: [u8; 17] = [0, 0, 8, 6, 1, 0, 0, 0, 0, 0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];
/// What was written with the answer has arrived by then.
const HOLD: Duration = Duration::from_millis(250);

/// A stream of HTTP/2 frames, from the preface on.
#[derive(Debug)]
pub struct Farewell {
    inner: Stream,
    frames: Frames,
    pong: Pong,
}

/// What became of the answer.
#[derive(Debug)]
enum Pong {
    Awaited,
    Held(Pin<Box<Sleep>>),
    /// So many bytes of it are still to be given.
    Due(usize),
}

/// Where in the frames the next byte is.
#[derive(Debug)]
struct Frames {
    /// Of a payload, or of the preface.
    left: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
}

impl Farewell {
    /// Before the first byte.
    pub fn new(inner: Stream) -> Self {
        Self { inner, frames: Frames::new(PREFACE_BYTES), pong: Pong::Awaited }
    }

    /// What is to be read of the answer, once it has been held back for long enough; until then the task is woken when
    /// it has.
    fn due(&mut self, cx: &mut Context<'_>) -> &'static [u8] {
        if let Pong::Held(sleep) = &mut self.pong
            && sleep.as_mut().poll(cx).is_ready()
            && self.frames.is_between()
        {
            self.pong = Pong::Due(PONG.len());
        }
        match self.pong {
            Pong::Due(left) => PONG.get(PONG.len() - left..).unwrap_or_default(),
            Pong::Awaited | Pong::Held(_) => &[],
        }
    }

    /// Gives as much of the answer as there is room for.
    fn give(&mut self, answer: &[u8], out: &mut ReadBuf<'_>) {
        let count = answer.len().min(out.remaining());
        out.put_slice(answer.get(..count).unwrap_or_default());
        self.pong = Pong::Due(answer.len() - count);
    }

    /// Takes the answer out of what was read.
    fn hold_back(&mut self, out: &mut ReadBuf<'_>, before: usize) {
        let awaited = matches!(self.pong, Pong::Awaited);
        let read = out.filled().get(before..).unwrap_or_default();
        let Some(at) = self.frames.pass(read, awaited) else { return };
        let (start, length) = (before + at, out.filled().len());
        out.filled_mut().copy_within(start + PONG.len()..length, start);
        out.set_filled(length - PONG.len());
        self.pong = Pong::Held(Box::pin(sleep(HOLD)));
    }
}

impl Frames {
    fn new(preface_bytes: usize) -> Self {
        Self { left: preface_bytes, header: [0; HEADER_BYTES], header_bytes: 0 }
    }

    /// Whether a frame could begin here.
    fn is_between(&self) -> bool {
        self.left == 0 && self.header_bytes == 0
    }

    /// Takes in the next bytes, but for the first answer if it is asked for, and says where that begins. One that is
    /// torn over two reads is not seen.
    fn pass(&mut self, bytes: &[u8], awaited: bool) -> Option<usize> {
        let mut found = None;
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(rest.len());
                self.left -= skipped;
                rest = rest.get(skipped..).unwrap_or_default();
            } else if let (true, None, 0, Some(behind)) =
                (awaited, found, self.header_bytes, rest.strip_prefix(&PONG))
            {
                found = Some(bytes.len() - rest.len());
                rest = behind;
            } else {
                self.header_byte(*first);
                rest = after;
            }
        }
        found
    }

    fn header_byte(&mut self, byte: u8) {
        if let Some(place) = self.header.get_mut(self.header_bytes) {
            *place = byte;
        }
        self.header_bytes += 1;
        if self.header_bytes == HEADER_BYTES {
            let [high, middle, low, ..] = self.header;
            self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            self.header_bytes = 0;
        }
    }
}

impl AsyncRead for Farewell {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let answer = this.due(cx);
        if !answer.is_empty() {
            this.give(answer, out);
            return Poll::Ready(Ok(()));
        }
        let before = out.filled().len();
        loop {
            ready!(Pin::new(&mut this.inner).poll_read(cx, out))?;
            if out.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            this.hold_back(out, before);
            // Nothing left to give would mean the end of the stream.
            if out.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            // Asks to be woken when it is due.
            let _not_yet = this.due(cx);
        }
    }
}

impl AsyncWrite for Farewell {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Farewell {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for Farewell {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl GetTimingDigest for Farewell {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Farewell {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for Farewell {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl Ssl for Farewell {}
impl Peek for Farewell {}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// A DATA frame.
    fn data(payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, 0, 0, 0, 0, 0, 1], payload].concat()
    }

    /// What comes out when this goes in piece by piece.
    async fn through(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut client, server) = duplex(1 << 16);
        let mut server = Farewell::new(Box::new(server));
        let mut out = Vec::new();
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            let mut buffer = [0; 4096];
            let count = server.read(&mut buffer).await.unwrap();
            out.extend_from_slice(&buffer[..count]);
        }
        let all: usize = pieces.iter().map(|piece| piece.len()).sum();
        while out.len() < all {
            out.push(server.read_u8().await.unwrap());
        }
        out
    }

    #[tokio::test]
    async fn what_is_behind_the_answer_goes_ahead_of_it() {
        let (one, two) = (data(b"one"), data(b"two"));
        let together = [PREFACE, &one[..], &PONG, &two].concat();
        assert_eq!(through(&[&together]).await, [PREFACE, &one[..], &two, &PONG].concat());
    }

    #[tokio::test]
    async fn the_answer_comes_in_the_end_when_nothing_else_does() {
        let (mut client, server) = duplex(1 << 16);
        let mut server = Farewell::new(Box::new(server));
        client.write_all(PREFACE).await.unwrap();
        client.write_all(&PONG).await.unwrap();
        let mut out = [0; PREFACE_BYTES + PONG.len()];
        server.read_exact(&mut out).await.unwrap();
        assert_eq!(out[PREFACE_BYTES..], PONG);
        drop(client);
        assert_eq!(server.read(&mut out).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_answer_waits_for_the_end_of_a_frame() {
        let frame = data(b"a frame in two pieces");
        let (start, end) = frame.split_at(12);
        let begun = [PREFACE, &PONG[..], start].concat();
        assert_eq!(through(&[&begun, end]).await, [PREFACE, &frame[..], &PONG].concat());
    }

    #[tokio::test]
    async fn what_only_looks_like_the_answer_stays_where_it_is() {
        let body = data(&PONG);
        let all = [PREFACE, &body[..], &data(b"more")].concat();
        assert_eq!(through(&[&all]).await, all);
        for split in 1..all.len() {
            let (start, end) = all.split_at(split);
            assert_eq!(through(&[start, end]).await, all, "split at {split}");
        }
    }

    #[tokio::test]
    async fn only_the_first_answer_is_held_back() {
        let all = [PREFACE, &PONG[..], &PONG, &data(b"x")].concat();
        let expected = [PREFACE, &PONG[..], &data(b"x"), &PONG].concat();
        assert_eq!(through(&[&all]).await, expected);
    }
}
