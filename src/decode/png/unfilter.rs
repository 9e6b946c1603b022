//! Undoing a PNG row filter on one channel (PNG specification, section 9).
//!
//! A filter predicts a byte from the bytes one *pixel* to the left, above, and above left, so each byte of a pixel
//! depends on the same byte of its neighbours only: a channel can be restored without the others.

/// Pixels looked at together. Art has long stretches of equal alpha, where a whole block follows from its corner.
pub(super) const BLOCK: usize = 64;

/// A channel's differences over one block.
pub(super) type Block = [u8; BLOCK];

/// The neighbours of a block that lie to its left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Corner {
    /// The value just left of the block's first; 0 at the row's beginning.
    pub(super) left: u8,
    /// The value above that one.
    pub(super) above_left: u8,
}

/// Restores `values` from a filter type (0 to 4), its differences and the row above, all of one length.
pub(super) fn unfilter(filter: u8, differences: &[u8], above: &[u8], corner: Corner, values: &mut [u8]) {
    match filter {
        0 => values.copy_from_slice(differences),
        1 => sub(differences, corner.left, values),
        2 => up(differences, above, values),
        3 => average(differences, above, corner.left, values),
        _ => paeth(differences, above, corner, values),
    }
}

/// As [`unfilter`] where all differences are 0. Exact, by these facts:
/// Sub repeats the left value, Up the row above; Average repeats a value that is both left and everywhere above;
/// Paeth returns the value above as long as left equals above left, which then holds for the next pixel too,
/// and the left value where the row above is uniform, as left + above - above left is then left.
pub(super) fn unfilter_zeros(filter: u8, above: &Block, corner: Corner, values: &mut Block) {
    match filter {
        0 => values.fill(0),
        1 => values.fill(corner.left),
        2 => values.copy_from_slice(above),
        3 if is_uniform(above, corner.left) => values.fill(corner.left),
        3 => average(&[0; BLOCK], above, corner.left, values),
        _ if corner.left == corner.above_left => values.copy_from_slice(above),
        _ if is_uniform(above, corner.above_left) => values.fill(corner.left),
        _ => paeth(&[0; BLOCK], above, corner, values),
    }
}

fn is_uniform(values: &Block, value: u8) -> bool {
    values.iter().fold(0, |differing, &v| differing | (v ^ value)) == 0
}

fn sub(differences: &[u8], mut left: u8, values: &mut [u8]) {
    for (value, difference) in values.iter_mut().zip(differences) {
        left = left.wrapping_add(*difference);
        *value = left;
    }
}

fn up(differences: &[u8], above: &[u8], values: &mut [u8]) {
    for ((value, difference), above) in values.iter_mut().zip(differences).zip(above) {
        *value = difference.wrapping_add(*above);
    }
}

fn average(differences: &[u8], above: &[u8], mut left: u8, values: &mut [u8]) {
    for ((value, difference), above) in values.iter_mut().zip(differences).zip(above) {
        let predicted = ((u16::from(left) + u16::from(*above)) / 2) as u8;
        left = difference.wrapping_add(predicted);
        *value = left;
    }
}

fn paeth(differences: &[u8], above: &[u8], corner: Corner, values: &mut [u8]) {
    let Corner { mut left, mut above_left } = corner;
    for ((value, difference), above) in values.iter_mut().zip(differences).zip(above) {
        left = difference.wrapping_add(paeth_prediction(left, *above, above_left));
        above_left = *above;
        *value = left;
    }
}

/// Whichever of the three is nearest to left + above - above left; the first of equals.
fn paeth_prediction(left: u8, above: u8, above_left: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(above), i16::from(above_left));
    let (to_left, to_above) = ((b - c).abs(), (a - c).abs());
    let to_above_left = (a + b - 2 * c).abs();
    if to_left <= to_above && to_left <= to_above_left {
        left
    } else if to_above <= to_above_left {
        above
    } else {
        above_left
    }
}
