//! Pixels that touch by a corner alone are joined by one pixel more.
//!
//! An outline through such a corner would touch itself. The pixel that is added is the upper one of the two that are
//! outside: a mirrored mask is joined in the mirrored way.

use crate::mesh::mask::BitMask;

/// Fills until no pinch is left; each pixel that is added may make another one.
pub(super) fn fill(mask: &mut BitMask) {
    let height = mask.height();
    let mut y = 0;
    while y + 1 < height {
        // A pixel that was added to the upper row may pinch with the row above it.
        y = if fill_between(mask, y) { y.saturating_sub(1) } else { y + 1 };
    }
}

/// Fills the pinches between a row and the next; whether there were any.
fn fill_between(mask: &mut BitMask, y: usize) -> bool {
    let mut changed = false;
    for word in 0..mask.row(y).len() {
        loop {
            let [upper, lower] = [mask.row(y), mask.row(y + 1)];
            let shifted = |row: &[u64]| row[word] >> 1 | row.get(word + 1).map_or(0, |next| next << 63);
            let (a, b, c, d) = (upper[word], shifted(upper), lower[word], shifted(lower));
            let (falling, rising) = (a & !b & !c & d, !a & b & c & !d);
            if falling | rising == 0 {
                break;
            }
            changed = true;
            let bits = |mut set: u64| {
                std::iter::from_fn(move || {
                    let bit = (set != 0).then(|| set.trailing_zeros() as usize)?;
                    set &= set - 1;
                    Some(bit)
                })
            };
            bits(falling).for_each(|bit| mask.set(word * 64 + bit + 1, y));
            bits(rising).for_each(|bit| mask.set(word * 64 + bit, y));
        }
    }
    changed
}
