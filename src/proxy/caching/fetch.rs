//! What an errand brings: whether it is kept, who may have it while it comes, and its way into the store.
//!
//! What always holds: only what came to its end is stored; a response that was asked for before a purge is purged with the
//! others; and of a response that is for one client alone, nobody else gets a byte.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::subrequest::server::SubrequestHandle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::errand::{Failure, Ready, Told};
use super::keep::Spot;
use crate::cache::content::{Content, Fill, Reader};
use crate::cache::flights::Leader;
use crate::cache::freshness::{Freshness, Received};
use crate::cache::memory::Stored;
use crate::cache::purge::Epoch;
use crate::cache::shared::{Coming, Landing, is_of_use};
use crate::cache::store::{self, Asked, Audience, Refusal};
use crate::cache::tiered::{Found, Intake};
use crate::cache::validate::{self, Outcome};
use crate::cache::vary::Selector;
use crate::cache::{Key, RequestDirectives, ResponseDirectives, tags};
use crate::filters::cache::Settings;
use crate::http::length;
use crate::state::Clock;

/// For how long nobody waits for a key whose response was for one client alone: a minute, in nanoseconds.
const APART_NS: u64 = 60_000_000_000;

/// What is to be known to make use of an answer.
pub struct Fetch {
    pub settings: Arc<Settings>,
    pub wants: RequestDirectives,
    pub credentials: bool,
    pub audience: Audience,
    pub key: Key,
    pub url: String,
    /// The fields by which the cache looked.
    pub asked: Arc<HeaderMap>,
    pub asked_in: Epoch,
    /// What the origin is asked about, if it is.
    pub validated: Option<Found>,
    /// What of that does not hold any more.
    pub replaced: Option<Found>,
    /// Whether what is stored is of more use than the failure that came, which then must not take its place.
    pub outlasts: bool,
    /// Where others wait, if they do.
    pub leader: Option<Leader<Landing>>,
    pub clock: Clock,
    /// Where no client waits.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What the client gets that asked.
pub enum Own {
    Arrived(Arrived),
    /// What was stored still holds, with these cookies for the client.
    Holds(Found, Told, Vec<HeaderValue>),
    /// It does not hold, and the origin has not said what does.
    Again,
    Failed(Failure),
}

/// A response that comes.
pub struct Arrived {
    pub head: Box<ResponseHeader>,
    pub content: Reader,
    /// How fresh it is, or why it is not stored.
    pub kept: Result<Freshness, &'static str>,
    pub told: Told,
}

/// Where the client that asked reads.
pub struct Waiting {
    pub own: oneshot::Receiver<Own>,
    /// Heads of interim responses.
    pub interim: mpsc::UnboundedReceiver<Box<ResponseHeader>>,
}

struct Tell {
    own: oneshot::Sender<Own>,
    interim: mpsc::UnboundedSender<Box<ResponseHeader>>,
}

/// What is kept of a response.
struct Keep {
    directives: ResponseDirectives,
    selector: Selector,
}

impl Fetch {
    /// Asks, in a task of its own.
    pub fn start(self, ready: Ready) -> Waiting {
        let (own, own_receiver) = oneshot::channel();
        // As many as the gateway lets pass.
        let (interim, interim_receiver) = mpsc::unbounded_channel();
        let Ready { request, answer, failure } = ready;
        let tell = Tell { own, interim };
        tokio::spawn(async move { tokio::join!(request.run(), self.take(answer, failure, tell)) });
        Waiting { own: own_receiver, interim: interim_receiver }
    }

    async fn take(mut self, mut answer: SubrequestHandle, failure: Arc<OnceLock<Failure>>, mut tell: Tell) {
        let head = tokio::select! {
            head = final_head(&mut answer, &tell.interim) => head,
            () = self.orphaned(&mut tell.own) => None,
        };
        let Some(mut head) = head else { return self.fail(failure.get(), tell) };
        let told = head.extensions_mut().remove::<Told>().unwrap_or_default();
        let found = self.validated.take();
        let outcome = found
            .as_ref()
            .map(|found| validate::outcome(head.status, &head.headers, &found.stored.record.to_fields()));
        match (outcome, found) {
            (Some(Outcome::Confirmed), Some(found)) => {
                self.confirm(&head, told, found, tell);
                drain(&mut answer).await;
            }
            (Some(Outcome::Mismatch), Some(found)) => {
                self.settings.shared.store.remove(&self.key, &found.stored);
                self.leader = None;
                _ = tell.own.send(Own::Again);
                drain(&mut answer).await;
            }
            (Some(Outcome::Failed), Some(found)) => {
                self.outlasts = found.outlasts_a_failure(self.clock.wall());
                if let Some(leader) = self.leader.take() {
                    leader.share(Landing::Failed(Some(head.status)));
                }
                self.receive(head, told, answer, tell).await;
            }
            (_, found) => {
                self.replaced = found;
                self.receive(head, told, answer, tell).await;
            }
        }
    }

    /// Resolves once nobody waits for the answer and there is no leave to ask all the same: who asks and leaves, over and
    /// over, must not keep an origin busy.
    async fn orphaned(&mut self, own: &mut oneshot::Sender<Own>) {
        own.closed().await;
        let is_followed = self.leader.as_ref().is_some_and(Leader::is_followed);
        self.permit = self.permit.take().or_else(|| self.settings.shared.background());
        if is_followed || self.permit.is_some() {
            std::future::pending::<()>().await;
        }
    }

    fn fail(&mut self, failure: Option<&Failure>, tell: Tell) {
        if let Some(leader) = self.leader.take() {
            leader.share(Landing::Failed(None));
        }
        let failure = failure.cloned().unwrap_or(Failure {
            status: StatusCode::BAD_GATEWAY,
            reason: "connection_terminated",
            told: Told::default(),
        });
        _ = tell.own.send(Own::Failed(failure));
    }

    /// The stored response holds: its fields are brought up to date (RFC 9111 §4.3.4).
    fn confirm(&mut self, head: &ResponseHeader, told: Told, found: Found, tell: Tell) {
        let mut answer = head.headers.clone();
        let cookies = answer.get_all(SET_COOKIE).iter().cloned().collect();
        answer.remove(SET_COOKIE);
        let fields = validate::freshened(&found.stored.record.to_fields(), &answer);
        let received_at = self.clock.wall();
        let requested_at = received_at.checked_sub(told.delay).unwrap_or(received_at);
        let response = Received { status: found.stored.status, headers: &fields, requested_at, received_at };
        let content = found.stored.content.clone();
        let keep = self.keep(&response, &told, None);
        let directives = ResponseDirectives::read(&fields);
        let tags = tags::read(&fields, &self.settings.tags).unwrap_or_default();
        let renewed = self.spot().stored(&response, &directives, &tags, content);
        let found = match (renewed, keep) {
            (Some(stored), Ok(_)) => {
                self.settings.shared.store.update(self.key, &found, stored.clone());
                let found = found.renewed(stored);
                if let Some(leader) = self.leader.take() {
                    self.settle(leader, &found.freshness, Landing::Holds(found.clone()));
                }
                found
            }
            (renewed, _) => {
                self.settings.shared.store.remove(&self.key, &found.stored);
                match renewed {
                    Some(stored) => found.renewed(stored),
                    None => found,
                }
            }
        };
        _ = tell.own.send(Own::Holds(found, told, cookies));
    }

    /// Shares what others may use now, and lets them go otherwise. They wait for it until the leader is dropped.
    fn settle(&mut self, leader: Leader<Landing>, freshness: &Freshness, landing: Landing) {
        if is_of_use(freshness, &RequestDirectives::default(), self.clock.wall()) {
            leader.share(landing);
            self.leader = Some(leader);
        } else {
            leader.part(self.clock.nanos().saturating_add(APART_NS));
        }
    }

    /// Another response than was stored.
    async fn receive(
        &mut self,
        head: Box<ResponseHeader>,
        told: Told,
        mut answer: SubrequestHandle,
        tell: Tell,
    ) {
        let received_at = self.clock.wall();
        let requested_at = received_at.checked_sub(told.delay).unwrap_or(received_at);
        let headers = head.headers.clone();
        let response = Received { status: head.status, headers: &headers, requested_at, received_at };
        let length = length::read(&headers);
        let keep = self.keep(&response, &told, length);
        let budget = self.settings.shared.budget.clone();
        let (reader, writer) = match &keep {
            Ok(keep) => {
                let in_memory = self.limit().min(self.settings.shared.store.memory().largest());
                let (fill, writer) = Fill::new(in_memory, budget);
                let reader = fill.reader();
                self.share(&response, keep, length, fill);
                (reader, writer)
            }
            Err(refusal) => {
                self.part(head.status, refusal);
                self.forget(head.status);
                let (reader, writer) = Fill::passing(budget);
                (Some(reader), writer)
            }
        };
        let Some(content) = reader else { return };
        let rules = &self.settings.rules;
        let kept = match &keep {
            Ok(keep) => Ok(Freshness::new(&response, &keep.directives, rules)),
            Err(reason) => Err(*reason),
        };
        let has_content = !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        _ = tell.own.send(Own::Arrived(Arrived { head, content, kept, told }));
        let length = if has_content { length } else { Some(0) };
        let intake = Intake::new(self.settings.shared.store.clone(), writer, self.limit());
        follow(&mut answer, intake, length, self.key, |content| {
            keep.as_ref().ok().and_then(|_| self.spot().make(&response, content))
        })
        .await;
        // Whoever comes from now on finds what is stored.
        self.leader = None;
        drain(&mut answer).await;
    }

    fn share(&mut self, response: &Received<'_>, keep: &Keep, length: Option<u64>, content: Fill) {
        let Some(leader) = self.leader.take() else { return };
        if response.status == StatusCode::PARTIAL_CONTENT {
            // Others want other parts.
            return;
        }
        let freshness = Freshness::new(response, &keep.directives, &self.settings.rules);
        let variant = (keep.selector.clone(), keep.selector.fingerprint(&self.asked));
        let fields = store::stored_fields(response, &keep.directives);
        let coming = Coming { status: response.status, fields, freshness, length, variant, content };
        self.settle(leader, &freshness, Landing::Coming(Arc::new(coming)));
    }

    /// Nobody else gets this one. An error, or what answers one client's condition, says nothing about the next.
    fn part(&mut self, status: StatusCode, reason: &str) {
        let Some(leader) = self.leader.take() else { return };
        if !status.is_server_error() && reason != Refusal::Status.reason() {
            leader.part(self.clock.nanos().saturating_add(APART_NS));
        }
    }

    /// What the origin was asked about is no more, and what there is instead is not stored. An error may be this client's own.
    fn forget(&mut self, status: StatusCode) {
        let is_final = status.is_success() || status.is_redirection() || matches!(status.as_u16(), 404 | 410);
        if let Some(found) = self.replaced.take().filter(|_| is_final) {
            self.settings.shared.store.remove(&self.key, &found.stored);
        }
    }

    fn spot(&self) -> Spot<'_> {
        let Self { settings, key, url, asked, asked_in, .. } = self;
        Spot { settings, key, url, asked, asked_in: *asked_in }
    }

    /// The longest content that is stored, in bytes.
    fn limit(&self) -> u64 {
        self.settings.max_object.min(self.settings.shared.store.largest())
    }

    /// Whether a response is kept, or the word for why not.
    fn keep(&self, response: &Received<'_>, told: &Told, length: Option<u64>) -> Result<Keep, &'static str> {
        let asked = Asked {
            method: &Method::GET,
            headers: &self.asked,
            has_content: false,
            has_credentials: self.credentials || told.credentials,
            audience: self.audience,
        };
        if self.outlasts {
            return Err(Refusal::Status.reason());
        }
        let directives = ResponseDirectives::read(response.headers);
        store::may_store(&asked, &self.wants, response, &directives, &self.settings.rules)
            .map_err(Refusal::reason)?;
        let selector = Selector::read(response.headers).filter(|_| !told.varied);
        let selector = selector.ok_or(Refusal::Vary.reason())?;
        tags::read(response.headers, &self.settings.tags).ok_or("tags")?;
        if length.is_some_and(|length| length > self.limit()) {
            return Err("too_large");
        }
        Ok(Keep { directives, selector })
    }
}

/// The head of the final response; interim ones are told. `None` if there is none.
async fn final_head(
    answer: &mut SubrequestHandle,
    interim: &mpsc::UnboundedSender<Box<ResponseHeader>>,
) -> Option<Box<ResponseHeader>> {
    loop {
        match answer.rx.recv().await? {
            HttpTask::Header(head, _) if head.status.is_informational() => {
                // Nobody hears it where nobody waits.
                _ = interim.send(head);
            }
            HttpTask::Header(head, _) => return Some(head),
            HttpTask::Failed(_) => return None,
            _ => {}
        }
    }
}

/// Writes what comes, to its end, and keeps what can be kept of it. If it breaks off, or nobody wants it, nothing is.
async fn follow(
    answer: &mut SubrequestHandle,
    mut intake: Intake,
    length: Option<u64>,
    key: Key,
    make: impl FnOnce(Content) -> Option<Arc<Stored>>,
) {
    let mut received = 0;
    // The last piece goes with the end, so that who has all of it finds it stored.
    let mut last = Bytes::new();
    while length.is_none_or(|length| received < length) {
        let task = tokio::select! {
            task = answer.rx.recv() => task,
            () = intake.deserted() => return answer.rx.close(),
        };
        match task {
            Some(HttpTask::Body(piece, end)) => {
                let piece = piece.unwrap_or_default();
                received += piece.len() as u64;
                if end || length == Some(received) {
                    last = piece;
                    break;
                }
                if intake.push(&piece).await.is_err() {
                    return answer.rx.close();
                }
            }
            Some(HttpTask::Trailer(_) | HttpTask::Done) => break,
            Some(HttpTask::Header(..)) => {}
            Some(HttpTask::UpgradedBody(..) | HttpTask::Failed(_)) | None => return,
        }
    }
    if length.is_none_or(|length| received == length) {
        intake.finish(&last, key, make).await;
    }
}

/// Lets the errand come to its end, so that its connection to the backend can be used again.
async fn drain(answer: &mut SubrequestHandle) {
    while answer.rx.recv().await.is_some() {}
}
