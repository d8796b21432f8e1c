//! How often keys were used, written down every few seconds: in a file, or where a fleet has its store.

use std::sync::Arc;
use std::time::Duration;

use super::Consumers;
use crate::auth::keys::usage::FLUSH_EVERY;
use crate::state::{Chore, Work};

/// The file in the state directory.
pub const FILE: &str = "key-usage.json";
/// How often the processes of a fleet tell each other. More often than files are written: what others count is seen
/// one such time after they told it.
const EXCHANGE_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Keep(pub Arc<Consumers>);

impl Chore for Keep {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            let consumers = &self.0;
            let every = if consumers.fleet().is_some() { EXCHANGE_EVERY } else { FLUSH_EVERY };
            loop {
                consumers.kept.pause(every).await;
                consumers.keep_uses().await;
            }
        })
    }
}

impl Consumers {
    /// Writes down what was counted.
    pub(super) async fn keep_uses(&self) {
        let kept = Arc::clone(&self.kept);
        let Some(fleet) = self.fleet() else {
            if let Err(error) = tokio::task::spawn_blocking(move || kept.flush()).await {
                log::error!(error:%; "the writing of key uses is lost");
            }
            return;
        };
        // The chores of two policies may run at a time, and what is on its way would be sent twice.
        let _alone = kept.exchanging.lock().await;
        let exchanged = fleet.exchange_uses(&self.usage, self.now()).await;
        kept.metrics.key_uses_kept(exchanged.is_ok());
        if let Err(error) = exchanged {
            log::debug!(error:%; "the uses of keys are not written down; they will be tried again");
        }
    }
}
