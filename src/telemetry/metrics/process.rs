//! What the kernel knows of the process, read from `/proc` at each scrape. Where `/proc` tells nothing, so do these.

use std::fs;

use prometheus::{Gauge, IntGauge, Registry};

/// Clock ticks per second in `/proc`: `USER_HZ`, part of the kernel's interface and 100 on every machine that Rust's
/// Linux targets of today run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process's own gauges.
pub(super) struct Process {
    resident_memory: IntGauge,
    open_descriptors: IntGauge,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let start_time = Gauge::new("edgeward_process_start_time_seconds", "When the process started.")?;
        let resident_memory =
            IntGauge::new("edgeward_process_resident_memory_bytes", "Memory that the process has in RAM.")?;
        let open_descriptors = IntGauge::new("edgeward_process_open_fds", "File descriptors that are open.")?;
        registry.register(Box::new(start_time.clone()))?;
        registry.register(Box::new(resident_memory.clone()))?;
        registry.register(Box::new(open_descriptors.clone()))?;
        start_time.set(start_seconds().unwrap_or_default());
        Ok(Self { resident_memory, open_descriptors })
    }

    pub(super) fn refresh(&self) {
        self.resident_memory.set(resident_bytes().unwrap_or_default());
        self.open_descriptors.set(open_descriptors().unwrap_or_default());
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = kilobytes.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn open_descriptors() -> Option<i64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory being read.
    i64::try_from(entries.saturating_sub(1)).ok()
}

/// Seconds since the Unix epoch: boot time plus the ticks between boot and start (proc(5), fields `btime` and 22).
fn start_seconds() -> Option<f64> {
    let process = fs::read_to_string("/proc/self/stat").ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + start_ticks(&process)? / TICKS_PER_SECOND)
}

/// Field 22. Field 2 is the program's name in parentheses and may hold spaces and parentheses itself, so fields are
/// counted from behind the last one, where field 3 begins.
fn start_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn finds_the_start_behind_a_hostile_program_name() {
        let stat =
            "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4711 1000 200 18446744073709551615";
        assert_eq!(start_ticks(stat), Some(4711.0));
        assert_eq!(start_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn started_in_the_past_of_this_boot() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let start = start_seconds().unwrap();
        // Boot time is kept in whole seconds.
        assert!(start > 1_600_000_000.0 && start <= now + 1.0, "{start} {now}");
    }

    #[test]
    fn sees_memory_and_descriptors_grow() {
        let (memory, descriptors) = (resident_bytes().unwrap(), open_descriptors().unwrap());
        // Large beside what other tests in the process may give back meanwhile.
        let ballast = vec![1_u8; 256 << 20];
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(resident_bytes().unwrap() > memory + (128 << 20));
        assert!(open_descriptors().unwrap() > descriptors + 50);
        drop((ballast, files));
    }
}
