//! Which pixels are inside: alpha threshold, box blur and binary threshold in one pass, one bit a pixel.
//!
//! A 4096 x 4096 mask is 2 MB and stays in the cache for the contour search. Rows of a large image run in parallel;
//! each depends on the plane alone, so the result does not depend on the number of threads.

use rayon::prelude::*;

use super::alpha::AlphaPlane;
use super::error::Result;
use super::observer::{Observer, Stage, check_stop};
use super::pack::pack_at_least;
use super::parameters::MeshParameters;

/// Rows per parallel task. A blurred band starts by summing `kernel` rows anew, so it must be several kernels high;
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
    let kernel = p.blur_kernel();
    let band = |(index, words): (usize, &mut [u64])| {
        check_stop(observer, Stage::Blur)?;
        let first_row = index * BAND_ROWS;
        let rows = words.chunks_exact_mut(words_per_row).zip(first_row..);
        if kernel == 1 {
            // Both thresholds are one: alpha must pass the higher of them.
            let least = (u16::from(p.binary_threshold) + 1).max(u16::from(p.alpha_threshold));
            rows.for_each(|(row, y)| pack_at_least(&values[y * width..(y + 1) * width], least, row));
        } else {
            blur_rows(values, width, height, p, rows);
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

/// Blurs and thresholds the given rows. Sums slide down the columns; sums across take `log2(kernel)` additions.
fn blur_rows<'a>(
    values: &[u8],
    width: usize,
    height: usize,
    p: &MeshParameters,
    rows: impl Iterator<Item = (&'a mut [u64], usize)>,
) {
    let kernel = p.blur_kernel() as usize;
    let radius = kernel / 2;
    let source = |y: isize| {
        let y = reflect_101(y, height);
        &values[y * width..(y + 1) * width]
    };
    let mut columns = vec![0u16; width];
    let mut window = Window::new(width, kernel, p.binary_threshold);
    let mut previous: Option<usize> = None;
    for (row, y) in rows {
        let y_signed = y as isize;
        let reach = radius as isize;
        if previous.is_some() {
            slide(&mut columns, source(y_signed + reach), source(y_signed - reach - 1), p.alpha_threshold);
        } else {
            (y_signed - reach..=y_signed + reach).for_each(|below| add(&mut columns, source(below), p.alpha_threshold));
        }
        previous = Some(y);
        window.threshold(&columns, row);
    }
}

/// The index that a border reflected without its edge pixel shows: `... 2 1 | 0 1 2 ... n-1 | n-2 ...`.
fn reflect_101(index: isize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length as isize - 1);
    let within = index.rem_euclid(period);
    within.min(period - within) as usize
}

fn add(columns: &mut [u16], row: &[u8], alpha_threshold: u8) {
    for (sum, &a) in columns.iter_mut().zip(row) {
        *sum += u16::from(if a >= alpha_threshold { a } else { 0 });
    }
}

fn slide(columns: &mut [u16], enters: &[u8], leaves: &[u8], alpha_threshold: u8) {
    for ((sum, &a), &b) in columns.iter_mut().zip(enters).zip(leaves) {
        let enters = u16::from(if a >= alpha_threshold { a } else { 0 });
        let leaves = u16::from(if b >= alpha_threshold { b } else { 0 });
        *sum = *sum + enters - leaves;
    }
}

/// Sums of `kernel` neighbours in a row, compared with what the threshold asks of a sum.
struct Window {
    kernel: usize,
    /// The least sum of a kernel whose rounded mean is over the threshold. `sum / k2 >= t + 1/2`, and as `k2` is odd,
    /// equality cannot happen: no division, and no rule for halves.
    least: u32,
    /// Column sums with `kernel / 2` reflected ones at each end.
    padded: Vec<u16>,
    narrow: Doubling<u16>,
    wide: Doubling<u32>,
    inside: Vec<u8>,
}

impl Window {
    fn new(width: usize, kernel: usize, binary_threshold: u8) -> Self {
        let area = (kernel * kernel) as u32;
        Self {
            kernel,
            least: (area * (2 * u32::from(binary_threshold) + 1)).div_ceil(2),
            padded: vec![0; width + kernel - 1],
            narrow: Doubling::default(),
            wide: Doubling::default(),
            inside: vec![0; width],
        }
    }

    fn threshold(&mut self, columns: &[u16], row: &mut [u64]) {
        let (width, radius) = (columns.len(), self.kernel / 2);
        self.padded[radius..radius + width].copy_from_slice(columns);
        for i in 0..radius {
            self.padded[i] = columns[reflect_101(i as isize - radius as isize, width)];
            self.padded[radius + width + i] = columns[reflect_101((width + i) as isize, width)];
        }
        // 16 bits hold the sum of a 15 x 15 kernel; the larger three need 32.
        let largest = self.kernel * self.kernel * 255;
        if largest <= usize::from(u16::MAX) {
            let sums = self.narrow.sums(self.padded.iter().copied(), self.kernel);
            // A threshold of 255 asks for more than any sum: clamped, it still does.
            let least = u16::try_from(self.least).unwrap_or(u16::MAX);
            self.inside.iter_mut().zip(sums).for_each(|(inside, &sum)| *inside = u8::from(sum >= least));
        } else {
            let sums = self.wide.sums(self.padded.iter().map(|&sum| u32::from(sum)), self.kernel);
            self.inside.iter_mut().zip(sums).for_each(|(inside, &sum)| *inside = u8::from(sum >= self.least));
        }
        pack_at_least(&self.inside, 1, row);
    }
}

/// Windowed sums by doubling: sums of 1, 2, 4, ... neighbours, those of the kernel's binary digits added up.
/// Every step is an addition of two whole rows, which the compiler turns into vector code.
#[derive(Default)]
struct Doubling<T> {
    power: Vec<T>,
    total: Vec<T>,
}

impl<T: Copy + Default + std::ops::Add<Output = T>> Doubling<T> {
    /// `sums[i] = row[i] + ... + row[i + kernel - 1]`; `kernel - 1` fewer than the row has, the rest is meaningless.
    fn sums(&mut self, row: impl Iterator<Item = T>, kernel: usize) -> &[T] {
        self.power.clear();
        self.power.extend(row);
        let length = self.power.len();
        self.total.clear();
        self.total.resize(length, T::default());
        let (mut covered, mut span) = (0, 1);
        while span <= kernel {
            if kernel & span != 0 {
                for (total, &part) in self.total.iter_mut().zip(&self.power[covered.min(length)..]) {
                    *total = *total + part;
                }
                covered += span;
            }
            for i in 0..length.saturating_sub(span) {
                self.power[i] = self.power[i] + self.power[i + span];
            }
            span *= 2;
        }
        &self.total
    }
}
