//! Servers for tests.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Client, ClientProof, Place, Server};
use crate::http::fetch::testing::Scripted;
use crate::state::Clock;
use crate::state::clock::ClockHand;
use crate::values::{Secret, SecretString};

/// A secret of this value.
pub fn secret(value: &str) -> SecretString {
    let path = std::env::temp_dir().join(format!("edgeward-oauth-{:032x}", fastrand::u128(..)));
    std::fs::write(&path, value).unwrap();
    let secret = Secret::File(path.clone()).resolve(Path::new("/")).unwrap();
    std::fs::remove_file(path).unwrap();
    secret
}

/// One at a URL, to which we are `edge` with the secret `hush`.
pub fn server(fetch: Arc<Scripted>, url: &str) -> (Server, ClockHand) {
    let (clock, hand) = Clock::manual(SystemTime::UNIX_EPOCH);
    let client = Client { id: "edge".into(), proof: ClientProof::Basic(secret("hush")) };
    let place = Place::Url(url.parse().unwrap());
    (Server { fetch, place, client, timeout: Duration::from_secs(1), clock }, hand)
}
