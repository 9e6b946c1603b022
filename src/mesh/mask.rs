//! Which pixels are inside: alpha threshold, blur and binary threshold in one pass, one bit a pixel.
//!
//! A 4096 x 4096 mask is 2 MB and stays in the cache for the contour search. Rows of a large image run in parallel;
//! each depends on the plane alone, so the result does not depend on the number of threads.

use rayon::prelude::*;

use super::alpha::AlphaPlane;
use super::blur::Blur;
use super::error::Result;
use super::observer::{Observer, Stage, check_stop};
use super::pack::pack_at_least;
use super::parameters::MeshParameters;

/// Rows per parallel task. A blurred band starts by looking at `kernel` rows anew, so it must be several kernels high;
/// a stop is noticed between bands.
const BAND_ROWS: usize = 128;

/// Pixels below which threads cost more than they bring: about 0.1 ms of work.
const PARALLEL_PIXELS: usize = 1 << 20;

/// One bit a pixel, top row first, each row padded with zeros to whole words; bit 0 of a word is its leftmost pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BitMask {
    width: usize,
    height: usize,
    words_per_row: usize,
    words: Vec<u64>,
}

impl BitMask {
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The words of a row.
    pub(crate) fn row(&self, y: usize) -> &[u64] {
        &self.words[y * self.words_per_row..(y + 1) * self.words_per_row]
    }
}

/// Thresholds and blurs: a pixel is inside if the rounded mean of the kernel around it, alpha below
/// `alpha_threshold` counting as 0 and the border reflected without its edge pixel, is over `binary_threshold`.
pub(crate) fn threshold(alpha: &AlphaPlane, p: &MeshParameters, observer: &dyn Observer) -> Result<BitMask> {
    let (width, height) = (alpha.width() as usize, alpha.height() as usize);
    let words_per_row = width.div_ceil(64);
    let mut mask = BitMask { width, height, words_per_row, words: vec![0; words_per_row * height] };
    let Some(values) = alpha.values() else {
        fill_opaque(&mut mask, p);
        return Ok(mask);
    };
    let blur = Blur::new(values, [width, height], p);
    // Without blur both thresholds are one: alpha must pass the higher of them.
    let least = (u16::from(p.binary_threshold) + 1).max(u16::from(p.alpha_threshold));
    let band = |(index, words): (usize, &mut [u64])| {
        check_stop(observer, Stage::Blur)?;
        let first_row = index * BAND_ROWS;
        if let Some(blur) = &blur {
            blur.threshold_band(first_row, words);
        } else {
            let rows = values.chunks_exact(width).skip(first_row);
            words.chunks_exact_mut(words_per_row).zip(rows).for_each(|(row, values)| pack_at_least(values, least, row));
        }
        Ok(())
    };
    let bands = words_per_row * BAND_ROWS;
    if width * height >= PARALLEL_PIXELS {
        mask.words.par_chunks_mut(bands).enumerate().try_for_each(band)?;
    } else {
        mask.words.chunks_mut(bands).enumerate().try_for_each(band)?;
    }
    Ok(mask)
}

/// An opaque image is 255 everywhere, blurred or not.
fn fill_opaque(mask: &mut BitMask, p: &MeshParameters) {
    if p.binary_threshold == 255 {
        return;
    }
    let last_bits = mask.width % 64;
    for row in mask.words.chunks_exact_mut(mask.words_per_row) {
        row.fill(u64::MAX);
        if let (Some(last), 1..) = (row.last_mut(), last_bits) {
            *last = (1 << last_bits) - 1;
        }
    }
}
