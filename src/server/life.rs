//! The life of the process: start, what happens meanwhile, and the end.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::drain::{Ending, end};
use super::handover::{HandoverError, Predecessor, Relaunch};
use super::notify::Notify;
use super::reload::{LEARN_WITHIN, addresses, read};
use super::runtime_dir::{RuntimeDirectory, RuntimeDirectoryError};
use super::signals::Signals;
use super::sockets::{AdoptError, BindError, Sockets};
use super::succession::{self, Place, first_sockets, hand_over, start_successor};
use super::workers::Workers;
use super::{Shared, certificates};
use crate::policy::{Materials, Snapshot};
use crate::proxy::{Gateway, proxy};
use crate::state::Watched;

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
    let open = || RuntimeDirectory::open(snapshot.process.runtime_directory.as_deref());
    let directory = options.standalone.then(open).transpose()?;
    let mut signals = Signals::new().map_err(system("cannot take signals"))?;
    let (place, inherited) = Place::take(directory.as_ref(), options.upgrade).await?;
    let sockets = first_sockets(inherited, options.sockets).map_err(RunError::from);
    let begun = match sockets {
        Ok(sockets) => begin(options.policy, materials, snapshot, sockets).await,
        Err(error) => Err(error),
    };
    let shared = match begun {
        Ok(shared) => shared,
        Err(error) => {
            place.give_up(&error).await;
            return Err(error);
        }
    };
    let mut predecessor = match place.serve().await {
        Ok(predecessor) => predecessor,
        Err(error) => {
            // It accepts already; what came in is served to its end.
            end(&shared, &mut signals, &Ending::Unwanted).await;
            return Err(error.into());
        }
    };
    shared.sockets().sweep();
    shared.notify.ready("serving");
    let addresses: Vec<String> = shared.sockets().addresses().map(ToString::to_string).collect();
    log::info!(policy:% = shared.policy.display(), addresses = addresses.join(" "), pid = std::process::id(); "serving");
    started(&shared);
    let ending =
        serve(&shared, &mut signals, predecessor.as_mut(), options.relaunch.as_ref(), &mut stop).await;
    if ending == Ending::Stopped
        && let Some(predecessor) = predecessor.take()
    {
        // Another process may start while this one drains.
        predecessor.close();
    }
    end(&shared, &mut signals, &ending).await;
    Ok(())
}

/// Everything up to the point where connections are accepted.
async fn begin(
    policy: PathBuf,
    materials: Materials,
    snapshot: Snapshot,
    mut sockets: Sockets,
) -> Result<Arc<Shared>, RunError> {
    sockets.reconcile(&addresses(&snapshot)).map_err(RunError::Bind)?;
    snapshot.learn_within(&materials.lookup, LEARN_WITHIN).await;
    let workers = snapshot.process.workers.map_or_else(cores, usize::from).max(1);
    let shared = share(policy, materials, snapshot, sockets, workers);
    let started = Workers::start(workers, &shared).map_err(system("cannot start workers"))?;
    shared.workers.get_or_init(|| started).settled().await;
    shared.follow_operators();
    Ok(shared)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn share(
    policy: PathBuf,
    materials: Materials,
    snapshot: Snapshot,
    sockets: Sockets,
    workers: usize,
) -> Arc<Shared> {
    let (draining, is_draining) = watch::channel(false);
    let current = Arc::new(ArcSwap::from_pointee(snapshot));
    let gateway = Gateway {
        snapshot: current.clone(),
        state: materials.state.clone(),
        metrics: materials.metrics.clone(),
        nobody: Arc::default(),
        draining: is_draining,
    };
    let shared = Arc::new(Shared {
        proxy: Arc::new(proxy(gateway, workers)),
        policy,
        materials,
        snapshot: current.clone(),
        notify: Notify::from_env(),
        draining,
        closing: watch::channel(false).0,
        open: AtomicU32::new(0),
        closed: tokio::sync::Notify::new(),
        sockets: Mutex::new(sockets),
        workers: OnceLock::new(),
        operators: Mutex::new(HashMap::new()),
        tasks: Mutex::new(Vec::new()),
        chores: Mutex::default(),
        watched: Mutex::new(Watched::new([])),
        certificates: Mutex::new(Vec::new()),
        reloading: Arc::default(),
    });
    shared.begin(&current.load_full());
    shared
}

async fn serve(
    shared: &Arc<Shared>,
    signals: &mut Signals,
    predecessor: Option<&mut Predecessor>,
    relaunch: Option<&Relaunch>,
    stop: &mut watch::Receiver<bool>,
) -> Ending {
    let mut files = tokio::time::interval(WATCH_PERIOD);
    let mut chores = tokio::time::interval(certificates::PERIOD);
    let mut watchdog = tokio::time::interval(shared.notify.watchdog().unwrap_or(Duration::from_secs(3600)));
    // Both live as long as the loop: dropping one would turn a successor away, the other would forget a reload.
    let mut handed_over = pin!(hand_over(shared, predecessor));
    let reload = Asked::default();
    let mut reloads = pin!(reload.follow(shared));
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ending::Stopped,
            _ = signals.interrupt.recv() => return Ending::Stopped,
            _ = stop.wait_for(|stop| *stop) => return Ending::Stopped,
            _ = signals.quit.recv() => log::warn!("SIGQUIT without a successor would be an outage; use SIGTERM to stop"),
            _ = signals.reload.recv() => reload.ask(),
            _ = signals.reopen.recv() => shared.reopen_logs(),
            _ = signals.upgrade.recv() => start_successor(relaunch),
            _ = watchdog.tick() => shared.notify.alive(),
            _ = chores.tick() => shared.chores(),
            _ = files.tick() => if shared.files_changed() { reload.ask() },
            () = &mut reloads => {}
            heir = &mut handed_over => {
                if reload.is_pending() {
                    succession::pass_on_reload(&heir);
                }
                return Ending::HandedOver(heir);
            }
        }
    }
}

/// Reloads that were asked for, one after the other; those that come while one waits are one with it.
#[derive(Default)]
struct Asked {
    bell: tokio::sync::Notify,
    pending: AtomicBool,
}

impl Asked {
    fn ask(&self) {
        self.pending.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    async fn follow(&self, shared: &Arc<Shared>) {
        loop {
            self.bell.notified().await;
            // The log, the service manager and a metric say how it went.
            drop(shared.reload_and_tell(|| self.pending.store(false, Ordering::Release)).await);
        }
    }
}

impl Shared {
    /// What is looked after now and then.
    fn chores(&self) {
        self.renew_certificates();
        self.sockets().sweep();
    }
}
