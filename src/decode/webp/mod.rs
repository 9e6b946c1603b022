//! WebP to an alpha plane.
//!
//! The container is walked first, which finds every file that is cut short. A lossy picture is then only looked at in
//! its header: its arithmetic code has no redundancy by which damage would show, and it knows nothing of alpha. Its ALPH
//! chunk is decoded whole, and so is a lossless picture.

mod alpha_chunk;
mod codes;
mod container;

use std::io::{BufRead, Cursor, Read, Seek};

use image_webp::{DecodingError, WebPDecoder};

use super::source::Source;
use super::{Limits, Picture as Colours};
use crate::mesh::{AlphaPlane, Error, Result};
pub use codes::MOST_BYTES as MOST_CODES_BYTES;
use container::{Container, Picture};

/// The alpha plane; opaque if the file says so, or has a lossy picture and no alpha for it.
pub(super) fn alpha_plane<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<AlphaPlane> {
    let container = Container::read(source, limits)?;
    match (&container.alpha, container.picture) {
        (_, Picture::Lossless) => decode_alpha(source, &container),
        _ if container.is_animated => decode_alpha(source, &container),
        (Some(chunk), _) if container.has_alpha => alpha_chunk::alpha_plane(source, &container, chunk),
        _ => opaque(&container),
    }
}

/// The alpha plane through the general decoder alone, to compare the fast path with.
pub(super) fn general_alpha_plane<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    limits: &Limits,
) -> Result<AlphaPlane> {
    let container = Container::read(source, limits)?;
    decode_alpha(source, &container)
}

/// The colours.
pub(super) fn rgba<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Colours> {
    let container = Container::read(source, limits)?;
    let Decoded { has_alpha, samples } = decode(source, &container)?;
    let pixels = if has_alpha {
        samples
    } else {
        samples.as_chunks().0.iter().flat_map(|&[red, green, blue]| [red, green, blue, u8::MAX]).collect()
    };
    Colours::new(container.width, container.height, pixels)
        .ok_or_else(|| Error::Internal("a WebP does not fit its picture".into()))
}

fn decode_alpha<R: BufRead + Seek>(source: &mut Source<'_, R>, container: &Container) -> Result<AlphaPlane> {
    let Decoded { has_alpha, samples } = decode(source, container)?;
    if !has_alpha {
        return opaque(container);
    }
    let values = samples.as_chunks().0.iter().map(|&[_, _, _, alpha]| alpha).collect();
    AlphaPlane::new(container.width, container.height, values)
        .ok_or_else(|| Error::Internal("a WebP does not fit its plane".into()))
}

fn opaque(container: &Container) -> Result<AlphaPlane> {
    AlphaPlane::opaque(container.width, container.height)
        .ok_or_else(|| Error::Internal("a WebP without pixels was accepted".into()))
}

/// The first picture, composed on the canvas.
struct Decoded {
    has_alpha: bool,
    /// Red, green, blue, and alpha if there is any.
    samples: Vec<u8>,
}

fn decode<R: BufRead + Seek>(source: &mut Source<'_, R>, container: &Container) -> Result<Decoded> {
    let is_plain = container.picture == Picture::Lossy && container.alpha.is_none() && !container.is_animated;
    if is_plain {
        // The decoder insists on an alpha chunk where a flag announces one; the picture alone has no flags.
        source.go_to(container.data.start)?;
        let file = bare_file(source, *b"VP8 ", &[], container.data.end - container.data.start)?;
        return decode_file(&mut source.within(Cursor::new(&file[..])), container);
    }
    check_codes(source, container)?;
    source.go_to(0)?;
    decode_file(source, container)
}

/// An error if the decoder would make too much of the codes of the picture or of its alpha.
fn check_codes<R: BufRead + Seek>(source: &mut Source<'_, R>, container: &Container) -> Result<()> {
    const SIGNATURE_AND_SIZE_BYTES: u64 = 5;
    let (width, height) = container.picture_size;
    if container.picture == Picture::Lossless {
        let data = container.data.start + SIGNATURE_AND_SIZE_BYTES..container.data.end;
        codes::check(source, data, width, height)?;
    }
    container.alpha.as_ref().map_or(Ok(()), |chunk| alpha_chunk::check_codes(source, chunk, width, height))
}

fn decode_file<R: BufRead + Seek>(source: &mut Source<'_, R>, container: &Container) -> Result<Decoded> {
    let mut read = || -> std::result::Result<Decoded, DecodingError> {
        let mut decoder = WebPDecoder::new(&mut *source)?;
        if decoder.dimensions() != (container.width, container.height) {
            return Err(DecodingError::InconsistentImageSizes);
        }
        let mut samples = vec![0; decoder.output_buffer_size().ok_or(DecodingError::ImageTooLarge)?];
        decoder.read_image(&mut samples)?;
        Ok(Decoded { has_alpha: decoder.has_alpha(), samples })
    };
    match read() {
        Ok(decoded) => Ok(decoded),
        Err(DecodingError::IoError(error)) => Err(source.read_fault(&error)),
        Err(error) => Err(source.fault(error)),
    }
}

/// A file of one chunk, whose data is some bytes and then the next ones of the source.
fn bare_file<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    name: [u8; 4],
    first_bytes: &[u8],
    source_bytes: u64,
) -> Result<Vec<u8>> {
    const HEADER_BYTES: usize = 20;
    let data_bytes = first_bytes.len() as u32 + source_bytes as u32;
    let mut file = Vec::with_capacity(HEADER_BYTES + data_bytes as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(12 + data_bytes).to_le_bytes());
    file.extend_from_slice(b"WEBP");
    file.extend_from_slice(&name);
    file.extend_from_slice(&data_bytes.to_le_bytes());
    file.extend_from_slice(first_bytes);
    source.by_ref().take(source_bytes).read_to_end(&mut file).map_err(|e| source.read_fault(&e))?;
    Ok(file)
}
