//! Masks: a grey picture that says how much of a layer, or of a whole group, is shown.

use super::reader::Bytes;
use super::records::Bounds;
use crate::mesh::Result;

/// What a record says about its mask.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaskRecord {
    pub(super) bounds: Bounds,
    /// The channel that holds it.
    pub(super) channel: i16,
    /// Where its picture does not reach.
    default: u8,
    pub(super) is_disabled: bool,
    /// How much the mask counts: at 0 it hides nothing, at 255 it counts in full.
    density: u8,
    /// Softened when shown, which is not done here.
    pub(super) has_feather: bool,
}

impl MaskRecord {
    /// Reads the mask data of a record; `None` if it is empty.
    ///
    /// Where a layer has a vector mask too, channel -3 holds the two joined, and its own rectangle follows the first.
    pub(super) fn read(data: &mut Bytes<'_>, has_joined: bool) -> Result<Option<Self>> {
        const LENGTH_WITH_JOINED: usize = 36;
        const DISABLED: u8 = 2;
        const HAS_PARAMETERS: u8 = 16;
        let length = data.left();
        if length == 0 {
            return Ok(None);
        }
        let mut bounds = Bounds::read(data, "mask bounds")?;
        let mut default = data.u8("mask's default")?;
        let flags = data.u8("mask's flags")?;
        let is_joined = has_joined && length >= LENGTH_WITH_JOINED;
        if is_joined {
            data.u8("joined mask's flags")?;
            default = data.u8("joined mask's default")?;
            bounds = Bounds::read(data, "joined mask bounds")?;
        }
        let (density, has_feather) =
            if flags & HAS_PARAMETERS != 0 && data.left() > 0 { read_parameters(data)? } else { (u8::MAX, false) };
        let channel = if is_joined { -3 } else { -2 };
        Ok(Some(Self { bounds, channel, default, is_disabled: flags & DISABLED != 0, density, has_feather }))
    }
}

/// Density, that of the mask before that of the vector mask, and whether there is any feather.
fn read_parameters(data: &mut Bytes<'_>) -> Result<(u8, bool)> {
    let present = data.u8("mask's parameters")?;
    let mut densities = [None; 2];
    let mut has_feather = false;
    for (at, density) in densities.iter_mut().enumerate() {
        if present >> (2 * at) & 1 != 0 {
            *density = Some(data.u8("mask's density")?);
        }
        if present >> (2 * at) & 2 != 0 {
            has_feather |= f64::from_be_bytes(data.array("mask's feather")?) > 0.0;
        }
    }
    let [user, vector] = densities;
    Ok((user.or(vector).unwrap_or(u8::MAX), has_feather))
}

/// A mask with its picture.
#[derive(Debug)]
pub(super) struct Mask {
    record: MaskRecord,
    plane: Vec<u8>,
}

impl Mask {
    /// `plane` holds a byte for each pixel of the record's bounds.
    pub(super) fn new(record: MaskRecord, plane: Vec<u8>) -> Self {
        Self { record, plane }
    }

    /// How much is shown at each of `width` pixels from (x, y) on, 0 to 255.
    pub(super) fn row(&self, x: i32, y: i32, width: usize) -> impl Iterator<Item = u8> {
        let Self { record: MaskRecord { bounds, default, density, .. }, plane } = self;
        let inside =
            usize::try_from(i64::from(y) - i64::from(bounds.y)).ok().filter(|row| *row < bounds.height as usize);
        let width_inside = bounds.width as usize;
        let line = inside.map_or(&[][..], |row| &plane[row * width_inside..][..width_inside]);
        let from = i64::from(x) - i64::from(bounds.x);
        (from..).take(width).map(move |at| {
            let shown = usize::try_from(at).ok().and_then(|at| line.get(at)).unwrap_or(default);
            u8::MAX - multiply(u8::MAX - shown, *density)
        })
    }
}

/// Product of two shares of 255, to the nearest.
pub(super) fn multiply(a: u8, b: u8) -> u8 {
    let product = u16::from(a) * u16::from(b) + 127;
    (product / 255) as u8
}
