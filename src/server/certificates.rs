//! Certificates change on disk while the process runs: they are taken over as soon as they fit.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use super::Shared;

/// How often files are looked at.
pub const PERIOD: Duration = Duration::from_secs(2);

impl Shared {
    /// Takes over changed certificates and ticket keys. What does not fit stays out, and the log says why.
    pub(super) fn renew_certificates(&self) {
        let snapshot = self.snapshot.load();
        for door in &snapshot.doors {
            let Some(acceptor) = &door.tls else { continue };
            match acceptor.rotate_tickets() {
                Ok(true) => log::info!(listener:% = door.address; "session ticket keys rotated"),
                Ok(false) => {}
                Err(problem) => {
                    log::error!(listener:% = door.address, problem:%; "session ticket keys not rotated");
                }
            }
            if !acceptor.changed() {
                continue;
            }
            let reloaded = acceptor.reload();
            for path in &reloaded.replaced {
                log::info!(listener:% = door.address, file:% = path.display(); "certificate replaced");
            }
            for problem in &reloaded.problems {
                log::error!(listener:% = door.address, problem:%; "certificate not replaced, the one before is served on");
            }
        }
        self.show_certificates();
    }

    /// Shows when each certificate ends.
    pub(super) fn show_certificates(&self) {
        let snapshot = self.snapshot.load();
        let all =
            snapshot.doors.iter().filter_map(|door| door.tls.as_ref()).flat_map(|tls| tls.certificates());
        let ends: BTreeSet<_> = all
            .map(|certificate| (certificate.source().display().to_string(), certificate.not_after()))
            .collect();
        let series = ends.into_iter().map(|(name, end)| {
            let series = self.materials.metrics.certificate(&name);
            series.set_expiry(UNIX_EPOCH + Duration::from_secs(u64::try_from(end).unwrap_or(0)));
            series
        });
        *self.held(&self.certificates) = series.collect();
    }
}
