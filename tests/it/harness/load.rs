//! Requests from several threads, one after the other in each, while something changes under them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::poll::soon;

/// Threads that ask until the change is done.
pub struct Askers {
    /// How often each has asked, to the end.
    rounds: Vec<AtomicUsize>,
    stop: AtomicBool,
}

/// Ends the threads, also when the change panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Has `threads` threads ask, each with what `asker` makes for it, while `change` goes on; returns how often they did.
pub fn under_load<A: FnMut()>(
    threads: usize,
    asker: impl Fn() -> A + Sync,
    change: impl FnOnce(&Askers),
) -> usize {
    let rounds = (0..threads).map(|_| AtomicUsize::new(0)).collect();
    let askers = Askers { rounds, stop: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        let _stop = Stop(&askers.stop);
        for rounds in &askers.rounds {
            let (asker, stop) = (&asker, &askers.stop);
            scope.spawn(move || {
                let mut ask = asker();
                while !stop.load(Ordering::SeqCst) {
                    ask();
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        change(&askers);
    });
    askers.rounds.into_iter().map(AtomicUsize::into_inner).sum()
}

impl Askers {
    /// Waits until each of them has asked so often from beginning to end, so that nothing is under way any more that was
    /// before.
    pub fn have_asked(&self, times: usize) {
        // What is under way now may have begun before.
        let wanted = |rounds: &AtomicUsize| rounds.load(Ordering::SeqCst) + times + 1;
        let wanted: Vec<_> = self.rounds.iter().map(wanted).collect();
        for (rounds, wanted) in self.rounds.iter().zip(wanted) {
            soon("every thread to ask", || rounds.load(Ordering::SeqCst) >= wanted);
        }
    }
}
