//! Notices of what becomes of keys: found every few seconds, written down, and sent until they are taken.
//!
//! One sender at a time, whatever is reloaded; and of a fleet, one process for each notice. What is found is on the disk
//! before it is sent, and stays there until it is taken; so a crash repeats a notice at most, under the same id. When a
//! process hands over or stops, it looks no more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use super::fleet::Claim;
use super::kept::{Kept, told};
use super::{Consumers, state_dir};
use crate::auth::keys::notice::{Delivery, THRESHOLDS};
use crate::auth::keys::{Directory, Moment, Notices as Ledger};
use crate::auth::signature::webhook::{Scheme, Webhook};
use crate::config::spec::KeyNotices;
use crate::http::fetch::{Fetch, Request};
use crate::http::url::Url;
use crate::outbound::{Client, Terms};
use crate::state::{Chore, Work};
use crate::tls;
use crate::values::Problem;

/// The file in the state directory.
const FILE: &str = "key-notices.json";
/// How often keys are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two looks, whatever is due.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
/// How long the receiver may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Times before expiry.
const MOST_THRESHOLDS: usize = 16;
/// The present secret and the one before.
const MOST_SECRETS: usize = 2;

/// Who is told, and how.
pub(super) struct Notices {
    url: Url,
    /// One for each secret.
    signers: Vec<Webhook>,
    thresholds: Vec<Duration>,
    client: Client,
    file: PathBuf,
    kept: Arc<Kept>,
}

impl Notices {
    pub fn compile(
        spec: &KeyNotices,
        state: &Path,
        base: &Path,
        kept: &Arc<Kept>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if !spec.url.is_secure() && !spec.danger_http && !spec.url.is_loopback() {
            let message = "notices by plain http are anybody's to read: use https, or accept it with `danger_http: true`";
            problems.push(Problem::new("url", message));
        }
        if !spec.url.is_secure() && spec.tls.is_some() {
            problems.push(Problem::new("tls", "means nothing with an http: URL"));
        }
        let signers = signers(spec, base).map_err(|problem| problems.push(problem));
        let thresholds = thresholds(spec).map_err(|problem| problems.push(problem));
        let terms = tls::Client::load(&spec.tls.clone().unwrap_or_default(), base);
        let terms = terms.map_err(|wrong| problems.extend(wrong.into_iter().map(|one| one.under("tls"))));
        match (signers, thresholds, terms) {
            (Ok(signers), Ok(thresholds), Ok(terms)) if problems.is_empty() => Ok(Self {
                url: spec.url.clone(),
                signers,
                thresholds,
                client: Client::new(&kept.outbound, Terms::new(terms)),
                file: state.join(FILE),
                kept: Arc::clone(kept),
            }),
            _ => Err(problems),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Option<Ledger>> {
        self.kept.desk.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with what the policy before left in memory, by the thresholds of this one.
    fn begin(&self) {
        let mut ledger = self.ledger();
        let text = ledger.as_ref().and_then(|ledger| ledger.encode().ok());
        if let Some(again) = text.and_then(|text| Ledger::parse(&text, &self.thresholds, seed()).ok()) {
            *ledger = Some(again);
        }
    }

    /// Looks for what happened, and writes it down. Blocks for the disk.
    fn look(&self, directory: &Directory, now: Moment) {
        let mut ledger = self.ledger();
        if ledger.is_none() {
            match Ledger::load_from_file(&self.file, &self.thresholds, seed(), now) {
                Ok(loaded) => *ledger = Some(loaded),
                // Not begun anew: what was told already would be told again, and the file be lost.
                Err(error) => return log::error!(error:% = told(&error); "no notices are sent"),
            }
        }
        let Some(notices) = ledger.as_mut() else { return };
        notices.observe(directory, now);
        self.save(notices);
    }

    /// Writes down what became of a delivery. Blocks for the disk.
    fn settle(&self, id: &str, taken: bool, now: Moment) {
        let mut ledger = self.ledger();
        let Some(notices) = ledger.as_mut() else { return };
        if taken {
            notices.delivered(id);
        } else {
            notices.failed(id, now);
        }
        self.save(notices);
    }

    fn save(&self, notices: &mut Ledger) {
        self.kept.metrics.notices_waiting(notices.waiting());
        let folder = self.file.parent().unwrap_or(Path::new(""));
        // If it cannot be made, it cannot be written into, which is told.
        drop(state_dir::make(folder));
        if let Err(error) = notices.save_to_file(&self.file) {
            log::error!(error:% = told(&error); "notices are not written down; after a restart some may be sent twice");
        }
    }

    /// Sends it once; whether it was taken.
    async fn send(&self, delivery: &Delivery) -> bool {
        let outcome = match self.request(delivery) {
            Some(request) => match self.client.fetch(request).await {
                Ok(response) if response.status.is_success() => Ok(()),
                Ok(response) => Err(format!("status {}", response.status.as_u16())),
                Err(failure) => Err(failure.to_string()),
            },
            None => Err("it cannot be written as a request".to_owned()),
        };
        self.kept.metrics.notice_sent(outcome.is_ok());
        let (kind, attempt) = (delivery.kind.as_str(), delivery.attempt);
        match &outcome {
            Ok(()) => log::info!(notice = kind, id:% = delivery.id, attempt; "notice taken"),
            Err(why) => {
                log::warn!(notice = kind, id:% = delivery.id, attempt, why:%; "notice not taken, to be sent again");
            }
        }
        outcome.is_ok()
    }

    fn request(&self, delivery: &Delivery) -> Option<Request> {
        let mut request = Request::new(Method::POST, self.url.clone());
        request.headers = self.headers(delivery)?;
        request.body = Bytes::from(delivery.body.clone().into_bytes());
        // The receiver knows it by its id.
        request.repeatable = true;
        request.limits.deadline = DEADLINE;
        Some(request)
    }

    fn headers(&self, delivery: &Delivery) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let sign = |seconds, id: &str, body: &[u8]| {
            let signatures: Vec<_> =
                self.signers.iter().map(|signer| signer.sign(seconds, id, body)).collect();
            signatures.join(" ")
        };
        for (name, value) in delivery.headers(sign) {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).ok()?);
        }
        Some(headers)
    }
}

fn signers(spec: &KeyNotices, base: &Path) -> Result<Vec<Webhook>, Problem> {
    let secrets = spec.secret.as_slice();
    if !(1..=MOST_SECRETS).contains(&secrets.len()) {
        return Err(Problem::new("secret", "expected one secret, or the new one and the old"));
    }
    let signer = |(index, secret): (usize, &crate::values::Secret)| {
        let at = if secrets.len() == 1 { "secret".to_owned() } else { format!("secret[{index}]") };
        let secret = secret.resolve(base).map_err(|error| Problem::new(&*at, error))?;
        Webhook::new(Scheme::standard(), &[secret]).map_err(|error| Problem::new(&*at, error))
    };
    secrets.iter().enumerate().map(signer).collect()
}

fn thresholds(spec: &KeyNotices) -> Result<Vec<Duration>, Problem> {
    let Some(before) = &spec.before else { return Ok(THRESHOLDS.to_vec()) };
    if before.len() > MOST_THRESHOLDS {
        let message = format_args!("expected at most {MOST_THRESHOLDS}, found {}", before.len());
        return Err(Problem::new("before", message));
    }
    Ok(before.iter().map(|before| **before).collect())
}

/// For the pauses between tries, which nobody need foresee.
fn seed() -> u64 {
    fastrand::u64(..)
}

/// Sends notices as long as the policy is in force.
pub(super) struct Tell {
    pub notices: Arc<Notices>,
    pub consumers: Arc<Consumers>,
}

impl Chore for Tell {
    fn run(self: Arc<Self>) -> Work {
        Box::pin(async move {
            let kept = &self.notices.kept;
            let mut closed = kept.desk.closed.subscribe();
            let _alone = kept.desk.alone.lock().await;
            self.notices.begin();
            tokio::select! {
                () = self.tell() => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        })
    }
}

impl Tell {
    async fn tell(self: &Arc<Self>) {
        loop {
            self.blocking(|tell| tell.notices.look(&tell.consumers.ring.load(), tell.consumers.now())).await;
            while let Some(delivery) = self.due() {
                let taken = self.deliver(&delivery).await;
                self.blocking(move |tell| tell.notices.settle(&delivery.id, taken, tell.consumers.now()))
                    .await;
            }
            self.notices.kept.pause(self.pause()).await;
        }
    }

    /// Sends it, if it is this process of a fleet that does; whether it was taken.
    async fn deliver(&self, delivery: &Delivery) -> bool {
        let Some(fleet) = self.consumers.fleet() else { return self.notices.send(delivery).await };
        match fleet.claim(&delivery.id).await {
            Ok(Claim::Ours) => {}
            Ok(Claim::Taken) => return true,
            Ok(Claim::Theirs) => return false,
            Err(error) => {
                log::debug!(id:% = delivery.id, error:%; "notice not claimed, to be tried again");
                return false;
            }
        }
        let taken = self.notices.send(delivery).await;
        if taken && let Err(error) = fleet.taken(&delivery.id).await {
            log::warn!(id:% = delivery.id, error:%; "notice taken, but others do not know: it may be sent again");
        }
        taken
    }

    fn due(&self) -> Option<Delivery> {
        self.notices.ledger().as_mut()?.due(self.consumers.now())
    }

    /// Until the next try, at most until the next look.
    fn pause(&self) -> Duration {
        let next = self.notices.ledger().as_ref().and_then(Ledger::next_due);
        let wait = next.map_or(LOOK_EVERY, |next| next.since(self.consumers.now()));
        wait.clamp(SHORTEST_PAUSE, LOOK_EVERY)
    }

    async fn blocking(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) {
        let tell = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || work(&tell)).await {
            log::error!(error:%; "the look at notices is lost");
        }
    }
}
