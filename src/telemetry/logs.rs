//! The files that lines go to, each open once however many policies name it: two writers would tear each other's lines
//! apart, and a reload must lose none.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::metrics::{Log, Metrics};
use super::writer::{Destination, LineWriter, OpenError, Settings};

/// Open destinations.
pub struct Logs {
    open: Mutex<Vec<(Destination, Weak<LineWriter>)>>,
    metrics: Arc<Metrics>,
    dry: bool,
}

impl Logs {
    /// Nothing open.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { open: Mutex::default(), metrics, dry: false }
    }

    /// Opens nothing but the standard output: for a look at a policy that must leave no trace.
    #[must_use]
    pub fn dry(metrics: Arc<Metrics>) -> Self {
        Self { dry: true, ..Self::new(metrics) }
    }

    /// The writer of a destination, opened if it is not open.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(&self, destination: Destination) -> Result<Arc<LineWriter>, OpenError> {
        let destination = if self.dry { Destination::Stdout } else { destination };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, writer)| writer.strong_count() > 0);
        let known = open.iter().find(|(other, _)| *other == destination);
        if let Some(writer) = known.and_then(|(_, writer)| writer.upgrade()) {
            return Ok(writer);
        }
        let writer = Arc::new(LineWriter::open(&Settings::new(destination.clone()))?);
        self.metrics.watch(Log::Access, &writer);
        open.push((destination, Arc::downgrade(&writer)));
        Ok(writer)
    }

    /// Takes in a writer that was opened elsewhere, so that it is reopened and flushed with the others: the operational
    /// log's, which begins before there is anything else.
    pub fn adopt(&self, destination: Destination, writer: &Arc<LineWriter>) {
        self.metrics.watch(Log::Operational, writer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push((destination, Arc::downgrade(writer)));
    }

    /// Every open writer.
    pub fn all(&self) -> Vec<Arc<LineWriter>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter_map(|(_, writer)| writer.upgrade()).collect()
    }
}
