//! JPEG: no alpha, so its pixels only prove that the file can be read, unless somebody draws them.
//!
//! The decoder below forgives a file that ends anywhere, as viewers do. So the markers are walked first: every segment and
//! scan must be there up to the end marker, which a truncated file has lost. Then it decodes in its strict mode. Damage
//! inside a scan that is still a valid code shows in no JPEG, as the format has no checksum.

use std::io::{BufRead, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::source::{Source, check_limit};
use super::{Limits, Picture};
use crate::mesh::{AlphaPlane, Error, Result};

/// Progressive files have about ten scans. Each visits every block, so their number bounds the work a file can ask for.
const MAX_SCANS: usize = 64;

/// The alpha plane: opaque, if the file is whole.
pub(super) fn alpha_plane<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<AlphaPlane> {
    let file = read_file(source, limits)?;
    // Brightness alone proves as much as colour, for a third of the memory.
    let (width, height, _) = decode(source, &file, limits, |input| match input {
        ColorSpace::YCbCr | ColorSpace::Luma => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    })?;
    AlphaPlane::opaque(width, height).ok_or_else(|| source.fault("it has no pixels"))
}

/// The colours.
pub(super) fn rgba<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Picture> {
    let file = read_file(source, limits)?;
    // The decoder writes wrong alpha bytes where chroma is subsampled, so it is not asked for any.
    let (width, height, samples) = decode(source, &file, limits, |_| ColorSpace::RGB)?;
    let pixels = samples.as_chunks().0.iter().flat_map(|&[red, green, blue]| [red, green, blue, u8::MAX]).collect();
    Picture::new(width, height, pixels).ok_or_else(|| Error::Internal("a JPEG does not fit its picture".into()))
}

/// The whole file, after its size and its markers have been found right. The decoder goes back and forth, which a
/// buffered file pays for with a read each time.
fn read_file<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Vec<u8>> {
    // At its full size from the beginning: growing would take twice that.
    let mut file = Vec::with_capacity(usize::try_from(source.length()).unwrap_or(0) + 1);
    source.read_to_end(&mut file).map_err(|e| source.read_fault(&e))?;
    let walked = walk(&file, limits)?;
    source.check_stop()?;
    walked.map(|()| file).map_err(|reason| source.fault(reason))
}

/// Width, height (px) and the samples in the colour space chosen from the file's own.
fn decode<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    file: &[u8],
    limits: &Limits,
    choose: impl FnOnce(ColorSpace) -> ColorSpace,
) -> Result<(u32, u32, Vec<u8>)> {
    let mut watched = source.within(Cursor::new(file));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(limits.max_width as usize)
        .set_max_height(limits.max_height as usize)
        .jpeg_set_max_scans(MAX_SCANS);
    let decode = || -> std::result::Result<_, DecodeErrors> {
        let mut decoder = JpegDecoder::new_with_options(&mut watched, options);
        decoder.decode_headers()?;
        let colours = choose(decoder.input_colorspace().unwrap_or(ColorSpace::RGB));
        decoder.set_options(options.jpeg_set_out_colorspace(colours));
        let samples = decoder.decode()?;
        Ok((decoder.dimensions().unwrap_or_default(), samples))
    };
    // Fuzzing finds scans that break the decoder's own assumptions; it panics then. What it was doing is dropped with
    // it, so nothing half-done is seen afterwards.
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(((width, height), samples))) => Ok((width as u32, height as u32, samples)),
        Ok(Err(error)) => Err(watched.fault(error)),
        Err(_) => Err(watched.fault("its scans contradict its header")),
    }
}

/// Walks the markers to the end of the image. The outer error is a limit, the inner one says what is wrong.
fn walk(file: &[u8], limits: &Limits) -> Result<std::result::Result<(), &'static str>> {
    const CUT: &str = "the file is cut short: its end marker is missing";
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = &file[2..];
    let mut has_frame = false;
    loop {
        let Some((marker, after)) = next_marker(rest) else { return Ok(Err(CUT)) };
        rest = after;
        match marker {
            0xd9 if has_frame => return Ok(Ok(())),
            0xd9 => return Ok(Err("it has no image")),
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = rest.first_chunk().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        let Some(segment) = rest.get(2..length) else { return Ok(Err(CUT)) };
        if is_start_of_frame(marker) {
            let Some(&[_, h0, h1, w0, w1, ..]) = segment.first_chunk::<6>() else {
                return Ok(Err("its frame has no size"));
            };
            check_limit("width", u16::from_be_bytes([w0, w1]).into(), limits.max_width.into())?;
            check_limit("height", u16::from_be_bytes([h0, h1]).into(), limits.max_height.into())?;
            if !has_usual_sampling(&segment[6..]) {
                return Ok(Err("its chroma is finer than its brightness"));
            }
            has_frame = true;
        } else if marker == START_OF_SCAN && !has_frame {
            return Ok(Err("its pixels come before its size"));
        }
        rest = &rest[length..];
    }
}

/// The next marker and what follows it, passing over a scan's data.
fn next_marker(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let at = bytes.iter().position(|&byte| byte == 0xff)?;
        bytes = &bytes[at + 1..];
        match bytes.first()? {
            // A stuffed data byte, or one more fill byte before the marker.
            0x00 | 0xff => {}
            &marker => return Some((marker, &bytes[1..])),
        }
    }
}

/// Whether the first component is the finest, in both directions. Every encoder does so, and the decoder relies on it.
fn has_usual_sampling(components: &[u8]) -> bool {
    let factors = components.as_chunks::<3>().0.iter().map(|&[_, factors, _]| (factors >> 4, factors & 0x0f));
    let (finest_x, finest_y) = factors.clone().next().unwrap_or_default();
    factors.into_iter().all(|(x, y)| (1..=finest_x).contains(&x) && (1..=finest_y).contains(&y))
}

/// SOF0 to SOF15, without the three other markers in that range.
fn is_start_of_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}
