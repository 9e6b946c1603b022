//! BMP: alpha where its bit fields name a mask for it.

use std::io::{BufRead, BufReader, Seek};

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use super::source::{Source, check_limit};
use super::{Limits, Picture};
use crate::mesh::{AlphaPlane, Error, Result};

/// Decoded samples.
struct Samples {
    width: u32,
    height: u32,
    has_alpha: bool,
    /// Red, green, blue, and alpha if there is any.
    bytes: Vec<u8>,
}

/// The alpha plane; opaque if the file has no mask for alpha.
pub(super) fn alpha_plane<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<AlphaPlane> {
    let Samples { width, height, has_alpha, bytes } = Samples::read(source, limits)?;
    let plane = if has_alpha {
        AlphaPlane::new(width, height, bytes.as_chunks().0.iter().map(|&[_, _, _, alpha]| alpha).collect())
    } else {
        AlphaPlane::opaque(width, height)
    };
    plane.ok_or_else(|| source.fault("it has no pixels"))
}

/// The colours.
pub(super) fn rgba<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Picture> {
    let Samples { width, height, has_alpha, bytes } = Samples::read(source, limits)?;
    let pixels = if has_alpha {
        bytes
    } else {
        bytes.as_chunks().0.iter().flat_map(|&[red, green, blue]| [red, green, blue, u8::MAX]).collect()
    };
    Picture::new(width, height, pixels).ok_or_else(|| source.fault("it has no pixels"))
}

impl Samples {
    fn read<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Self> {
        check_length(source)?;
        source.go_to(0)?;
        // The decoder reads pixel by pixel: from a buffer that costs a third of what asking the source each time does.
        let decoder = match BmpDecoder::new(BufReader::new(&mut *source)) {
            Ok(decoder) => decoder,
            Err(error) => return Err(fault(source, error)),
        };
        let (width, height) = decoder.dimensions();
        check_limit("width", width.into(), limits.max_width.into())?;
        check_limit("height", height.into(), limits.max_height.into())?;
        let has_alpha = match decoder.color_type() {
            ColorType::Rgba8 => true,
            ColorType::Rgb8 => false,
            other => return Err(Error::Internal(format!("a BMP decodes to {other:?}"))),
        };
        let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
        decoder.read_image(&mut bytes).map_err(|error| fault(source, error))?;
        Ok(Self { width, height, has_alpha, bytes })
    }
}

/// The length the header gives, which finds a file that lost something behind its pixels. Some writers leave it 0.
fn check_length<R: BufRead + Seek>(source: &mut Source<'_, R>) -> Result<()> {
    let [_, _, l0, l1, l2, l3] = source.read_array()?;
    if u64::from(u32::from_le_bytes([l0, l1, l2, l3])) > source.length() {
        return Err(source.read_fault(&std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn fault<R: BufRead + Seek>(source: &Source<'_, R>, error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) => source.read_fault(&error),
        error => source.fault(error),
    }
}
