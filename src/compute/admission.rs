//! How much work there may be at once: threads and memory, both known before an image is decoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Task;
use crate::decode::{Kind, MOST_WEBP_CODES_BYTES, dimensions};
use crate::mesh::MeshParameters;
use crate::mesh::parameters::OutlineMode;

/// The unit in which memory is handed out, bytes. Small images cost one unit.
const UNIT_BYTES: u64 = 1 << 20;

/// Large answers on their way may take, beside the memory for work, one in so many of it.
const ANSWER_SHARE: u32 = 4;

/// Memory per pixel at worst, bytes: a plane of noise (1), labels of as many specks as fit (12).
const PNG_BYTES_PER_PIXEL: u64 = 13;

/// The other decoders hold the whole picture beside that, up to 6 bytes a pixel.
const OTHER_BYTES_PER_PIXEL: u64 = 19;

/// What decoding a PNG takes beside its pixels: the window of its data, rows of the widest image.
const PNG_BYTES: u64 = 1 << 20;

/// Beside that, the other decoders copy the file, and hold tables and blocks that reach beyond a small picture.
const OTHER_BYTES: u64 = 4 << 20;

/// Tables for the codes of a WebP are up to this many times as large as its file, and never more than
/// [`MOST_WEBP_CODES_BYTES`].
const WEBP_CODES: u64 = 512;

/// A small image is drawn enlarged.
const DRAWN_BYTES: u64 = 8 << 20;

/// A triangle with its share of vertices, in the mesh, while it is refined, and as text.
const BYTES_PER_TRIANGLE: u64 = 320;

/// With `outline = cover` a ragged mask has runs, rings and corners, all of them bounded; see `mesh/cover/rings.rs`.
const COVERED_BYTES_PER_PIXEL: u64 = 16;
const COVERED_BYTES: u64 = 128 << 20;

/// The search for an outline looks at so many corners and candidates at most, which small images may have as well.
const SEARCHED_BYTES_PER_PIXEL: u64 = 4096;
const SEARCHED_BYTES: u64 = 32 << 20;

/// Beside that, vertices that keep a distance from each other are looked at island by island.
const SPREAD_BYTES_PER_PIXEL: u64 = 2048;
const SPREAD_BYTES: u64 = 24 << 20;

/// A ring keeps its points and the outline's edges in grids.
const RIM_BYTES: u64 = 16 << 20;

/// Triangles that a least angle or a rim makes of an outline of a thousand vertices and some.
const TRIANGLES_FOR_ANGLES: u64 = 100_000;

/// A picture drawn over its image holds the colours, and the drawing.
const DRAWN_BYTES_PER_PIXEL: u64 = 8;

/// Threads and memory that are free, and who waits for them. Served in the order of arrival.
#[derive(Debug)]
pub(super) struct Admission {
    memory: Arc<Semaphore>,
    units: u32,
    threads: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Held while an image is worked on.
#[derive(Debug)]
pub(super) struct Admitted {
    _memory: OwnedSemaphorePermit,
    _thread: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(threads: usize, memory_bytes: u64) -> Self {
        let units = u32::try_from(memory_bytes / UNIT_BYTES).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 3);
        Self {
            memory: Arc::new(Semaphore::new(units as usize)),
            units,
            threads: Arc::new(Semaphore::new(threads)),
            answers: Arc::new(Semaphore::new(answer_units(units) as usize)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// How many wait now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for room for an answer of so many bytes, to be kept until the caller has read it. It is apart from the memory
    /// for work: callers that read slowly keep others of their kind waiting, and no job.
    pub(super) async fn answer(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let _place = Place::take(&self.waiting);
        let units = units_of(bytes, answer_units(self.units));
        Arc::clone(&self.answers).acquire_many_owned(units).await.ok()
    }

    /// Waits for a thread and for memory. `None` once the semaphores are closed, which nobody does.
    pub(super) async fn enter(&self, bytes: u64) -> Option<Admitted> {
        let _place = Place::take(&self.waiting);
        let units = units_of(bytes, self.units);
        let memory = Arc::clone(&self.memory).acquire_many_owned(units).await.ok()?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.ok()?;
        Some(Admitted { _memory: memory, _thread: thread })
    }
}

/// What needs more than there is has to have all of it, or it would wait for ever.
pub(super) fn units_of(bytes: u64, most: u32) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).clamp(1, most)
}

fn answer_units(units: u32) -> u32 {
    (units / ANSWER_SHARE).max(1)
}

/// One who waits; gives its place up when it is admitted or gone.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a task will take at worst, bytes, its file included: from the image's header and from the parameters. An image of a
/// format that is read whose header says nothing may yet be decoded, as decoders forgive more than we look through: it
/// goes alone.
#[must_use]
pub fn cost_bytes(task: &Task, max_triangles: u64) -> u64 {
    let Task { image, parameters, format, .. } = task;
    let Some((kind, width, height)) = dimensions(image) else {
        return if Kind::of(image).is_some() { u64::MAX } else { 0 };
    };
    let file = image.len() as u64;
    let (per_pixel, beside) = match kind {
        Kind::Png => (PNG_BYTES_PER_PIXEL, file + PNG_BYTES),
        Kind::WebP => (OTHER_BYTES_PER_PIXEL, 2 * file + OTHER_BYTES + (WEBP_CODES * file).min(MOST_WEBP_CODES_BYTES)),
        _ => (OTHER_BYTES_PER_PIXEL, 2 * file + OTHER_BYTES),
    };
    let (per_pixel, beside) = if format.draws_image {
        (per_pixel + DRAWN_BYTES_PER_PIXEL, beside + DRAWN_BYTES)
    } else {
        (per_pixel, beside)
    };
    let pixels = u64::from(width).saturating_mul(u64::from(height));
    // Decoding is over when the mesh is refined, but most meshes are small, and the sum is simpler than the larger.
    let mesh = most_triangles(pixels, parameters).min(max_triangles).saturating_mul(BYTES_PER_TRIANGLE);
    let outline = if parameters.outline == OutlineMode::Cover { covered_bytes(width, height, parameters) } else { 0 };
    pixels.saturating_mul(per_pixel).saturating_add(beside).saturating_add(mesh).saturating_add(outline)
}

/// What outlining takes on a canvas with its margin.
fn covered_bytes(width: u32, height: u32, parameters: &MeshParameters) -> u64 {
    let margin = 2 * parameters.padding.ceil() as u64;
    let pixels = (u64::from(width) + margin).saturating_mul(u64::from(height) + margin);
    let searched = pixels.saturating_mul(SEARCHED_BYTES_PER_PIXEL).min(SEARCHED_BYTES);
    let is_spread = parameters.min_edge_length > 0.0;
    let spread = if is_spread { pixels.saturating_mul(SPREAD_BYTES_PER_PIXEL).min(SPREAD_BYTES) } else { 0 };
    let rim = if parameters.rim > 0.0 { RIM_BYTES } else { 0 };
    pixels.saturating_mul(COVERED_BYTES_PER_PIXEL).min(COVERED_BYTES) + searched + spread + rim
}

/// Triangles that a density makes on so many pixels at most; few of them come from the outline.
fn most_triangles(pixels: u64, parameters: &MeshParameters) -> u64 {
    let pixels = pixels as f64;
    let covers = parameters.outline == OutlineMode::Cover;
    let by_angle =
        if covers && (parameters.min_angle > 0.0 || parameters.rim > 0.0) { TRIANGLES_FOR_ANGLES } else { 0 };
    let by_area = if covers && parameters.max_triangle_area > 0.0 {
        (pixels / parameters.max_triangle_area * 2.0) as u64
    } else {
        0
    };
    let by_area = by_area.max(by_angle);
    if parameters.internal_vertex_density == 0 {
        return by_area;
    }
    let shares = f64::from(parameters.internal_vertex_density) * parameters.density_scaling_factor;
    let largest_px2 = parameters.min_triangle_area.max(pixels / shares);
    // Refined triangles have on average three quarters of the largest area allowed, or more.
    by_area.max((pixels / largest_px2 * 2.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_keeps_large_images_apart() {
        let admission = Admission::new(8, 100 * UNIT_BYTES);
        let first = admission.enter(60 * UNIT_BYTES).await.unwrap();
        let second = admission.enter(60 * UNIT_BYTES);
        tokio::pin!(second);
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(admission.waiting(), 1);
        drop(first);
        assert!(second.await.is_some());
        assert_eq!(admission.waiting(), 0);
    }

    #[tokio::test]
    async fn answers_wait_for_each_other_and_no_work_for_them() {
        let admission = Admission::new(1, 100 * UNIT_BYTES);
        let first = admission.answer(20 * UNIT_BYTES).await.unwrap();
        let second = admission.answer(u64::MAX);
        tokio::pin!(second);
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert!(admission.enter(u64::MAX).await.is_some());
        drop(first);
        assert_eq!(second.await.unwrap().num_permits(), 25);
    }

    #[tokio::test]
    async fn an_image_larger_than_all_memory_goes_alone() {
        let admission = Admission::new(2, UNIT_BYTES);
        assert!(admission.enter(u64::MAX).await.is_some());
    }

    fn cost(image: Vec<u8>, format: &str, density: u32) -> u64 {
        let parameters = MeshParameters { internal_vertex_density: density, ..MeshParameters::default() };
        let format = crate::export::Format::named(format).unwrap();
        cost_bytes(&Task { image: image.into(), parameters, warnings: vec![], format }, 10_000)
    }

    #[test]
    fn the_header_and_the_parameters_tell_the_cost() {
        let png = std::fs::read("testdata/corpus/limbs-octopus-512.png").unwrap();
        let file = png.len() as u64;
        let plain = 512 * 512 * 13 + PNG_BYTES + file;
        assert_eq!(cost(png.clone(), "json", 0), plain);
        assert_eq!(cost(png.clone(), "png", 0), plain + 512 * 512 * 8 + DRAWN_BYTES);
        assert_eq!(cost(png.clone(), "json", 1), plain + 2_000 * BYTES_PER_TRIANGLE);
        assert_eq!(cost(png, "json", 100), plain + 10_000 * BYTES_PER_TRIANGLE);
        assert_eq!(cost(b"no image".to_vec(), "json", 0), 0);
        assert_eq!(cost(b"\xff\xd8\xff\x00\xff\xe0".to_vec(), "json", 0), u64::MAX);
    }
}
