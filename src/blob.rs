//! Images and results: immutable bytes under the SHA-256 of what they hold, over `object_store`.
//!
//! Equal bytes are one blob. A blob is put in place whole or not at all, and nothing ever changes it; what nobody refers
//! to is swept once it is old.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::RwLock;

/// Where blobs are, under the folder or bucket: named after the digest that names them.
const BLOBS: &str = "sha256";

/// Written and deleted to see whether the storage takes writes.
const PROBE: &str = "probe";

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
    /// The folder or bucket failed.
    #[error("the storage failed: {0}")]
    Storage(#[from] object_store::Error),
}

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Where the local backend has its files.
    folder: Option<PathBuf>,
    /// Shared by those who put, taken by who looks at a blob's age and deletes it: a blob must not become young between.
    deleting: Arc<RwLock<()>>,
}

impl Blobs {
    /// In a folder, which is made if need be. A blob is on the disk, whole and under its name, before
    /// [`put`](Self::put) answers.
    ///
    /// # Errors
    /// If the folder can be neither found nor made.
    pub fn folder(path: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(path)?;
        let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(path.to_owned()), deleting: Arc::default() })
    }

    /// In memory, for tests and for what need not last.
    #[must_use]
    pub fn memory() -> Self {
        Self { store: Arc::new(InMemory::new()), folder: None, deleting: Arc::default() }
    }

    /// Keeps bytes and answers their name once they are durable. Bytes that are kept already are written again, which
    /// makes them young for [`older_than`](Self::older_than).
    ///
    /// # Errors
    /// [`BlobError::Storage`] if the storage fails; what is under the name then is whole.
    pub async fn put(&self, bytes: Bytes) -> Result<String, BlobError> {
        let (hash, bytes) = name(bytes).await?;
        let _young = self.deleting.read().await;
        self.store.put(&key(&hash), PutPayload::from(bytes)).await?;
        Ok(hash)
    }

    /// The bytes of that name, checked against it.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Damaged`], [`BlobError::Storage`].
    pub async fn get(&self, hash: &str) -> Result<Bytes, BlobError> {
        let found = match self.store.get(&key(hash)).await {
            Err(object_store::Error::NotFound { .. }) => return Err(BlobError::NotFound(hash.to_owned())),
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
        match self.store.head(&key(hash)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?.size)),
        }
    }

    /// Bytes and the name that [`put`](Self::put) would give them.
    ///
    /// # Errors
    /// [`BlobError::Folder`] if there is no thread for it.
    pub async fn named(bytes: Bytes) -> Result<(String, Bytes), BlobError> {
        name(bytes).await
    }

    /// Names of blobs older than `age`, in lists of at most `most`.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn older_than(&self, age: Duration, most: usize) -> Result<Vec<Vec<String>>, BlobError> {
        let before = so_long_ago(age);
        let old = self.store.list(Some(&Key::from(BLOBS))).try_filter_map(|found| async move {
            let name = found.location.filename().map(str::to_owned);
            Ok(name.filter(|_| found.last_modified < before))
        });
        old.chunks(most)
            .map(|names| names.into_iter().collect::<Result<Vec<_>, _>>())
            .try_collect()
            .await
            .map_err(Into::into)
    }

    /// Deletes a blob; one that is gone already is no error.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn delete(&self, hash: &str) -> Result<(), BlobError> {
        match self.store.delete(&key(hash)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Deletes a blob if nobody has put it again for so long; whether it did.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn delete_older_than(&self, hash: &str, age: Duration) -> Result<bool, BlobError> {
        let _alone = self.deleting.write().await;
        let found = match self.store.head(&key(hash)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            found => found?,
        };
        let old = found.last_modified < so_long_ago(age);
        if old {
            self.delete(hash).await?;
        }
        Ok(old)
    }

    /// Deletes files that a process left behind which died while it wrote them; how many. The backend never lists them,
    /// and only a folder has any.
    ///
    /// # Errors
    /// [`BlobError::Folder`] if the folder cannot be read.
    pub async fn sweep_unfinished(&self, age: Duration) -> Result<u64, BlobError> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let swept = tokio::task::spawn_blocking(move || {
            let mut swept = sweep_folder(&folder, before)?;
            for entry in entries(&folder.join(BLOBS))? {
                if entry.file_type()?.is_dir() {
                    swept += sweep_folder(&entry.path(), before)?;
                }
            }
            Ok(swept)
        });
        swept.await.map_err(io::Error::other)?.map_err(BlobError::Folder)
    }

    /// Writes and deletes a probe.
    ///
    /// # Errors
    /// [`BlobError::Storage`] if the storage takes no writes.
    pub async fn check_writable(&self) -> Result<(), BlobError> {
        let probe = Key::from(PROBE);
        self.store.put(&probe, PutPayload::from_static(b"spinelift")).await?;
        match self.store.delete(&probe).await {
            // Another check, at the same time, was faster.
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => Ok(done?),
        }
    }
}

fn so_long_ago(age: Duration) -> DateTime<Utc> {
    let age = chrono::Duration::from_std(age).unwrap_or(chrono::Duration::MAX);
    Utc::now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// What is in a folder; nothing in one that is not there.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// Deletes old files right in a folder that `object_store` was writing: it names them `name#number` until they are whole.
fn sweep_folder(folder: &Path, before: SystemTime) -> io::Result<u64> {
    let mut swept = 0;
    for entry in entries(folder)? {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
        let unfinished = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()));
        if unfinished && entry.metadata()?.modified()? < before {
            fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
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

/// 256 folders, as one with a million files is slow to list and to open by hand.
fn key(hash: &str) -> Key {
    let folder = hash.get(..2).unwrap_or(hash);
    Key::from_iter([BLOBS, folder, hash])
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
            assert_eq!(blobs.older_than(Duration::ZERO, 10).await.unwrap(), [[name.clone()]]);
            assert!(blobs.older_than(Duration::from_secs(60), 10).await.unwrap().is_empty());
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
        let left_behind = [shelf.join(format!("{name}#1")), folder.path().join("probe#12")];
        let others = [shelf.join("notes"), shelf.join("a#b"), folder.path().join("c#")];
        for path in left_behind.iter().chain(&others) {
            fs::write(path, b"ab").unwrap();
        }
        assert_eq!(blobs.sweep_unfinished(Duration::from_secs(60)).await.unwrap(), 0);
        assert_eq!(blobs.sweep_unfinished(Duration::ZERO).await.unwrap(), 2);
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
