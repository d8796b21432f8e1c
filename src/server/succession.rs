//! Whom a process follows, and who follows it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Shared;
use super::handover::{
    HandoverError, Inherited, Offer, Peer, Predecessor, READY_WITHIN, Relaunch, Successor,
};
use super::runtime_dir::RuntimeDirectory;
use super::sockets::{AdoptError, Sockets};

/// What a process told by its runtime directory that it may become.
pub enum Place {
    /// Nobody asks: there is no runtime directory.
    Alone,
    /// The one process of its runtime directory.
    First(Predecessor),
    /// The one that takes over from it.
    Heir(Successor),
}

impl Place {
    /// Takes the runtime directory, or asks the process that has it for its sockets. Nobody else can have it then, so
    /// this comes before anything that a process that runs already would be in the way of.
    pub async fn take(
        directory: Option<&RuntimeDirectory>,
        upgrade: bool,
    ) -> Result<(Self, Vec<Socket>), HandoverError> {
        match directory {
            None => Ok((Self::Alone, Vec::new())),
            Some(directory) if upgrade => {
                let Inherited { sockets, successor } = Successor::connect(directory, READY_WITHIN).await?;
                log::info!(pid = successor.predecessor().pid, sockets = sockets.len(); "taking over");
                Ok((Self::Heir(successor), sockets))
            }
            Some(directory) => Ok((Self::First(Predecessor::listen(directory)?), Vec::new())),
        }
    }

    /// This process serves. From now on it may be succeeded, if it has a place.
    pub async fn serve(self) -> Result<Option<Predecessor>, HandoverError> {
        match self {
            Self::Alone => Ok(None),
            Self::First(predecessor) => Ok(Some(predecessor)),
            Self::Heir(successor) => successor.ready().await.map(Some),
        }
    }

    /// This process will not serve: the place is free again, or stays with the one that has it.
    pub async fn give_up(self, reason: &dyn std::error::Error) {
        match self {
            Self::Alone => {}
            Self::First(predecessor) => predecessor.close(),
            Self::Heir(successor) => successor.give_up(&chain(reason)).await,
        }
    }
}

/// A socket that a predecessor handed over.
type Socket = (crate::net::ListenAddress, std::os::fd::OwnedFd);

/// The sockets to begin with: inherited, passed by the service manager, or bound by the caller.
pub fn first_sockets(inherited: Vec<Socket>, bound: Sockets) -> Result<Sockets, AdoptError> {
    if !inherited.is_empty() {
        return Sockets::adopt(inherited);
    }
    let passed = Sockets::from_service_manager()?;
    Ok(if passed.addresses().next().is_some() { passed } else { bound })
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ").replace('\n', "; ")
}

/// Who took over, and where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heir {
    /// Who.
    pub peer: Peer,
    /// Its upgrade socket.
    pub socket: PathBuf,
}

/// Resolves once a successor serves on our sockets. Until then any number of them may fail.
///
/// While one is on its way, no reload may open or close sockets: the offer holds the lock that reloads take.
pub async fn hand_over(shared: &Arc<Shared>, predecessor: Option<&mut Predecessor>) -> Heir {
    let Some(predecessor) = predecessor else { return std::future::pending().await };
    let socket = predecessor.upgrade_socket();
    loop {
        let mut handed_over = predecessor.hand_over(|peer| offer(shared, peer), READY_WITHIN).await;
        let peer = handed_over.successor();
        // Before it is acknowledged, so that the service manager takes its messages.
        shared.notify.main_pid(peer.pid);
        match handed_over.acknowledge().await {
            Ok(()) => {
                log::info!(pid = peer.pid; "a successor serves");
                // Before `handed_over` lets reloads go on: they see that they are too late.
                shared.draining.send_replace(true);
                return Heir { peer, socket };
            }
            Err(error) => {
                shared.notify.main_pid(std::process::id());
                log::error!(error:%; "the successor is gone, serving on");
            }
        }
    }
}

async fn offer(shared: &Arc<Shared>, peer: Peer) -> Result<Offer, String> {
    if !shared.notify.accepts(peer.pid) {
        let how = "systemctl kill --kill-whom=main --signal=USR2 edgeward";
        return Err(format!("not in the service's control group; use `{how}`"));
    }
    let hold = Some(shared.reloading.clone().lock_owned().await);
    let sockets = shared.sockets().duplicates().map_err(|error| error.to_string())?;
    Ok(Offer { sockets, hold })
}

/// Starts this program once more, to take over.
pub fn start_successor(relaunch: Option<&Relaunch>) {
    let Some(relaunch) = relaunch else {
        return log::warn!("this process does not know how it was started, so it starts no successor");
    };
    match tokio::process::Command::from(relaunch.command()).spawn() {
        Ok(mut child) => {
            log::info!(pid = child.id(); "successor started");
            tokio::spawn(async move {
                match child.wait().await {
                    Ok(status) if !status.success() => {
                        log::error!(status:%; "the successor did not take over");
                    }
                    Ok(_) => {}
                    Err(error) => log::error!(error:%; "the successor is lost"),
                }
            });
        }
        Err(error) => log::error!(error:%; "cannot start a successor"),
    }
}

/// Passes a reload on that came too late for this process.
pub fn pass_on_reload(heir: &Heir) {
    let pid = i32::try_from(heir.peer.pid).ok().and_then(rustix::process::Pid::from_raw);
    let sent = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::HUP));
    match sent {
        Some(Err(error)) => log::error!(error:%; "the reload was not passed on to the successor"),
        _ => log::info!(pid = heir.peer.pid; "the reload is passed on to the successor"),
    }
}
