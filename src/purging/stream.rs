//! The log of a fleet's purges, in a Redis. Under the prefix of the policy, `edgeward:` unless it says otherwise:
//!
//! | name | type | what it holds |
//! |---|---|---|
//! | `cache:purges` | stream | an entry for each order, its field `purge` in JSON; the first of all is empty |
//! | `cache:purges:bytes` | string | how long all entries are together |
//! | `cache:purged` | channel | told with each order |
//!
//! What always holds: orders are written, the oldest taken off and all told in one step; who asks for what came after an
//! entry that is not there any more is told so. Redis numbers entries by its clock, so a log that began anew, because all
//! was lost or brought back from a copy, does not have the entries that somebody remembers.

use std::sync::Arc;

use crate::cache::fleet::Position;
use crate::outbound::redis::{Failure, Redis, Subscription, cmd};

/// What the log holds, in orders and in bytes: a process that was away for longer purges everything.
const MOST: usize = 65_536;
const LARGEST_BYTES: usize = 16 << 20;
/// Entries that are read at a time.
const BATCH: usize = 64;

/// Writes orders, and takes off the oldest.
const APPEND: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('XADD', KEYS[1], '*', 'purge', '')
  redis.call('SET', KEYS[2], 0)
end
local last
local bytes = tonumber(redis.call('GET', KEYS[2]) or 0)
for at = 4, #ARGV do
  last = redis.call('XADD', KEYS[1], '*', 'purge', ARGV[at])
  bytes = bytes + #ARGV[at]
end
local length = redis.call('XLEN', KEYS[1])
while length > tonumber(ARGV[2]) or bytes > tonumber(ARGV[3]) do
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if first[1] == last then break end
  redis.call('XDEL', KEYS[1], first[1])
  length, bytes = length - 1, bytes - #first[2][2]
end
redis.call('SET', KEYS[2], bytes)
redis.call('PUBLISH', ARGV[1], last)
return last";

/// The last entry; the first of all if there is none.
const HEAD: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[2], 0)
  return redis.call('XADD', KEYS[1], '*', 'purge', '')
end
return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]";

/// What comes after an entry, its place and its text in turn.
const AFTER: &str = "
local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
if not found[1] or found[1][1] ~= ARGV[1] then return false end
local after = {}
for at = 2, #found do
  after[#after + 1] = found[at][1]
  after[#after + 1] = found[at][2][2]
end
return after";

/// See the module.
pub struct Log {
    redis: Arc<Redis>,
    entries: String,
    bytes: String,
    channel: String,
}

/// An order in the log, not read yet.
pub struct Entry {
    pub position: Position,
    pub text: Vec<u8>,
}

impl Log {
    #[must_use]
    pub fn new(redis: Arc<Redis>) -> Self {
        let [entries, bytes, channel] =
            ["cache:purges", "cache:purges:bytes", "cache:purged"].map(|name| redis.key(name));
        Self { redis, entries, bytes, channel }
    }

    /// As messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.redis.name()
    }

    /// What tells it from other logs.
    #[must_use]
    pub fn place(&self) -> String {
        self.redis.place()
    }

    /// Wakes when something is written.
    #[must_use]
    pub fn changes(&self) -> Subscription {
        self.redis.subscribe("cache:purged")
    }

    /// Writes orders; the place of the last of them.
    ///
    /// # Errors
    /// When Redis does not answer. They may be written all the same; written twice, they do no harm.
    pub async fn append(&self, orders: &[String]) -> Result<Position, Failure> {
        let mut append = cmd("EVAL");
        append.arg(APPEND).arg(2).arg(&self.entries).arg(&self.bytes);
        append.arg(&self.channel).arg(MOST).arg(LARGEST_BYTES).arg(orders);
        position(&self.redis.ask::<String>(&append).await?)
    }

    /// The place of the last order there is.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn head(&self) -> Result<Position, Failure> {
        let mut head = cmd("EVAL");
        head.arg(HEAD).arg(2).arg(&self.entries).arg(&self.bytes);
        position(&self.redis.ask::<String>(&head).await?)
    }

    /// Orders that came after this place, the oldest first: none only if there are none. `None` if nobody knows any more which
    /// came after it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn after(&self, place: Position) -> Result<Option<Vec<Entry>>, Failure> {
        let mut after = cmd("EVAL");
        after.arg(AFTER).arg(1).arg(&self.entries).arg(place.to_string()).arg(BATCH + 1);
        let Some(found) = self.redis.ask::<Option<Vec<Vec<u8>>>>(&after).await? else { return Ok(None) };
        let mut entries = Vec::with_capacity(found.len() / 2);
        let mut found = found.into_iter();
        while let (Some(place), Some(text)) = (found.next(), found.next()) {
            let position = position(&String::from_utf8_lossy(&place))?;
            entries.push(Entry { position, text });
        }
        Ok(Some(entries))
    }
}

fn position(text: &str) -> Result<Position, Failure> {
    text.parse().map_err(|_| Failure::Refused(format!("expected the ID of an entry, found {text:?}")))
}
