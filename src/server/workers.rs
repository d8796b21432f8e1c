//! Worker threads, each with a runtime of its own: a connection stays on the thread that accepted it, so that nothing
//! it uses is fought for.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle as TaskHandle;

use super::Shared;
use super::accept::accept;
use crate::net::ListenAddress;

/// Sooner than any time that a request may wait for something.
const TICK: Duration = Duration::from_millis(500);

/// The threads that serve traffic.
pub struct Workers {
    threads: Mutex<Vec<Worker>>,
    /// Says that the listeners are others.
    changed: watch::Sender<u64>,
}

struct Worker {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    /// The generation of listeners it accepts on.
    accepting: watch::Receiver<u64>,
}

impl Workers {
    /// Starts `count` threads, which accept on whatever the policy in force listens to.
    pub fn start(count: usize, shared: &Arc<Shared>) -> io::Result<Self> {
        let (changed, _) = watch::channel(1);
        let mut threads = Vec::with_capacity(count);
        for index in 0..count {
            let (stop, stopped) = oneshot::channel();
            let (accepts, accepting) = watch::channel(0);
            let (shared, news) = (shared.clone(), changed.subscribe());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                runtime.block_on(work(shared, news, accepts, stopped));
                // Whatever is still open is cut: its time to drain is over.
                runtime.shutdown_background();
            })?;
            threads.push(Worker { thread, stop, accepting });
        }
        Ok(Self { threads: Mutex::new(threads), changed })
    }

    /// Has all workers accept on what the policy in force listens to, or on nothing once the process drains, and waits
    /// until they do.
    pub async fn follow(&self) {
        self.changed.send_modify(|generation| *generation += 1);
        self.settled().await;
    }

    /// Waits until all workers accept on what they should.
    pub async fn settled(&self) {
        let wanted = *self.changed.borrow();
        let all: Vec<_> = self.threads().iter().map(|worker| worker.accepting.clone()).collect();
        for mut accepting in all {
            // A worker that is gone accepts on nothing.
            drop(accepting.wait_for(|generation| *generation >= wanted).await);
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the threads, and with them whatever connections are left.
    pub fn stop(&self) {
        for worker in std::mem::take(&mut *self.threads()) {
            // A worker that is gone needs no telling.
            let _ = worker.stop.send(());
            if worker.thread.join().is_err() {
                log::error!("a worker panicked");
            }
        }
    }
}

/// A timer that always rings soon. For one that would ring before all others, the runtime wakes itself by a system call, and
/// without this each request would set one.
async fn ticks() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

async fn work(
    shared: Arc<Shared>,
    mut news: watch::Receiver<u64>,
    accepting: watch::Sender<u64>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut tasks: HashMap<ListenAddress, TaskHandle<()>> = HashMap::new();
    tokio::spawn(ticks());
    loop {
        let generation = *news.borrow_and_update();
        reconcile(&shared, &mut tasks).await;
        accepting.send_replace(generation);
        tokio::select! {
            _ = &mut stopped => return,
            told = news.changed() => if told.is_err() { return },
        }
    }
}

/// Accepts on every listener of the policy in force, and on no other; on none in a process that drains.
///
/// Whatever it no longer accepts on is closed when it returns, and every connection it did accept is counted.
async fn reconcile(shared: &Arc<Shared>, tasks: &mut HashMap<ListenAddress, TaskHandle<()>>) {
    let snapshot = shared.snapshot.load_full();
    let draining = *shared.draining().borrow();
    let gone: Vec<_> = tasks.extract_if(|address, _| draining || snapshot.door(address).is_none()).collect();
    for (_, task) in gone {
        // Between two connections, for accepting one and handing it to a task is one step.
        task.abort();
        drop(task.await);
    }
    if draining {
        return;
    }
    for door in &snapshot.doors {
        if tasks.contains_key(&door.address) {
            continue;
        }
        match shared.listener(&door.address) {
            Ok(listener) => {
                let task = tokio::spawn(accept(listener, door.address.clone(), shared.clone()));
                tasks.insert(door.address.clone(), task);
            }
            Err(error) => log::error!(address:% = door.address, error:% = error; "cannot accept"),
        }
    }
}
