//! Whether something has come on a stream, asked without reading it.
//!
//! What parses a request costs ten times what an idle connection does otherwise, so it is made only once there is
//! something to parse.

use std::io;
use std::task::{Context, Poll};

use pingora_core::protocols::tls::SslStream;

use super::wire::Wire;

/// A stream that tells when a read may bring something.
pub trait Arrival {
    /// Ready once a read may bring bytes, the end or an error. It may also bring nothing: a TLS record need not carry data.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Arrival for Wire {
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_readable(cx)
    }
}

impl Arrival for SslStream<Wire> {
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ssl().pending() > 0 {
            return Poll::Ready(Ok(()));
        }
        self.get_mut().poll_readable(cx)
    }
}
