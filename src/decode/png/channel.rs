//! The fast path: a row's alpha channel out of its filtered bytes, without the colours.

use super::header::{Colour, Header};
use super::unfilter::{BLOCK, Corner, unfilter, unfilter_block, unfilter_zeros};

/// Where the channel that decides on alpha lies in the bytes of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// A byte a pixel, which a table makes alpha of once all rows are there.
    Sample8,
    /// 8-bit grey and alpha.
    GreyAlpha8,
    /// 8-bit red, green, blue, alpha.
    Rgba8,
    /// 16-bit grey and alpha. The high byte of alpha is all that is kept, and its filter knows no other byte.
    GreyAlpha16,
    /// 16-bit red, green, blue, alpha.
    Rgba16,
}

impl Layout {
    /// The layout, if the image's alpha can be read from one channel of whole bytes.
    pub(super) fn of(header: &Header) -> Option<Self> {
        match (header.colour, header.depth) {
            _ if header.alpha_of_sample.is_some() => Some(Self::Sample8),
            (Colour::GreyAlpha, 8) => Some(Self::GreyAlpha8),
            (Colour::GreyAlpha, _) => Some(Self::GreyAlpha16),
            (Colour::Rgba, 8) => Some(Self::Rgba8),
            (Colour::Rgba, _) => Some(Self::Rgba16),
            _ => None,
        }
    }

    /// Restores one row of the channel from a filtered row, filter byte first, and the values of the row above.
    pub(super) fn restore(self, filtered: &[u8], above: &[u8], values: &mut [u8]) {
        match self {
            Self::Sample8 => restore::<1, 0>(filtered, above, values),
            Self::GreyAlpha8 => restore::<2, 1>(filtered, above, values),
            Self::Rgba8 => restore::<4, 3>(filtered, above, values),
            Self::GreyAlpha16 => restore::<4, 2>(filtered, above, values),
            Self::Rgba16 => restore::<8, 6>(filtered, above, values),
        }
    }
}

/// [`Layout::restore`] for alpha in byte `AT` of `PIXEL` bytes.
fn restore<const PIXEL: usize, const AT: usize>(filtered: &[u8], above: &[u8], values: &mut [u8]) {
    let Some((&filter, pixels)) = filtered.split_first() else { return };
    let mut corner = Corner::default();
    let mut differences = [0; BLOCK];
    let (above_blocks, above_rest) = above.as_chunks::<BLOCK>();
    let (value_blocks, value_rest) = values.as_chunks_mut::<BLOCK>();
    let mut pixel_blocks = pixels.chunks_exact(BLOCK * PIXEL);
    for ((pixels, above), values) in pixel_blocks.by_ref().zip(above_blocks).zip(value_blocks) {
        if is_zero::<PIXEL, AT>(pixels) {
            unfilter_zeros(filter, above, corner, values);
        } else {
            gather::<PIXEL, AT>(pixels, &mut differences);
            unfilter_block(filter, &differences, above, corner, values);
        }
        corner = Corner { left: values[BLOCK - 1], above_left: above[BLOCK - 1] };
    }
    let rest = &mut differences[..value_rest.len()];
    gather::<PIXEL, AT>(pixel_blocks.remainder(), rest);
    unfilter(filter, rest, above_rest, corner, value_rest);
}

/// Whether every difference of a block is 0. Words are joined whole and cut to the channel once at the end, as the
/// compiler makes wide registers of words, but single bytes of bytes.
fn is_zero<const PIXEL: usize, const AT: usize>(pixels: &[u8]) -> bool {
    let joined = pixels.as_chunks().0.iter().fold(0, |joined, word| joined | u64::from_le_bytes(*word));
    joined.to_le_bytes().as_chunks::<PIXEL>().0.iter().all(|pixel| pixel[AT] == 0)
}

/// Collects the differences of one channel.
fn gather<const PIXEL: usize, const AT: usize>(pixels: &[u8], differences: &mut [u8]) {
    for (difference, pixel) in differences.iter_mut().zip(pixels.as_chunks::<PIXEL>().0) {
        *difference = pixel[AT];
    }
}
