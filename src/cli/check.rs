//! `edgeward check`: everything that is wrong with a policy, at once.

use std::path::Path;
use std::process::ExitCode;

use super::EXIT_WRONG;
use crate::policy::Materials;
use crate::server;

/// Checks a policy as a start or a reload would, opening no socket and no log.
pub(super) fn check(policy: &Path, json: bool) -> ExitCode {
    let materials = match Materials::dry() {
        Ok(materials) => materials,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match server::read(policy, &materials, None) {
        Ok(snapshot) => {
            let (routes, upstreams) = (snapshot.route_count(), snapshot.services.len());
            if json {
                println!("[]");
            } else {
                let (routes, upstreams) = (counted(routes, "route"), counted(upstreams, "upstream"));
                println!("{}: good ({routes}, {upstreams})", policy.display());
            }
            ExitCode::SUCCESS
        }
        Err(diagnostics) if json => {
            match serde_json::to_string_pretty(&diagnostics) {
                Ok(text) => println!("{text}"),
                Err(error) => eprintln!("error: {error}"),
            }
            ExitCode::from(EXIT_WRONG)
        }
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            ExitCode::from(EXIT_WRONG)
        }
    }
}

/// How many there are: `1 route`, `2 routes`.
fn counted(count: usize, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}
