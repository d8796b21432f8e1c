//! The store changes on disk while the process runs: it is taken over as soon as it stays as it is.

use std::sync::Arc;
use std::time::Duration;

use super::Consumers;
use crate::state::{Chore, Work};

/// How often the file is looked at. A change is taken over at the second look that finds it.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) struct Follow(pub Arc<Consumers>);

impl Chore for Follow {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            loop {
                self.0.kept.pause(PERIOD).await;
                let consumers = Arc::clone(&self.0);
                if let Err(error) = tokio::task::spawn_blocking(move || consumers.follow()).await {
                    log::error!(error:%; "the look at the key store is lost");
                }
            }
        })
    }
}
