//! The messages of a hand-over: JSON after a length of four bytes (big endian), then descriptors in batches, each
//! with one byte that says how many.
//!
//! Nothing is read beyond what was announced, so no descriptor is lost to a read that did not expect one.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

use super::HandoverError;
use crate::net::address::ListenAddress;

/// The version both sides must speak. Fields may be added to messages without a new one.
pub(super) const VERSION: u32 = 1;
/// A message; addresses of 107 bytes for all descriptors fit.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// Listening sockets of one process.
pub(super) const SOCKETS_MAX: usize = 4096;
/// Descriptors in one batch. The kernel takes up to 253 (`SCM_MAX_FD`); few keep the buffer on the stack small.
const BATCH: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Hello { version: u32, pid: u32 },
    Offer { sockets: Vec<ListenAddress> },
    Ready {},
    Draining {},
    Refused { reason: String },
}

pub(super) async fn send(stream: &mut UnixStream, message: &Message) -> Result<(), HandoverError> {
    let json = serde_json::to_vec(message).map_err(io::Error::from)?;
    let length = u32::try_from(json.len()).ok().filter(|_| json.len() <= MESSAGE_MAX_BYTES);
    let length = length.ok_or(HandoverError::TooMuch("the message exceeds 1 MiB"))?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&json);
    Ok(stream.write_all(&frame).await?)
}

pub(super) async fn receive(stream: &mut UnixStream) -> Result<Message, HandoverError> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > MESSAGE_MAX_BYTES {
        return Err(HandoverError::Protocol("a message exceeds 1 MiB"));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json).await?;
    serde_json::from_slice(&json).map_err(|_| HandoverError::Protocol("a message cannot be read"))
}

/// The offer and its descriptors.
pub(super) async fn send_offer(
    stream: &mut UnixStream,
    sockets: &[(ListenAddress, OwnedFd)],
) -> Result<(), HandoverError> {
    if sockets.len() > SOCKETS_MAX {
        return Err(HandoverError::TooMuch("more than 4096 sockets"));
    }
    let addresses = sockets.iter().map(|(address, _)| address.clone()).collect();
    send(stream, &Message::Offer { sockets: addresses }).await?;
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
    for batch in descriptors.chunks(BATCH) {
        stream.async_io(Interest::WRITABLE, || send_batch(stream, batch)).await?;
    }
    Ok(())
}

pub(super) async fn receive_descriptors(
    stream: &UnixStream,
    count: usize,
) -> Result<Vec<OwnedFd>, HandoverError> {
    if count > SOCKETS_MAX {
        return Err(HandoverError::Protocol("more than 4096 sockets"));
    }
    let mut descriptors = Vec::with_capacity(count);
    while descriptors.len() < count {
        let batch = stream.async_io(Interest::READABLE, || receive_batch(stream)).await?;
        if batch.len() != BATCH.min(count - descriptors.len()) {
            return Err(HandoverError::Protocol("not as many descriptors as announced"));
        }
        descriptors.extend(batch);
    }
    Ok(descriptors)
}

fn send_batch(stream: &UnixStream, batch: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(batch)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let count = [u8::try_from(batch.len()).map_err(|_| io::ErrorKind::InvalidInput)?];
    sendmsg(stream, &[IoSlice::new(&count)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_batch(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut count = [0];
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(&mut count)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors did not arrive; is `LimitNOFILE` too low?"));
    }
    if descriptors.len() != usize::from(count[0]) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(descriptors)
}
