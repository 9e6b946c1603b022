//! A job: what is asked for, where it stands, which steps are legal, and why it ended.
//!
//! Values only. What keeps jobs is `store`, what does them is `worker`.

mod announcement;
mod failure;
mod id;

use std::fmt;

use serde_json::{Value, json};

pub use announcement::{announcement, public_url, timestamp};
pub use failure::{Failure, FailureCode};
pub use id::{InvalidJobId, JobId};

use crate::mesh::{self, MeshParameters};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Accepted, waiting for a worker, possibly for another attempt.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Its result can be fetched.
    Completed,
    /// It ended without a result.
    Failed,
    /// Its caller called it off.
    Cancelled,
}

/// Every legal step, and no other. A job that ended without a result may be started anew, which makes it queued again.
const TRANSITIONS: &[(JobState, JobState)] = &[
    (JobState::Queued, JobState::Running),    // claimed
    (JobState::Queued, JobState::Cancelled),  // called off before it began
    (JobState::Running, JobState::Queued),    // released, retried later, or taken back from a dead worker
    (JobState::Running, JobState::Completed), // done
    (JobState::Running, JobState::Failed),    // cannot be done
    (JobState::Running, JobState::Cancelled), // called off while running
    (JobState::Failed, JobState::Queued),     // submitted anew after a passing failure, or retried by hand
    (JobState::Cancelled, JobState::Queued),  // submitted anew, or retried by hand
];

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The state's name in databases and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The three words that pollers know: a queued job is `processing`, a cancelled one `failed`.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Queued | Self::Running => "processing",
            Self::Completed => "completed",
            Self::Failed | Self::Cancelled => "failed",
        }
    }

    /// Whether no worker will touch the job any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether the step is in the table of legal ones.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        TRANSITIONS.contains(&(self, next))
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a job's image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// To be fetched when the job runs.
    Url(String),
    /// Uploaded: the SHA-256 of a stored blob, lower-case hexadecimal.
    Blob(String),
}

/// What a mesh job is asked to do, as it is kept in the job's row.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshRequest {
    /// The image.
    pub source: ImageSource,
    /// The nine parameters, with defaults filled in.
    pub parameters: MeshParameters,
    /// What was odd about the parameters; goes into the result's metadata.
    pub warnings: Vec<String>,
}

impl MeshRequest {
    /// As JSON with its keys in a fixed order: equal requests give equal text, so its digest tells them apart.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let source = match &self.source {
            ImageSource::Url(url) => json!({ "url": url }),
            ImageSource::Blob(hash) => json!({ "blob": hash }),
        };
        json!({ "source": source, "parameters": self.parameters, "warnings": self.warnings })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`mesh::Error::Internal`] if it is no such text, which only a damaged or foreign database can hold;
    /// [`mesh::Error::Parameters`] if the parameters are out of range.
    pub fn from_json(value: &Value) -> mesh::Result<Self> {
        let text = |name: &str| value["source"][name].as_str().map(str::to_owned);
        let source = match (text("url"), text("blob")) {
            (Some(url), None) => ImageSource::Url(url),
            (None, Some(hash)) => ImageSource::Blob(hash),
            _ => return Err(mesh::Error::Internal("a stored request names no image".into())),
        };
        let (parameters, _) = MeshParameters::from_json(&value["parameters"])?;
        let warnings = value["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(|warning| warning.as_str().map(str::to_owned)).collect();
        Ok(Self { source, parameters, warnings })
    }
}

/// One thing that happened to a job, in the order of its sequence. Status, event streams and callbacks all read these.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// 1 for the job's first event; grows by one.
    pub sequence: u64,
    /// When, ms since 1970-01-01 UTC by the database's clock.
    pub at_ms: i64,
    /// The state that the job was in.
    pub state: JobState,
    /// Percent, never falling within one attempt to do the job.
    pub progress: u8,
    /// What is being done, in the specification's words.
    pub message: String,
    /// Why it failed, in the final event of a failed or cancelled job.
    pub error: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_by_its_name() {
        for state in JobState::ALL {
            assert_eq!(JobState::named(state.as_str()), Some(state));
        }
        assert_eq!(JobState::named("lost"), None);
    }

    #[test]
    fn a_completed_job_stays_completed() {
        assert!(JobState::ALL.iter().all(|next| !JobState::Completed.may_become(*next)));
    }

    #[test]
    fn a_job_never_skips_its_worker() {
        assert!(!JobState::Queued.may_become(JobState::Completed));
        assert!(JobState::Running.may_become(JobState::Completed));
    }

    #[test]
    fn a_request_survives_its_row() {
        for source in [ImageSource::Url("https://example.com/a.png".into()), ImageSource::Blob("ab".repeat(32))] {
            let parameters = MeshParameters { detail_factor: 0.037, blur_kernel_size: 5, ..MeshParameters::default() };
            let request = MeshRequest { source, parameters, warnings: vec!["odd".into()] };
            assert_eq!(MeshRequest::from_json(&request.to_json()), Ok(request));
        }
    }
}
