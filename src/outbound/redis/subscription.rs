//! That something is announced on a channel. An announcement may be lost, for Redis keeps none; so whoever listens is
//! woken when that may have happened as well, and looks for himself.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, cmd};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use super::connect::{Connection, connect};
use super::{Failure, Pause, Redis};

/// A connection on which nothing was heard for so long is asked whether it is still there.
const ASKED_AFTER: Duration = Duration::from_secs(10);

/// Listens to one channel, for as long as it lives.
pub struct Subscription {
    redis: Arc<Redis>,
    channel: String,
    live: Option<Live>,
    pause: Pause,
}

/// A connection that listens.
struct Live {
    connection: Connection,
    announced: mpsc::Receiver<()>,
    ended: Arc<Notify>,
}

/// Takes what the server pushes; never waits.
struct Ear {
    announced: mpsc::Sender<()>,
    ended: Arc<Notify>,
}

impl AsyncPushSender for Ear {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Disconnection => self.ended.notify_one(),
            // Full: one that waits says all that another could.
            PushKind::Message => match self.announced.try_send(()) {
                Ok(()) | Err(TrySendError::Full(())) => {}
                Err(TrySendError::Closed(())) => return Err(SendError),
            },
            _ => {}
        }
        Ok(())
    }
}

impl Subscription {
    pub(super) fn new(redis: Arc<Redis>, channel: String) -> Self {
        Self { redis, channel, live: None, pause: Pause::default() }
    }

    /// Waits until something was announced, or may have been because nobody listened: so also when listening begins, at
    /// first and after a connection was lost. Goes through any number of these. May be dropped at any time.
    pub async fn next(&mut self) {
        loop {
            let Some(live) = &mut self.live else {
                self.redis.clock.sleep_until(self.pause.until_ns).await;
                match self.begin().await {
                    Ok(live) => {
                        self.live = Some(live);
                        self.pause = Pause::default();
                        return;
                    }
                    Err(failure) => {
                        self.pause.lengthen(&self.redis.clock);
                        log::debug!(channel:% = self.channel, error:% = failure; "not subscribed");
                        continue;
                    }
                }
            };
            tokio::select! {
                Some(()) = live.announced.recv() => return,
                () = live.ended.notified() => self.live = None,
                () = tokio::time::sleep(ASKED_AFTER) => {
                    let (within, ping) = (self.redis.terms.answer_within, cmd("PING"));
                    if live.connection.within(within, |inner| ping.query_async::<String>(inner)).await.is_err() {
                        self.live = None;
                    }
                }
            }
        }
    }

    async fn begin(&self) -> Result<Live, Failure> {
        let (sender, announced) = mpsc::channel(1);
        let ended = Arc::new(Notify::new());
        let ear: Arc<dyn AsyncPushSender> = Arc::new(Ear { announced: sender, ended: Arc::clone(&ended) });
        let (redis, channel) = (&self.redis, &self.channel);
        let mut connection = connect(&redis.outbound, &redis.terms, Some(ear)).await?;
        let subscribed = connection.within(redis.terms.answer_within, |inner| inner.subscribe(channel)).await;
        subscribed.map_err(|broken| broken.failure)?;
        Ok(Live { connection, announced, ended })
    }
}
