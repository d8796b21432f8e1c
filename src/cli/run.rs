//! `edgeward run`: serves until told to stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use super::EXIT_WRONG;
use crate::config::Document;
use crate::config::spec::{LogFormat, Policy};
use crate::policy::Materials;
use crate::server::{self, Options, Relaunch, RunError, Sockets};
use crate::telemetry::log;
use crate::telemetry::writer::{Destination, LineWriter};

/// How long the last lines of the log may take.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(policy: PathBuf, upgrade: bool) -> ExitCode {
    match try_run(policy, upgrade) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let wrong = matches!(error.downcast_ref(), Some(RunError::Policy(_)));
            if wrong {
                eprintln!("{error}");
                return ExitCode::from(EXIT_WRONG);
            }
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(policy: PathBuf, upgrade: bool) -> anyhow::Result<()> {
    let relaunch = Relaunch::capture().context("cannot find this program's own file")?;
    let (destination, log) = start_log(&policy)?;
    let materials = Materials::new()?;
    materials.logs.adopt(destination, &log);
    let options =
        Options { policy, upgrade, sockets: Sockets::default(), relaunch: Some(relaunch), standalone: true };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    let (_running, stop) = watch::channel(false);
    let ended = runtime.block_on(server::run(options, materials, stop, |_| {}));
    runtime.shutdown_background();
    // The last lines say why it ended. What cannot be written now is lost; there is nowhere left to say so.
    let _late = log.flush(FLUSH_PATIENCE);
    Ok(ended?)
}

/// Starts the operational log as far as the policy is right. What is wrong with it is told later, all at once.
fn start_log(policy: &Path) -> anyhow::Result<(Destination, Arc<LineWriter>)> {
    let spec =
        Document::load(policy).ok().and_then(|document| document.root().read::<Policy>(&mut Vec::new()));
    let spec = spec.map(|policy| policy.log).unwrap_or_default();
    let base = policy.parent().unwrap_or(Path::new(""));
    let settings = log::Settings {
        filter: spec.level.parse().unwrap_or_default(),
        format: match spec.format {
            LogFormat::Auto => None,
            LogFormat::Json => Some(log::Format::Json),
            LogFormat::Text => Some(log::Format::Human),
        },
        destination: spec.file.map_or(Destination::Stderr, |file| Destination::File(base.join(file))),
    };
    let destination = settings.destination.clone();
    let writer = log::init(settings)?;
    Ok((destination, writer))
}
