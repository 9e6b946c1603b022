//! Which API keys open the service now: those of the settings, and those of the database as of a moment ago.
//!
//! Callers, links to results and the worker all ask the one [`Keyring`], so that a key that is revoked is revoked
//! everywhere at once. It reads the database every [`LOOK_AGAIN`]; until a read succeeds again, what was read last holds.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use crate::config::Access;
use crate::key::{Bucket, Digest, Left, Links, Rate, Scopes};
use crate::store::{KeyId, KeyStore, Result, Store, StoreError, StoredKey};

/// How often the keys of the database are looked at. What is added or revoked holds that much later at most.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How exactly it is kept when a key was last used, ms: a write an hour for each.
const USE_NOTED_EVERY_MS: i64 = 3_600_000;

/// What RATE_LIMIT is counted in, s.
const MINUTE: u32 = 60;

/// What is being counted against a key's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A request with the key.
    Call,
    /// A link that was signed with it. Counted apart: links are in many hands, and are not to use up what their owner has.
    /// As [`Keyring::link_to`] makes it.
    Link(u16),
}

/// Places where the links of a key are counted, 8 bytes each.
const LINK_PLACES: u16 = 4096;

/// One key that opens the service.
pub struct Key {
    id: Option<KeyId>,
    name: Arc<str>,
    digest: Digest,
    scopes: Scopes,
    rate: Option<Rate>,
    links_lead: Option<Links>,
    last_noted_ms: Option<i64>,
    calls: Mutex<Bucket>,
    /// By job; empty until the first is followed.
    links: Mutex<Box<[Bucket]>>,
    was_used: AtomicBool,
    is_gone: AtomicBool,
}

impl fmt::Debug for Key {
    /// By its name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl Key {
    fn new(name: &str, digest: Digest, scopes: Scopes, rate: Option<Rate>) -> Self {
        Self {
            id: None,
            name: name.into(),
            digest,
            scopes,
            rate,
            links_lead: None,
            last_noted_ms: None,
            calls: Mutex::default(),
            links: Mutex::default(),
            was_used: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        }
    }

    fn kept(stored: &StoredKey, usual: Option<Rate>) -> Self {
        let key = Self::new(&stored.name, stored.digest, stored.scopes, stored.limit.over(usual));
        Self { id: Some(stored.id), links_lead: stored.links, last_noted_ms: stored.last_used_at_ms, ..key }
    }

    /// Owns the jobs.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What links to results are signed with, once something is derived from it.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What it may do.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// How often, if that is limited.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Where links to its owner's results lead, if it says so.
    #[must_use]
    pub fn links(&self) -> Option<Links> {
        self.links_lead
    }

    /// Whether it opens nothing any more. For who has kept it since.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    fn with_bucket<T>(&self, of: Use, change: impl FnOnce(&mut Bucket) -> T) -> T {
        let Use::Link(place) = of else {
            return change(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        };
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.is_empty() {
            *links = vec![Bucket::default(); usize::from(LINK_PLACES)].into_boxed_slice();
        }
        match links.get_mut(usize::from(place % LINK_PLACES)) {
            Some(bucket) => change(bucket),
            None => change(&mut Bucket::default()),
        }
    }
}

/// The keys at one moment.
#[derive(Debug, Default)]
struct Live {
    /// Those of the database first, the newest first; those of the settings in their order.
    keys: Vec<Arc<Key>>,
    /// Whether callers need one.
    are_on: bool,
}

/// The keys that open the service.
#[derive(Debug)]
pub struct Keyring {
    usual: Option<Rate>,
    of_settings: Vec<Arc<Key>>,
    live: RwLock<Arc<Live>>,
    began: Instant,
    chance: RandomState,
}

impl Keyring {
    /// The keys of the settings; those of the database come with the first [`refresh`](Self::refresh).
    #[must_use]
    pub fn new(access: &Access) -> Self {
        let usual = Rate::new(access.rate_limit, MINUTE);
        let key = |key: &crate::config::ApiKey| Key::new(&key.name, Digest::of(&key.secret), Scopes::ALL, usual);
        let of_settings: Vec<_> = access.api_keys.iter().map(|given| Arc::new(key(given))).collect();
        let live = Live { are_on: !of_settings.is_empty(), keys: of_settings.clone() };
        Self {
            usual,
            of_settings,
            live: RwLock::new(Arc::new(live)),
            began: Instant::now(),
            chance: RandomState::new(),
        }
    }

    /// Whether callers need a key. Once they do they always will: a table that was emptied by hand opens nothing.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.live().are_on
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.live().keys.len()
    }

    /// Whose secret it is. Takes as long for every secret of a length, revoked ones too: it is compared with all that open
    /// the service, as a whole each time.
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<Arc<Key>> {
        let digest = Digest::of(secret);
        let live = self.live();
        let found = live.keys.iter().fold(None, |found, key| if key.digest == digest { Some(key) } else { found });
        found.inspect(|key| key.was_used.store(true, Ordering::Relaxed)).cloned()
    }

    /// An owner's keys, that which signs first.
    #[must_use]
    pub fn of(&self, owner: &str) -> Vec<Arc<Key>> {
        self.live().keys.iter().filter(|key| *key.name == *owner).cloned().collect()
    }

    /// Counts requests against a key's rate, or says how long to wait.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&self, key: &Key, of: Use, requests: u32) -> std::result::Result<(), Duration> {
        let Some(rate) = key.rate else { return Ok(()) };
        key.with_bucket(of, |bucket| bucket.take(rate, self.now(), requests))
    }

    /// Counts what a request that was let in stands for beside itself, or says how long to wait before it comes anew.
    ///
    /// # Errors
    /// The wait.
    pub fn take_more(&self, key: &Key, of: Use, requests: u32) -> std::result::Result<(), Duration> {
        let Some(rate) = key.rate else { return Ok(()) };
        key.with_bucket(of, |bucket| bucket.take_more(rate, self.now(), requests))
    }

    /// What is counted when a link to a job's result is followed: each job by itself, so that who has one link cannot close
    /// the others of its owner. Jobs share a fixed number of places as chance has it, another at each start.
    #[must_use]
    pub fn link_to(&self, job: &str) -> Use {
        Use::Link(u16::try_from(self.chance.hash_one(job) % u64::from(LINK_PLACES)).unwrap_or_default())
    }

    /// What a key has left.
    #[must_use]
    pub fn left(&self, key: &Key, of: Use) -> Option<(Rate, Left)> {
        let rate = key.rate?;
        Some((rate, key.with_bucket(of, |bucket| bucket.left(rate, self.now()))))
    }

    /// Reads the keys of the database.
    ///
    /// # Errors
    /// Those of the store; what was known before still holds.
    pub async fn refresh(&self, store: &(impl KeyStore + ?Sized)) -> Result<()> {
        let stored = store.keys().await?;
        let known = self.live();
        let key = |stored: &StoredKey| {
            let same = |key: &&Arc<Key>| key.id == Some(stored.id) && key.digest == stored.digest;
            // What it has used of its rate is kept with it.
            known.keys.iter().find(same).cloned().unwrap_or_else(|| Arc::new(Key::kept(stored, self.usual)))
        };
        let is_live = |stored: &&StoredKey| stored.revoked_at_ms.is_none();
        let of_database: Vec<Arc<Key>> = stored.iter().rev().filter(is_live).map(key).collect();
        for key in &known.keys {
            let stays = key.id.is_none() || of_database.iter().any(|other| other.id == key.id);
            key.is_gone.store(!stays, Ordering::Relaxed);
        }
        let live = Live {
            // Keys that cannot be read open nothing, nor the service.
            are_on: known.are_on || !stored.is_empty() || store.has_keys().await?,
            keys: of_database.into_iter().chain(self.of_settings.iter().cloned()).collect(),
        };
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        Ok(())
    }

    /// Goes on reading them, for as long as both are there.
    pub fn watch(self: &Arc<Self>, store: &Arc<dyn Store>) {
        // Neither is kept alive: a store that is let go of must let go of its file.
        let (keyring, store) = (Arc::downgrade(self), Arc::downgrade(store));
        tokio::spawn(async move {
            let mut noted = Noted::default();
            loop {
                tokio::time::sleep(LOOK_AGAIN).await;
                let (Some(keyring), Some(store)) = (Weak::upgrade(&keyring), Weak::upgrade(&store)) else { return };
                match keyring.look(&*store, &mut noted).await {
                    Err(StoreError::Closed) => return,
                    Err(error) => tracing::error!(%error, "the API keys cannot be read; those known before still hold"),
                    Ok(()) => {}
                }
            }
        });
    }

    async fn look(&self, store: &dyn Store, noted: &mut Noted) -> Result<()> {
        let known = self.live();
        self.refresh(store).await?;
        let live = self.live();
        if !known.keys.iter().map(|key| key.id).eq(live.keys.iter().map(|key| key.id)) {
            tracing::info!(keys = live.keys.len(), "the API keys have changed");
        }
        let used = noted.due(&live.keys);
        if used.is_empty() { Ok(()) } else { store.note_key_use(&used).await }
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// ns since the start; 584 years fit.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// When the use of each key was noted by this process.
#[derive(Debug, Default)]
struct Noted(Vec<(KeyId, i64)>);

impl Noted {
    /// The keys whose use is to be noted now.
    fn due(&mut self, keys: &[Arc<Key>]) -> Vec<KeyId> {
        let now = chrono::Utc::now().timestamp_millis();
        self.0.retain(|(id, _)| keys.iter().any(|key| key.id == Some(*id)));
        let mut due = Vec::new();
        for key in keys {
            let Some(id) = key.id.filter(|_| key.was_used.load(Ordering::Relaxed)) else { continue };
            let here = self.0.iter().find(|(noted, _)| *noted == id).map(|(_, at)| *at);
            if here.or(key.last_noted_ms).is_some_and(|at| now.saturating_sub(at) < USE_NOTED_EVERY_MS) {
                continue;
            }
            key.was_used.store(false, Ordering::Relaxed);
            self.0.retain(|(noted, _)| *noted != id);
            self.0.push((id, now));
            due.push(id);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::config::ApiKey;
    use crate::key::Limit;
    use crate::store::NewKey;

    /// A table in memory.
    #[derive(Default)]
    struct Table(Mutex<Vec<StoredKey>>);

    #[async_trait]
    impl KeyStore for Table {
        async fn add_key(&self, key: NewKey) -> Result<KeyId> {
            let NewKey { name, digest, scopes, limit, links } = key;
            let mut keys = self.0.lock().unwrap();
            let id = KeyId(keys.len() as i64 + 1);
            let (created_at_ms, last_used_at_ms, revoked_at_ms) = (0, None, None);
            keys.push(StoredKey {
                id,
                name,
                digest,
                scopes,
                limit,
                links,
                created_at_ms,
                last_used_at_ms,
                revoked_at_ms,
            });
            Ok(id)
        }

        async fn keys(&self) -> Result<Vec<StoredKey>> {
            let keys = self.0.lock().unwrap();
            if keys.iter().any(|key| key.name == "unreadable") {
                return Err(StoreError::Closed);
            }
            Ok(keys.clone())
        }

        async fn has_keys(&self) -> Result<bool> {
            Ok(!self.0.lock().unwrap().is_empty())
        }

        async fn revoke_keys(&self, ids: &[KeyId]) -> Result<u64> {
            self.0
                .lock()
                .unwrap()
                .iter_mut()
                .filter(|key| ids.contains(&key.id))
                .for_each(|key| key.revoked_at_ms = Some(1));
            Ok(0)
        }

        async fn note_key_use(&self, _: &[KeyId]) -> Result<()> {
            Ok(())
        }
    }

    fn keyring(keys: &[(&str, &str)]) -> Keyring {
        let api_keys = keys.iter().map(|(name, secret)| ApiKey { name: (*name).into(), secret: (*secret).into() });
        Keyring::new(&Access { api_keys: api_keys.collect(), ..Access::default() })
    }

    fn new_key(name: &str, secret: &str) -> NewKey {
        let (digest, scopes) = (Digest::of(secret), Scopes::USUAL);
        NewKey { name: name.into(), digest, scopes, limit: Limit::Own(Rate::new(10, 3600).unwrap()), links: None }
    }

    fn owner(keyring: &Keyring, secret: &str) -> Option<String> {
        keyring.find(secret).map(|key| key.name().to_string())
    }

    #[test]
    fn a_secret_finds_its_owner_and_no_other() {
        let keys = keyring(&[("rails", "one"), ("artist", "two"), ("rails", "three")]);
        assert_eq!(owner(&keys, "one").as_deref(), Some("rails"));
        assert_eq!(owner(&keys, "two").as_deref(), Some("artist"));
        assert_eq!(owner(&keys, "three").as_deref(), Some("rails"));
        assert_eq!(owner(&keys, "on"), None);
        assert_eq!(owner(&keys, ""), None);
    }

    #[tokio::test]
    async fn keys_come_and_go_while_it_runs_and_none_left_is_not_open() {
        let (keys, table) = (keyring(&[]), Table::default());
        keys.refresh(&table).await.unwrap();
        assert!(!keys.is_on());
        let id = table.add_key(new_key("rails", "one")).await.unwrap();
        keys.refresh(&table).await.unwrap();
        let held = keys.find("one").unwrap();
        assert!(keys.is_on() && !held.is_gone());
        table.revoke_keys(&[id]).await.unwrap();
        keys.refresh(&table).await.unwrap();
        assert!(keys.is_on() && keys.find("one").is_none() && keys.count() == 0 && held.is_gone());
        // Nor does it open when somebody empties the table.
        table.0.lock().unwrap().clear();
        keys.refresh(&table).await.unwrap();
        assert!(keys.is_on());
        // A service that starts with none but revoked keys is closed too.
        let id = table.add_key(new_key("rails", "two")).await.unwrap();
        table.revoke_keys(&[id]).await.unwrap();
        let anew = keyring(&[]);
        anew.refresh(&table).await.unwrap();
        assert!(anew.is_on() && anew.find("two").is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_read_changes_nothing() {
        let (keys, table) = (keyring(&[]), Table::default());
        table.add_key(new_key("rails", "one")).await.unwrap();
        keys.refresh(&table).await.unwrap();
        table.add_key(new_key("unreadable", "two")).await.unwrap();
        assert!(keys.refresh(&table).await.is_err());
        assert!(keys.is_on() && keys.find("one").is_some() && keys.find("two").is_none());
    }

    #[tokio::test]
    async fn a_name_is_one_owner_wherever_its_keys_are_and_the_newest_signs() {
        let (keys, table) = (keyring(&[("rails", "setting")]), Table::default());
        for secret in ["older", "newer"] {
            table.add_key(new_key("rails", secret)).await.unwrap();
        }
        table.add_key(new_key("artist", "other")).await.unwrap();
        keys.refresh(&table).await.unwrap();
        let digests: Vec<Digest> = keys.of("rails").iter().map(|key| *key.digest()).collect();
        assert_eq!(digests, ["newer", "older", "setting"].map(Digest::of));
        assert!(keys.of("nobody").is_empty());
        assert_eq!(keys.find("setting").unwrap().scopes(), Scopes::ALL);
        assert_eq!(keys.find("newer").unwrap().scopes(), Scopes::USUAL);
    }

    #[tokio::test]
    async fn another_look_gives_nobody_a_new_quota() {
        let (keys, table) = (keyring(&[("rails", "setting")]), Table::default());
        table.add_key(new_key("rails", "one")).await.unwrap();
        keys.refresh(&table).await.unwrap();
        for secret in ["one", "setting"] {
            let key = keys.find(secret).unwrap();
            let quota = key.rate().unwrap().quota();
            assert_eq!(keys.left(&key, Use::Call).unwrap().1.requests, quota);
            keys.take(&key, Use::Call, 4).unwrap();
            keys.refresh(&table).await.unwrap();
            let key = keys.find(secret).unwrap();
            assert!(keys.left(&key, Use::Call).unwrap().1.requests < quota - 2, "{secret}");
            assert_eq!(keys.left(&key, keys.link_to("hero")).unwrap().1.requests, quota, "{secret}");
        }
    }

    #[test]
    fn links_are_counted_by_job_in_a_fixed_number_of_places() {
        let keys = keyring(&[("rails", "one")]);
        let key = keys.find("one").unwrap();
        let quota = key.rate().unwrap().quota();
        let closed = keys.link_to("hero");
        keys.take(&key, closed, quota).unwrap();
        assert!(keys.take(&key, closed, quota).is_err());
        let jobs = || (0..10_000).map(|n| keys.link_to(&format!("job-{n}")));
        // About two of them share the place.
        let open = jobs().filter(|link| keys.left(&key, *link).unwrap().1.requests == quota).count();
        assert!(open > 9_900, "{open}");
        assert_eq!(keys.left(&key, Use::Call).unwrap().1.requests, quota);
        jobs().for_each(|link| keys.take(&key, link, 1).unwrap_or_default());
        assert_eq!(key.links.lock().unwrap().len(), 4096);
    }

    #[tokio::test]
    async fn use_is_noted_once_an_hour() {
        let (keys, table) = (keyring(&[("rails", "setting")]), Table::default());
        let id = table.add_key(new_key("rails", "one")).await.unwrap();
        keys.refresh(&table).await.unwrap();
        let mut noted = Noted::default();
        assert_eq!(noted.due(&keys.live().keys), []);
        assert!(keys.find("one").is_some() && keys.find("setting").is_some());
        assert_eq!(noted.due(&keys.live().keys), [id]);
        assert!(keys.find("one").is_some());
        assert_eq!(noted.due(&keys.live().keys), []);
    }

    #[test]
    fn nothing_printed_tells_of_a_secret() {
        let keys = keyring(&[("rails", "hunter2-hunter2-hunter2")]);
        let text = format!("{keys:?} {keys:#?}");
        assert!(text.contains("rails") && !text.contains("hunter2") && !text.contains("digest"), "{text}");
    }
}
