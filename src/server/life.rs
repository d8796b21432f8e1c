//! The life of the process: start, what happens meanwhile, and the end.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_core::apps::HttpServerApp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::certificates;
use super::handover::{HandoverError, Inherited, Offer, Predecessor, READY_WITHIN, Relaunch, Successor};
use super::notify::Notify;
use super::reload::{ReloadError, addresses, read};
use super::runtime_dir::{RuntimeDirectory, RuntimeDirectoryError};
use super::sockets::{AdoptError, BindError, Sockets};
use super::watch::Watched;
use super::workers::Workers;
use super::Shared;
use crate::policy::Materials;
use crate::proxy::{Gateway, proxy};
use crate::upstream::resolve::{Lookup, System};

/// How long the first resolution of names may hold up the start.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);
/// How often watched files are looked at.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// How to run.
pub struct Options {
    /// The policy's file.
    pub policy: PathBuf,
    /// Whether to take over from the process that runs.
    pub upgrade: bool,
    /// Sockets that are bound already.
    pub sockets: Sockets,
    /// How this process was started, to start its successor likewise on SIGUSR2.
    pub relaunch: Option<Relaunch>,
    /// Whether there is a runtime directory, and thus upgrades.
    pub standalone: bool,
}

/// Why the process did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The policy is wrong.
    #[error(transparent)]
    Policy(#[from] crate::config::Diagnostics),
    /// Some addresses cannot be taken.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Bind(Vec<BindError>),
    /// The runtime directory is not usable.
    #[error(transparent)]
    RuntimeDirectory(#[from] RuntimeDirectoryError),
    /// The hand-over failed.
    #[error(transparent)]
    Handover(#[from] HandoverError),
    /// An inherited socket is not what it should be.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The system said no.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Runs until a signal, a successor or `stop` ends it. `started` is told once it serves.
///
/// # Errors
/// Whatever keeps it from starting. Once it serves, it ends without an error.
pub async fn run(
    options: Options,
    materials: Materials,
    mut stop: watch::Receiver<bool>,
    started: impl FnOnce(&Arc<Shared>),
) -> Result<(), RunError> {
    let snapshot = read(&options.policy, &materials, None)?;
    let directory = match options.standalone {
        true => Some(RuntimeDirectory::open(snapshot.process.runtime_directory.as_deref())?),
        false => None,
    };
    let mut signals = Signals::new().map_err(system("cannot take signals"))?;
    let notify = Notify::from_env();
    let (mut sockets, successor) = inherit(&options, directory.as_ref()).await?;
    sockets = if sockets.addresses().next().is_some() { sockets } else { options.sockets };
    sockets.reconcile(&addresses(&snapshot)).map_err(RunError::Bind)?;
    let lookup: Arc<dyn Lookup> = Arc::new(System::new().map_err(system("cannot read the resolver's configuration"))?);
    for service in snapshot.services.values() {
        service.upstream().resolve_within(&lookup, RESOLVE_WITHIN).await;
    }
    let workers = snapshot.process.workers.map_or_else(cores, usize::from).max(1);
    let drain = snapshot.process.drain;
    let shared = share(options.policy, materials, snapshot, sockets, lookup, workers);
    let started_workers = Workers::start(workers, &shared).map_err(system("cannot start workers"))?;
    let workers = shared.workers.get_or_init(|| started_workers);
    workers.settled().await;
    shared.follow_operators();
    let mut predecessor = match (successor, &directory) {
        (Some(successor), _) => Some(successor.ready().await?),
        (None, Some(directory)) => Some(Predecessor::listen(directory)?),
        (None, None) => None,
    };
    shared.sockets().sweep();
    notify.ready("serving");
    log::info!(policy:% = shared.policy.display(), pid = std::process::id(); "serving");
    started(&shared);
    let ending = serve(&shared, &notify, &mut signals, predecessor.as_mut(), options.relaunch.as_ref(), &mut stop).await;
    end(&shared, &notify, &mut signals, ending, drain).await;
    if let Some(predecessor) = predecessor {
        predecessor.close();
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn inherit(
    options: &Options,
    directory: Option<&RuntimeDirectory>,
) -> Result<(Sockets, Option<Successor>), RunError> {
    if let (true, Some(directory)) = (options.upgrade, directory) {
        let Inherited { sockets, successor, .. } = Successor::connect(directory, READY_WITHIN).await?;
        return Ok((Sockets::adopt(sockets)?, Some(successor)));
    }
    Ok((Sockets::from_service_manager()?, None))
}

fn share(
    policy: PathBuf,
    materials: Materials,
    snapshot: crate::policy::Snapshot,
    sockets: Sockets,
    lookup: Arc<dyn Lookup>,
    workers: usize,
) -> Arc<Shared> {
    let (draining, is_draining) = watch::channel(false);
    let current = Arc::new(ArcSwap::from_pointee(snapshot));
    let gateway = Gateway {
        snapshot: current.clone(),
        state: materials.state.clone(),
        metrics: materials.metrics.clone(),
        draining: is_draining,
    };
    let shared = Arc::new(Shared {
        proxy: Arc::new(proxy(gateway, workers)),
        policy,
        materials,
        snapshot: current.clone(),
        draining,
        open: AtomicU32::new(0),
        closed: tokio::sync::Notify::new(),
        sockets: Mutex::new(sockets),
        workers: OnceLock::new(),
        operators: Mutex::new(HashMap::new()),
        tasks: Mutex::new(Vec::new()),
        lookup,
        watched: Mutex::new(Watched::new([])),
        certificates: Mutex::new(Vec::new()),
        reloading: tokio::sync::Mutex::new(()),
    });
    shared.begin(&current.load_full());
    shared
}

/// Signals the process understands.
struct Signals {
    reload: Signal,
    reopen: Signal,
    upgrade: Signal,
    quit: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Why serving ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// A successor serves on the same sockets.
    HandedOver,
    /// Nobody does.
    Stopped,
}

async fn serve(
    shared: &Arc<Shared>,
    notify: &Notify,
    signals: &mut Signals,
    predecessor: Option<&mut Predecessor>,
    relaunch: Option<&Relaunch>,
    stop: &mut watch::Receiver<bool>,
) -> Ending {
    let mut files = tokio::time::interval(WATCH_PERIOD);
    let mut certificates = tokio::time::interval(certificates::PERIOD);
    let mut watchdog = tokio::time::interval(notify.watchdog().unwrap_or(Duration::from_secs(3600)));
    // Dropping this would turn a successor away, so it lives as long as the loop.
    let mut handed_over = pin!(hand_over(shared, notify, predecessor));
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ending::Stopped,
            _ = signals.interrupt.recv() => return Ending::Stopped,
            _ = stop.wait_for(|stop| *stop) => return Ending::Stopped,
            _ = signals.quit.recv() => log::warn!("SIGQUIT without a successor would be an outage; use SIGTERM to stop"),
            _ = signals.reload.recv() => reload(shared, notify).await,
            _ = signals.reopen.recv() => shared.reopen_logs(),
            _ = signals.upgrade.recv() => start_successor(relaunch),
            _ = watchdog.tick() => notify.alive(),
            _ = certificates.tick() => shared.renew_certificates(),
            _ = files.tick() => if shared.files_changed() { reload(shared, notify).await },
            () = &mut handed_over => return Ending::HandedOver,
        }
    }
}

async fn reload(shared: &Arc<Shared>, notify: &Notify) {
    notify.reloading();
    let status = match shared.reload().await {
        Ok(()) => "serving".to_owned(),
        Err(ReloadError::Wrong(diagnostics)) => {
            format!("serving; last reload failed with {} errors", diagnostics.len())
        }
        Err(error) => format!("serving; last reload failed: {error}"),
    };
    notify.ready(&status);
}

/// Starts this program once more, to take over.
fn start_successor(relaunch: Option<&Relaunch>) {
    let Some(relaunch) = relaunch else { return };
    match tokio::process::Command::from(relaunch.command()).spawn() {
        Ok(mut child) => {
            log::info!(pid = child.id(); "successor started");
            tokio::spawn(async move {
                match child.wait().await {
                    Ok(status) if !status.success() => log::error!(status:%; "the successor did not take over"),
                    Ok(_) => {}
                    Err(error) => log::error!(error:%; "the successor is lost"),
                }
            });
        }
        Err(error) => log::error!(error:%; "cannot start a successor"),
    }
}

/// Resolves once a successor serves on our sockets. Until then any number of them may fail.
async fn hand_over(shared: &Arc<Shared>, notify: &Notify, predecessor: Option<&mut Predecessor>) {
    let Some(predecessor) = predecessor else { return std::future::pending().await };
    loop {
        let offer = |peer: super::handover::Peer| {
            if !notify.accepts(peer.pid) {
                return Err("not in the service's control group; use `systemctl kill --kill-whom=main --signal=USR2 edgeward`".to_owned());
            }
            let sockets = shared.sockets().duplicates().map_err(|error| error.to_string())?;
            Ok(Offer { sockets, state: Vec::new() })
        };
        let handed_over = predecessor.hand_over(offer, READY_WITHIN).await;
        let successor = handed_over.successor();
        notify.main_pid(successor.pid);
        match handed_over.acknowledge().await {
            Ok(()) => {
                log::info!(pid = successor.pid; "a successor serves");
                return;
            }
            Err(error) => {
                notify.main_pid(std::process::id());
                log::error!(error:%; "the successor is gone, serving on");
            }
        }
    }
}

/// Lets connections end, for so long.
async fn end(shared: &Arc<Shared>, notify: &Notify, signals: &mut Signals, ending: Ending, drain: Duration) {
    if ending == Ending::Stopped {
        notify.stopping("draining");
    }
    shared.draining.send_replace(true);
    if ending == Ending::Stopped {
        // Nobody takes their next requests: idle connections are closed now.
        shared.proxy.http_cleanup().await;
        shared.close_sockets().await;
    }
    let deadline = Instant::now() + drain;
    log::info!(connections = shared.open_connections(); "draining");
    while shared.open_connections() > 0 {
        let closed = shared.closed.notified();
        tokio::select! {
            () = closed => {}
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = tokio::time::sleep_until(deadline) => break,
            // Asked twice: at once.
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    log::info!(cut = shared.open_connections(); "stopped");
    if let Some(workers) = shared.workers.get() {
        workers.stop();
    }
    shared.sockets().sweep();
    shared.flush_logs();
}
