//! The work of a mesh job, step by step: image, cache, engine, storage.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use tokio::time::Instant as Deadline;

use super::held::HeldJob;
use super::shift::Shift;
use super::verdict::Trouble;
use crate::blob::Blobs;
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
    /// A moment before its blobs were put or found.
    pub(super) put_since: Instant,
}

/// Makes a job's mesh, or finds that of an equal request, and keeps it.
pub(super) async fn make(shift: &Shift, job: &Arc<HeldJob>, deadline: Deadline) -> Result<Done, Trouble> {
    let request = MeshRequest::from_json(&job.claim.job.request).map_err(Trouble::Request)?;
    job.tell(Stage::Decode);
    let (source_hash, image, fetched) = image(shift, request.source).await?;
    let cache_key = cache_key(&source_hash, &request.parameters, &request.warnings);
    let put_since = Instant::now();
    if let Some(result) = cached(shift, &cache_key).await? {
        keep(shift, fetched).await?;
        return Ok(Done { result, cache_key, put_since });
    }
    let format = Format::named(KEPT_AS).ok_or_else(|| Trouble::Request(no_format()))?;
    let task = Task { image, parameters: request.parameters, warnings: request.warnings, format };
    let made = mesh(shift, job, task, deadline).await?;
    let bytes = made.bytes.len() as u64;
    crash_point::reached("before_result");
    let put_since = Instant::now();
    keep(shift, fetched).await?;
    let hash = shift.app.blobs.put_json(made.bytes).await.map_err(Trouble::Storage)?;
    crash_point::reached("after_result");
    Ok(Done { result: JobResult { hash, bytes, source_hash }, cache_key, put_since })
}

/// Keeps a fetched image, once it has proved to be one: drawings of the result need it.
async fn keep(shift: &Shift, fetched: Option<Bytes>) -> Result<(), Trouble> {
    if let Some(image) = fetched {
        shift.app.blobs.put(image).await.map_err(Trouble::Storage)?;
    }
    Ok(())
}

/// The image and its digest; once more if it was fetched and is not kept yet.
async fn image(shift: &Shift, source: ImageSource) -> Result<(String, Bytes, Option<Bytes>), Trouble> {
    let blobs = &shift.app.blobs;
    match source {
        ImageSource::Blob(hash) => {
            let image = blobs.get(&hash).await.map_err(Trouble::Storage)?;
            Ok((hash, image, None))
        }
        ImageSource::Url(url) => {
            let most = shift.app.config.images.limits.max_bytes;
            let image = shift.app.net.fetch(&url, most).await.map_err(Trouble::Source)?;
            let (hash, image) = Blobs::named(image).await.map_err(Trouble::Storage)?;
            Ok((hash, image.clone(), Some(image)))
        }
    }
}

/// The result of an equal request, if it is known and its blob still there.
async fn cached(shift: &Shift, key: &str) -> Result<Option<JobResult>, Trouble> {
    let known = shift.app.store.cached(key).await.map_err(Trouble::Database)?;
    let found = match known {
        None => None,
        Some(result) => {
            // One of another size is damaged; making it again puts a whole one in its place.
            let size = shift.app.blobs.size(&result.hash).await.map_err(Trouble::Storage)?;
            (size == Some(result.bytes)).then_some(result)
        }
    };
    shift.app.metrics.cache(if found.is_some() { "hit" } else { "miss" });
    Ok(found)
}

/// The engine's part, each of whose stages is noted without waiting for anything.
async fn mesh(shift: &Shift, job: &Arc<HeldJob>, task: Task, deadline: Deadline) -> Result<Made, Trouble> {
    let told = Arc::clone(job);
    let watch = Watch::with_news(deadline.into_std(), Box::new(move |stage| told.tell(stage)));
    shift.app.compute.run(task, Arc::new(watch)).await.map_err(Trouble::Engine)
}

fn no_format() -> mesh::Error {
    mesh::Error::Internal(format!("the format {KEPT_AS} is not in the table of formats"))
}
