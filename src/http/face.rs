//! What all handlers share: the service's parts, and what is looked up too often to ask for it each time.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::HOST;
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::codes::Code;
use super::error::{ApiError, whole_seconds};
use super::health::Checks;
use super::throttle::Failures;
use crate::app::App;
use crate::compute::{ComputeError, Made, Task, Watch, WriteLayers};
use crate::job::JobState;
use crate::result_link::{Completed, ResultLinks};
use crate::store::{Job, Queue};

/// How old a look at the queue may be. Estimates and gauges need no better; submissions must not pay for it.
const QUEUE_AGE: Duration = Duration::from_millis(500);

/// Longest Host header that is repeated in an answer, bytes: the longest name of DNS and a port.
const LONGEST_HOST: usize = 260;

/// When to come back where too many wait for jobs: by then some of those have ended.
const LISTEN_LATER: Duration = Duration::from_secs(5);

/// The right to keep a connection while nothing happens.
pub(super) type Place = (OwnedSemaphorePermit, Option<OwnersPlace>);

/// How many places each owner has now. As long as the list of places at most: who has none is not in it.
type Taken = Arc<std::sync::Mutex<HashMap<Arc<str>, usize>>>;

/// One of its owner's places, until it is dropped.
pub(super) struct OwnersPlace {
    owner: Arc<str>,
    taken: Taken,
}

impl OwnersPlace {
    /// One more, if the owner has fewer than `most`.
    fn take(taken: &Taken, owner: &str, most: usize) -> Option<Self> {
        let mut counts = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(owner).copied().unwrap_or_default();
        (count < most).then(|| {
            let owner: Arc<str> = owner.into();
            counts.insert(Arc::clone(&owner), count + 1);
            Self { owner, taken: Arc::clone(taken) }
        })
    }
}

impl Drop for OwnersPlace {
    fn drop(&mut self) {
        let mut counts = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.owner)),
        }
    }
}

/// The state of the router.
pub(super) type Shared = Arc<Face>;

/// What all handlers share.
pub(super) struct Face {
    pub(super) app: App,
    pub(super) links: ResultLinks,
    pub(super) failures: Failures,
    pub(super) checks: Mutex<Option<(Instant, Checks)>>,
    document: OnceLock<Bytes>,
    queue: Mutex<Option<(Instant, Queue)>>,
    listeners: Arc<Semaphore>,
    /// Most of them for one owner.
    owners_share: usize,
    taken: Taken,
    public_path: String,
}

impl Face {
    pub(super) fn new(app: App) -> Self {
        // The other half stays for requests that are answered at once.
        let listeners = (app.config.http.max_connections / 2).clamp(1, Semaphore::MAX_PERMITS);
        let public = app.config.http.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        let public_path = public.as_ref().map_or("", |url| url.path().trim_end_matches('/')).to_owned();
        Self {
            listeners: Arc::new(Semaphore::new(listeners)),
            owners_share: (listeners / 2).max(1),
            taken: Taken::default(),
            public_path,
            links: ResultLinks::new(&app.config, Arc::clone(&app.keys), app.blobs.clone()),
            failures: Failures::default(),
            checks: Mutex::default(),
            document: OnceLock::new(),
            queue: Mutex::default(),
            app,
        }
    }

    /// Keeps the OpenAPI document, which is complete once all routes are.
    pub(super) fn set_document(&self, document: &serde_json::Value) {
        // Set once, by the router's own maker.
        let _ = self.document.set(format!("{document:#}\n").into());
    }

    /// The OpenAPI document.
    pub(super) fn document(&self) -> Bytes {
        self.document.get().cloned().unwrap_or_default()
    }

    /// The queue as it was not long ago.
    pub(super) async fn queue(&self) -> Result<Queue, ApiError> {
        let mut seen = self.queue.lock().await;
        if let Some((at, queue)) = *seen
            && at.elapsed() < QUEUE_AGE
        {
            return Ok(queue);
        }
        let queue = self.app.store.queue().await?;
        *seen = Some((Instant::now(), queue));
        Ok(queue)
    }

    /// Whole seconds until a job submitted now should be done.
    pub(super) async fn estimated_seconds(&self) -> Result<u64, ApiError> {
        let queued = self.queue().await?.queued;
        Ok(whole_seconds(self.app.compute.estimate(queued)))
    }

    /// Refuses before an image is received or fetched that nobody would have time for.
    pub(super) fn expect_room(&self) -> Result<(), ApiError> {
        Ok(self.counted(self.app.compute.expect_room())?)
    }

    /// Runs the engine within the request, unless too many wait for it.
    pub(super) async fn compute(&self, task: Task) -> Result<Made, ApiError> {
        let watch = Watch::until(Instant::now() + self.app.config.http.request_timeout);
        Ok(self.counted(self.app.compute.run_or_refuse(task, Arc::new(watch)).await)?)
    }

    /// Takes a PSD apart within the request, unless too many wait for the engine.
    pub(super) async fn layers(&self, file: Bytes, write: WriteLayers) -> Result<Bytes, ApiError> {
        let watch = Watch::until(Instant::now() + self.app.config.http.request_timeout);
        Ok(self.counted(self.app.compute.layers_or_refuse(file, write, Arc::new(watch)).await)?)
    }

    /// A place to wait for news of a job, or 503: connections that only wait must leave some to those that work, and where
    /// there are keys one owner leaves half of the places to the others.
    pub(super) fn listen(&self, owner: &str) -> Result<Place, ApiError> {
        self.place(owner).ok_or_else(|| {
            self.app.metrics.rejected("listeners");
            let message = "too many connections wait for jobs; poll the status without `wait`, or try again later";
            ApiError::new(Code::Overloaded, message).with_retry_after(LISTEN_LATER)
        })
    }

    fn place(&self, owner: &str) -> Option<Place> {
        let of_owner =
            if self.app.keys.is_on() { Some(OwnersPlace::take(&self.taken, owner, self.owners_share)?) } else { None };
        Some((Arc::clone(&self.listeners).try_acquire_owned().ok()?, of_owner))
    }

    /// A path of the API as callers reach it, who may come through a proxy that takes a part of it away.
    pub(super) fn location(&self, path: &str) -> String {
        format!("{}{}{path}", self.public_path, self.app.config.http.api_prefix)
    }

    /// The path of PUBLIC_URL, which callers' paths begin with; mostly empty.
    pub(super) fn public_path(&self) -> &str {
        &self.public_path
    }

    /// Whether callers reach the service under https.
    pub(super) fn is_https(&self) -> bool {
        self.app.config.http.public_url.as_deref().is_some_and(|url| url.starts_with("https:"))
    }

    /// Counts refusals.
    fn counted<T>(&self, result: Result<T, ComputeError>) -> Result<T, ComputeError> {
        result.inspect_err(|error| {
            if let ComputeError::Busy { .. } = error {
                self.app.metrics.rejected("busy");
            }
        })
    }

    /// New work is refused once a stop has begun.
    pub(super) fn refuse_when_draining(&self) -> Result<(), ApiError> {
        if !self.app.is_draining() {
            return Ok(());
        }
        self.app.metrics.rejected("draining");
        // A restart takes as long as what is under way may take to finish.
        let back = self.app.config.http.drain_timeout.min(Duration::from_secs(30));
        Err(ApiError::new(Code::Draining, "the service is about to stop; try again later").with_retry_after(back))
    }

    /// Where a job's result is, if it has one.
    pub(super) async fn result_url(&self, base: &str, job: &Job, at_ms: Option<i64>) -> Option<String> {
        if job.state != JobState::Completed {
            return None;
        }
        let at_ms = at_ms.unwrap_or(job.updated_at_ms);
        let hash = job.result.as_ref().map(|result| result.hash.as_str());
        self.links.url(Some(base), Completed { owner: &job.owner, job: &job.id, at_ms, hash }).await
    }

    /// What a caller reaches the service by: PUBLIC_URL, else what it called it by itself.
    pub(super) fn base(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.app.config.http.public_url {
            return url.clone();
        }
        own_host(headers).unwrap_or_else(|| {
            let http = &self.app.config.http;
            let host = if http.host.contains(':') { format!("[{}]", http.host) } else { http.host.clone() };
            format!("http://{host}:{}", http.port)
        })
    }
}

/// The request's Host if it is nothing but a host and a port. It is the caller's own word, and repeated to it alone.
fn own_host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok().filter(|host| host.len() <= LONGEST_HOST)?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"-._:[]".contains(&c);
    let base = format!("http://{host}");
    (host.bytes().all(fits) && Url::parse(&base).is_ok()).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_places_are_counted_while_they_are_held() {
        let taken = Taken::default();
        let take = |owner: &str| OwnersPlace::take(&taken, owner, 2);
        let (first, second) = (take("rails").unwrap(), take("rails").unwrap());
        assert!(take("rails").is_none());
        let other = take("artist").unwrap();
        drop(first);
        drop(take("rails").unwrap());
        drop((second, other));
        assert!(taken.lock().unwrap().is_empty(), "who has none takes no memory");
    }

    #[test]
    fn only_a_host_is_repeated() {
        let host = |text: &str| own_host(&HeaderMap::from_iter([(HOST, text.parse().unwrap())]));
        assert_eq!(host("mesh.example:8000").as_deref(), Some("http://mesh.example:8000"));
        assert_eq!(host("[::1]:8000").as_deref(), Some("http://[::1]:8000"));
        for bad in ["", "a b", "a/b", "user@host", "a?b", "a#b", "host:port", "<script>", &"x".repeat(300)] {
            assert_eq!(host(bad), None, "{bad:?}");
        }
    }
}
