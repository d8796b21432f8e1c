//! Work that takes a core for milliseconds, done off the threads that serve connections: everybody else on such a thread
//! would wait for it.
//!
//! As much of it runs at a time as there are cores. A little more waits; beyond that whoever asks does it themselves, so
//! that a flood of work slows down those who bring it, and no queue grows.

use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task;

/// Pieces of work that may wait for their turn, for each core.
const WAITING_EACH: usize = 32;

/// There is one set of cores.
static PROCESS: LazyLock<Labour> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Labour::new(cores, cores * WAITING_EACH)
});

struct Labour {
    /// One permit for each piece that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each piece that runs.
    running: Arc<Semaphore>,
}

/// Does it, on another thread where there is a place for it. It is done to its end also when nobody waits any longer.
///
/// # Panics
/// When the work does.
pub async fn do_aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    PROCESS.run(work).await
}

impl Labour {
    fn new(running: usize, waiting: usize) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { places: permits(running.saturating_add(waiting)), running: permits(running) }
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if Handle::try_current().is_err() {
            return work();
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return work() };
        // It is never closed.
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let done = task::spawn_blocking(move || {
            let result = work();
            drop((turn, place));
            result
        });
        match done.await {
            Ok(result) => result,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::thread::ThreadId;

    use super::*;

    fn here() -> ThreadId {
        thread::current().id()
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread_if_there_is_a_place() {
        let labour = Arc::new(Labour::new(1, 0));
        assert_ne!(labour.run(here).await, here());
        let (end, ended) = mpsc::channel::<()>();
        let other = Arc::clone(&labour);
        let long = task::spawn(async move { other.run(move || ended.recv()).await });
        task::yield_now().await;
        assert_eq!(labour.run(here).await, here(), "there is no place left");
        end.send(()).unwrap();
        long.await.unwrap().unwrap();
        assert_ne!(labour.run(here).await, here());
    }

    #[test]
    fn without_a_runtime_it_is_done_at_once() {
        let done = pin!(do_aside(here)).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(done, Poll::Ready(here()));
    }
}
