//! Deleting blobs that nobody needs while others, here and on other nodes, may come to need them.
//!
//! A blob is kept for whoever refers to it: a job, a result in the cache. It is put first and referred to afterwards, so
//! one that nobody refers to may be one that somebody is about to. Those are young; what is old and unreferenced is
//! deleted. But equal bytes are one blob: at any moment somebody may put again, and refer to, what was just found to be
//! old. So the deletion goes through the database, which both sides write to:
//!
//! 1. The sweeper finds old blobs, and [`doom`](SweepStore::doom)s those that nothing refers to: a row for each.
//! 2. It waits for as long as [`transactions_last`](SweepStore::transactions_last).
//! 3. It asks which are [`condemned`](SweepStore::condemned): still unreferenced. It looks at the age of those again, and
//!    deletes them.
//! 4. What it deleted is [`gone`](SweepStore::gone), the rest is [`spare`](SweepStore::spare)d.
//!
//! Whoever makes a reference does so in a statement that writes nothing if the blob is doomed: a submission is then refused
//! with [`Submitted::Doomed`](super::Submitted::Doomed), a completed job is done again later.
//!
//! Why no reference ever outlives its blob. Take a statement that makes one.
//!
//! - It sees the row, and makes none.
//! - It does not see it, as it began before step 1 was committed. Then its transaction has ended before step 3, which sees
//!   the reference, and the blob is spared. Between steps 3 and 4 none can be made, as every statement that began after
//!   step 1 sees the row.
//! - It does not see it, as it began after step 4. If the blob was spared it is there. If it is gone, its row stays for
//!   [`DOOM_LASTS`] and tells since when: the reference is made only if its blob was put after that, and then the deletion
//!   was over before it was there. Who put it earlier, and be it between the look at the age and the deletion, is refused
//!   and puts it again. So whoever refers must know for how long it has had the blob, and is refused if that is longer than
//!   [`REFER_WITHIN`], as the row might have gone by then.
//!
//! A sweeper that dies leaves rows behind. They end after [`DOOM_LASTS`], of which a sweeper uses no more than half: what
//! it has not deleted by then it leaves alone, and what the storage may still delete, as it did not say, stays doomed. What
//! no protocol can help against is a storage that carries a request out after half of that time, or a sweeper that sleeps
//! for so long between its last look at the clock and the request.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::record::milliseconds;
use super::{NewJob, Result};

/// How long a doomed blob stays so if nobody decides.
pub const DOOM_LASTS: Duration = Duration::from_secs(3600);

/// How long after it was put a blob may be referred to. Uploads of a batch and writes that are tried again take minutes.
pub const REFER_WITHIN: Duration = Duration::from_secs(1800);

/// How long a job waits whose result is doomed: longer than a sweeper takes over its last steps.
pub const DOOMED_BACKOFF: Duration = Duration::from_secs(45);

/// How far a clock may be set back, and fast and slow ones run apart, without a blob that was put too early passing for
/// one that was put later.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// For how long a blob has been there for sure, ms, with the slack for clocks.
pub(super) fn put_ago_ms(since: Instant) -> i64 {
    milliseconds(since.elapsed().saturating_add(CLOCK_SLACK))
}

/// Whether a blob was put so long ago that nothing may come to refer to it.
pub(super) fn is_late(since: Instant) -> bool {
    since.elapsed() > REFER_WITHIN
}

impl NewJob {
    /// Whether it comes too late after its blob.
    pub(super) fn is_late(&self) -> bool {
        self.source_hash.is_some() && is_late(self.put_since)
    }
}

/// What only sweepers ask of a store. The module's text has the protocol.
#[async_trait]
pub trait SweepStore: Send + Sync + 'static {
    /// Marks those of these blobs that nothing refers to; which it marked. Not those that another sweeper has.
    async fn doom(&self, hashes: &[String]) -> Result<Vec<String>>;

    /// How long to wait until every transaction has ended that began before a blob was doomed.
    fn transactions_last(&self) -> Duration;

    /// Which of these are marked, and for no longer than half of [`DOOM_LASTS`], and still nothing refers to them.
    async fn condemned(&self, hashes: &[String]) -> Result<HashSet<String>>;

    /// Takes the marks away from blobs that were not deleted.
    async fn spare(&self, hashes: &[String]) -> Result<()>;

    /// Notes that these were deleted, now at the latest.
    async fn gone(&self, hashes: &[String]) -> Result<()>;

    /// Which database this is: a name of its own, made with its tables.
    async fn identity(&self) -> Result<String>;

    /// Whether to do now what one node does for all: nobody else is told so for as long. By the database's clock.
    async fn take_turn(&self, duty: &str, for_how_long: Duration) -> Result<bool>;
}
