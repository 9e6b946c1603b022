//! API keys in the database: added and revoked by hand, while the service runs.

use async_trait::async_trait;

use super::Result;
use crate::key::{Digest, Limit, Links, Scopes};

/// A key's row. Shown to operators, who revoke one of several keys of a name by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub i64);

/// A key to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Owns the jobs that are submitted with it. Several keys may have one name.
    pub name: String,
    /// Of its secret.
    pub digest: Digest,
    /// What it may do.
    pub scopes: Scopes,
    /// How often.
    pub limit: Limit,
    /// Where links to results lead, unless the settings decide.
    pub links: Option<Links>,
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its row.
    pub id: KeyId,
    /// Owns the jobs that are submitted with it.
    pub name: String,
    /// Of its secret.
    pub digest: Digest,
    /// What it may do.
    pub scopes: Scopes,
    /// How often.
    pub limit: Limit,
    /// Where links to results lead, unless the settings decide.
    pub links: Option<Links>,
    /// ms since 1970-01-01 UTC.
    pub created_at_ms: i64,
    /// When it was last noted to be in use, ms since 1970-01-01 UTC.
    pub last_used_at_ms: Option<i64>,
    /// From when on it opens nothing, ms since 1970-01-01 UTC.
    pub revoked_at_ms: Option<i64>,
}

/// The keys of a database. A part of [`Store`](super::Store), and all that who only manages keys needs.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Keeps a key.
    async fn add_key(&self, key: NewKey) -> Result<KeyId>;

    /// Every key that there was, revoked ones too, the oldest first. Without those that cannot be read.
    async fn keys(&self) -> Result<Vec<StoredKey>>;

    /// Whether there was any, also if it cannot be read.
    async fn has_keys(&self) -> Result<bool>;

    /// Revokes keys for good. Leaves those alone that are revoked or unknown; how many were not.
    async fn revoke_keys(&self, keys: &[KeyId]) -> Result<u64>;

    /// Notes that keys are in use now.
    async fn note_key_use(&self, keys: &[KeyId]) -> Result<()>;
}
