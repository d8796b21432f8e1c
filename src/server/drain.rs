//! The end of the process: connections end by themselves as far as they can, in the time the policy gives them.
//!
//! After a hand-over nobody is turned away: a connection that idles stays until it idles out or asks once more, and is
//! told with that answer that it was the last. A stop closes idle connections at once, for nobody would take their
//! next request. In both cases requests that are being served go on.

use std::pin::pin;
use std::sync::Arc;

use pingora_core::apps::HttpServerApp;
use tokio::time::Instant;

use super::Shared;
use super::signals::Signals;
use super::sockets::is_stale;
use super::succession::Heir;

/// Why serving ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// A successor serves on the same sockets.
    HandedOver(Heir),
    /// The predecessor, whose sockets we have, goes on.
    Unwanted,
    /// Nobody serves.
    Stopped,
}

/// Lets connections end, and ends whatever is left after the time to drain.
pub async fn end(shared: &Arc<Shared>, signals: &mut Signals, ending: &Ending) {
    let drain = shared.snapshot.load().process.drain;
    let deadline = Instant::now() + drain;
    if *ending == Ending::Stopped {
        shared.notify.stopping("draining", drain);
    }
    shared.draining.send_replace(true);
    shared.materials.consumers.close_desk();
    if let Some(workers) = shared.workers.get() {
        // Once they have all stopped accepting, the count of connections can only fall.
        workers.follow().await;
    }
    match ending {
        Ending::Stopped => {
            // The admin listener tells until the end that the process drains.
            shared.close_doors();
            shared.close_idle().await;
        }
        Ending::HandedOver(_) | Ending::Unwanted => {
            // The successor, or the predecessor, waits for it.
            shared.let_go_of_disk().await;
            shared.stop_operators().await;
            // The files of Unix sockets stay: others accept there.
            drop(std::mem::take(&mut *shared.sockets()));
        }
    }
    log::info!(connections = shared.open_connections(), seconds = drain.as_secs(); "draining");
    wait(shared, signals, ending, deadline).await;
    log::info!(cut = shared.open_connections(); "stopped");
    if let Some(workers) = shared.workers.get() {
        workers.stop();
    }
    shared.stop_operators().await;
    shared.close_sockets();
    shared.finish_consumers().await;
    shared.let_go_of_disk().await;
    shared.flush_logs();
}

/// Until no connection is left, or no more time.
async fn wait(shared: &Arc<Shared>, signals: &mut Signals, ending: &Ending, deadline: Instant) {
    loop {
        let closed = pin!(shared.closed.notified());
        if shared.open_connections() == 0 {
            return;
        }
        tokio::select! {
            () = closed => {}
            () = tokio::time::sleep_until(deadline) => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.terminate.recv() => if !goes_on(shared, ending).await { return },
            // It still writes to them.
            _ = signals.reopen.recv() => shared.reopen_logs(),
            _ = signals.reload.recv() => ignored("SIGHUP"),
            _ = signals.upgrade.recv() => ignored("SIGUSR2"),
            _ = signals.quit.recv() => ignored("SIGQUIT"),
        }
    }
}

fn ignored(signal: &str) {
    log::warn!("{signal} is ignored by a process that drains");
}

/// Whether SIGTERM leaves connections the time they have.
///
/// To a process that stops it is the second one, and means at once. To one that has handed over it is the service
/// manager's, which stops the whole service with it, and says it twice: when it begins, and when the main process has
/// ended. So the drain goes on. Yet when the successor died, the service manager waits for us before it starts the
/// service again, and every moment is an outage. A successor that stops takes its socket away; one that died leaves it.
async fn goes_on(shared: &Arc<Shared>, ending: &Ending) -> bool {
    match ending {
        Ending::HandedOver(heir) if is_stale(&heir.socket) => {
            log::warn!("told to stop, and the successor is gone: stopping at once");
            false
        }
        Ending::HandedOver(_) => {
            log::info!("told to stop: idle connections are closed, the others go on");
            shared.close_idle().await;
            true
        }
        Ending::Unwanted | Ending::Stopped => false,
    }
}

impl Shared {
    /// Has what was counted of API keys written down.
    async fn finish_consumers(&self) {
        let consumers = self.snapshot.load().consumers.clone();
        match consumers {
            Some(consumers) => consumers.finish().await,
            None => self.materials.consumers.finish(),
        }
    }

    /// Has the cache go on in memory alone.
    async fn let_go_of_disk(&self) {
        let cache = self.snapshot.load().cache.clone();
        if let Some(cache) = cache {
            // It is written down, or it is not; nobody is left to tell.
            drop(tokio::task::spawn_blocking(move || cache.keeper.let_go()).await);
        }
    }

    /// Closes connections on which nothing is asked at the moment.
    async fn close_idle(&self) {
        self.closing.send_replace(true);
        self.proxy.http_cleanup().await;
    }
}
