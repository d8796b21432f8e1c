//! What the parsers' tests share.

use rustix::time::{ClockId, clock_gettime};

use super::{Arena, Fault, Item, Kind, Limits, Sink};

/// Wide enough for every test that is not about limits.
pub(super) const fn limits() -> Limits {
    Limits {
        items: 2_000_000,
        name_bytes: 1 << 20,
        value_bytes: 16 << 20,
        arena_bytes: 64 << 20,
        depth: 64,
        files: 100,
    }
}

/// Every item of `input`, its texts resolved, with how the parser ended.
pub(super) fn found<R>(
    input: &[u8],
    parse: impl FnOnce(&mut Arena, &mut dyn Sink) -> R,
) -> (Vec<(Kind, String, String)>, R) {
    let mut arena = Arena::default();
    let mut items: Vec<Item> = Vec::new();
    let outcome = parse(&mut arena, &mut |item| items.push(item));
    let resolve = |text| String::from_utf8_lossy(arena.text(input, text)).into_owned();
    (items.iter().map(|item| (item.kind, resolve(item.name), resolve(item.value))).collect(), outcome)
}

/// Every name and value of `input`, whatever they are.
pub(super) fn named(
    input: &[u8],
    parse: impl FnOnce(&mut Arena, &mut dyn Sink) -> Result<(), Fault>,
) -> Result<Vec<(String, String)>, Fault> {
    let (items, outcome) = found(input, parse);
    outcome.map(|()| items.into_iter().map(|(_, name, value)| (name, value)).collect())
}

pub(super) fn texts(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Seconds of the processor that work takes on this thread: what runs beside it does not count.
pub(super) fn cpu_seconds(work: impl FnOnce()) -> i64 {
    let now = || clock_gettime(ClockId::ThreadCPUTime).tv_sec;
    let start = now();
    work();
    now() - start
}
