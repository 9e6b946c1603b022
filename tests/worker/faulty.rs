//! A store that fails on purpose: everything is passed on to a real one, unless a test says otherwise.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use spinelift::job::{Event, JobId};
use spinelift::store::{
    AdminStore, Attempt, BatchCounts, Beat, Cancel, Claim, Delivery, DeliveryOutcome, DeliveryRecord, DeliveryToken,
    Filter, Found, Held, Job, JobDetails, JobFilter, JobKey, JobResult, KeyId, KeyStore, NewJob, NewKey, Node, Outcome,
    OwnerQueue, Progress, Queue, Reaped, Redelivery, Result, Retention, Retry, SeenNode, Signals, Store, StoreError,
    StoredKey, Submitted, SweepStore, To, Token,
};

/// What fails, and how often it did.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    /// Looking into the cache panics.
    pub(crate) cache_panics: AtomicBool,
    /// Heartbeats fail.
    pub(crate) heartbeats_fail: AtomicBool,
    /// So many more ends of jobs cannot be written.
    pub(crate) ends_fail: AtomicU32,
    /// Calls that wrote progress.
    pub(crate) progress_writes: AtomicU32,
}

impl Faulty {
    /// Nothing fails yet.
    pub(crate) fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            cache_panics: AtomicBool::new(false),
            heartbeats_fail: AtomicBool::new(false),
            ends_fail: AtomicU32::new(0),
            progress_writes: AtomicU32::new(0),
        })
    }
}

fn failure() -> StoreError {
    StoreError::Row("on purpose".into())
}

#[async_trait]
impl KeyStore for Faulty {
    async fn add_key(&self, key: NewKey) -> Result<KeyId> {
        self.inner.add_key(key).await
    }
    async fn keys(&self) -> Result<Vec<StoredKey>> {
        self.inner.keys().await
    }
    async fn has_keys(&self) -> Result<bool> {
        self.inner.has_keys().await
    }
    async fn revoke_keys(&self, keys: &[KeyId]) -> Result<u64> {
        self.inner.revoke_keys(keys).await
    }
    async fn note_key_use(&self, keys: &[KeyId]) -> Result<()> {
        self.inner.note_key_use(keys).await
    }
}

#[async_trait]
impl AdminStore for Faulty {
    async fn find_jobs(&self, filter: &JobFilter, limit: usize) -> Result<Found> {
        self.inner.find_jobs(filter, limit).await
    }
    async fn count_jobs(&self, filter: &JobFilter) -> Result<u64> {
        self.inner.count_jobs(filter).await
    }
    async fn jobs_named(&self, id: &JobId) -> Result<Vec<Job>> {
        self.inner.jobs_named(id).await
    }
    async fn job_details(&self, job: JobKey, most: usize) -> Result<Option<JobDetails>> {
        self.inner.job_details(job, most).await
    }
    async fn retry_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Retry>>> {
        self.inner.retry_jobs(jobs).await
    }
    async fn cancel_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Cancel>>> {
        self.inner.cancel_jobs(jobs).await
    }
    async fn purge_jobs(&self, jobs: &[JobKey], filter: &JobFilter) -> Result<u64> {
        self.inner.purge_jobs(jobs, filter).await
    }
    async fn owner_queues(&self) -> Result<Vec<OwnerQueue>> {
        self.inner.owner_queues().await
    }
    async fn nodes(&self) -> Result<Vec<SeenNode>> {
        self.inner.nodes().await
    }
}

#[async_trait]
impl SweepStore for Faulty {
    async fn doom(&self, hashes: &[String]) -> Result<Vec<String>> {
        self.inner.doom(hashes).await
    }
    fn transactions_last(&self) -> Duration {
        self.inner.transactions_last()
    }
    async fn condemned(&self, hashes: &[String]) -> Result<HashSet<String>> {
        self.inner.condemned(hashes).await
    }
    async fn spare(&self, hashes: &[String]) -> Result<()> {
        self.inner.spare(hashes).await
    }
    async fn gone(&self, hashes: &[String]) -> Result<()> {
        self.inner.gone(hashes).await
    }
    async fn identity(&self) -> Result<String> {
        self.inner.identity().await
    }
    async fn take_turn(&self, duty: &str, for_how_long: Duration) -> Result<bool> {
        self.inner.take_turn(duty, for_how_long).await
    }
}

#[async_trait]
impl Store for Faulty {
    fn signals(&self) -> &Arc<Signals> {
        self.inner.signals()
    }
    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        self.inner.submit(jobs).await
    }
    async fn job(&self, owner: &str, id: &JobId) -> Result<Option<Job>> {
        self.inner.job(owner, id).await
    }
    async fn events(&self, job: JobKey, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.inner.events(job, after, limit).await
    }
    async fn list(&self, owner: &str, filter: &Filter) -> Result<Vec<Job>> {
        self.inner.list(owner, filter).await
    }
    async fn batch(&self, owner: &str, batch: &str) -> Result<Option<BatchCounts>> {
        self.inner.batch(owner, batch).await
    }
    async fn cancel(&self, owner: &str, id: &JobId) -> Result<Option<Cancel>> {
        self.inner.cancel(owner, id).await
    }
    async fn queue(&self) -> Result<Queue> {
        self.inner.queue().await
    }
    async fn claim(&self, worker: &str, most: usize) -> Result<Vec<Claim>> {
        self.inner.claim(worker, most).await
    }
    async fn heartbeat(&self, tokens: &[Token]) -> Result<Vec<Beat>> {
        if self.heartbeats_fail.load(Ordering::SeqCst) { Err(failure()) } else { self.inner.heartbeat(tokens).await }
    }
    async fn progress(&self, token: Token, news: Vec<Progress>) -> Result<Held> {
        self.progress_writes.fetch_add(1, Ordering::SeqCst);
        self.inner.progress(token, news).await
    }
    async fn finish(&self, token: Token, news: Vec<Progress>, outcome: Outcome) -> Result<Held> {
        let fails = self.ends_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() { Err(failure()) } else { self.inner.finish(token, news, outcome).await }
    }
    async fn release(&self, tokens: &[Token]) -> Result<()> {
        self.inner.release(tokens).await
    }
    async fn reap(&self) -> Result<Reaped> {
        self.inner.reap().await
    }
    async fn recover(&self) -> Result<Reaped> {
        self.inner.recover().await
    }
    async fn cached(&self, cache_key: &str) -> Result<Option<JobResult>> {
        assert!(!self.cache_panics.load(Ordering::SeqCst), "on purpose");
        self.inner.cached(cache_key).await
    }
    async fn claim_deliveries(&self, worker: &str, most: usize, to: To<'_>) -> Result<Vec<Delivery>> {
        self.inner.claim_deliveries(worker, most, to).await
    }
    async fn delivered(&self, token: DeliveryToken, attempt: Attempt, outcome: DeliveryOutcome) -> Result<Held> {
        self.inner.delivered(token, attempt, outcome).await
    }
    async fn put_off(&self, token: DeliveryToken, after: Duration) -> Result<Held> {
        self.inner.put_off(token, after).await
    }
    async fn deliveries(&self, job: JobKey, before: u64, limit: usize) -> Result<Vec<DeliveryRecord>> {
        self.inner.deliveries(job, before, limit).await
    }
    async fn redeliver(&self, job: JobKey, sequence: u64) -> Result<Redelivery> {
        self.inner.redeliver(job, sequence).await
    }
    async fn next_delivery(&self, to: To<'_>) -> Result<Option<Duration>> {
        self.inner.next_delivery(to).await
    }
    async fn prune(&self, retention: Retention) -> Result<u64> {
        self.inner.prune(retention).await
    }
    async fn note_node(&self, node: &Node) -> Result<()> {
        self.inner.note_node(node).await
    }
    async fn forget_node(&self, name: &str) -> Result<()> {
        self.inner.forget_node(name).await
    }
    async fn check_writable(&self) -> Result<()> {
        self.inner.check_writable().await
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}
