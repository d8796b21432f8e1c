//! The predecessor's side of one hand-over, kept as a value, so that waiting for its next step can be dropped and
//! taken up again.

use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{self, Message, VERSION};
use super::{HandedOver, HandoverError, Hold, MESSAGE_WITHIN, Offer, Peer};

/// A conversation with one successor.
pub(super) struct Conversation {
    peer: Peer,
    /// A duplicate of the connection, to see that the other end is gone.
    line: Option<OwnedFd>,
    /// It asked to take over, and waits for an offer.
    greeted: Option<UnixStream>,
    next: Pin<Box<dyn Future<Output = Step> + Send + Sync>>,
}

/// What a conversation comes to.
pub(super) enum Step {
    /// It asked to take over; [`Conversation::offer`] goes on.
    Greeted(UnixStream),
    /// It serves. The end.
    Ready(HandedOver),
    /// It was told why not, if it still hears. The end.
    Failed,
}

impl Conversation {
    pub(super) fn begin(stream: UnixStream, peer: Peer) -> Self {
        let line = stream.as_fd().try_clone_to_owned().ok();
        Self { peer, line, greeted: None, next: Box::pin(greet(stream, peer)) }
    }

    pub(super) const fn peer(&self) -> Peer {
        self.peer
    }

    /// The next step. Not to be called again after an end.
    pub(super) async fn step(&mut self) -> Step {
        self.next.as_mut().await
    }

    /// Keeps one that asked until there is an offer for it.
    pub(super) fn greeted(&mut self, stream: UnixStream) {
        self.greeted = Some(stream);
    }

    /// Whether it waits for an offer.
    pub(super) const fn awaits_offer(&self) -> bool {
        self.greeted.is_some()
    }

    /// Goes on with the sockets, or with why there are none for this one.
    pub(super) fn offer(&mut self, offer: Result<Offer, String>, within: Duration) {
        if let Some(stream) = self.greeted.take() {
            self.next = Box::pin(finish(stream, self.peer, offer, within));
        }
    }

    /// Whether nobody is at the other end any more, even where unread data hides that: writing nothing fails then.
    pub(super) fn hung_up(&self) -> bool {
        use rustix::net::{SendFlags, send};
        self.line
            .as_ref()
            .is_some_and(|line| send(line, &[], SendFlags::NOSIGNAL) == Err(rustix::io::Errno::PIPE))
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Conversation").field("peer", &self.peer).finish_non_exhaustive()
    }
}

async fn greet(mut stream: UnixStream, peer: Peer) -> Step {
    match hello(&mut stream).await {
        Ok(()) => {
            log::info!("process {} asks to take over", peer.pid);
            Step::Greeted(stream)
        }
        Err(error) => {
            // Such as a start without `--upgrade`, which only looks whether somebody is here.
            log::debug!("process {} connected and did not ask to take over: {error}", peer.pid);
            refuse(&mut stream, error).await;
            Step::Failed
        }
    }
}

async fn finish(mut stream: UnixStream, peer: Peer, offer: Result<Offer, String>, within: Duration) -> Step {
    let outcome = timeout(within, until_ready(&mut stream, offer)).await;
    match outcome.unwrap_or(Err(HandoverError::Silent(within))) {
        Ok(hold) => Step::Ready(HandedOver { stream, peer, _hold: hold }),
        Err(error) => {
            log::warn!("process {} did not take over, this one goes on: {error}", peer.pid);
            refuse(&mut stream, error).await;
            Step::Failed
        }
    }
}

async fn hello(stream: &mut UnixStream) -> Result<(), HandoverError> {
    let hello = timeout(MESSAGE_WITHIN, wire::receive(stream)).await;
    match hello.unwrap_or(Err(HandoverError::Silent(MESSAGE_WITHIN)))? {
        Message::Hello { version: VERSION, .. } => Ok(()),
        Message::Hello { version, .. } => {
            let reason =
                format!("it speaks version {VERSION} of the hand-over, the successor version {version}");
            Err(HandoverError::Refused(reason))
        }
        _ => Err(HandoverError::Protocol("expected a hello")),
    }
}

async fn until_ready(stream: &mut UnixStream, offer: Result<Offer, String>) -> Result<Hold, HandoverError> {
    let Offer { sockets, hold } = offer.map_err(HandoverError::Refused)?;
    wire::send_offer(stream, &sockets).await?;
    // The successor has its own duplicates now.
    drop(sockets);
    match wire::receive(stream).await? {
        Message::Ready {} => Ok(hold),
        Message::Refused { reason } => Err(HandoverError::GaveUp(reason)),
        _ => Err(HandoverError::Protocol("expected `ready`")),
    }
}

/// Told in a task of its own, for the second one must not hold up the first. It is read from before, or closing the
/// connection would throw the answer away.
pub(super) fn refuse_second((mut stream, second): (UnixStream, Peer), first: Peer) {
    log::warn!("process {} asks to take over while process {} does: refused", second.pid, first.pid);
    tokio::spawn(async move {
        drop(timeout(MESSAGE_WITHIN, wire::receive(&mut stream)).await);
        let reason = format!("process {} is taking over already", first.pid);
        refuse(&mut stream, HandoverError::Refused(reason)).await;
    });
}

/// Tells why, in the words of this side. Best effort: who is refused may be gone.
pub(super) async fn refuse(stream: &mut UnixStream, error: HandoverError) {
    let reason = match error {
        HandoverError::Refused(reason) => reason,
        HandoverError::Silent(limit) => format!("not ready within {limit:?}"),
        other => other.to_string(),
    };
    drop(timeout(MESSAGE_WITHIN, wire::send(stream, &Message::Refused { reason })).await);
}
