//! One suite that every database behind the store's trait must pass.
#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/submitting.rs"]
mod submitting;

use std::sync::Arc;

use async_trait::async_trait;
use fixture::{Backend, Settings};
use spinelift::store::sqlite::{Durability, SqliteOptions, SqliteStore};
use spinelift::store::{Result, Store};

/// One file in a folder that goes away with the test.
struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn open(&self, settings: Settings) -> Result<Arc<dyn Store>> {
        let options = SqliteOptions {
            path: self.folder.path().join("made/at/need/jobs.db"),
            // The suite is about what is written, not about loss of power.
            durability: Durability::Process,
            queue_limit: settings.queue_limit,
            timing: settings.timing,
        };
        Ok(SqliteStore::open(options).await?)
    }
}

/// Every test of the suite, once for each database. A test that is not in the list is unused code, which the lints tell.
macro_rules! suite {
    ($backend:ident: $($part:ident { $($test:ident,)+ })+) => {
        $(mod $part {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::$part::$test(&crate::$backend::new()).await;
                }
            )+
        })+
    };
}

macro_rules! every_database {
    ($($list:tt)+) => {
        mod sqlite {
            suite! { Sqlite: $($list)+ }
        }
    };
}

every_database! {
    submitting {
        a_new_job_is_queued_with_its_first_event,
        an_unknown_id_is_no_job,
        the_same_request_is_the_same_job,
        another_request_under_a_taken_id_is_refused,
        owners_do_not_share_ids_or_keys,
        a_known_key_replays_its_job,
        a_key_is_remembered_for_a_job_that_was_there,
        a_cancelled_job_starts_anew,
        a_passing_failure_starts_anew_and_a_lasting_one_does_not,
        fifty_equal_submissions_at_once_make_one_job,
        many_at_once_are_answered_in_their_order,
        a_full_queue_refuses_new_jobs_only,
    }
}
