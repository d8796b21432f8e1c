//! The hand-over of listening sockets from a running process to its successor, without a connection lost.
//!
//! ```text
//! successor                              predecessor
//!     ── hello (version, pid) ─────────────▶    checks uid, refuses a second one
//!     ◀──────────── offer (addresses), descriptors ──
//!   builds everything, accepts on the same sockets; both do for a moment
//!     ── ready ─────────────────────────────▶   only now stops accepting, and drains
//!     ◀──────────────────────────── draining ──
//!   takes over `upgrade.sock` and the pid file
//! ```
//!
//! Both accept on the same open sockets, so the queue of new connections never closes. Whatever goes wrong before
//! `ready` (the successor dies, falls silent, speaks another version) leaves the predecessor serving as if nothing
//! had happened. Once `ready` is said the successor serves, and stays whatever becomes of the predecessor.
//!
//! One runtime directory belongs to one process. A plain start with a live process there is refused even if it would
//! listen elsewhere: which of the two a later `--upgrade` replaces must not be a matter of chance.

mod claim;
mod conversation;
mod relaunch;
mod successor;
mod wire;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

pub use relaunch::Relaunch;
pub use successor::{Inherited, Successor};

use crate::net::address::ListenAddress;
use crate::server::runtime_dir::RuntimeDirectory;
use claim::Claim;
use conversation::{Conversation, Step};
use wire::Message;

/// How long a successor may take from its hello to `ready` unless the caller says otherwise.
pub const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a single message may take.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);

/// What keeps the listening sockets what they are while they are handed over.
pub type Hold = Option<tokio::sync::OwnedMutexGuard<()>>;

/// What a process hands over.
#[derive(Debug, Default)]
pub struct Offer {
    /// Duplicates of its listening sockets.
    pub sockets: Vec<(ListenAddress, OwnedFd)>,
    /// Let go of when the hand-over has succeeded or failed.
    pub hold: Hold,
}

/// Who is at the other end of the upgrade socket, as the kernel tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its process id.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
}

/// Why a hand-over, or taking the runtime directory, failed.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// `--upgrade` without anybody to take over from.
    #[error("no running edgeward at {0}; start it without `--upgrade`")]
    NobodyThere(PathBuf),
    /// A start without `--upgrade` beside a running process.
    #[error(
        "another edgeward{} runs with {path}; take over from it with `--upgrade`, \
         or give this one a `server.runtime_directory` of its own",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    AlreadyRunning {
        /// The socket on which it answers.
        path: PathBuf,
        /// Its process id, where the kernel tells.
        pid: Option<u32>,
    },
    /// Two processes started at the same moment.
    #[error("another edgeward is being started in {0}")]
    Starting(PathBuf),
    /// The other side explained why not.
    #[error("the running edgeward refused to hand over: {0}")]
    Refused(String),
    /// The successor explained why it does not take over.
    #[error("the successor gave up: {0}")]
    GaveUp(String),
    /// The connection ended where it must not.
    #[error("the other process ended the conversation")]
    Gone,
    /// Nothing came in time.
    #[error("the other process was silent for {0:?}")]
    Silent(Duration),
    /// Neither of our user nor root.
    #[error("a process of uid {0} has no part in a hand-over")]
    Stranger(u32),
    /// What came is not this protocol.
    #[error("the other process does not speak this protocol: {0}")]
    Protocol(&'static str),
    /// There is more to hand over than the protocol carries.
    #[error("too much to hand over: {0}")]
    TooMuch(&'static str),
    /// The runtime directory does not let us.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system said no.
    #[error("cannot speak to the other process")]
    Io(#[source] io::Error),
}

impl From<io::Error> for HandoverError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

/// The process that serves, waiting for one that takes over. It owns `upgrade.sock` and the pid file.
#[derive(Debug)]
pub struct Predecessor {
    listener: UnixListener,
    claim: Claim,
    directory: RuntimeDirectory,
    /// The successor that is being talked to.
    underway: Option<Conversation>,
    /// One that came when the former was dead already.
    next: Option<(UnixStream, Peer)>,
}

impl Predecessor {
    /// Takes the runtime directory: binds `upgrade.sock` (mode 0600) and writes the pid file. A socket's file that
    /// nobody answers on is replaced. To be called within a runtime.
    ///
    /// Dropping it leaves both files, as a process that dies does; [`close`](Self::close) removes them.
    ///
    /// # Errors
    /// [`HandoverError::AlreadyRunning`] while a process answers there.
    pub fn listen(directory: &RuntimeDirectory) -> Result<Self, HandoverError> {
        let lock = directory.lock().map_err(|source| claim::cannot("lock", directory.path(), source))?;
        let _lock = lock.ok_or_else(|| HandoverError::Starting(directory.path().to_owned()))?;
        claim::refuse_beside_another(&directory.upgrade_socket())?;
        Self::take(directory, Claim::prepare(directory)?)
    }

    /// Where successors find it.
    #[must_use]
    pub fn upgrade_socket(&self) -> PathBuf {
        self.directory.upgrade_socket()
    }

    /// Waits for a successor, offers it what `offer` gives, and returns when it is ready. Further ones are refused
    /// meanwhile; one that fails is logged, and the wait goes on.
    ///
    /// Cancel safe: dropped and called again, as in a `select!` in a loop, it goes on where it was.
    ///
    /// `offer` may refuse a peer with a reason, which is told to it. `within` is the time from the offer to `ready`,
    /// usually [`READY_WITHIN`]. Sockets opened after the offer are not handed over, so none should be: see
    /// [`Offer::hold`].
    pub async fn hand_over<F>(&mut self, mut offer: impl FnMut(Peer) -> F, within: Duration) -> HandedOver
    where
        F: Future<Output = Result<Offer, String>>,
    {
        loop {
            let Some(conversation) = &mut self.underway else {
                let (stream, peer) = match self.next.take() {
                    Some(waiting) => waiting,
                    None => accept(&self.listener).await,
                };
                self.underway = Some(Conversation::begin(stream, peer));
                continue;
            };
            if conversation.awaits_offer() {
                let offer = offer(conversation.peer()).await;
                conversation.offer(offer, within);
            }
            tokio::select! {
                biased;
                step = conversation.step() => match step {
                    Step::Greeted(stream) => conversation.greeted(stream),
                    Step::Ready(handed_over) => {
                        self.underway = None;
                        return handed_over;
                    }
                    Step::Failed => self.underway = None,
                },
                second = accept(&self.listener), if self.next.is_none() => {
                    if conversation.hung_up() {
                        self.next = Some(second);
                    } else {
                        conversation::refuse_second(second, conversation.peer());
                    }
                }
            }
        }
    }

    /// Removes `upgrade.sock` and the pid file, unless they are a successor's by now. For a process that stops for
    /// good. After a hand-over both are the successor's business: removing what it is just replacing would be a race.
    pub fn close(self) {
        self.claim.withdraw();
        if let Err(error) = self.directory.remove_pid(std::process::id()) {
            log::warn!("cannot remove {}: {error}", self.directory.pid_file().display());
        }
    }

    fn take(directory: &RuntimeDirectory, claim: Claim) -> Result<Self, HandoverError> {
        let (listener, claim) = claim.publish()?;
        let written = directory.write_pid(std::process::id());
        written.map_err(|source| claim::cannot("write", &directory.pid_file(), source))?;
        Ok(Self { listener, claim, directory: directory.clone(), underway: None, next: None })
    }
}

/// A successor that serves and waits to hear that this process drains.
#[derive(Debug)]
pub struct HandedOver {
    stream: UnixStream,
    peer: Peer,
    _hold: Hold,
}

impl HandedOver {
    /// The successor.
    #[must_use]
    pub const fn successor(&self) -> Peer {
        self.peer
    }

    /// Tells the successor that this process drains. If this succeeds stop accepting, and drain.
    ///
    /// # Errors
    /// When the successor is gone after all: then go on serving, and wait for another.
    pub async fn acknowledge(&mut self) -> Result<(), HandoverError> {
        wire::send(&mut self.stream, &Message::Draining {}).await
    }
}

/// The next process that may take part. Others are turned away.
async fn accept(listener: &UnixListener) -> (UnixStream, Peer) {
    loop {
        let admitted = match listener.accept().await {
            Ok((stream, _)) => admit(&stream).map(|peer| (stream, peer)),
            Err(error) => {
                // Out of descriptors, most likely; trying at once again would only burn the processor.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(error.into())
            }
        };
        match admitted {
            Ok(admitted) => return admitted,
            Err(error) => log::warn!("upgrade socket: {error}"),
        }
    }
}

/// Only the own user and root: they could read the memory of this process anyway.
const fn may_take_part(own_uid: u32, peer_uid: u32) -> bool {
    peer_uid == own_uid || peer_uid == 0
}

/// Who connected, if it may take part.
fn admit(stream: &UnixStream) -> Result<Peer, HandoverError> {
    let credentials = stream.peer_cred()?;
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    if !may_take_part(rustix::process::geteuid().as_raw(), credentials.uid()) {
        return Err(HandoverError::Stranger(credentials.uid()));
    }
    Ok(Peer { pid, uid: credentials.uid() })
}

#[cfg(test)]
mod tests;
