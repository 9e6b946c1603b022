//! PNG through the general decoder: transparency by palette or by colour, interlacing, and all colours.
//!
//! The caller has proved the file whole before; this decoder does not look behind the last pixel.

use std::io::{BufRead, Seek};

use png::{DecodeOptions, Decoder, DecodingError, InterlaceInfo, Reader, Transformations};

use crate::decode::Picture;
use crate::decode::source::Source;
use crate::mesh::{AlphaPlane, Error, Result};

/// What the decoder may allocate besides its rows: a palette, a few short chunks.
const ALLOCATION_BYTES: usize = 8 << 20;

fn open<'s, 'o, R: BufRead + Seek>(
    source: &'s mut Source<'o, R>,
    transformations: Transformations,
) -> std::result::Result<Reader<&'s mut Source<'o, R>>, DecodingError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_skip_ancillary_crc_failures(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(source, options);
    decoder.set_limits(png::Limits { bytes: ALLOCATION_BYTES });
    decoder.set_transformations(transformations);
    decoder.read_info()
}

/// The alpha plane of any PNG, row by row: never more than the plane and a few rows.
pub(super) fn alpha_plane<R: BufRead + Seek>(source: &mut Source<'_, R>) -> Result<AlphaPlane> {
    source.go_to(0)?;
    match read_alpha(source) {
        Ok(plane) => plane.ok_or_else(|| Error::Internal("a PNG row does not fit its plane".into())),
        Err(error) => Err(source.fault(error)),
    }
}

fn read_alpha<R: BufRead + Seek>(source: &mut Source<'_, R>) -> std::result::Result<Option<AlphaPlane>, DecodingError> {
    let mut reader = open(source, Transformations::EXPAND)?;
    let (width, height) = reader.info().size();
    let (colour, depth) = reader.output_color_type();
    let bytes = (depth as usize / 8).max(1);
    let has_alpha = matches!(colour, png::ColorType::GrayscaleAlpha | png::ColorType::Rgba);
    let mut plane = if has_alpha { vec![0; width as usize * height as usize] } else { Vec::new() };
    let mut y = 0;
    let mut alphas = Vec::new();
    while let Some(row) = reader.next_interlaced_row()? {
        if !has_alpha {
            continue;
        }
        // Samples are big-endian: the first byte of a 16-bit alpha is the one kept.
        let pixel = colour.samples() * bytes;
        alphas.clear();
        alphas.extend(row.data().chunks_exact(pixel).map(|pixel| pixel[pixel.len() - bytes]));
        match row.interlace() {
            InterlaceInfo::Adam7(pass) => png::expand_interlaced_row(&mut plane, width as usize, &alphas, pass, 8),
            InterlaceInfo::Null(_) => plane[y * width as usize..][..alphas.len()].copy_from_slice(&alphas),
        }
        y += 1;
    }
    Ok(if has_alpha { AlphaPlane::new(width, height, plane) } else { AlphaPlane::opaque(width, height) })
}

/// The colours of any PNG, 16-bit samples cut to their high byte.
pub(super) fn rgba<R: BufRead + Seek>(source: &mut Source<'_, R>) -> Result<Picture> {
    source.go_to(0)?;
    match read_rgba(source) {
        Ok(picture) => picture.ok_or_else(|| Error::Internal("a PNG frame does not fit its picture".into())),
        Err(error) => Err(source.fault(error)),
    }
}

fn read_rgba<R: BufRead + Seek>(source: &mut Source<'_, R>) -> std::result::Result<Option<Picture>, DecodingError> {
    let mut reader = open(source, Transformations::EXPAND | Transformations::STRIP_16)?;
    let (width, height) = reader.info().size();
    let mut samples = vec![0; reader.output_buffer_size().ok_or(DecodingError::LimitsExceeded)?];
    let frame = reader.next_frame(&mut samples)?;
    let pixels = match frame.color_type {
        png::ColorType::Rgba => samples,
        png::ColorType::GrayscaleAlpha => {
            samples.as_chunks().0.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect()
        }
        png::ColorType::Rgb => samples.as_chunks().0.iter().flat_map(|&[r, g, b]| [r, g, b, u8::MAX]).collect(),
        _ => samples.iter().flat_map(|&grey| [grey, grey, grey, u8::MAX]).collect(),
    };
    Ok(Picture::new(width, height, pixels))
}
