//! The one way to the engine: bounded work on a pool of threads, admitted by number and by memory.
//!
//! Work waits for its turn off the async threads' time and runs on threads of its own, so that a large image never keeps
//! the service from answering. It ends at a deadline or when called off, and a panic ends nothing but itself.

mod admission;
mod layers;
mod watch;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use thiserror::Error;
use tokio::sync::oneshot;

pub use layers::{PngLayer, WriteLayers};
pub use watch::Watch;

use crate::blob::sha256;
use crate::config::{Images, Jobs};
use crate::decode;
use crate::export::{ENGINE_VERSION, Format, Source};
use crate::mesh::{self, MeshParameters};
use crate::metrics::Metrics;
use admission::Admission;
pub use admission::cost_bytes;
use watch::StageClock;

/// Callers that may wait for [`Compute::run_or_refuse`]. At a typical half millisecond a sprite the last one waits less
/// than a blink; of large images it holds back seconds of work, and the caller is told to come back instead.
const MOST_WAITING: usize = 64;

/// How much the newest duration counts in the running mean: the last twenty or so jobs make it.
const NEWEST_WEIGHT: f64 = 0.1;

/// What a job is taken to need before any has been measured.
const FIRST_GUESS: Duration = Duration::from_millis(50);

/// One image to one result.
#[derive(Debug, Clone)]
pub struct Task {
    /// The image file.
    pub image: Bytes,
    /// The nine parameters.
    pub parameters: MeshParameters,
    /// What was odd about them; goes into the result.
    pub warnings: Vec<String>,
    /// What to write.
    pub format: &'static Format,
}

/// A result.
#[derive(Debug, Clone)]
pub struct Made {
    /// The mesh in the format asked for.
    pub bytes: Bytes,
    /// How many vertices it has.
    pub vertices: usize,
    /// How many triangles it has.
    pub triangles: usize,
    /// SHA-256 of the image file, lower-case hexadecimal.
    pub source_hash: String,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ComputeError {
    /// The image or its parameters.
    #[error(transparent)]
    Engine(#[from] mesh::Error),
    /// It was called off.
    #[error("the work was called off")]
    Cancelled,
    /// Its deadline came first.
    #[error("the work was not done in time; use a smaller image or density")]
    TimedOut,
    /// Too many wait already.
    #[error("{waiting} requests wait already; try again later")]
    Busy {
        /// How many.
        waiting: usize,
        /// When there may be room.
        retry_after: Duration,
    },
    /// Our own mistake, contained.
    #[error("internal error: the engine failed on this image; please report it with the image")]
    Panicked,
}

/// The engine behind its admission.
#[derive(Debug)]
pub struct Compute {
    pool: ThreadPool,
    threads: usize,
    admission: Admission,
    images: Images,
    metrics: Arc<Metrics>,
    /// Running mean of what a job takes, ns.
    mean_nanos: AtomicU64,
}

impl Compute {
    /// `threads` of 0 stands for one a core.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn new(
        threads: usize,
        jobs: &Jobs,
        images: Images,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ThreadPoolBuildError> {
        let name = |index| format!("compute-{index}");
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build()?;
        let threads = pool.current_num_threads();
        let mean_nanos = AtomicU64::new(nanos(FIRST_GUESS));
        Ok(Self { admission: Admission::new(threads, jobs.memory_bytes), pool, threads, images, metrics, mean_nanos })
    }

    /// Does the work when its turn comes. Dropping the future calls it off.
    ///
    /// # Errors
    /// Every [`ComputeError`] but [`ComputeError::Busy`].
    pub async fn run(&self, task: Task, watch: Arc<Watch>) -> Result<Made, ComputeError> {
        let bytes = cost_bytes(&task, self.images.mesh_limits.max_triangles);
        let images = self.images;
        self.admit(bytes, watch, move |clock| make(&task, &images, clock)).await
    }

    /// Takes a PSD apart and writes the answer, unless so many wait already that it would come late. The answer's share
    /// of the memory is given back with its last byte.
    ///
    /// # Errors
    /// Every [`ComputeError`].
    pub async fn layers_or_refuse(
        &self,
        file: Bytes,
        write: WriteLayers,
        watch: Arc<Watch>,
    ) -> Result<Bytes, ComputeError> {
        self.expect_room()?;
        let limits = self.images.limits;
        let surveyed = file.clone();
        let survey = tokio::task::spawn_blocking(move || layers::cost(&surveyed, &limits)).await;
        let cost = survey.unwrap_or(Err(mesh::Error::Internal("the records could not be read".into())))?;
        let room = tokio::select! {
            room = self.admission.answer(cost.answer_bytes) => room.ok_or(ComputeError::Cancelled)?,
            () = watch.over() => return Err(why_over(&watch)),
        };
        let work = move |clock: &StageClock<'_>| Ok(write(layers::take_apart(&file, &limits, clock)?)?);
        let answer = self.admit(cost.work_bytes, watch, work).await?;
        Ok(Bytes::from_owner(layers::Answer::new(answer, room)))
    }

    /// Does work that takes so much memory on the pool, when its turn comes.
    async fn admit<T: Send + 'static>(
        &self,
        bytes: u64,
        watch: Arc<Watch>,
        work: impl FnOnce(&StageClock<'_>) -> Result<T, ComputeError> + Send + 'static,
    ) -> Result<T, ComputeError> {
        let admitted = tokio::select! {
            admitted = self.admission.enter(bytes) => admitted.ok_or(ComputeError::Cancelled)?,
            () = watch.over() => return Err(why_over(&watch)),
        };
        let began = Instant::now();
        let (sender, receiver) = oneshot::channel();
        let called_off_when_dropped = CalledOff(Some(Arc::clone(&watch)));
        let metrics = Arc::clone(&self.metrics);
        self.pool.spawn(move || {
            // What the work was doing is dropped with it, so nothing half-done is seen afterwards.
            let made = catch_unwind(AssertUnwindSafe(|| work(&StageClock::new(&watch, &metrics))));
            drop(admitted);
            let made = made.unwrap_or(Err(ComputeError::Panicked)).map_err(|error| match error {
                ComputeError::Engine(mesh::Error::Stopped { .. }) => why_over(&watch),
                other => other,
            });
            // Nobody listens any more where the future was dropped.
            let _ = sender.send(made);
        });
        let made = receiver.await.unwrap_or(Err(ComputeError::Panicked));
        called_off_when_dropped.disarm();
        self.took(began.elapsed());
        made
    }

    /// [`run`](Self::run), unless so many wait already that the answer would come late.
    ///
    /// # Errors
    /// Every [`ComputeError`].
    pub async fn run_or_refuse(&self, task: Task, watch: Arc<Watch>) -> Result<Made, ComputeError> {
        self.expect_room()?;
        self.run(task, watch).await
    }

    /// Whether [`run_or_refuse`](Self::run_or_refuse) would refuse now: to ask before an image is received or fetched.
    ///
    /// # Errors
    /// [`ComputeError::Busy`].
    pub fn expect_room(&self) -> Result<(), ComputeError> {
        let waiting = self.admission.waiting();
        if waiting < MOST_WAITING {
            return Ok(());
        }
        let retry_after = self.estimate(waiting as u64).max(Duration::from_secs(1));
        Err(ComputeError::Busy { waiting, retry_after })
    }

    /// When a job will be done that has `queued` others before it, by what the last ones took.
    #[must_use]
    pub fn estimate(&self, queued: u64) -> Duration {
        let rounds = queued / self.threads as u64 + 1;
        Duration::from_nanos(self.mean_nanos.load(Ordering::Relaxed).saturating_mul(rounds))
    }

    /// Two threads that write at once lose one figure of many, which the mean survives.
    fn took(&self, took: Duration) {
        let mean = self.mean_nanos.load(Ordering::Relaxed) as f64;
        let next = mean + (nanos(took) as f64 - mean) * NEWEST_WEIGHT;
        self.mean_nanos.store(next as u64, Ordering::Relaxed);
    }
}

/// What makes two requests give the same bytes: image, parameters, what is said of them, and the engine.
#[must_use]
pub fn cache_key(source_hash: &str, parameters: &MeshParameters, warnings: &[String]) -> String {
    sha256(serde_json::json!([source_hash, parameters, warnings, ENGINE_VERSION]).to_string().as_bytes())
}

/// The pipeline.
fn make(task: &Task, images: &Images, observer: &StageClock<'_>) -> Result<Made, ComputeError> {
    let alpha = decode::alpha_plane(Cursor::new(&task.image), &images.limits, observer)?;
    let mesh = mesh::build(&alpha, &task.parameters, &images.mesh_limits, observer)?;
    drop(alpha);
    let source_hash = sha256(&task.image);
    let source = Source {
        bytes: Some(&task.image),
        limits: images.limits,
        sha256: Some(&source_hash),
        warnings: &task.warnings,
        ..Source::default()
    };
    let bytes = Bytes::from((task.format.write)(&mesh, &source)?);
    Ok(Made { bytes, vertices: mesh.vertices.len(), triangles: mesh.triangles.len(), source_hash })
}

fn why_over(watch: &Watch) -> ComputeError {
    if watch.is_called_off() { ComputeError::Cancelled } else { ComputeError::TimedOut }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Calls the work off when the future that waits for it is dropped.
struct CalledOff(Option<Arc<Watch>>);

impl CalledOff {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CalledOff {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An exporter with a mistake in it.
    static PANICS: Format = Format { write: |_, _| panic!("a mistake in an exporter"), ..crate::export::FORMATS[0] };

    fn compute() -> Compute {
        Compute::new(2, &Jobs::default(), Images::default(), Arc::default()).unwrap()
    }

    fn task(name: &str) -> Task {
        let image = std::fs::read(format!("testdata/corpus/{name}")).unwrap().into();
        let format = Format::named("json").unwrap();
        Task { image, parameters: MeshParameters::default(), warnings: vec![], format }
    }

    fn in_a_minute() -> Arc<Watch> {
        Arc::new(Watch::until(Instant::now() + Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn a_result_carries_its_images_digest() {
        let compute = compute();
        let made = compute.run(task("limbs-octopus-512.png"), in_a_minute()).await.unwrap();
        assert_eq!((made.vertices, made.triangles), (12, 10));
        assert!(String::from_utf8(made.bytes.to_vec()).unwrap().contains(&made.source_hash));
        assert!(compute.metrics.encode().unwrap().contains("stage_seconds_count{stage=\"edges\"} 1"));
    }

    #[tokio::test]
    async fn a_deadline_ends_the_work() {
        let watch = Arc::new(Watch::until(Instant::now()));
        assert_eq!(compute().run(task("large-trex-4096.png"), watch).await.unwrap_err(), ComputeError::TimedOut);
    }

    #[tokio::test]
    async fn a_caller_ends_the_work_that_is_under_way() {
        let stopper = Arc::new(std::sync::OnceLock::<Arc<Watch>>::new());
        let in_news = Arc::clone(&stopper);
        let news = move |_| in_news.get().unwrap().stop();
        let watch = Arc::new(Watch::with_news(Instant::now() + Duration::from_secs(60), Box::new(news)));
        stopper.set(Arc::clone(&watch)).unwrap();
        assert_eq!(compute().run(task("large-trex-4096.png"), watch).await.unwrap_err(), ComputeError::Cancelled);
    }

    #[tokio::test]
    async fn nobody_waiting_ends_the_work() {
        let (compute, watch) = (compute(), in_a_minute());
        {
            let run = compute.run(task("large-trex-4096.png"), Arc::clone(&watch));
            tokio::pin!(run);
            assert!(futures_util::poll!(run.as_mut()).is_pending());
        }
        assert!(watch.is_called_off());
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_that_work_alone() {
        let compute = compute();
        let broken = Task { format: &PANICS, ..task("tiny-star-12.png") };
        assert_eq!(compute.run(broken, in_a_minute()).await.unwrap_err(), ComputeError::Panicked);
        assert!(compute.run(task("tiny-star-12.png"), in_a_minute()).await.is_ok());
    }

    #[tokio::test]
    async fn a_long_line_is_refused_with_a_time_to_return() {
        let compute = compute();
        let mut line: Vec<_> =
            (0..MOST_WAITING + 2).map(|_| Box::pin(compute.run(task("tiny-star-12.png"), in_a_minute()))).collect();
        for run in &mut line {
            assert!(futures_util::poll!(run.as_mut()).is_pending());
        }
        let error = compute.run_or_refuse(task("tiny-star-12.png"), in_a_minute()).await.unwrap_err();
        let ComputeError::Busy { waiting: MOST_WAITING, retry_after } = error else { panic!("{error:?}") };
        assert!(retry_after >= Duration::from_secs(1));
        for run in line {
            assert!(run.await.is_ok());
        }
    }

    #[test]
    fn a_repeat_has_the_same_key_and_nothing_else_has() {
        let parameters = MeshParameters::default();
        let key = cache_key("ab", &parameters, &[]);
        assert_eq!(cache_key("ab", &parameters, &[]), key);
        assert_ne!(cache_key("ac", &parameters, &[]), key);
        assert_ne!(cache_key("ab", &MeshParameters { detail_factor: 0.02, ..parameters.clone() }, &[]), key);
        assert_ne!(cache_key("ab", &parameters, &["odd".into()]), key);
    }
}
