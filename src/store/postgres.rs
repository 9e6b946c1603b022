//! Jobs in a PostgreSQL database that several nodes share.
//!
//! Every change is one statement, and names what it found: a token's fence, or the state in which a job was read. So no
//! node ever waits for another that stands still, and a connection may be cut at any moment. Nodes hear of each other's
//! writes by NOTIFY, and find out by asking what they do not hear of.

mod accept;
mod admin;
mod changes;
mod claims;
mod connect;
mod deliveries;
mod delivery_records;
mod keys;
mod lease;
mod migrate;
mod news;
mod nodes;
mod outcome;
mod reads;
mod submit;
mod sweeping;
mod upkeep;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::accept::Acceptor;
use self::changes::Effects;
use self::claims::Claims;
use self::connect::{Connections, call, call_once};
pub use self::migrate::Tables;
use self::news::News;
use super::rows::integer;
use super::{
    Attempt, BatchCounts, Beat, Cancel, Claim, Delivery, DeliveryOutcome, DeliveryRecord, DeliveryToken, Filter, Held,
    Job, JobKey, JobResult, KeyId, KeyStore, NewJob, NewKey, Node, Outcome, Progress, Queue, Reaped, Redelivery,
    Result, Retention, Signals, Store, StoredKey, Submitted, SweepStore, Timing, To, Token,
};
use crate::crash_point;
use crate::job::{Event, JobId};

/// How a database is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// Connections of this node at most, at least 2; one more listens to the other nodes, and one extends leases. Half of
    /// them are the workers', so that callers, however many, do not keep jobs from being done.
    pub connections: u32,
    /// Whether the tables may be changed.
    pub tables: Tables,
    /// Jobs that may be queued, of all nodes together.
    pub queue_limit: u64,
    /// The protocol's waits.
    pub timing: Timing,
}

impl PostgresOptions {
    /// For a command that looks something up, or changes a little, beside nodes that run.
    #[must_use]
    pub fn for_a_command(url: &str, tables: Tables) -> Self {
        Self { url: url.into(), connections: 2, tables, queue_limit: u64::MAX, timing: Timing::default() }
    }
}

impl fmt::Debug for PostgresOptions {
    /// Without the URL, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// Whether the text can be a database's URL.
///
/// # Errors
/// What it should be, without repeating it: such URLs hold passwords.
pub fn check_url(url: &str) -> std::result::Result<(), String> {
    // A name with these in it is the rest of a password whose own were not escaped.
    let is_name = |name: &str| !name.contains(['@', '/']);
    let wrong = "is not postgres://USER:PASSWORD@HOST:PORT/NAME; characters of the password that mean something in a URL \
                 are written as % and two hexadecimal digits";
    let options = connect::options(url).map_err(|_| wrong)?;
    if options.get_database().is_some_and(is_name) { Ok(()) } else { Err(wrong.into()) }
}

/// The database of a URL as people name it, without its password.
#[must_use]
pub fn named(url: &str) -> String {
    connect::options(url).map_or_else(|_| "a PostgreSQL database".into(), |options| migrate::named(&options))
}

/// Jobs in a PostgreSQL database.
pub struct PostgresStore {
    callers: Connections,
    workers: Connections,
    /// Heartbeats wait for nobody's work, or a long one would cost the leases of all.
    heart: Connections,
    acceptor: Acceptor,
    announcer: Arc<Announcer>,
    claims: Claims,
    timing: Timing,
    tasks: Mutex<JoinSet<()>>,
}

impl PostgresStore {
    /// Connects, makes the tables or brings them up to date, and starts to listen to other nodes on the current runtime.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`](super::StoreError::Unreachable) if there is no such server or database, or it is none
    /// that can be used; [`StoreError::Outdated`](super::StoreError::Outdated) if the tables are not this version's and are
    /// to stay as they are; [`StoreError::Migration`](super::StoreError::Migration) if a newer version of this program has
    /// made them what this one cannot use.
    pub async fn open(options: PostgresOptions) -> Result<Arc<Self>> {
        let connect = connect::options(&options.url)?;
        migrate::prepare(connect.clone(), options.tables).await?;
        let for_workers = (options.connections / 2).max(1);
        let workers = Connections::new(&connect, for_workers);
        let callers = Connections::new(&connect, options.connections.saturating_sub(for_workers).max(1));
        let heart = Connections::new(&connect, 1);
        let (news, told) = mpsc::unbounded_channel();
        let announcer = Arc::new(Announcer { signals: Arc::default(), queued: AtomicI64::new(0), news });
        let (acceptor, accepting) = Acceptor::new(callers.clone(), Arc::clone(&announcer), options.queue_limit);
        let name = uuid::Uuid::now_v7().to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(accepting);
        tasks.spawn(news::send(told, callers.clone(), name.clone()));
        tasks.spawn(news::listen(connect, Arc::clone(&announcer.signals), name));
        let (claims, timing, tasks) = (Claims::default(), options.timing, Mutex::new(tasks));
        Ok(Arc::new(Self { callers, workers, heart, acceptor, announcer, claims, timing, tasks }))
    }

    /// Gives back what calls have claimed whose answers were lost.
    async fn undo_unheard(&self) -> Result<()> {
        // Leases of tests may be over at once; nobody's claim hangs for less than a call may take.
        let calls = self.claims.unheard(self.timing.lease.max(connect::LONGEST_CALL));
        if calls.is_empty() {
            return Ok(());
        }
        let tokens = call!(self.workers, |db| lease::claimed_by(db, &calls))?;
        self.release(&tokens).await
    }

    /// Made once: a call whose answer is lost is undone before the next, so that no job waits for a lease of nobody's.
    async fn claim_shares(&self, worker: &str, most: usize) -> Result<Vec<Claim>> {
        let (call, after) = (self.claims.begin(), self.claims.after());
        let asked = lease::Asked { worker, call: call.number, most, after: &after };
        let claims = call_once!(self.workers, |db| lease::claim(db, &asked, self.timing))?;
        call.heard(claims.last().map(|claim| claim.job.owner.as_str()));
        self.announcer.queued.fetch_sub(integer(claims.len() as u64), Ordering::Relaxed);
        Ok(claims)
    }

    fn announce<T>(&self, (answer, effects): (T, Effects)) -> T {
        self.announcer.announce(effects);
        answer
    }

    fn deliveries_changed(&self) {
        self.announcer.announce(Effects { news: News { due: true, ..News::default() }, queue_growth: 0 });
    }
}

/// Tells what was written, in this process and to the other nodes.
pub(in crate::store::postgres) struct Announcer {
    signals: Arc<Signals>,
    /// Queued jobs, as far as this node knows.
    queued: AtomicI64,
    news: mpsc::UnboundedSender<News>,
}

impl Announcer {
    fn announce(&self, effects: Effects) {
        self.queued.fetch_add(effects.queue_growth, Ordering::Relaxed);
        effects.news.wake(&self.signals);
        // Only a closed store hears nothing more.
        let _ = self.news.send(effects.news);
    }
}

#[async_trait]
impl KeyStore for PostgresStore {
    /// Made once: whether a key is there whose answer was lost is told by its secret.
    async fn add_key(&self, key: NewKey) -> Result<KeyId> {
        match call_once!(self.callers, |db| keys::add(db, &key)) {
            Err(error) if connect::is_lost(&error) => {
                let added = call!(self.callers, |db| keys::by_digest(db, &key.digest))?;
                added.ok_or(error)
            }
            outcome => outcome,
        }
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        call!(self.callers, |db| keys::all(db))
    }

    async fn has_keys(&self) -> Result<bool> {
        call!(self.callers, |db| keys::any(db))
    }

    async fn revoke_keys(&self, keys: &[KeyId]) -> Result<u64> {
        call!(self.callers, |db| keys::revoke(db, keys))
    }

    async fn note_key_use(&self, keys: &[KeyId]) -> Result<()> {
        call!(self.callers, |db| keys::note_use(db, keys))
    }
}

#[async_trait]
impl SweepStore for PostgresStore {
    async fn doom(&self, hashes: &[String]) -> Result<Vec<String>> {
        // Not again if its answer is lost: the marks would be taken for another sweeper's, and end by themselves.
        call_once!(self.workers, |db| sweeping::doom(db, hashes))
    }

    fn transactions_last(&self) -> Duration {
        sweeping::TRANSACTIONS_LAST
    }

    async fn condemned(&self, hashes: &[String]) -> Result<HashSet<String>> {
        call!(self.workers, |db| sweeping::condemned(db, hashes))
    }

    async fn spare(&self, hashes: &[String]) -> Result<()> {
        call!(self.workers, |db| sweeping::spare(db, hashes))
    }

    async fn gone(&self, hashes: &[String]) -> Result<()> {
        call!(self.workers, |db| sweeping::gone(db, hashes))
    }

    async fn identity(&self) -> Result<String> {
        call!(self.workers, |db| reads::identity(db))
    }

    async fn take_turn(&self, duty: &str, for_how_long: Duration) -> Result<bool> {
        call_once!(self.workers, |db| sweeping::take_turn(db, duty, for_how_long))
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn signals(&self) -> &Arc<Signals> {
        &self.announcer.signals
    }

    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>> {
        self.acceptor.accept(jobs).await
    }

    async fn job(&self, owner: &str, id: &JobId) -> Result<Option<Job>> {
        call!(self.callers, |db| reads::job(db, owner, id))
    }

    async fn events(&self, job: JobKey, after: u64, limit: usize) -> Result<Vec<Event>> {
        call!(self.callers, |db| reads::events(db, job, after, limit))
    }

    async fn list(&self, owner: &str, filter: &Filter) -> Result<Vec<Job>> {
        call!(self.callers, |db| reads::list(db, owner, filter))
    }

    async fn batch(&self, owner: &str, batch: &str) -> Result<Option<BatchCounts>> {
        call!(self.callers, |db| reads::batch(db, owner, batch))
    }

    async fn cancel(&self, owner: &str, id: &JobId) -> Result<Option<Cancel>> {
        Ok(self.announce(call!(self.callers, |db| outcome::cancel(db, outcome::Meant::Named(owner, id)))?))
    }

    async fn queue(&self) -> Result<Queue> {
        call!(self.callers, |db| reads::queue(db))
    }

    /// Each owner has an equal share of a call; what those with few jobs leave of theirs is claimed by another.
    async fn claim(&self, worker: &str, most: usize) -> Result<Vec<Claim>> {
        self.undo_unheard().await?;
        let mut claims = Vec::new();
        while claims.len() < most {
            let asked = most - claims.len();
            let more = match self.claim_shares(worker, asked).await {
                // What is claimed already is this worker's, whatever comes of the rest.
                Err(_) if !claims.is_empty() => break,
                more => more?,
            };
            let is_one_owners = more.windows(2).all(|pair| pair[0].job.owner == pair[1].job.owner);
            claims.extend(more);
            if is_one_owners {
                break;
            }
        }
        Ok(claims)
    }

    async fn heartbeat(&self, tokens: &[Token]) -> Result<Vec<Beat>> {
        call!(self.heart, |db| lease::heartbeat(db, tokens, self.timing))
    }

    async fn progress(&self, token: Token, news: Vec<Progress>) -> Result<Held> {
        Ok(self.announce(call!(self.workers, |db| outcome::tell(db, token, &news))?))
    }

    /// A second try finds a job that is no longer held where the first was heard and its answer lost; nobody else may have
    /// had it since under the same fence.
    async fn finish(&self, token: Token, news: Vec<Progress>, outcome: Outcome) -> Result<Held> {
        crash_point::reached("inside_final_transaction");
        match call_once!(self.workers, |db| outcome::finish(db, token, &news, &outcome)) {
            Err(error) if connect::may_pass(&error) => {
                let again = self.announce(call!(self.workers, |db| outcome::finish(db, token, &news, &outcome))?);
                let is_ended =
                    again == Held::Lost && call!(self.workers, |db| outcome::has_ended_so(db, token, &outcome))?;
                Ok(if is_ended { Held::Yes } else { again })
            }
            ended => Ok(self.announce(ended?)),
        }
    }

    async fn release(&self, tokens: &[Token]) -> Result<()> {
        for token in tokens {
            let released = call!(self.workers, |db| lease::change_held(db, *token, |job| job.record.released()))?;
            self.announcer.announce(released.unwrap_or_default());
        }
        Ok(())
    }

    async fn reap(&self) -> Result<Reaped> {
        Ok(self.announce(call!(self.workers, |db| lease::take_back_expired(db, self.timing))?))
    }

    async fn recover(&self) -> Result<Reaped> {
        Ok(Reaped::default())
    }

    async fn cached(&self, cache_key: &str) -> Result<Option<JobResult>> {
        call!(self.workers, |db| upkeep::use_cached(db, cache_key))
    }

    async fn claim_deliveries(&self, worker: &str, most: usize, to: To<'_>) -> Result<Vec<Delivery>> {
        call!(self.workers, |db| deliveries::claim(db, worker, most, to, self.timing))
    }

    async fn delivered(&self, token: DeliveryToken, attempt: Attempt, outcome: DeliveryOutcome) -> Result<Held> {
        let held = call!(self.workers, |db| deliveries::delivered(db, token, &attempt, outcome))?;
        // Another callback of the job may have waited for this one.
        self.deliveries_changed();
        Ok(held)
    }

    async fn put_off(&self, token: DeliveryToken, after: Duration) -> Result<Held> {
        let held = call!(self.workers, |db| deliveries::put_off(db, token, after))?;
        self.deliveries_changed();
        Ok(held)
    }

    async fn deliveries(&self, job: JobKey, before: u64, limit: usize) -> Result<Vec<DeliveryRecord>> {
        call!(self.callers, |db| delivery_records::of_job(db, job, before, limit))
    }

    async fn redeliver(&self, job: JobKey, sequence: u64) -> Result<Redelivery> {
        let redelivery = call!(self.callers, |db| delivery_records::redeliver(db, job, sequence))?;
        self.deliveries_changed();
        Ok(redelivery)
    }

    async fn next_delivery(&self, to: To<'_>) -> Result<Option<Duration>> {
        call!(self.workers, |db| reads::next_delivery(db, to))
    }

    async fn prune(&self, retention: Retention) -> Result<u64> {
        call!(self.workers, |db| upkeep::prune(db, retention))
    }

    async fn note_node(&self, node: &Node) -> Result<()> {
        call!(self.workers, |db| nodes::note(db, node))
    }

    async fn forget_node(&self, name: &str) -> Result<()> {
        call!(self.workers, |db| nodes::forget(db, name))
    }

    async fn check_writable(&self) -> Result<()> {
        call!(self.callers, |db| upkeep::check_writable(db))
    }

    async fn close(&self) {
        self.callers.close().await;
        self.workers.close().await;
        self.heart.close().await;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
