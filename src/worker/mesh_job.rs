//! The work of a mesh job, step by step: image, cache, engine, storage.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::held::HeldJob;
use super::shift::Shift;
use super::verdict::Trouble;
use crate::blob::BlobError;
use crate::compute::{Made, Task, Watch, cache_key};
use crate::crash_point;
use crate::export::Format;
use crate::job::{ImageSource, MeshRequest};
use crate::mesh::{self, Stage};
use crate::store::JobResult;

/// The format in which results are kept; the others are made of it or of the image on demand.
const KEPT_AS: &str = "json";

/// A result that is stored.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) result: JobResult,
    pub(super) cache_key: String,
}

/// Makes a job's mesh, or finds that of an equal request, and keeps it.
pub(super) async fn make(shift: &Shift, job: &Arc<HeldJob>, deadline: Instant) -> Result<Done, Trouble> {
    let request = MeshRequest::from_json(&job.claim.job.request).map_err(Trouble::Request)?;
    job.tell(Stage::Decode);
    let (source_hash, image) = image(shift, request.source).await?;
    let cache_key = cache_key(&source_hash, &request.parameters, &request.warnings);
    if let Some(result) = cached(shift, &cache_key).await? {
        return Ok(Done { result, cache_key });
    }
    let format = Format::named(KEPT_AS).ok_or_else(|| Trouble::Request(no_format()))?;
    let task = Task { image, parameters: request.parameters, warnings: request.warnings, format };
    let made = mesh(shift, job, task, deadline).await?;
    let bytes = made.bytes.len() as u64;
    crash_point::reached("before_result");
    let hash = shift.app.blobs.put(made.bytes).await.map_err(Trouble::Storage)?;
    crash_point::reached("after_result");
    Ok(Done { result: JobResult { hash, bytes, source_hash }, cache_key })
}

/// The image and its digest, under which it is stored: drawings of the result need it.
async fn image(shift: &Shift, source: ImageSource) -> Result<(String, Bytes), Trouble> {
    let blobs = &shift.app.blobs;
    match source {
        ImageSource::Blob(hash) => {
            let image = blobs.get(&hash).await.map_err(Trouble::Storage)?;
            Ok((hash, image))
        }
        ImageSource::Url(url) => {
            let most = shift.app.config.images.limits.max_bytes;
            let image = shift.app.net.fetch(&url, most).await.map_err(Trouble::Source)?;
            let hash = blobs.put(image.clone()).await.map_err(Trouble::Storage)?;
            Ok((hash, image))
        }
    }
}

/// The result of an equal request, if it is known and its blob still there.
async fn cached(shift: &Shift, key: &str) -> Result<Option<JobResult>, Trouble> {
    let known = shift.app.store.cached(key).await.map_err(Trouble::Database)?;
    let found = match known {
        None => None,
        Some(result) => match shift.app.blobs.has(&result.hash).await {
            Ok(there) => there.then_some(result),
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => None,
            Err(error @ (BlobError::Folder(_) | BlobError::Storage(_))) => return Err(Trouble::Storage(error)),
        },
    };
    shift.app.metrics.cache(if found.is_some() { "hit" } else { "miss" });
    Ok(found)
}

/// The engine's part, each of whose stages is noted without waiting for anything.
async fn mesh(shift: &Shift, job: &Arc<HeldJob>, task: Task, deadline: Instant) -> Result<Made, Trouble> {
    let told = Arc::clone(job);
    let watch = Watch::with_news(deadline.into_std(), Box::new(move |stage| told.tell(stage)));
    shift.app.compute.run(task, Arc::new(watch)).await.map_err(Trouble::Engine)
}

fn no_format() -> mesh::Error {
    mesh::Error::Internal(format!("the format {KEPT_AS} is not in the table of formats"))
}
