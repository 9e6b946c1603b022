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

/// Pixels looked at together where a block has some difference. An edge of a shape is a few pixels wide; Paeth and
/// Average take them one after the other, and the rest need not wait.
const PART: usize = 8;

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

/// As [`unfilter`], part by part where the filter looks to the left.
pub(super) fn unfilter_block(filter: u8, differences: &Block, above: &Block, mut corner: Corner, values: &mut Block) {
    if filter == 0 || filter == 2 {
        return unfilter(filter, differences, above, corner, values);
    }
    let parts = differences.as_chunks::<PART>().0.iter().zip(above.as_chunks::<PART>().0);
    for ((differences, above), values) in parts.zip(values.as_chunks_mut::<PART>().0) {
        if u64::from_le_bytes(*differences) == 0 {
            unfilter_zeros(filter, above, corner, values);
        } else if filter > 3 && is_uniform(above, corner.above_left) {
            sub(differences, corner.left, values);
        } else {
            unfilter(filter, differences, above, corner, values);
        }
        corner = Corner { left: values[PART - 1], above_left: above[PART - 1] };
    }
}

/// As [`unfilter`] where all differences are 0. Exact, by these facts:
/// Sub repeats the left value, Up the row above; Average repeats a value that is both left and everywhere above;
/// Paeth returns the value above as long as left equals above left, which then holds for the next pixel too. Where the
/// row above is uniform, above left included, left + above - above left is left: Paeth is then Sub.
pub(super) fn unfilter_zeros<const N: usize>(filter: u8, above: &[u8; N], corner: Corner, values: &mut [u8; N]) {
    match filter {
        0 => values.fill(0),
        1 => values.fill(corner.left),
        2 => values.copy_from_slice(above),
        3 if is_uniform(above, corner.left) => values.fill(corner.left),
        3 => average(&[0; N], above, corner.left, values),
        _ if corner.left == corner.above_left => values.copy_from_slice(above),
        _ if is_uniform(above, corner.above_left) => values.fill(corner.left),
        _ => paeth(&[0; N], above, corner, values),
    }
}

fn is_uniform<const N: usize>(values: &[u8; N], value: u8) -> bool {
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

/// Whichever of the three is nearest to left + above - above left; the first of equals. Choices without branches: along
/// an edge they cannot be predicted.
fn paeth_prediction(left: u8, above: u8, above_left: u8) -> u8 {
    let (a, b, c) = (i32::from(left), i32::from(above), i32::from(above_left));
    let (across, down) = (a - c, b - c);
    let (to_left, to_above, to_above_left) = (down.abs(), across.abs(), (across + down).abs());
    let other = if to_above <= to_above_left { above } else { above_left };
    if to_left <= to_above.min(to_above_left) { left } else { other }
}
