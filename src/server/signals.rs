//! The signals the process understands.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// One stream a signal. From its making on, none of them ends the process by itself.
pub struct Signals {
    /// SIGHUP: read the policy again.
    pub reload: Signal,
    /// SIGUSR1: open log files anew.
    pub reopen: Signal,
    /// SIGUSR2: start a successor.
    pub upgrade: Signal,
    /// SIGQUIT: nothing. Elsewhere it ends a process whose successor runs; here the hand-over does.
    pub quit: Signal,
    /// SIGTERM: stop, and let open requests end.
    pub terminate: Signal,
    /// SIGINT: the same; it also cuts a drain short.
    pub interrupt: Signal,
}

impl Signals {
    /// Takes them all.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}
