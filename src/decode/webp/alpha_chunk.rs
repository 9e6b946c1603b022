//! The fast path: the alpha of a lossy picture from its own chunk, without the picture.
//!
//! The chunk is a byte of flags and the alpha plane, either raw or as a lossless picture without its header whose green
//! channel it is; both filtered (WebP container specification, "Alpha").

use std::io::{BufRead, Cursor, Seek};

use image_webp::WebPDecoder;

use super::container::Container;
use super::{bare_file, codes};
use crate::decode::source::Source;
use crate::mesh::{AlphaPlane, Error, Result};

/// How a value was predicted; the first row always from the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    None,
    Horizontal,
    Vertical,
    Gradient,
}

/// An error if the decoder would make too much of the codes of a chunk with the alpha of a picture of this size.
pub(super) fn check_codes<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    chunk: &std::ops::Range<u64>,
    width: u32,
    height: u32,
) -> Result<()> {
    const LOSSLESS: u8 = 1;
    source.go_to(chunk.start)?;
    let [flags] = source.read_array()?;
    if flags & 3 == LOSSLESS { codes::check(source, chunk.start + 1..chunk.end, width, height) } else { Ok(()) }
}

/// Decodes the chunk whose data lies at `chunk.start..chunk.end` of the file.
pub(super) fn alpha_plane<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    container: &Container,
    chunk: &std::ops::Range<u64>,
) -> Result<AlphaPlane> {
    check_codes(source, chunk, container.width, container.height)?;
    source.go_to(chunk.start)?;
    let data_bytes = (chunk.end - chunk.start).saturating_sub(1);
    let [flags] = source.read_array()?;
    let filter = match flags >> 2 & 3 {
        0 => Filter::None,
        1 => Filter::Horizontal,
        2 => Filter::Vertical,
        _ => Filter::Gradient,
    };
    let is_preprocessing_known = flags >> 4 & 3 <= 1;
    let mut plane = match flags & 3 {
        0 if is_preprocessing_known => read_raw(source, container, data_bytes)?,
        1 if is_preprocessing_known => read_lossless(source, container, data_bytes)?,
        _ => return Err(source.fault("its alpha is compressed in an unknown way")),
    };
    unfilter(filter, &mut plane, container.width as usize);
    AlphaPlane::new(container.width, container.height, plane)
        .ok_or_else(|| Error::Internal("a WebP's alpha does not fit its plane".into()))
}

fn read_raw<R: BufRead + Seek>(source: &mut Source<'_, R>, container: &Container, data_bytes: u64) -> Result<Vec<u8>> {
    let pixels = u64::from(container.width) * u64::from(container.height);
    if data_bytes < pixels {
        return Err(source.fault("its alpha is cut short"));
    }
    let mut plane = vec![0; pixels as usize];
    source.read_whole(&mut plane)?;
    Ok(plane)
}

/// Puts the missing headers before the data and reads the whole as a lossless file.
fn read_lossless<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    container: &Container,
    data_bytes: u64,
) -> Result<Vec<u8>> {
    const HAS_ALPHA: u32 = 1 << 28;
    // Widths and heights of a VP8 picture have 14 bits, so these fit.
    let size_bits = (container.width - 1) | (container.height - 1) << 14 | HAS_ALPHA;
    let [b0, b1, b2, b3] = size_bits.to_le_bytes();
    let file = bare_file(source, *b"VP8L", &[0x2f, b0, b1, b2, b3], data_bytes)?;
    let mut watched = source.within(Cursor::new(&file[..]));
    let mut rgba = vec![0; container.width as usize * container.height as usize * 4];
    let decoded = WebPDecoder::new(&mut watched).and_then(|mut decoder| decoder.read_image(&mut rgba));
    match decoded {
        Ok(()) => Ok(rgba.as_chunks().0.iter().map(|&[_, green, _, _]| green).collect()),
        Err(error) => Err(watched.fault(format_args!("its alpha is damaged ({error})"))),
    }
}

/// Adds to every difference the value it was predicted from.
fn unfilter(filter: Filter, plane: &mut [u8], width: usize) {
    if filter == Filter::None {
        return;
    }
    let mut rows = plane.chunks_exact_mut(width);
    let Some(mut above) = rows.next() else { return };
    add_left(above, 0);
    for row in rows {
        match filter {
            Filter::None => {}
            Filter::Horizontal => add_left(row, above[0]),
            Filter::Vertical => {
                row.iter_mut().zip(&*above).for_each(|(value, above)| *value = value.wrapping_add(*above))
            }
            Filter::Gradient => add_gradient(row, above),
        }
        above = row;
    }
}

fn add_left(row: &mut [u8], mut left: u8) {
    for value in row {
        left = left.wrapping_add(*value);
        *value = left;
    }
}

fn add_gradient(row: &mut [u8], above: &[u8]) {
    let (mut left, mut above_left) = (above[0], above[0]);
    for (value, &above) in row.iter_mut().zip(above) {
        let gradient = i16::from(left) + i16::from(above) - i16::from(above_left);
        left = value.wrapping_add(gradient.clamp(0, 255) as u8);
        above_left = above;
        *value = left;
    }
}
