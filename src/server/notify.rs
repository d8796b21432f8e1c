//! Tells the service manager how the process is doing: `sd_notify(3)`, protocol `NOTIFY_SOCKET`.
//!
//! Without a service manager every call does nothing. The environment is read once and never changed: other threads
//! may be reading it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// How long one message may wait for a manager that is behind with reading.
const PATIENCE: Duration = Duration::from_secs(1);

/// What ending takes beyond the time to drain, such as writing out logs.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notify {
    manager: Option<Manager>,
    watchdog: Option<Duration>,
}

/// Addressed anew for each message: a manager that was restarted has another socket of the same name.
#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notify {
    /// The way that the environment describes. One that cannot be taken is logged and not taken: a proxy serves also
    /// when nobody listens to how it does.
    #[must_use]
    pub fn from_env() -> Self {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id());
        Self::to(&address, watchdog).unwrap_or_else(|error| {
            log::warn!("cannot notify the service manager: {error}");
            Self::default()
        })
    }

    /// Notifies the socket at a path or, after an `@`, at an abstract name.
    ///
    /// # Errors
    /// When that is no address.
    pub fn to(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop us for long; a full queue may still empty.
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { manager: Some(Manager { socket, address }), watchdog })
    }

    /// How often [`alive`](Self::alive) is due, half of what the manager waits; `None` where it does not watch.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Start or reload is done. `status` is what `systemctl status` shows.
    pub fn ready(&self, status: &str) {
        let status = one_line(status);
        self.send(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// A reload begins. [`ready`](Self::ready) must follow whether or not the new policy is good.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!("cannot notify the service manager: {error}"),
        }
    }

    /// The process stops for good, within this time. Not for a hand-over, in which the service goes on.
    ///
    /// The time is told, for it is the policy's: the unit's `TimeoutStopSec` need not fit it.
    pub fn stopping(&self, status: &str, within: Duration) {
        let status = one_line(status);
        // The field has 32 bits: 71 minutes.
        let within = u32::try_from((within + STOP_MARGIN).as_micros()).unwrap_or(u32::MAX);
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status(&status),
            NotifyState::ExtendTimeoutUsec(within),
        ]);
    }

    /// The process is alive; due every [`watchdog`](Self::watchdog).
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// `pid` is the service's main process from now on. To be told before the successor is acknowledged, so that its
    /// own messages come after this one: the manager listens to the main process alone (`NotifyAccess=main`).
    pub fn main_pid(&self, pid: u32) {
        self.send(&[NotifyState::MainPid(pid)]);
    }

    /// Whether the manager would take `pid` for the main process: it must live in our control group, which a process
    /// that was started from a shell does not. True where no manager is.
    ///
    /// Without this a successor from a shell would take the sockets, the manager would see the service end, start it
    /// again and fail.
    #[must_use]
    pub fn accepts(&self, pid: u32) -> bool {
        self.manager.is_none()
            || same_group(control_group("self").as_deref(), control_group(&pid.to_string()).as_deref())
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(Manager { socket, address }) = &self.manager else {
            return;
        };
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        if let Err(error) = socket.send_to_addr(lines.join("\n").as_bytes(), address) {
            log::warn!("cannot notify the service manager: {error}");
        }
    }
}

/// Half of `WATCHDOG_USEC`, if it is meant for this process. The successor of a supervised process finds no
/// `WATCHDOG_PID` and takes the duty over.
fn watchdog(usec: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let usec: u64 = usec?.parse().ok()?;
    (usec > 1).then(|| Duration::from_micros(usec / 2))
}

/// A status is one line of the protocol; a second one would be another field.
fn one_line(status: &str) -> String {
    status.replace(char::is_control, " ")
}

/// `/proc/PID/cgroup`: the same text means the same groups in every hierarchy.
fn control_group(process: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/cgroup")).ok()
}

fn same_group(one: Option<&str>, two: Option<&str>) -> bool {
    one.is_some() && one == two
}

#[cfg(test)]
mod tests;
