//! A shape with room around it: every pixel within a distance of an inside one is inside.

use crate::mesh::error::Result;
use crate::mesh::mask::BitMask;
use crate::mesh::observer::{Observer, Stage, check_stop};

/// The mask grown by `padding_px`, as a disc, on a canvas that is `margin_px` larger on each side.
pub(super) fn grow(mask: &BitMask, padding_px: f64, margin_px: usize, observer: &dyn Observer) -> Result<BitMask> {
    let mut grown = BitMask::empty(mask.width() + 2 * margin_px, mask.height() + 2 * margin_px);
    let reach = padding_px.floor() as usize;
    for y in 0..mask.height() {
        check_stop(observer, Stage::Mask)?;
        let mut runs = Vec::new();
        mask.runs(y, |start, end| runs.push((start, end)));
        for down in 0..=2 * reach {
            let off = down.abs_diff(reach) as f64;
            // How far the disc reaches to either side this far from its middle.
            let half = (padding_px * padding_px - off * off).max(0.0).sqrt().floor() as usize;
            let row = y + margin_px + down - reach;
            for &(start, end) in &runs {
                grown.set_run(row, start + margin_px - half, end + margin_px + half);
            }
        }
    }
    Ok(grown)
}
