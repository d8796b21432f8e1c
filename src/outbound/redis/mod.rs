//! A Redis that the processes of a fleet have in common, and the one place that speaks to it: connecting, login,
//! timeouts, and coming back after it was gone.
//!
//! Always holds: nothing waits for a Redis longer than its timeouts; while it is gone, questions fail at once and it is
//! looked for again after a pause that grows to [`LONGEST_PAUSE`]; nobody learns the password from a message. A question
//! whose answer was lost is not asked again here: whether it was acted upon only its asker can tell.
//!
//! Commands share one connection; a [`Subscription`] has its own, so that no large answer holds up what is announced.

mod address;
mod connect;
mod spec;
mod subscription;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use redis::{Cmd, FromRedisValue, Pipeline, cmd};
use tokio::sync::Mutex;

pub use address::{Address, AddressError, LOGIN_IN_THE_ADDRESS};
use connect::Connection;
pub use spec::{Spec, Terms};
pub use subscription::Subscription;

use super::Outbound;
use crate::state::Clock;
use crate::telemetry::metrics::RedisMetrics;

/// Until the next attempt after one that failed; doubled with each, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Between two attempts at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no connection, so nothing was asked.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// It may have been acted upon.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It may have been acted upon.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The server says no.
    #[error("refused: {0}")]
    Refused(String),
}

impl Failure {
    /// Whether a command may have been carried out all the same.
    #[must_use]
    pub const fn is_undecided(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Lost(_))
    }
}

/// A Redis by its name in the policy.
pub struct Redis {
    name: Box<str>,
    terms: Terms,
    outbound: Arc<Outbound>,
    clock: Clock,
    metrics: RedisMetrics,
    link: Mutex<Link>,
    /// Whether the last that was heard of it is that it is gone, so that this is told once.
    gone: AtomicBool,
}

/// The connection for commands.
#[derive(Default)]
struct Link {
    /// Counts connections, so that a failure on an old one does not end a new one.
    generation: u64,
    connection: Option<Connection>,
    pause: Pause,
    /// What came of the last attempt, if that was nothing.
    failure: Option<Failure>,
}

/// When the next attempt may be made, on the monotonic clock.
#[derive(Default)]
struct Pause {
    failures: u32,
    until_ns: u64,
}

impl Pause {
    fn lengthen(&mut self, clock: &Clock) {
        let longest = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        // Half is left to chance, so that a fleet does not come back all at once.
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.until_ns = clock.nanos().saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Redis {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(
        name: &str,
        terms: Terms,
        outbound: &Arc<Outbound>,
        clock: Clock,
        metrics: RedisMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            terms,
            outbound: Arc::clone(outbound),
            clock,
            metrics,
            link: Mutex::default(),
            gone: AtomicBool::new(false),
        })
    }

    /// Its name in the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, without any secret.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.terms.address
    }

    /// Server, database and prefix as a text: what is kept of the data that is there goes by this.
    #[must_use]
    pub fn place(&self) -> String {
        self.terms.place()
    }

    /// The name of a key or a channel of ours: the prefix and `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.terms.prefix)
    }

    /// Whether it is reached as these terms say, so that its connection may go on.
    #[must_use]
    pub fn is_on(&self, terms: &Terms) -> bool {
        self.terms.same(terms)
    }

    /// Sends a command, and reads the answer.
    ///
    /// # Errors
    /// When there is none in time, or it is another than `T`.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.count(async {
            let (mut connection, generation) = self.connection().await?;
            let answer =
                connection.within(self.terms.answer_within, |inner| command.query_async(inner)).await;
            self.settle(answer, generation).await
        })
        .await
    }

    /// Sends several commands together, and reads their answers.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        self.count(async {
            let (mut connection, generation) = self.connection().await?;
            let answer =
                connection.within(self.terms.answer_within, |inner| commands.query_async(inner)).await;
            self.settle(answer, generation).await
        })
        .await
    }

    /// Listens to a channel of ours, by its name without the prefix, from the first [`Subscription::next`] on.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, channel: &str) -> Subscription {
        Subscription::new(Arc::clone(self), self.key(channel))
    }

    /// The connection for commands, made if there is none. Of many that ask for one, one connects and the others wait.
    async fn connection(&self) -> Result<(Connection, u64), Failure> {
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok((connection.clone(), link.generation));
        }
        if self.clock.nanos() < link.pause.until_ns
            && let Some(failure) = &link.failure
        {
            return Err(failure.clone());
        }
        match connect::connect(&self.outbound, &self.terms, None).await {
            Ok(connection) => {
                link.pause = Pause::default();
                link.generation = link.generation.wrapping_add(1);
                link.connection = Some(connection.clone());
                self.tell_back();
                Ok((connection, link.generation))
            }
            Err(failure) => {
                link.pause.lengthen(&self.clock);
                link.failure = Some(failure.clone());
                self.tell_gone(&failure);
                Err(failure)
            }
        }
    }

    async fn count<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let answer = asking.await;
        self.metrics.asked(answer.is_ok());
        answer
    }

    /// A connection that failed is not used again.
    async fn settle<T>(&self, answer: Result<T, connect::Broken>, generation: u64) -> Result<T, Failure> {
        let connect::Broken { failure, fatal } = match answer {
            Ok(answer) => return Ok(answer),
            Err(broken) => broken,
        };
        if fatal {
            let mut link = self.link.lock().await;
            if link.generation == generation {
                link.connection = None;
            }
            drop(link);
            self.tell_gone(&failure);
        }
        Err(failure)
    }

    fn tell_gone(&self, failure: &Failure) {
        self.metrics.show_up(false);
        if !self.gone.swap(true, Ordering::Relaxed) {
            log::error!(redis:% = self.name, address:% = self.terms.address, error:% = failure; "redis is gone, what is known stays in use");
        }
    }

    fn tell_back(&self) {
        self.metrics.show_up(true);
        let back = self.gone.swap(false, Ordering::Relaxed);
        log::info!(redis:% = self.name, address:% = self.terms.address, back; "redis connected");
    }
}

#[cfg(test)]
mod tests;
