//! Which pixels are inside: alpha threshold, blur and binary threshold in one pass, one bit a pixel.
//!
//! A 4096 x 4096 mask is 2 MB and stays in the cache for the contour search. Rows of a large image run in parallel;
//! each depends on the plane alone, so the result does not depend on the number of threads.

use rayon::prelude::*;

use super::alpha::{AlphaBlock, AlphaPlane};
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

/// One bit a pixel, top row first; bit 0 of a word is its leftmost pixel. A word of zeros follows each row and a row of
/// zeros lies above the first and below the last, so that what surrounds a pixel can be read without asking where the
/// image ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BitMask {
    width: usize,
    height: usize,
    /// Words from a row to the next.
    stride: usize,
    words: Vec<u64>,
}

impl BitMask {
    /// A mask with nothing inside.
    pub(crate) fn empty(width: usize, height: usize) -> Self {
        let stride = width.div_ceil(64) + 1;
        // One word more at each end: the upper left neighbour's row begins before the first, the lower right one's word
        // is read with the next.
        Self { width, height, stride, words: vec![0; 1 + stride * (height + 2) + 1] }
    }

    /// The words of the image's rows, each row with the one that follows it.
    fn rows_mut(&mut self) -> &mut [u64] {
        let rows = 1 + self.stride..1 + self.stride * (self.height + 1);
        &mut self.words[rows]
    }

    /// Whether a pixel is inside; none is beyond the image.
    pub(crate) fn contains(&self, [x, y]: [i32; 2]) -> bool {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return false };
        x < self.width && y < self.height && self.row(y)[x / 64] >> (x % 64) & 1 == 1
    }

    /// Takes a pixel in.
    pub(crate) fn set(&mut self, x: usize, y: usize) {
        let place = self.place(x, y);
        self.words[place / 64] |= 1 << (place % 64);
    }

    /// Takes the pixels `start..end` of a row in.
    pub(crate) fn set_run(&mut self, y: usize, start: usize, end: usize) {
        let first_word = 1 + (y + 1) * self.stride;
        for word in start / 64..end.div_ceil(64) {
            let (from, to) = (start.max(word * 64) - word * 64, end.min(word * 64 + 64) - word * 64);
            self.words[first_word + word] |= (u64::MAX >> (64 - (to - from))) << from;
        }
    }

    /// Turns inside out what lies to the right of column `x` in a row.
    pub(crate) fn flip_from(&mut self, x: usize, y: usize) {
        let width = self.width;
        let start = 1 + (y + 1) * self.stride;
        let row = &mut self.words[start..start + self.stride - 1];
        let Some(first) = row.get_mut(x / 64) else { return };
        *first ^= u64::MAX << (x % 64);
        row[x / 64 + 1..].iter_mut().for_each(|word| *word = !*word);
        clear_beyond(width, row);
    }

    /// Calls for each run of inside pixels of a row with its columns, the end not included.
    pub(crate) fn runs(&self, y: usize, mut each: impl FnMut(usize, usize)) {
        let (mut carry, mut start) = (0, None);
        for (index, &word) in self.row(y).iter().enumerate() {
            let mut changes = word ^ (word << 1 | carry);
            carry = word >> 63;
            while changes != 0 {
                let at = index * 64 + changes.trailing_zeros() as usize;
                changes &= changes - 1;
                match start.take() {
                    None => start = Some(at),
                    Some(start) => each(start, at),
                }
            }
        }
        if let Some(start) = start {
            each(start, self.width);
        }
    }

    /// The pixels that are not in another mask of the same size.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(own, other)| own & !other);
        Self { words: words.collect(), ..*self }
    }

    /// Takes in the pixels of another mask of the same size.
    pub(crate) fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(own, other)| *own |= other);
    }

    /// How many of the pixels `start..end` of a row are inside.
    pub(crate) fn count_run(&self, y: usize, start: usize, end: usize) -> u32 {
        let row = self.row(y);
        let ones = |word: usize| {
            let (from, to) = (start.max(word * 64) - word * 64, end.min(word * 64 + 64) - word * 64);
            (row[word] >> from << (64 - (to - from))).count_ones()
        };
        (start / 64..end.div_ceil(64)).map(ones).sum()
    }

    /// How many pixels are inside.
    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The words of a row.
    pub(crate) fn row(&self, y: usize) -> &[u64] {
        let start = 1 + (y + 1) * self.stride;
        &self.words[start..start + self.stride - 1]
    }

    /// The number of a pixel's bit.
    pub(crate) fn place(&self, x: usize, y: usize) -> usize {
        (1 + (y + 1) * self.stride) * 64 + x
    }

    /// What to add to a place to go `dx` to the right and `dy` down.
    pub(crate) fn distance(&self, dx: isize, dy: isize) -> isize {
        dy * self.stride as isize * 64 + dx
    }

    /// The pixels x - 1, x and x + 1 of the rows y - 1, y and y + 1 around a place, the upper row in bits 0 to 2.
    #[inline]
    pub(crate) fn around(&self, place: usize) -> usize {
        // The word before a row is zero, so x - 1 may be -1.
        let (level, row) = (place - 1, 64 * self.stride);
        [level - row, level, level + row].iter().rev().fold(0, |bits, at| {
            let (word, bit) = (at / 64, at % 64);
            let [low, high] = self.words[word..word + 2] else { return bits };
            bits << 3 | ((low >> bit | high << 1 << (63 - bit)) & 7) as usize
        })
    }
}

/// Thresholds and blurs: a pixel is inside if the rounded mean of the kernel around it, alpha below
/// `alpha_threshold` counting as 0 and the border reflected without its edge pixel, is over `binary_threshold`.
pub(crate) fn threshold(alpha: &AlphaPlane, p: &MeshParameters, observer: &dyn Observer) -> Result<BitMask> {
    let (width, height) = (alpha.width() as usize, alpha.height() as usize);
    let mut mask = BitMask::empty(width, height);
    let stride = mask.stride;
    let Some(alphas) = alpha.rows() else {
        fill_opaque(&mut mask, p);
        return Ok(mask);
    };
    let blur = Blur::new(alphas, [width, height], p);
    // Without blur both thresholds are one: alpha must pass the higher of them.
    let least = (u16::from(p.binary_threshold) + 1).max(u16::from(p.alpha_threshold));
    let band = |(index, words): (usize, &mut [u64])| {
        check_stop(observer, Stage::Blur)?;
        let first_row = index * BAND_ROWS;
        if let Some(blur) = &blur {
            blur.threshold_band(first_row, words, stride);
        } else {
            for (row, y) in words.chunks_exact_mut(stride).zip(first_row..) {
                threshold_row(alphas.row(y), least, &mut row[..stride - 1]);
                clear_beyond(width, &mut row[..stride - 1]);
            }
        }
        Ok(())
    };
    let bands = stride * BAND_ROWS;
    if width * height >= PARALLEL_PIXELS {
        mask.rows_mut().par_chunks_mut(bands).enumerate().try_for_each(band)?;
    } else {
        mask.rows_mut().chunks_mut(bands).enumerate().try_for_each(band)?;
    }
    Ok(mask)
}

/// The pixels of at least an alpha, without blur.
pub(crate) fn at_least(alpha: &AlphaPlane, least: u8, observer: &dyn Observer) -> Result<BitMask> {
    let (width, height) = (alpha.width() as usize, alpha.height() as usize);
    let mut mask = BitMask::empty(width, height);
    let stride = mask.stride;
    for (y, words) in mask.rows_mut().chunks_exact_mut(stride).enumerate() {
        if y % BAND_ROWS == 0 {
            check_stop(observer, Stage::Mask)?;
        }
        let words = &mut words[..stride - 1];
        match alpha.rows() {
            Some(rows) => threshold_row(rows.row(y), u16::from(least), words),
            None => words.fill(u64::MAX),
        }
        clear_beyond(width, words);
    }
    Ok(mask)
}

/// Sets the bit of each pixel that is `least` or more.
pub(super) fn threshold_row<'a>(blocks: impl Iterator<Item = AlphaBlock<'a>>, least: u16, words: &mut [u64]) {
    for (word, block) in words.iter_mut().zip(blocks) {
        *word = match block {
            AlphaBlock::Uniform(value) if u16::from(value) >= least => u64::MAX,
            AlphaBlock::Uniform(_) => 0,
            AlphaBlock::Varied(values) => {
                let mut packed = [0];
                pack_at_least(values, least, &mut packed);
                packed[0]
            }
        };
    }
}

/// Clears the bits of a row's last word that are no pixels.
pub(super) fn clear_beyond(width: usize, row: &mut [u64]) {
    if let (Some(last), used @ 1..) = (row.last_mut(), width % 64) {
        *last &= !(u64::MAX << used);
    }
}

/// An opaque image is 255 everywhere, blurred or not.
fn fill_opaque(mask: &mut BitMask, p: &MeshParameters) {
    if p.binary_threshold == 255 {
        return;
    }
    let (stride, width) = (mask.stride, mask.width);
    for row in mask.rows_mut().chunks_exact_mut(stride) {
        let row = &mut row[..stride - 1];
        row.fill(u64::MAX);
        clear_beyond(width, row);
    }
}
