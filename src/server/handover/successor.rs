//! The side that takes over.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::claim::Claim;
use super::wire::{self, Message, VERSION};
use super::{HandoverError, MESSAGE_WITHIN, Peer, Predecessor, admit};
use crate::net::address::ListenAddress;
use crate::server::runtime_dir::RuntimeDirectory;
use crate::server::sockets;

/// What a predecessor handed over.
#[derive(Debug)]
pub struct Inherited {
    /// Its listening sockets.
    pub sockets: Vec<(ListenAddress, OwnedFd)>,
    /// For the rest of the conversation. Dropping it before [`ready`](Successor::ready) calls the hand-over off.
    pub successor: Successor,
}

/// A process on its way to take over.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
    predecessor: Peer,
    directory: RuntimeDirectory,
}

impl Successor {
    /// Asks the process that owns the runtime directory for its sockets, within `deadline`.
    ///
    /// # Errors
    /// [`HandoverError::NobodyThere`] when no process answers; [`HandoverError::Refused`] with its reason.
    pub async fn connect(
        directory: &RuntimeDirectory,
        deadline: Duration,
    ) -> Result<Inherited, HandoverError> {
        timeout(deadline, Self::ask(directory)).await.unwrap_or(Err(HandoverError::Silent(deadline)))
    }

    async fn ask(directory: &RuntimeDirectory) -> Result<Inherited, HandoverError> {
        let path = directory.upgrade_socket();
        let mut stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Err(HandoverError::NobodyThere(path));
            }
            Err(error) => return Err(error.into()),
        };
        // What it sends decides which sockets and keys we use, so it must be as trustworthy as we are to it.
        let predecessor = admit(&stream)?;
        let hello = Message::Hello { version: VERSION, pid: std::process::id() };
        // A refusal may have come before; it is read below.
        drop(wire::send(&mut stream, &hello).await);
        let addresses = match wire::receive(&mut stream).await? {
            Message::Offer { sockets } => sockets,
            Message::Refused { reason } => return Err(HandoverError::Refused(reason)),
            _ => return Err(HandoverError::Protocol("expected an offer")),
        };
        let descriptors = wire::receive_descriptors(&stream, addresses.len()).await?;
        let successor = Self { stream, predecessor, directory: directory.clone() };
        Ok(Inherited { sockets: addresses.into_iter().zip(descriptors).collect(), successor })
    }

    /// The process that hands over.
    #[must_use]
    pub const fn predecessor(&self) -> Peer {
        self.predecessor
    }

    /// To be called once this process accepts on all its sockets: the predecessor drains, and this process is the one
    /// that the next successor takes over from.
    ///
    /// # Errors
    /// When the predecessor goes on by itself ([`HandoverError::Refused`], or [`HandoverError::Gone`] while it still
    /// answers), which ends this process; or when the runtime directory cannot be taken. A predecessor that died or
    /// hangs after `ready` is no error: this process serves, and must not stop for that.
    pub async fn ready(mut self) -> Result<Predecessor, HandoverError> {
        let claim = Claim::prepare(&self.directory)?;
        let said = timeout(MESSAGE_WITHIN, self.say_ready()).await;
        match said.unwrap_or(Err(HandoverError::Silent(MESSAGE_WITHIN))) {
            Ok(()) => {}
            Err(HandoverError::Gone) if !sockets::answers(&self.directory.upgrade_socket()) => {
                log::warn!("process {} ended without draining; this one serves", self.predecessor.pid);
            }
            Err(error @ HandoverError::Silent(_)) => {
                log::warn!("process {} may not drain: {error}; this one serves", self.predecessor.pid);
            }
            Err(error) => return Err(error),
        }
        Predecessor::take(&self.directory, claim)
    }

    /// Calls the hand-over off and says why; the predecessor logs it and goes on.
    pub async fn give_up(mut self, reason: &str) {
        let message = Message::Refused { reason: reason.to_owned() };
        drop(timeout(MESSAGE_WITHIN, wire::send(&mut self.stream, &message)).await);
    }

    async fn say_ready(&mut self) -> Result<(), HandoverError> {
        // When the predecessor has given us up, its refusal is there to be read though it hears no more.
        drop(wire::send(&mut self.stream, &Message::Ready {}).await);
        match wire::receive(&mut self.stream).await? {
            Message::Draining {} => Ok(()),
            Message::Refused { reason } => Err(HandoverError::Refused(reason)),
            _ => Err(HandoverError::Protocol("expected `draining`")),
        }
    }
}
