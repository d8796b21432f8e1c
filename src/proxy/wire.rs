//! The socket below TLS and HTTP, as Pingora's `IO`.
//!
//! An idle connection holds no buffer: cleartext reads go straight into the parser's buffer, and the buffer that
//! spares TLS a system call for each record header is made when bytes arrive and dropped when they are taken.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// One TLS record and its header fit.
const READ_AHEAD: usize = 17 * 1024;
/// How long a client may go on to send what nobody reads.
const LINGER: Duration = Duration::from_secs(2);

/// A connected client.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// No more.
    Closed,
}

/// What is left of a connection once nobody serves it any more.
///
/// To close a socket with bytes unread makes the kernel reset the connection, and the reset may overtake our last
/// answer: the client would see an error in place of a 413. So such a socket is emptied before it is closed.
#[derive(Debug, Default)]
pub struct Remains(Mutex<Option<Socket>>);

/// A socket with as little around it as TLS and HTTP need.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    /// Bytes read ahead, or handed back by whoever looked at the start of the connection.
    ahead: Vec<u8>,
    taken: usize,
    read_ahead: bool,
    established: SystemTime,
    digest: Arc<SocketDigest>,
    remains: Arc<Remains>,
}

impl Wire {
    /// Takes over a socket. `unread` are bytes that were read from it and belong to what comes next.
    #[must_use]
    pub fn new(socket: Socket, unread: Vec<u8>) -> Self {
        let digest = Arc::new(SocketDigest::from_raw_fd(socket.as_raw_fd()));
        Self {
            socket,
            ahead: unread,
            taken: 0,
            read_ahead: false,
            established: SystemTime::now(),
            digest,
            remains: Arc::default(),
        }
    }

    /// Where the socket will be found once the wire is dropped.
    #[must_use]
    pub fn remains(&self) -> Arc<Remains> {
        self.remains.clone()
    }

    /// Reads whole TLS records in one system call from here on.
    #[must_use]
    pub fn with_read_ahead(mut self) -> Self {
        self.read_ahead = true;
        self
    }

    /// Ready once a read may bring something.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() { self.socket.poll_readable(cx) } else { Poll::Ready(Ok(())) }
    }

    fn take_ahead(&mut self, out: &mut ReadBuf<'_>) {
        let rest = self.ahead.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(out.remaining());
        out.put_slice(rest.get(..count).unwrap_or_default());
        self.taken += count;
        if self.taken >= self.ahead.len() {
            self.ahead = Vec::new();
            self.taken = 0;
        }
    }
}

impl Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, out),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, out),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx),
            Self::Unix(unix) => unix.poll_read_ready(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }

    /// Whether all of it was taken.
    async fn write(&mut self, words: &[u8]) -> bool {
        let written = match self {
            Self::Tcp(tcp) => tcp.write_all(words).await,
            Self::Unix(unix) => unix.write_all(words).await,
            Self::Closed => return false,
        };
        written.is_ok()
    }

    /// Says that no more will be sent, and reads what still comes until the client has understood.
    async fn drain(&mut self) {
        if poll_fn(|cx| self.poll_shutdown(cx)).await.is_err() {
            return;
        }
        let mut scratch = vec![std::mem::MaybeUninit::uninit(); READ_AHEAD];
        loop {
            let mut read = ReadBuf::uninit(&mut scratch);
            match poll_fn(|cx| self.poll_read(cx, &mut read)).await {
                Ok(()) if !read.filled().is_empty() => {}
                Ok(()) | Err(_) => return,
            }
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl Remains {
    /// Closes the socket and forgets what the client has not taken yet, which it would not soon.
    pub fn reset(&self) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Socket::Tcp(tcp)) = socket {
            // Without it, the socket is closed all the same, but the kernel goes on to offer what is left.
            drop(tcp.set_zero_linger());
        }
    }

    /// Sends a few last words in the clear, reads what still comes for a while, and closes the socket.
    pub async fn say(&self, words: &[u8]) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut socket) = socket {
            let last_words = async {
                if socket.write(words).await {
                    socket.drain().await;
                }
            };
            drop(tokio::time::timeout(LINGER, last_words).await);
        }
    }

    /// Reads what still comes for a while, if `unread`, and closes the socket.
    pub async fn close(&self, unread: bool) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut socket) = socket.filter(|_| unread) {
            drop(tokio::time::timeout(LINGER, socket.drain()).await);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let socket = std::mem::replace(&mut self.socket, Socket::Closed);
        *self.remains.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(tcp) => tcp.as_raw_fd(),
            Self::Unix(unix) => unix.as_raw_fd(),
            Self::Closed => -1,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            if !this.read_ahead || out.remaining() >= READ_AHEAD {
                return this.socket.poll_read(cx, out);
            }
            #[expect(
                clippy::large_stack_arrays,
                reason = "on the stack until there is something to keep: an idle connection costs no heap"
            )]
            let mut scratch = [std::mem::MaybeUninit::uninit(); READ_AHEAD];
            let mut scratch = ReadBuf::uninit(&mut scratch);
            ready!(this.socket.poll_read(cx, &mut scratch))?;
            let count = scratch.filled().len().min(out.remaining());
            let (now, later) = scratch.filled().split_at(count);
            out.put_slice(now);
            this.ahead.extend_from_slice(later);
            return Poll::Ready(Ok(()));
        }
        this.take_ahead(out);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(tcp) => match Pin::new(&mut *tcp).poll_write(cx, data) {
                Poll::Pending => press(tcp, data),
                written @ Poll::Ready(_) => written,
            },
            Socket::Unix(unix) => Pin::new(unix).poll_write(cx, data),
            Socket::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Socket::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, slices),
            Socket::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_shutdown(cx)
    }
}

/// Tries once more although the kernel has not said that there is room: it says so only once a third of what may be
/// megabytes is free, and to a slow client that takes minutes in which it would seem not to read at all.
fn press(tcp: &TcpStream, data: &[u8]) -> Poll<io::Result<usize>> {
    match rustix::net::send(tcp, data, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(count) if count > 0 => Poll::Ready(Ok(count)),
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error.into())),
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        // The peer may be gone already, and then there is nobody to tell.
        drop(AsyncWriteExt::shutdown(self).await);
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.socket.as_raw_fd()
    }
}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest { established_ts: self.established, ..TimingDigest::default() })]
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

impl Ssl for Wire {}
impl Peek for Wire {}
