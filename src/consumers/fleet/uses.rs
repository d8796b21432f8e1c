//! How often keys were used, and when last, added up over all processes.
//!
//! Each adds what it counted since it last did, and learns the sums. What is added is lost from memory only when Redis
//! has confirmed it; an answer that is lost is added again. So a sum may be too large, by what one process counted in
//! a few seconds each time its connection breaks, and never too small but for a process that dies.

use super::Fleet;
use crate::auth::keys::usage::{FORGOTTEN_AFTER, Record};
use crate::auth::keys::{KeyId, Moment, Records, Usage};
use crate::outbound::redis::{Failure, Pipeline, cmd};

/// Keys in one exchange: some ten kilobytes each way.
const BATCH: usize = 500;
/// Forgotten keys that are cleared away at a time.
const CLEARED: usize = 100;

/// The sums of a batch, in its order.
type Sums = (Vec<Option<u64>>, Vec<Option<f64>>);

impl Fleet {
    /// Adds what was counted here, and learns what was counted anywhere.
    ///
    /// # Errors
    /// When Redis does not answer. Nothing is lost then; the next exchange tries again.
    pub async fn exchange_uses(&self, usage: &Usage, now: Moment) -> Result<(), Failure> {
        let (uses, last) = (self.redis.key("keys:uses"), self.redis.key("keys:last"));
        let mut counted = usage.counted();
        while !counted.is_empty() {
            let batch: Vec<_> = counted.drain(counted.len().saturating_sub(BATCH)..).collect();
            let mut commands = Pipeline::new();
            commands.atomic();
            for one in batch.iter().filter(|one| one.unflushed > 0) {
                let used = one.last_used.unwrap_or(now).unix();
                commands.cmd("HINCRBY").arg(&uses).arg(one.id.as_str()).arg(one.unflushed).ignore();
                commands.cmd("ZADD").arg(&last).arg("GT").arg(used).arg(one.id.as_str()).ignore();
            }
            let ids = batch.iter().map(|one| &one.id);
            let sums = self.redis.ask_all(ask_for(&mut commands, &uses, &last, ids)).await?;
            for (one, record) in batch.into_iter().zip(records(sums)) {
                usage.settle(one, record.as_ref());
            }
        }
        self.clear(usage, now).await
    }

    /// The uses of some keys; `None` if no use of any key is written down.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn uses(&self, ids: &[KeyId]) -> Result<Option<Records>, Failure> {
        let (uses, last) = (self.redis.key("keys:uses"), self.redis.key("keys:last"));
        if !self.redis.ask::<bool>(cmd("EXISTS").arg(&last)).await? {
            return Ok(None);
        }
        let mut found = Vec::new();
        for batch in ids.chunks(BATCH) {
            let sums = self.redis.ask_all(ask_for(Pipeline::new().atomic(), &uses, &last, batch)).await?;
            let known = |(id, record): (&KeyId, Option<Record>)| Some((id.clone(), record?));
            found.extend(batch.iter().zip(records(sums)).filter_map(known));
        }
        Ok(Some(found.into_iter().collect()))
    }

    /// Forgets keys that were not used for long and are no longer known here.
    async fn clear(&self, usage: &Usage, now: Moment) -> Result<(), Failure> {
        let (uses, last) = (self.redis.key("keys:uses"), self.redis.key("keys:last"));
        let mut old = cmd("ZRANGEBYSCORE");
        old.arg(&last).arg("-inf").arg(now.minus(FORGOTTEN_AFTER).unix()).arg("LIMIT").arg(0).arg(CLEARED);
        let mut old: Vec<String> = self.redis.ask(&old).await?;
        old.retain(|id| !usage.knows(id));
        if old.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::new();
        commands.atomic().cmd("HDEL").arg(&uses).arg(&old).ignore().cmd("ZREM").arg(&last).arg(&old).ignore();
        self.redis.ask_all(&commands).await
    }
}

fn ask_for<'a, 'b>(
    commands: &'a mut Pipeline,
    uses: &str,
    last: &str,
    ids: impl IntoIterator<Item = &'b KeyId>,
) -> &'a Pipeline {
    let ids: Vec<&str> = ids.into_iter().map(KeyId::as_str).collect();
    commands.cmd("HMGET").arg(uses).arg(&ids).cmd("ZMSCORE").arg(last).arg(&ids)
}

fn records((uses, last): Sums) -> impl Iterator<Item = Option<Record>> {
    uses.into_iter().zip(last).map(|(uses, last)| {
        let seconds = std::time::Duration::try_from_secs_f64(last?).ok()?.as_secs();
        Some(Record { last_used: Moment::from_unix(seconds), uses: uses.unwrap_or_default() })
    })
}
