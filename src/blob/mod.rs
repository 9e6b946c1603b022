//! Images and results: immutable bytes under the SHA-256 of what they hold, over `object_store`.
//!
//! Equal bytes are one blob. A blob is put in place whole or not at all, and nothing ever changes it; what nobody refers
//! to is swept once it is old. Bytes are checked on both ways: a bucket compares what arrives with its digest, and what
//! comes back is compared with its name.

mod bucket;
mod folder;
mod owner;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt, future};
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions, PutPayload};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::timeout;

pub use bucket::{BucketOptions, Credentials, LONGEST_LINK, Patience, SURROUNDINGS};

/// Where blobs are, under the folder or bucket: named after the digest that names them.
const BLOBS: &str = "sha256";

/// Where is written and deleted to see whether the storage takes writes: under a name of this process's own, as several
/// may look at a bucket at a time.
const PROBES: &str = "probes";

/// How often bytes are sent again to a bucket that got others.
const SENT_AGAIN: u32 = 2;

/// Why a blob could not be kept or found. The text is for logs.
#[derive(Debug, Error)]
pub enum BlobError {
    /// There is no such blob, or no longer.
    #[error("there is no blob {0}")]
    NotFound(String),
    /// The bytes are not those that the name promises.
    #[error("the blob {0} is damaged")]
    Damaged(String),
    /// The folder cannot be made or read, or a thread could not be had.
    #[error("the storage folder cannot be used: {0}")]
    Folder(#[from] io::Error),
    /// The bucket refuses, and will until its operator changes something.
    #[error("{0}")]
    Unusable(String),
    /// The bucket does not answer.
    #[error("the storage did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The folder or bucket failed.
    #[error("the storage failed: {0}")]
    Storage(#[from] object_store::Error),
}

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    place: Place,
    /// What all our names begin with; mostly nothing.
    root: Key,
    probe: Key,
}

/// What one kind of storage has that the others have not.
#[derive(Debug, Clone)]
enum Place {
    Memory,
    /// Where the local backend has its files.
    Folder(PathBuf),
    Bucket {
        options: Arc<BucketOptions>,
        signer: AmazonS3,
    },
}

impl Blobs {
    fn new(store: impl ObjectStore, place: Place, root: Key) -> Self {
        let probe = root.clone().join(PROBES).join(uuid::Uuid::now_v7().to_string());
        Self { store: Arc::new(store), place, root, probe }
    }

    /// In a folder, which is made if need be. A blob is on the disk, whole and under its name, before
    /// [`put`](Self::put) answers.
    ///
    /// # Errors
    /// If the folder can be neither found nor made.
    pub fn folder(path: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(path)?;
        let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
        Ok(Self::new(store, Place::Folder(path.to_owned()), Key::default()))
    }

    /// In memory, for tests and for what need not last.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(InMemory::new(), Place::Memory, Key::default())
    }

    /// In a bucket on S3 or what speaks it. Nothing is asked of it yet, see [`check_usable`](Self::check_usable).
    ///
    /// # Errors
    /// [`BlobError::Storage`] if the options contradict each other, such as a key without its secret.
    pub fn bucket(options: &BucketOptions) -> Result<Self, BlobError> {
        let root = Key::parse(&options.prefix).map_err(object_store::Error::from)?;
        let place = Place::Bucket { options: Arc::new(options.clone()), signer: bucket::signer(options)? };
        Ok(Self::new(bucket::open(options)?, place, root))
    }

    /// Keeps bytes and answers their name once they are durable. Bytes that are kept already are written again, which
    /// makes them young for [`older_than`](Self::older_than).
    ///
    /// # Errors
    /// [`BlobError::Storage`] if the storage fails; what is under the name then is whole.
    pub async fn put(&self, bytes: Bytes) -> Result<String, BlobError> {
        self.put_as(bytes, None).await
    }

    /// The same for JSON, which a bucket that is asked by a link then calls by its name.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_json(&self, bytes: Bytes) -> Result<String, BlobError> {
        self.put_as(bytes, Some("application/json")).await
    }

    async fn put_as(&self, bytes: Bytes, media_type: Option<&'static str>) -> Result<String, BlobError> {
        let (hash, bytes) = name(bytes).await?;
        // A folder keeps no media types.
        let media_type = media_type.filter(|_| self.in_bucket().is_some());
        let attributes: Attributes = media_type.map(|text| (Attribute::ContentType, text)).into_iter().collect();
        let key = self.key(&hash);
        let mut tries = 0;
        loop {
            let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
            match self.store.put_opts(&key, PutPayload::from(bytes.clone()), options).await {
                Err(error) if tries < SENT_AGAIN && bucket::arrived_damaged(&error) => tries += 1,
                done => return done.map(|_| hash).map_err(Into::into),
            }
        }
    }

    /// The bytes of that name, checked against it.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Damaged`], [`BlobError::Storage`].
    pub async fn get(&self, hash: &str) -> Result<Bytes, BlobError> {
        match self.get_once(hash).await {
            // It may be whole in the bucket, and damaged on its way.
            Err(BlobError::Damaged(_)) if self.in_bucket().is_some() => self.get_once(hash).await,
            got => got,
        }
    }

    async fn get_once(&self, hash: &str) -> Result<Bytes, BlobError> {
        let found = match self.store.get(&self.key(hash)).await {
            Err(error @ object_store::Error::NotFound { .. }) if !bucket::has_no_bucket(&error) => {
                return Err(BlobError::NotFound(hash.to_owned()));
            }
            found => found?,
        };
        let (name, bytes) = name(found.bytes().await?).await?;
        if name == hash { Ok(bytes) } else { Err(BlobError::Damaged(hash.to_owned())) }
    }

    /// Whether there is a blob of that name.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn has(&self, hash: &str) -> Result<bool, BlobError> {
        Ok(self.size(hash).await?.is_some())
    }

    /// The size of a blob, bytes, if it is there.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn size(&self, hash: &str) -> Result<Option<u64>, BlobError> {
        Ok(self.head(hash).await?.map(|found| found.size))
    }

    async fn head(&self, hash: &str) -> Result<Option<ObjectMeta>, BlobError> {
        match self.store.head(&self.key(hash)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// Bytes and the name that [`put`](Self::put) would give them.
    ///
    /// # Errors
    /// [`BlobError::Folder`] if there is no thread for it.
    pub async fn named(bytes: Bytes) -> Result<(String, Bytes), BlobError> {
        name(bytes).await
    }

    /// A link to a blob that is good without a header for so long, [`LONGEST_LINK`] at most; `None` where blobs are not in
    /// a bucket. Nothing is asked of the bucket, and whether the blob is there is not known.
    ///
    /// # Errors
    /// [`BlobError::Storage`] if the credentials to sign it with cannot be had.
    pub async fn link(&self, hash: &str, good_for: Duration) -> Result<Option<String>, BlobError> {
        match &self.place {
            Place::Bucket { signer, .. } => bucket::link(signer, &self.key(hash), good_for).await.map(Some),
            Place::Memory | Place::Folder(_) => Ok(None),
        }
    }

    /// Names of blobs older than `age` by this machine's clock, in lists of at most `most`, as they are read.
    pub fn older_than(
        &self,
        age: Duration,
        most: usize,
    ) -> impl Stream<Item = Result<Vec<String>, BlobError>> + Send + use<> {
        let names = self.old_objects(BLOBS, age).try_filter_map(|found| {
            let name = found.location.filename().map(str::to_owned);
            future::ready(Ok(name))
        });
        names.try_chunks(most).map_err(|failed| failed.1.into())
    }

    fn old_objects(
        &self,
        part: &str,
        age: Duration,
    ) -> impl Stream<Item = object_store::Result<ObjectMeta>> + Send + use<> {
        let before = so_long_ago(age);
        let all = self.store.list(Some(&self.root.clone().join(part)));
        all.try_filter(move |found| future::ready(found.last_modified < before))
    }

    /// Deletes a blob; one that is gone already is no error.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn delete(&self, hash: &str) -> Result<(), BlobError> {
        self.delete_object(&self.key(hash)).await
    }

    async fn delete_object(&self, key: &Key) -> Result<(), BlobError> {
        match self.store.delete(key).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Deletes a blob if nobody has put it again for so long; whether it did. Who puts it between the look and the deletion
    /// loses it: only for blobs that the database knows to be doomed, see
    /// [`SweepStore`](crate::store::SweepStore).
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn delete_older_than(&self, hash: &str, age: Duration) -> Result<bool, BlobError> {
        let Some(found) = self.head(hash).await? else { return Ok(false) };
        let old = found.last_modified < so_long_ago(age);
        if old {
            self.delete(hash).await?;
        }
        Ok(old)
    }

    /// Deletes what processes left behind which died while they wrote or probed; how many.
    ///
    /// # Errors
    /// [`BlobError::Folder`] if the folder cannot be read, [`BlobError::Storage`].
    pub async fn sweep_unfinished(&self, age: Duration) -> Result<u64, BlobError> {
        let mut swept = 0;
        let mut probes = std::pin::pin!(self.old_objects(PROBES, age));
        while let Some(probe) = probes.try_next().await? {
            self.delete_object(&probe.location).await?;
            swept += 1;
        }
        let Place::Folder(folder) = self.place.clone() else { return Ok(swept) };
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let files = tokio::task::spawn_blocking(move || folder::sweep(&folder, &[BLOBS, PROBES], before));
        Ok(swept + files.await.map_err(io::Error::other)??)
    }

    /// Writes and deletes a probe.
    ///
    /// # Errors
    /// [`BlobError::Storage`] if the storage takes no writes, [`BlobError::TimedOut`] if a bucket does not say.
    pub async fn check_writable(&self) -> Result<(), BlobError> {
        let probed = async {
            self.store.put(&self.probe, PutPayload::from_static(b"spinelift")).await?;
            // Another check, at the same time, may be faster.
            self.delete_object(&self.probe).await
        };
        match self.in_bucket() {
            Some(options) => within(options.patience.probe, probed).await,
            None => probed.await,
        }
    }

    /// Whether a bucket can be used for all that is needed of it. One that does not answer is no fault here, and is warned
    /// of: it may be back before its first job, and readiness tells until then.
    ///
    /// # Errors
    /// [`BlobError::Unusable`] names the settings or rights to change.
    pub async fn check_usable(&self) -> Result<(), BlobError> {
        let Some(options) = self.in_bucket() else { return Ok(()) };
        match within(options.patience.start, self.try_rights(options)).await {
            Err(unusable @ BlobError::Unusable(_)) => Err(unusable),
            Err(cause) => {
                tracing::warn!(%cause, "the bucket does not answer; the service is not ready before it does");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Uses every right once.
    async fn try_rights(&self, options: &BucketOptions) -> Result<(), BlobError> {
        let told = |right: &'static str| {
            move |error: object_store::Error| match bucket::lasting_fault(options, right, &error) {
                Some(fault) => BlobError::Unusable(fault),
                None => error.into(),
            }
        };
        let mut listed = self.store.list(Some(&self.root.clone().join(PROBES)));
        listed.try_next().await.map_err(told("s3:ListBucket"))?;
        let written = self.store.put(&self.probe, PutPayload::from_static(b"spinelift")).await;
        written.map_err(told("s3:PutObject"))?;
        self.store.get(&self.probe).await.map_err(told("s3:GetObject"))?;
        self.store.delete(&self.probe).await.map_err(told("s3:DeleteObject"))
    }

    fn in_bucket(&self) -> Option<&BucketOptions> {
        match &self.place {
            Place::Bucket { options, .. } => Some(options),
            Place::Memory | Place::Folder(_) => None,
        }
    }

    /// 256 folders, as one with a million files is slow to list and to open by hand.
    fn key(&self, hash: &str) -> Key {
        let folder = hash.get(..2).unwrap_or(hash);
        self.root.clone().join(BLOBS).join(folder).join(hash)
    }
}

async fn within<T>(limit: Duration, what: impl Future<Output = Result<T, BlobError>>) -> Result<T, BlobError> {
    timeout(limit, what).await.unwrap_or(Err(BlobError::TimedOut(limit)))
}

fn so_long_ago(age: Duration) -> DateTime<Utc> {
    let age = chrono::Duration::from_std(age).unwrap_or(chrono::Duration::MAX);
    Utc::now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Digests of more than this are made aside, bytes: 64 MiB would keep a thread from answering for a tenth of a second.
const LARGE: usize = 256 << 10;

/// The bytes' name, and the bytes.
async fn name(bytes: Bytes) -> Result<(String, Bytes), BlobError> {
    if bytes.len() <= LARGE {
        return Ok((sha256(&bytes), bytes));
    }
    let named = tokio::task::spawn_blocking(move || (sha256(&bytes), bytes));
    Ok(named.await.map_err(io::Error::other)?)
}

/// SHA-256 of bytes in lower-case hexadecimal: a blob's name.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_back_under_their_digest() {
        let folder = tempfile::tempdir().unwrap();
        for blobs in [Blobs::memory(), Blobs::folder(folder.path()).unwrap()] {
            let name = blobs.put(Bytes::from_static(b"abc")).await.unwrap();
            assert_eq!(name, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
            assert_eq!(blobs.get(&name).await.unwrap(), Bytes::from_static(b"abc"));
            blobs.check_writable().await.unwrap();
            let old = |age: Duration| blobs.older_than(age, 10).try_collect::<Vec<_>>();
            assert_eq!(old(Duration::ZERO).await.unwrap(), [[name.clone()]]);
            assert!(old(Duration::from_secs(60)).await.unwrap().is_empty());
            assert_eq!(blobs.link(&name, Duration::from_secs(60)).await.unwrap(), None);
            blobs.delete(&name).await.unwrap();
            blobs.delete(&name).await.unwrap();
            assert!(matches!(blobs.get(&name).await, Err(BlobError::NotFound(_))));
        }
    }

    #[tokio::test]
    async fn a_blob_is_deleted_only_while_it_is_old() {
        let blobs = Blobs::memory();
        let name = blobs.put(Bytes::from_static(b"abc")).await.unwrap();
        assert!(blobs.has(&name).await.unwrap());
        assert!(!blobs.delete_older_than(&name, Duration::from_secs(60)).await.unwrap());
        assert!(blobs.delete_older_than(&name, Duration::ZERO).await.unwrap());
        assert!(!blobs.delete_older_than(&name, Duration::ZERO).await.unwrap());
        assert!(!blobs.has(&name).await.unwrap());
    }

    #[tokio::test]
    async fn files_that_a_crash_left_behind_are_swept_once_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::folder(folder.path()).unwrap();
        let name = blobs.put(Bytes::from_static(b"abc")).await.unwrap();
        let shelf = folder.path().join(BLOBS).join(&name[..2]);
        let probes = folder.path().join(PROBES);
        fs::create_dir_all(&probes).unwrap();
        let left_behind = [shelf.join(format!("{name}#1")), probes.join("probe#12"), probes.join("probe")];
        let others = [shelf.join("notes"), shelf.join("a#b"), folder.path().join("c#")];
        for path in left_behind.iter().chain(&others) {
            fs::write(path, b"ab").unwrap();
        }
        assert_eq!(blobs.sweep_unfinished(Duration::from_secs(60)).await.unwrap(), 0);
        assert_eq!(blobs.sweep_unfinished(Duration::ZERO).await.unwrap(), 3);
        assert!(left_behind.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|path| path.exists()));
        assert_eq!(blobs.get(&name).await.unwrap(), Bytes::from_static(b"abc"));
        assert_eq!(Blobs::memory().sweep_unfinished(Duration::ZERO).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::folder(folder.path()).unwrap();
        let name = blobs.put(Bytes::from_static(b"abc")).await.unwrap();
        fs::write(folder.path().join(BLOBS).join(&name[..2]).join(&name), b"abd").unwrap();
        assert!(matches!(blobs.get(&name).await, Err(BlobError::Damaged(_))));
    }
}
