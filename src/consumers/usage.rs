//! How often keys were used, written down every few seconds.

use std::sync::Arc;

use super::Kept;
use crate::auth::keys::usage::FLUSH_EVERY;
use crate::state::{Chore, Work};

/// The file in the state directory.
pub const FILE: &str = "key-usage.json";

pub(super) struct Keep(pub Arc<Kept>);

impl Chore for Keep {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            loop {
                self.0.pause(FLUSH_EVERY).await;
                let kept = Arc::clone(&self.0);
                if let Err(error) = tokio::task::spawn_blocking(move || kept.flush()).await {
                    log::error!(error:%; "the writing of key uses is lost");
                }
            }
        })
    }
}
