//! Whose blobs these are.
//!
//! A sweeper deletes what its own database does not refer to. Were two databases to share a bucket or folder, each would
//! delete the other's: so the first that sweeps there leaves its mark, and no other sweeps.

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload};

use super::{BlobError, Blobs, Key};

/// Where the mark is, under the folder or bucket.
const OWNER: &str = "owner";

impl Blobs {
    /// Whether blobs here are this database's alone to delete. They become so if they have been nobody's.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    pub async fn belong_to(&self, database: &str) -> Result<bool, BlobError> {
        let key = self.root.clone().join(OWNER);
        if self.marked(&key).await?.is_none() {
            self.store.put(&key, PutPayload::from(Bytes::copy_from_slice(database.as_bytes()))).await?;
        }
        // Read again: another may have been there at the same moment.
        Ok(self.marked(&key).await?.is_some_and(|owner| owner == database.as_bytes()))
    }

    async fn marked(&self, key: &Key) -> Result<Option<Bytes>, BlobError> {
        match self.store.get(key).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            found => Ok(Some(found?.bytes().await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blobs_belong_to_the_first_database_that_asks() {
        let folder = tempfile::tempdir().unwrap();
        for blobs in [Blobs::memory(), Blobs::folder(folder.path()).unwrap()] {
            for (database, expected) in [("one", true), ("two", false), ("one", true), ("", false)] {
                assert_eq!(blobs.belong_to(database).await.unwrap(), expected, "{database}");
            }
        }
    }
}
