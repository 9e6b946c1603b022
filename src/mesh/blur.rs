//! Box blur and binary threshold, 64 pixels at a time, summing only where the answer is not plain.
//!
//! Where all of a kernel's pixels are 0, or all are 255, so is their mean. Two masks tell for a whole word of pixels
//! whether that holds around each of them; in a sprite it does nearly everywhere but along the outline. The rest is
//! summed: column sums slide down the rows, sums across take `log2(kernel)` additions.

use std::array::from_fn;
use std::ops::Add;

use super::alpha::AlphaRows;
use super::mask::{clear_beyond, threshold_row};
use super::pack::pack_at_least;
use super::parameters::MeshParameters;

/// Largest kernel, px: the parameter's upper end.
const LARGEST_KERNEL: usize = 21;

/// A word's pixels and the reach of the largest kernel to both sides, rounded up to whole vectors.
const REACHED: usize = (64 + LARGEST_KERNEL - 1).next_multiple_of(8);

/// A blur of a plane that ends in a threshold.
pub(super) struct Blur<'a> {
    alphas: &'a AlphaRows,
    width: usize,
    height: usize,
    kernel: usize,
    alpha_threshold: u8,
    /// The least sum of a kernel whose rounded mean is over the binary threshold: `sum / k2 >= t + 1/2`. As `k2` is
    /// odd, equality cannot happen: no division, and no rule for halves.
    least: u32,
}

/// The rows that the kernels of some rows see, side by side as bytes.
struct Band {
    first_row: isize,
    width: usize,
    values: Vec<u8>,
}

impl Band {
    fn row(&self, y: isize) -> &[u8] {
        let start = (y - self.first_row) as usize * self.width;
        &self.values[start..start + self.width]
    }
}

/// For each word of a row, which pixels are not 0 and which are 255.
struct Extremes {
    some: Vec<u64>,
    full: Vec<u64>,
}

/// Column sums around one word's pixels.
struct Columns {
    sums: [u16; REACHED],
    /// The row that they are of.
    row: Option<usize>,
}

impl<'a> Blur<'a> {
    /// `None` if a kernel of one pixel leaves nothing to blur, or if nothing can be over the threshold.
    pub(super) fn new(alphas: &'a AlphaRows, [width, height]: [usize; 2], p: &MeshParameters) -> Option<Self> {
        let kernel = (p.blur_kernel() as usize).min(LARGEST_KERNEL);
        let area = (kernel * kernel) as u32;
        let least = (area * (2 * u32::from(p.binary_threshold) + 1)).div_ceil(2);
        let blurs = kernel > 1 && p.binary_threshold < 255;
        blurs.then_some(Self { alphas, width, height, kernel, alpha_threshold: p.alpha_threshold, least })
    }

    fn radius(&self) -> usize {
        self.kernel / 2
    }

    /// Sets the bits of whole rows from `first_row` on, `stride` words apart.
    pub(super) fn threshold_band(&self, first_row: usize, words: &mut [u64], stride: usize) {
        let words_per_row = self.width.div_ceil(64);
        let rows = words.len() / stride;
        let first = first_row as isize - self.radius() as isize;
        let extremes: Vec<Extremes> =
            (0..rows + self.kernel - 1).map(|i| self.extremes(first + i as isize, words_per_row)).collect();
        let mut columns: Vec<Columns> = (0..words_per_row).map(|_| Columns { sums: [0; REACHED], row: None }).collect();
        let band = self.band(first, rows + self.kernel - 1);
        let mut around = Extremes { some: Vec::new(), full: Vec::new() };
        for (i, row) in words.chunks_exact_mut(stride).enumerate() {
            let row = &mut row[..words_per_row];
            around.of_all(&extremes[i..i + self.kernel]);
            for (index, word) in row.iter_mut().enumerate() {
                *word = match around.plain(index, self.radius()) {
                    Some(inside) => inside,
                    None => self.blur_word(&band, &mut columns[index], first_row + i, index),
                };
            }
            clear_beyond(self.width, row);
        }
    }

    fn band(&self, first_row: isize, rows: usize) -> Band {
        let mut values = vec![0; rows * self.width];
        for (row, y) in values.chunks_exact_mut(self.width).zip(first_row..) {
            self.alphas.copy(reflect_101(y, self.height), row);
        }
        Band { first_row, width: self.width, values }
    }

    fn extremes(&self, y: isize, words_per_row: usize) -> Extremes {
        let y = reflect_101(y, self.height);
        let mut extremes = Extremes { some: vec![0; words_per_row], full: vec![0; words_per_row] };
        threshold_row(self.alphas.row(y), u16::from(self.alpha_threshold.max(1)), &mut extremes.some);
        threshold_row(self.alphas.row(y), 255, &mut extremes.full);
        // What lies beyond the row's end is a reflection of what is before it: no exception from either.
        clear_beyond(self.width, &mut extremes.some);
        let used = self.width % 64;
        if let (Some(last), 1..) = (extremes.full.last_mut(), used) {
            *last |= u64::MAX << used;
        }
        extremes
    }

    fn blur_word(&self, band: &Band, columns: &mut Columns, y: usize, index: usize) -> u64 {
        let (radius, y_signed) = (self.radius() as isize, y as isize);
        let reached = 64 + self.kernel - 1;
        let mut scratch = [[0; REACHED]; 2];
        let [first, second] = &mut scratch;
        if y > 0 && columns.row == Some(y - 1) {
            let enters = self.reach(band.row(y_signed + radius), index, first);
            let leaves = self.reach(band.row(y_signed - radius - 1), index, second);
            slide(&mut columns.sums[..reached], enters, leaves, self.alpha_threshold);
        } else {
            columns.sums = [0; REACHED];
            for row in y_signed - radius..=y_signed + radius {
                add(&mut columns.sums[..reached], self.reach(band.row(row), index, first), self.alpha_threshold);
            }
        }
        columns.row = Some(y);
        self.threshold_word(&columns.sums)
    }

    /// A row's values under the kernels of a word's pixels; in `scratch` where the border reflects.
    fn reach<'b>(&self, row: &'b [u8], index: usize, scratch: &'b mut [u8; REACHED]) -> &'b [u8] {
        let (start, reached) = (64 * index, 64 + self.kernel - 1);
        if let Some(within) = start.checked_sub(self.radius()).and_then(|from| row.get(from..from + reached)) {
            return within;
        }
        for (i, value) in scratch[..reached].iter_mut().enumerate() {
            *value = row[reflect_101((start + i) as isize - self.radius() as isize, self.width)];
        }
        &scratch[..reached]
    }

    fn threshold_word(&self, columns: &[u16; REACHED]) -> u64 {
        // 16 bits hold the sum of a 15 x 15 kernel; the larger three need 32.
        let largest = self.kernel * self.kernel * 255;
        let inside: [u8; 64] = if largest <= usize::from(u16::MAX) {
            let least = u16::try_from(self.least).unwrap_or(u16::MAX);
            window_sums(*columns, self.kernel).map(|sum| u8::from(sum >= least))
        } else {
            window_sums(columns.map(u32::from), self.kernel).map(|sum| u8::from(sum >= self.least))
        };
        let mut word = [0];
        pack_at_least(&inside, 1, &mut word);
        word[0]
    }
}

impl Extremes {
    /// What some row has, and what all have.
    fn of_all(&mut self, rows: &[Self]) {
        let Some((first, others)) = rows.split_first() else { return };
        self.some.clone_from(&first.some);
        self.full.clone_from(&first.full);
        for row in others {
            self.some.iter_mut().zip(&row.some).for_each(|(all, &word)| *all |= word);
            self.full.iter_mut().zip(&row.full).for_each(|(all, &word)| *all &= word);
        }
    }

    /// The word's answer, if every kernel that is centred in it sees only 0, or only 255.
    fn plain(&self, index: usize, radius: usize) -> Option<u64> {
        let word = |words: &[u64], at: usize, beyond: u64| words.get(at).copied().unwrap_or(beyond);
        // The kernel reaches the upper bits of the word before and the lower bits of the one after.
        let upper = !(u64::MAX >> radius);
        let lower = (1 << radius) - 1;
        let before = index.wrapping_sub(1);
        let some = (word(&self.some, before, 0) & upper) | self.some[index] | (word(&self.some, index + 1, 0) & lower);
        if some == 0 {
            return Some(0);
        }
        let full = (word(&self.full, before, u64::MAX) | !upper)
            & self.full[index]
            & (word(&self.full, index + 1, u64::MAX) | !lower);
        (full == u64::MAX).then_some(u64::MAX)
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

fn add(sums: &mut [u16], values: &[u8], alpha_threshold: u8) {
    for (sum, &a) in sums.iter_mut().zip(values) {
        *sum += u16::from(if a >= alpha_threshold { a } else { 0 });
    }
}

fn slide(sums: &mut [u16], enters: &[u8], leaves: &[u8], alpha_threshold: u8) {
    for ((sum, &a), &b) in sums.iter_mut().zip(enters).zip(leaves) {
        let enters = u16::from(if a >= alpha_threshold { a } else { 0 });
        let leaves = u16::from(if b >= alpha_threshold { b } else { 0 });
        *sum = *sum + enters - leaves;
    }
}

/// `sums[i] = columns[i] + ... + columns[i + kernel - 1]` by doubling: sums of 1, 2, 4, ... neighbours, those of the
/// kernel's binary digits added up. Arrays of fixed length become vector code.
fn window_sums<T: Copy + Default + Add<Output = T>>(columns: [T; REACHED], kernel: usize) -> [T; 64] {
    let mut sums = Sums { total: [T::default(); 64], covered: 0 };
    let two = twice::<T, 1>(&columns);
    let four = twice::<T, 2>(&two);
    sums.add(&columns, kernel & 1);
    sums.add(&two, kernel & 2);
    sums.add(&four, kernel & 4);
    if kernel >= 8 {
        let eight = twice::<T, 4>(&four);
        sums.add(&eight, kernel & 8);
        if kernel >= 16 {
            sums.add(&twice::<T, 8>(&eight), kernel & 16);
        }
    }
    sums.total
}

/// Sums of twice as many neighbours; those that reach beyond the end are meaningless.
fn twice<T: Copy + Add<Output = T>, const SPAN: usize>(sums: &[T; REACHED]) -> [T; REACHED] {
    from_fn(|i| if i + SPAN < REACHED { sums[i] + sums[i + SPAN] } else { sums[i] })
}

struct Sums<T> {
    total: [T; 64],
    covered: usize,
}

impl<T: Copy + Add<Output = T>> Sums<T> {
    /// Adds the sums of `span` neighbours that follow what is covered; none if `span` is 0.
    fn add(&mut self, sums: &[T; REACHED], span: usize) {
        if span > 0 {
            let following = &sums[self.covered..self.covered + 64];
            self.total.iter_mut().zip(following).for_each(|(total, &sum)| *total = *total + sum);
            self.covered += span;
        }
    }
}
