//! Jobs by their ids: which owner's is meant.

use std::fmt;

use spinelift::job::JobId;
use spinelift::store::{AdminStore, Job};

use super::owner_name;

/// Why nothing was done to a job that was named.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) id: JobId,
    pub(super) owner: Option<String>,
    /// A sentence's end, with what to do.
    pub(super) reason: String,
}

impl Refused {
    pub(super) fn of(job: &Job, reason: impl Into<String>) -> Self {
        Self { id: job.id.clone(), owner: Some(job.owner.clone()), reason: reason.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {}: {}", self.id, self.reason)
    }
}

/// The one job of that id, of this owner if one is given.
pub(super) async fn find(
    store: &dyn AdminStore,
    id: &JobId,
    owner: Option<&str>,
) -> anyhow::Result<Result<Job, Refused>> {
    let mut jobs = store.jobs_named(id).await?;
    jobs.retain(|job| owner.is_none_or(|owner| owner == job.owner));
    let refused = |reason| Err(Refused { id: id.clone(), owner: owner.map(str::to_owned), reason });
    Ok(match (jobs.pop(), owner) {
        (Some(job), _) if jobs.is_empty() => Ok(job),
        (Some(last), _) => {
            let owners: Vec<String> = jobs.iter().chain([&last]).map(|job| owner_name(&job.owner)).collect();
            refused(format!("several owners have one: {}; say which with --owner", owners.join(", ")))
        }
        (None, Some(owner)) => refused(format!(
            "{} has none; it may be another's, or have been deleted after its time",
            if owner.is_empty() { "nobody" } else { owner }
        )),
        (None, None) => refused("there is none; it may have been deleted after its time".into()),
    })
}
